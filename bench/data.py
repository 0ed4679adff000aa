"""Makes the SQLite file that all contestants read: a location_history of synthetic GPS walks.

The same number of rows must always give the same file, on every machine: nothing here may ask
the clock, the environment or an unseeded generator.
"""

import json
import os
import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

VERSION = 1  # part of the file's name: raise it when a row would come out differently
FOLDER = Path(__file__).parent.parent / "var" / "bench"
USERS = 18
ROWS_PER_TRIP = 250
START = datetime(2026, 2, 1, 6, tzinfo=UTC)
ACTIVITIES = ("still", "walking", "driving")
SCHEMA = """
CREATE TABLE location_history (
    id TEXT PRIMARY KEY, user_id TEXT, location TEXT, activity TEXT,
    timestamp TEXT, metadata TEXT, created_at TEXT, updated_at TEXT
)
"""
Row = tuple[str, str, str, str, str, str | None, str, str]


class Walker:
    """One user who goes on trips; the clock and the place advance with every row."""

    def __init__(self, number: int, rng: random.Random) -> None:
        self.user_id = f"user_1756{number * 37:09d}"
        self._rng = rng
        self._now = START + timedelta(hours=number)
        self._lat, self._lng = 45.45 + number / 50, 14.01 + number / 40
        self._elevation = 750.0

    def trip(self, rows: int, stamp: str) -> Iterator[Row]:
        rng = self._rng
        for _ in range(rows):
            self._now += timedelta(seconds=rng.randint(1, 12))
            self._lat += rng.gauss(0, 2e-4)
            self._lng += rng.gauss(0, 2e-4)
            self._elevation = min(1800.0, max(1.0, self._elevation + rng.gauss(0, 3)))
            yield self._row(self._now.strftime(stamp))

    def _row(self, moment: str) -> Row:
        rng = self._rng
        place = {"lat": round(self._lat, 9), "lng": round(self._lng, 9)}
        found: dict[str, object] = {"source": "gps", "elevation": round(self._elevation, 6)}
        return (
            str(UUID(int=rng.getrandbits(128), version=4)),
            self.user_id,
            json.dumps(place),
            rng.choice(ACTIVITIES),
            moment,
            None if rng.random() < 0.25 else json.dumps(found),
            moment,
            moment,
        )


def make_rows(count: int) -> Iterator[Row]:
    """The rows in the order in which a device fleet would have sent them, trip after trip."""
    rng = random.Random(1756)
    walkers = [Walker(number, rng) for number in range(USERS)]
    for trip, begin in enumerate(range(0, count, ROWS_PER_TRIP)):
        # Two generations of clients wrote the time in two ways; each has half of the trips.
        stamp = "%Y-%m-%d %H:%M:%S" if trip % 2 else "%Y-%m-%dT%H:%M:%S.000Z"
        yield from walkers[trip // 2 % USERS].trip(min(ROWS_PER_TRIP, count - begin), stamp)


def make_file(rows: int, folder: Path = FOLDER) -> Path:
    """The file with so many rows; made once, and then found again."""
    path = folder / f"location_history-v{VERSION}-{rows}.sqlite3"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    base = sqlite3.connect(unfinished)
    base.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {SCHEMA}")
    with base:
        insert = "INSERT INTO location_history VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        base.executemany(insert, make_rows(rows))
    base.close()
    unfinished.replace(path)  # only a whole file ever has the name
    return path
