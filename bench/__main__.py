"""``python -m bench``: runs the lines that are asked for, prints them and writes latest.json.

A quick run must never replace the figures of a full one: it is written elsewhere.
"""

import argparse
import sys
from pathlib import Path

from bench.copy import copy_throughput
from bench.data import FOLDER
from bench.engine import local_engine_share
from bench.memory import peak_memory
from bench.overhead import overhead
from bench.report import LATEST, print_table, write_json
from bench.retention import sweep_time_of_dynamodb, sweep_time_of_sqlite
from bench.services import (
    add_location_history,
    get_user_by_id,
    get_user_location_history,
)
from bench.wire import point_read

LINES = {
    "copy": copy_throughput,
    "engine": local_engine_share,
    "memory": peak_memory,
    "wire": point_read,
    "user": get_user_by_id,
    "history": get_user_location_history,
    "add": add_location_history,
    "overhead": overhead,
    "sweep-dynamodb": sweep_time_of_dynamodb,
    "sweep-sqlite": sweep_time_of_sqlite,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=LINES, action="append", help="may be repeated")
    parser.add_argument("--rounds", type=int, default=None, help="5, or 2 with --quick")
    parser.add_argument("--quick", action="store_true", help="rough figures, kept apart")
    parser.add_argument("--out", type=Path, default=None, help="where the JSON goes")
    given = parser.parse_args()
    rounds = given.rounds or (2 if given.quick else 5)
    lines = []
    for name in given.only or LINES:
        lines.append(LINES[name](rounds, quick=given.quick))
        print_table(lines[-1])
    out = given.out or (FOLDER / "quick.json" if given.quick else LATEST)
    write_json(lines, out)
    print(f"\nwritten to {out}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted: nothing was written.\n")
        sys.exit(130)
