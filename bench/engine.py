"""The second line: how close a copy to the local engine comes to what the engine can take.

Both sides must have a fresh engine, in memory, for each run: one that holds rows is slower.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import product

import boto3

from bench.data import make_file
from bench.machine import can_pin, pin
from bench.peers.rows import HASH_KEY, RANGE_KEY, TABLE
from bench.report import Line
from bench.run import Outcome, run_peer

GOAL = {"prebuilt": 0.95}
FILE_ROWS = 300_000
ROWS = 20_000
Command = Callable[[str], Outcome]  # runs a contestant against an endpoint


@contextmanager
def fresh_engine() -> Iterator[str]:
    """An engine without data, alone on the second core, with the table made."""
    from dbcore.local_engine import LocalEngine  # only this line needs the project

    with LocalEngine(kind="dynoxide") as engine:
        if engine.pid:
            pin(1, engine.pid)
        create_table(engine.endpoint)
        yield engine.endpoint


def create_table(endpoint: str) -> None:
    client = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
    )
    keys = {HASH_KEY: "HASH", RANGE_KEY: "RANGE"}
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        BillingMode="PAY_PER_REQUEST",
    )


def engine_share(
    ours: Command,
    feeder: Command,
    rounds: int,
    engine: Callable[[], AbstractContextManager[str]] = fresh_engine,
) -> Line:
    """Ours against the feeder, in turn; the higher the ratio, the less is ours the bottleneck."""
    line = Line("copy to the local engine vs prebuilt requests", "rows/s", GOAL)
    commands = {"daylight": ours, "prebuilt": feeder}
    for _, name in product(range(rounds), commands):
        line.attempt(name, partial(_rate, commands[name], engine))
    return line


def _rate(command: Command, engine: Callable[[], AbstractContextManager[str]]) -> float:
    with engine() as endpoint:
        return command(endpoint).rate


def local_engine_share(rounds: int, *, quick: bool = False) -> Line:
    rows = ROWS // 4 if quick else ROWS
    file = str(make_file(FILE_ROWS))
    ours, feeder = (
        partial(run_peer, name, file=file, rows=rows) for name in ("daylight", "prebuilt")
    )
    line = engine_share(ours, feeder, rounds)
    line.details = {"rows": rows, "rounds": rounds, "pinned": can_pin(), "quick": quick}
    return line
