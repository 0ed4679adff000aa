"""What measuring a call costs: point reads through the wire, with monitoring's hook and without it.

Both must be timed in one process and in turns: between two processes the machine's noise is greater
than what is looked for. Each round has a process of its own, once with counters in memory and once
with those that gunicorn's workers share.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial

from bench.machine import ROOT
from bench.report import Line
from bench.run import ContestantFailed

CALLS = 6000  # of each way in a round
CHUNK = 20  # in a row: short, so that what disturbs the machine hits both
SHARE = 1.03  # of a read without it, or
MICROSECONDS = 10.0  # more, whichever is larger
TIMEOUT = 300.0


def overhead(rounds: int, *, quick: bool = False) -> Line:
    """Median microseconds of a point read, measured and not."""
    line = Line(
        "overhead of measuring a point read", "µs (median)", {}, sense="<=", ours="measured"
    )
    calls = CALLS // 5 if quick else CALLS
    shared: list[float] = []
    for _ in range(rounds):
        plain, measured = _round(calls, shared=False)
        line.runs.setdefault("plain", []).append(plain)
        line.runs.setdefault("measured", []).append(measured)
        plain, measured = _round(calls, shared=True)
        shared.append(measured - plain)
    base = line.medians["plain"]
    line.goal = {"plain": round(max(SHARE, 1 + MICROSECONDS / base), 4)}
    differences = [a - b for a, b in zip(line.runs["measured"], line.runs["plain"], strict=True)]
    line.details = {
        "overhead_us": round(statistics.median(differences), 2),
        "overhead_us_shared_by_workers": round(statistics.median(shared), 2),
        "calls": calls, "rounds": rounds, "quick": quick,
    }  # fmt: skip
    if line.details["overhead_us_shared_by_workers"] > max(MICROSECONDS, base * (SHARE - 1)):
        line.fail("shared", "counters that workers share cost more than the goal allows")
    print(
        f"\noverhead {line.details['overhead_us']} µs; with counters that workers share "
        f"{line.details['overhead_us_shared_by_workers']} µs"
    )
    return line


def _round(calls: int, *, shared: bool) -> tuple[float, float]:
    """Median microseconds without and with the hook, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "settings.test",
            "DAYLIGHT_ENV": "test",
        }
        environment["PROMETHEUS_MULTIPROC_DIR"] = folder if shared else ""
        done = subprocess.run(
            [sys.executable, "-m", "bench.overhead", str(calls)], cwd=ROOT, env=environment,
            capture_output=True, text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip
    if done.returncode:
        raise ContestantFailed(f"overhead ended with {done.returncode}: {done.stderr[-300:]}")
    plain, measured = json.loads(done.stdout.splitlines()[-1])
    return plain, measured


def _compare(calls: int) -> tuple[float, float]:
    import django

    django.setup()
    from django.test import override_settings

    from dbcore.local_engine import LocalEngine
    from dbcore.monitoring.measure_wire import measure_call
    from dbcore.monitoring.metrics import current
    from dbcore.table_sync import sync_tables
    from dbcore.wire import close_wires, get_wire

    with (
        LocalEngine(kind="dynoxide") as engine,
        override_settings(DYNAMODB_ENDPOINT=engine.endpoint, DYNAMODB_TABLE_PREFIX="bench-"),
    ):
        sync_tables()
        wire = get_wire()
        key = {"id": {"S": "one"}}
        item = {**key, "username": {"S": "x" * 200}}
        wire.call("PutItem", {"TableName": "bench-users", "Item": item})
        request = {
            "TableName": "bench-users", "Key": key, "ConsistentRead": True,
            "ReturnConsumedCapacity": "TOTAL",
        }  # fmt: skip
        ask = partial(wire.call, "GetItem", request)
        hooks = {False: [], True: [measure_call]}
        without: list[float] = []
        more: list[float] = []
        for way in (False, True) * 50:
            wire.hooks = hooks[way]
            ask()
        current().take()
        for at in range(0, calls, CHUNK):
            taken: dict[bool, list[float]] = {}
            for way in (False, True) if at // CHUNK % 2 else (True, False):
                wire.hooks = hooks[way]
                taken[way] = _sample(ask, CHUNK)
            without += taken[False]
            # Of neighbours: what comes over the machine for longer is in both.
            more.append(statistics.median(taken[True]) - statistics.median(taken[False]))
        (counted,) = current().take().values()
        assert counted.count == calls, "not all were measured, or others were"
        close_wires()
    plain = statistics.median(without)
    return plain * 1e6, (plain + statistics.median(more)) * 1e6


def _sample(ask: Callable[[], object], count: int) -> list[float]:
    taken, clock = [], time.perf_counter
    for _ in range(count):
        begin = clock()
        ask()
        taken.append(clock() - begin)
    return taken


if __name__ == "__main__":
    print(json.dumps(_compare(int(sys.argv[1]))))
