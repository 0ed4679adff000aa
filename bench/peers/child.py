"""The frame in which each contestant runs: arguments, pinning, the clock, the line of figures.

Only the copy itself may be timed: from the first read to the last acknowledgement, with imports
and clients made before.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.machine import peak_kib, pin


@dataclass(frozen=True)
class Job:
    """What to copy, and where to."""

    endpoint: str
    file: str
    rows: int


Copy = Callable[[], int]
Check = Callable[[], None]


def run(prepare: Callable[[Job], Copy | tuple[Copy, Check]]) -> None:
    """Runs what ``prepare`` returns, which copies and says how many rows it has copied; a check
    beside it is run when the clock has stopped, and raises where the copy was not good."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--file", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--cpu", type=int, default=0, help="the core to run on; -1: any")
    given = parser.parse_args()
    # Before any client is made: the threads that it starts inherit the core.
    pinned = pin(given.cpu)
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    prepared = prepare(Job(given.endpoint, given.file, given.rows))
    copy, check = prepared if isinstance(prepared, tuple) else (prepared, lambda: None)
    begin = time.perf_counter()
    rows = copy()
    seconds = time.perf_counter() - begin
    check()
    figures = {"rows": rows, "seconds": seconds, "peak_kib": peak_kib(), "pinned": pinned}
    print(json.dumps(figures), flush=True)
