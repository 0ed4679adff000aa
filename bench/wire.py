"""What the wire's own signing and transport save over botocore's signer and urllib3's pool.

Only point reads of one item are timed; each way must get the same answer.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import orjson
import urllib3

from bench.report import Line
from dbcore.addresses import parse_endpoint
from dbcore.local_engine import LocalEngine
from dbcore.wire.client import Wire

CALLS = 1000
TABLE = "bench"
KEY = {"id": {"S": "one"}}
REQUEST = {"TableName": TABLE, "Key": KEY, "ConsistentRead": True}
CREDENTIALS = botocore.credentials.Credentials("local", "local")


def point_read(rounds: int, *, quick: bool = False) -> Line:
    """Median microseconds of a point read, by way of asking."""
    line = Line("point read through the wire", "µs (median)", {"boto3": 0.5}, sense="<=")
    with LocalEngine(kind="dynoxide") as engine:
        client = _prepare(engine.endpoint)
        wire = Wire(parse_endpoint(engine.endpoint), "eu-central-1")
        ways: dict[str, Callable[[], object]] = {
            "daylight": lambda: wire.call("GetItem", REQUEST)["Item"],
            "boto3": lambda: client.get_item(**REQUEST)["Item"],
            "botocore_signer_urllib3": _by_urllib3(engine.endpoint),
        }
        for _ in range(rounds):
            for name, ask in ways.items():
                line.attempt(name, partial(_median, ask))
        wire.close()
    line.details = {"calls": CALLS, "rounds": rounds, "quick": quick}
    return line


def _prepare(endpoint: str) -> Any:
    client = boto3.client(
        "dynamodb", endpoint_url=endpoint, region_name="eu-central-1",
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.put_item(TableName=TABLE, Item={**KEY, "text": {"S": "x" * 200}, "n": {"N": "1.5"}})
    return client


def _by_urllib3(endpoint: str) -> Callable[[], object]:
    """The way that was first proposed: botocore's signer, urllib3's pool, orjson."""
    pool = urllib3.connection_from_url(endpoint)
    signer = botocore.auth.SigV4Auth(CREDENTIALS, "dynamodb", "eu-central-1")
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "DynamoDB_20120810.GetItem",
    }

    def ask() -> object:
        body = orjson.dumps(REQUEST)
        request = botocore.awsrequest.AWSRequest("POST", endpoint + "/", headers, body)
        signer.add_auth(request)
        answer = pool.request("POST", "/", body=body, headers=dict(request.headers.items()))
        return orjson.loads(answer.data)["Item"]

    return ask


def _median(ask: Callable[[], object]) -> float:
    expected = ask()
    taken = []
    for _ in range(CALLS):
        begin = time.perf_counter()
        got = ask()
        taken.append(time.perf_counter() - begin)
        assert got == expected
    return statistics.median(taken) * 1e6
