"""The retention lines: whether a sweep's time follows what is due, or the size of the table.

Each size has a table of its own, and the same number of due records in each round; what a sweep
has archived must be what was due, or there is no figure.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import ROOT, can_pin, pin
from bench.report import Line
from bench.run import TIMEOUT, ContestantFailed

SMALL, LARGE = 20_000, 500_000
DUE = 10_000


@dataclass
class Site:
    """A store with a table of so many records; `peaks` are the sweeps' memory in KiB."""

    name: str
    environment: dict[str, str]
    rounds: int = 0
    peaks: list[float] = field(default_factory=list)

    def step(self, step: str, records: int) -> dict[str, float]:
        """Run one step in a process of its own; what it measured."""
        command = [sys.executable, "-m", "bench.sweeper", step]
        command += ["--records", str(records), "--seed", str(self.rounds)]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True,
            timeout=TIMEOUT, check=False,
        )  # fmt: skip
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ContestantFailed(f"{self.name}, {step}: {last}")
        found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
        return found

    def sweep(self) -> float:
        """Make records due, and sweep them; seconds of the sweep alone."""
        self.rounds += 1
        self.step("due", DUE)
        found = self.step("sweep", DUE)
        self.peaks.append(found["peak_kib"])
        return found["seconds"]


@contextmanager
def _site(store: str, records: int, folder: Path, endpoint: str) -> Iterator[Site]:
    place = folder / f"{store}-{records}"
    place.mkdir()
    site = Site(
        f"{records:,} records",
        {
            **os.environ,
            "DAYLIGHT_ENV": "test", "DJANGO_SETTINGS_MODULE": "settings.test",
            "DATABASE_PRIMARY": store, "DATABASE_URL": f"sqlite:///{place / 'base.sqlite3'}",
            "DYNAMODB_TABLE_PREFIX": f"bench-{records}-", "BENCH_ENDPOINT": endpoint,
            "BENCH_ARCHIVES": str(place / "archives"), "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        },
    )  # fmt: skip
    site.step("fill", records - DUE)
    site.sweep()  # a first sweep looks further back; the daily one is what is measured
    site.peaks.clear()
    yield site


def sweep_time(store: str, rounds: int, *, quick: bool = False) -> Line:
    """A sweep of 10,000 due records in a table of 500,000, against one of 20,000."""
    from dbcore.local_engine import LocalEngine

    small = f"in {SMALL:,}"
    name = f"sweep of {DUE:,} due records in {LARGE:,}, {store}"
    line = Line(name, "ms", {small: 1.2}, sense="<=")
    folder = Path(tempfile.mkdtemp(prefix="bench-retention-"))
    try:
        with (
            LocalEngine(kind="dynoxide") as engine,
            _site(store, SMALL, folder, engine.endpoint) as few,
            _site(store, LARGE if not quick else LARGE // 10, folder, engine.endpoint) as many,
        ):
            if engine.pid:
                pin(1, engine.pid)
            for _ in range(rounds):
                line.attempt("daylight", lambda: many.sweep() * 1000)
                line.attempt(small, lambda: few.sweep() * 1000)
            line.details = _details(line, few, many, rounds, quick)
    finally:
        shutil.rmtree(folder)
    print(f"\n{store}: {line.details['records_a_second']:,.0f} records archived and deleted a "
          f"second, peak memory {line.details['peak_kib']:,.0f} KiB")  # fmt: skip
    return line


def _details(line: Line, few: Site, many: Site, rounds: int, quick: bool) -> dict[str, object]:
    median = line.medians.get(line.ours)
    return {
        "due": DUE,
        "records_a_second": 0.0 if median is None else DUE / median * 1000,
        "peak_kib": max([*few.peaks, *many.peaks], default=0.0),
        "rounds": rounds,
        "quick": quick,
        "pinned": can_pin(),
    }


def sweep_time_of_dynamodb(rounds: int, *, quick: bool = False) -> Line:
    """In DynamoDB, through the index of the due day."""
    return sweep_time("dynamodb", rounds, quick=quick)


def sweep_time_of_sqlite(rounds: int, *, quick: bool = False) -> Line:
    """In SQLite, through its indexes."""
    return sweep_time("sqlite", rounds, quick=quick)
