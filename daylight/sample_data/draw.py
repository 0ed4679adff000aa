"""Drawing values by chance, the same every time: one stream of numbers for each table.

Nothing here reads the clock or Python's own random state.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from daylight.sample_data.words import CITIES, City
from dbcore.bearers import hash_of

T = TypeVar("T")
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MILLISECOND = dt.timedelta(milliseconds=1)
LARGE_JSON_BYTES = 20_000


@dataclass
class Draw:
    """Chance for one table. `now` is the instant that the sample is of."""

    seed: int
    table: str
    now: dt.datetime
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        # Seeded with text, which Python hashes itself: the same in every process.
        self.chance = random.Random(f"{self.seed}:{self.table}")

    def one(self, options: Sequence[T]) -> T:
        """One of `options`."""
        return options[int(self.chance.random() * len(options))]

    def often(self, share: float) -> bool:
        """True in `share` of the cases."""
        return self.chance.random() < share

    def some(self, options: Sequence[T], most: int) -> list[T]:
        """None to `most` of `options`, none of them twice."""
        return self.chance.sample(options, self.chance.randint(0, min(most, len(options))))

    def between(self, start: dt.datetime, end: dt.datetime) -> dt.datetime:
        """An instant from `start` to `end`, to the microsecond."""
        return start + (end - start) * self.chance.random()

    def ago(self, days: float, since: dt.datetime | None = None) -> dt.datetime:
        """An instant of the last `days`, and not before `since`."""
        start = self.now - dt.timedelta(days=days)
        return self.between(start if since is None else max(start, since), self.now)

    def session_hash(self, at: dt.datetime) -> str:
        """What a session of the instant `at` is kept under; nobody has its id."""
        return hash_of(self.new_id(at))

    def new_id(self, at: dt.datetime) -> str:
        """A UUIDv7 of the instant `at`."""
        bits = (at - EPOCH) // MILLISECOND << 80 | self.chance.getrandbits(80)
        bits = bits & ~(0xF << 76) | 0x7 << 76  # version
        bits = bits & ~(0x3 << 62) | 0x2 << 62  # variant
        return str(uuid.UUID(int=bits))

    def hexadecimal(self, length: int) -> str:
        """`length` hexadecimal digits."""
        return f"{self.chance.getrandbits(4 * length):0{length}x}"

    def address(self) -> str:
        """An IP address of the blocks that are set aside for documentation."""
        if self.often(0.2):
            return f"2001:db8::{self.chance.randint(1, 0xFFFF):x}"
        return f"203.0.113.{self.chance.randint(1, 254)}"

    def near(self, city: City, kilometres: float = 8) -> tuple[float, float]:
        """A latitude and a longitude around the centre of `city`."""
        spread = kilometres / 111  # kilometres in a degree of latitude
        return (
            round(city.latitude + self.chance.uniform(-spread, spread), 6),
            round(city.longitude + self.chance.uniform(-spread, spread), 6),
        )

    def large_json(self) -> dict[str, Any]:
        """An object of about 20 KB, nested, with numbers of 15 digits and nulls in it."""
        entries = [
            {
                "n": index,
                "of": {"city": self.one(CITIES).name, "note": None, "tags": []},
                "exact": self.chance.randint(10**14, 10**15 - 1),
                "share": round(self.chance.random(), 15),
            }
            for index in range(LARGE_JSON_BYTES // 130)
        ]
        return {"version": 3, "entries": entries, "empty": {}, "text": ""}


def timestamp_ms(at: dt.datetime) -> int:
    """Epoch milliseconds, as other services send them."""
    return (at - EPOCH) // MILLISECOND
