"""The first line: how many rows a second a contestant copies from SQLite to the null sink.

No contestant may have figures here that a witness has not first seen write all of the items.
"""

from functools import partial
from itertools import product

from bench.data import make_file
from bench.machine import can_pin
from bench.peers.rows import expected_testimony
from bench.report import Line
from bench.run import ContestantFailed, run_peer
from bench.sink import SinkProcess

CONTESTANTS = ("daylight", "boto3", "pynamodb", "pynamodb_custom", "pydynox")
GOAL = {"pydynox": 1.5, "pynamodb": 9.0}
FILE_ROWS = 300_000
WITNESSED_ROWS = 2_020  # not a multiple of a batch: the last one is to be short
WARM_UP_ROWS = 10_000


def copy_throughput(rounds: int, *, quick: bool = False) -> Line:
    line = Line("copy throughput to a null sink", "rows/s", GOAL)
    file = str(make_file(FILE_ROWS))
    able = [name for name in CONTESTANTS if _writes_everything(name, file, line)]
    with SinkProcess() as sink:
        warm_up = {name: _rate(name, sink.endpoint, file, WARM_UP_ROWS) for name in able}
        rows = {name: _fitting_rows(rate, quick) for name, rate in warm_up.items()}
        for _, name in product(range(rounds), able):
            line.attempt(name, partial(_rate, name, sink.endpoint, file, rows[name]))
    line.details = {"rows": rows, "rounds": rounds, "pinned": can_pin(), "quick": quick}
    return line


def _rate(name: str, endpoint: str, file: str, rows: int) -> float:
    return run_peer(name, endpoint, file, rows).rate


def _fitting_rows(rate: float, quick: bool) -> int:
    """So many rows that a run takes about two seconds, and at least one."""
    wanted = round(rate * (0.5 if quick else 1.8), -3)
    return int(min(FILE_ROWS, max(1000, wanted)))


def _writes_everything(name: str, file: str, line: Line) -> bool:
    """Whether the contestant writes what it should; else the line has a note and no figure."""
    with SinkProcess(witness=True) as sink:
        try:
            run_peer(name, sink.endpoint, file, WITNESSED_ROWS)
        except ContestantFailed as failure:
            line.fail(name, str(failure))
            return False
        seen, expected = sink.testimony(), expected_testimony(file, WITNESSED_ROWS)
    if seen != expected:
        line.fail(name, f"{name} wrote other items: {seen} instead of {expected}")
    return seen == expected
