"""The third line: whether the memory of a copy grows with the number of rows.

Both runs must be of the same program on the same file; only the number of rows may differ.
"""

from functools import partial

from bench.data import make_file
from bench.machine import can_pin
from bench.report import Line
from bench.run import run_peer
from bench.sink import SinkProcess

MANY, FEW = 1_000_000, 100_000
PEER = "100,000 rows"


def peak_memory(rounds: int, *, quick: bool = False) -> Line:
    """One round is enough, and there is none shorter: memory hardly varies between runs."""
    line = Line("peak memory at 1,000,000 rows against 100,000", "KiB", {PEER: 1.1}, sense="<=")
    file = str(make_file(MANY))
    with SinkProcess() as sink:
        run = partial(run_peer, "daylight", sink.endpoint, file)
        line.attempt("daylight", lambda: run(MANY).peak_kib)
        line.attempt(PEER, lambda: run(FEW).peak_kib)
    line.details = {"rows": {"daylight": MANY, PEER: FEW}, "rounds": 1, "pinned": can_pin()}
    return line
