"""The vocabulary in which a model says how DynamoDB keeps it: keys, indexes, expiry, retention.

A `Table` stands once, as `storage`, on a Django model; everything else (mirror, schema, migration,
sweep, checks, docs) derives from it. Nothing here reads a field or a setting.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

# A day's writes go to this many partition keys, so that one day is not one hot partition.
# Part of the stored data ("2026-11-22#7"): changing it needs a backfill.
DAY_SHARDS = 8


@dataclass(frozen=True, slots=True)
class LocalIndex:
    """A local secondary index: the table's partition key, ordered by `range_key`.

    Can be read consistently, so a user's list reads its own writes.
    """

    name: str
    range_key: str


@dataclass(frozen=True, slots=True)
class GlobalIndex:
    """A global secondary index; always eventually consistent."""

    name: str
    hash_key: str
    range_key: str | None = None
    keys_only: bool = False


@dataclass(frozen=True, slots=True)
class DayIndex:
    """A global index on the UTC day of `timestamp`, in `DAY_SHARDS` shards, ordered by it."""

    name: str
    timestamp: str = "timestamp"


Index = LocalIndex | GlobalIndex | DayIndex


@dataclass(frozen=True, slots=True)
class Deadline:
    """The instant `days` after the datetime `field` (0: that instant itself)."""

    field: str
    days: int = 0


class Tier(enum.Enum):
    """Where a due record goes. HOT: nowhere, it expires. WARM and COLD: archived, then deleted."""

    HOT = "hot"
    WARM = "warm"
    COLD = "cold"


@dataclass(frozen=True, slots=True)
class Retention:
    """A record is due `days` after the latest of its `since` fields (those that are set)."""

    days: int
    since: tuple[str, ...]
    tier: Tier
    # A field naming a record whose existence keeps this one (a profile, while its user is kept).
    while_kept: str | None = None


@dataclass(frozen=True, slots=True)
class NoRetention:
    """A table that no sweep touches, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Final:
    """A text field's value that is for good: a record that has it keeps it, whoever writes it."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Table:
    """How a model's records are kept in DynamoDB. Field names are the Django model's."""

    name: str
    hash_key: str
    retention: Retention | NoRetention
    range_key: str | None = None
    indexes: tuple[Index, ...] = ()
    # The record expires at the earliest of these; in DynamoDB this is its `ttl`.
    expires: tuple[Deadline, ...] = ()
    # Records are never updated, and deleted by the sweep alone.
    append_only: bool = False
    # The field with the id of the user that a record belongs to, if it belongs to one: a legal hold
    # on the user holds it, and their erasure or export takes it along.
    owner: str | None = None
    # Fields that an erasure clears where the record itself must stay (an audit trail).
    personal: tuple[str, ...] = ()
    # Fields whose value is not shown, nor found by guessing: hashes of passwords and keys.
    # No page, dead letter, export, report, error, log or cache has it.
    secret: tuple[str, ...] = ()
    # What no update, copy or restore may undo.
    final: Final | None = None

    @property
    def key_fields(self) -> tuple[str, ...]:
        """The field names of the primary key: one or two."""
        return (self.hash_key,) if self.range_key is None else (self.hash_key, self.range_key)

    @property
    def day_index(self) -> DayIndex | None:
        """The table's day index, if it has one."""
        return next((index for index in self.indexes if isinstance(index, DayIndex)), None)

    @property
    def needs_due_day(self) -> bool:
        """Whether due records are found through the sparse index of the due day.

        Those that expire as well: DynamoDB may leave them for days, or for good where TTL has been
        switched off. A day index already finds what is old.
        """
        comes_due = isinstance(self.retention, Retention) or bool(self.expires)
        return comes_due and self.day_index is None
