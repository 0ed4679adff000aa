"""pydynox with the client's asynchronous ``batch_write``, eight calls in flight.

It must go through the client and not through its models, which only add to the work.
"""

import asyncio
from collections.abc import Callable

from pydynox import DynamoDBClient

from bench.peers.child import Job, run
from bench.peers.rows import TABLE, read_batches

IN_FLIGHT = 8
PER_CALL = 100  # four requests; 25 a call is a tenth slower here, 400 no faster


def prepare(job: Job) -> Callable[[], int]:
    client = DynamoDBClient(
        region="eu-central-1",
        access_key="AKIDEXAMPLE",
        secret_key="secret",
        endpoint_url=job.endpoint,
    )
    return lambda: asyncio.run(copy(client, job))


async def copy(client: DynamoDBClient, job: Job) -> int:
    rows, tasks = 0, set[asyncio.Future[None]]()
    for batch in read_batches(job.file, job.rows, PER_CALL):
        tasks.add(asyncio.ensure_future(client.batch_write(TABLE, put_items=batch)))
        rows += len(batch)
        if len(tasks) >= IN_FLIGHT:
            done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    await asyncio.gather(*tasks)
    return rows


if __name__ == "__main__":
    run(prepare)
