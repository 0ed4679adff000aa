"""boto3 with ``Table.batch_writer()``, the way its guide gives for writing many items.

It must have Decimal numbers, the only ones that boto3 takes: json.loads makes them directly.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from functools import partial

import boto3

from bench.peers.child import Job, run
from bench.peers.rows import TABLE, read_items


def prepare(job: Job) -> Callable[[], int]:
    resource = boto3.resource(
        "dynamodb",
        endpoint_url=job.endpoint,
        region_name="eu-central-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
    )
    table = resource.Table(TABLE)
    loads = partial(json.loads, parse_float=Decimal)

    def copy() -> int:
        rows = 0
        with table.batch_writer() as writer:
            for item in read_items(job.file, job.rows, loads):
                writer.put_item(Item=item)
                rows += 1
        return rows

    return copy


if __name__ == "__main__":
    run(prepare)
