"""What every contestant reads and what it has to write for it.

The peers share this module, so that none of them loses time on a conversion that another has
written better; nothing here may be faster for one of them than for the others.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any
from zlib import crc32

import orjson

TABLE = "daylight-location_history"
HASH_KEY, RANGE_KEY = "userId", "id"
ATTRIBUTES = (
    *("userId", "id", "location", "activity", "timestamp"),
    *("metadata", "createdAt", "updatedAt", "ttl", "dueDay"),
)
TTL_SECONDS = 90 * 86400
PAGE = 1000
SELECT = """
SELECT user_id, id, location, activity, timestamp, metadata, created_at, updated_at
FROM location_history ORDER BY rowid LIMIT ?
"""


def read_items(
    file: str, rows: int, loads: Callable[[str], Any] = orjson.loads
) -> Iterator[dict[str, Any]]:
    """The items to write, as plain Python values; ``loads`` decides the type of numbers."""
    base = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    cursor = base.execute(SELECT, (rows,))
    while page := cursor.fetchmany(PAGE):
        for row in page:
            yield make_item(row, loads)
    base.close()


def read_batches(file: str, rows: int, size: int) -> Iterator[list[dict[str, Any]]]:
    items = read_items(file, rows)
    while batch := list(islice(items, size)):
        yield batch


def make_item(row: tuple[Any, ...], loads: Callable[[str], Any]) -> dict[str, Any]:
    user_id, key, location, activity, timestamp, metadata, created_at, updated_at = row
    moment, epoch = read_time(timestamp)
    return {
        "userId": user_id,
        "id": key,
        "location": loads(location),
        "activity": activity,
        "timestamp": moment,
        "metadata": loads(metadata) if metadata else {},
        "createdAt": read_time(created_at)[0],
        "updatedAt": read_time(updated_at)[0],
        "ttl": epoch + TTL_SECONDS,
        "dueDay": f"{day_of((epoch + TTL_SECONDS) // 86400)}#{crc32(key.encode()) % 8}",
    }


@lru_cache(4096)  # a row's three times are mostly one
def read_time(text: str) -> tuple[str, int]:
    """A moment in the one form that is stored, and in seconds; the file has two forms."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return moment.isoformat(timespec="microseconds")[:26] + "Z", int(moment.timestamp())


@lru_cache(4096)
def day_of(days: int) -> str:
    """The date so many days after 1970."""
    return (date(1970, 1, 1) + timedelta(days=days)).isoformat()


def typed(value: Any) -> dict[str, Any]:
    """A plain value in DynamoDB's JSON."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, dict):
        return {"M": {name: typed(part) for name, part in value.items()}}
    return {"N": str(value)}


class Witness:
    """Adds up what was written, in any order, so that two contestants can be compared.

    Only the ten attributes asked for count: who writes more of them does more work.
    """

    def __init__(self) -> None:
        self.puts = self.sum = 0
        self.sample: tuple[str, str] = ("", "")

    def see(self, item: dict[str, Any]) -> None:
        """Takes one item in DynamoDB's JSON."""
        asked = {name: _plain(item[name]) for name in ATTRIBUTES if name in item}
        text = json.dumps(asked, sort_keys=True)
        self.puts += 1
        self.sum += int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest())
        self.sample = max(self.sample, (asked.get("id", ""), text))

    def testimony(self) -> dict[str, Any]:
        return {"puts": self.puts, "sum": f"{self.sum:x}", "sample": self.sample[1]}


def _plain(typed_value: dict[str, Any]) -> Any:
    """A typed value with its type, numbers in one spelling."""
    ((kind, value),) = typed_value.items()
    if kind == "M":
        return {name: _plain(part) for name, part in value.items()}
    if kind == "N":
        return f"N {Decimal(value).normalize():f}"
    return value if kind == "S" else f"{kind} {value}"


def expected_testimony(file: str, rows: int) -> dict[str, Any]:
    """What a witness has to say after an honest run."""
    witness = Witness()
    for item in read_items(file, rows):
        witness.see({name: typed(value) for name, value in item.items()})
    return witness.testimony()
