"""The one interface of both stores. Services are written on it, once.

Records are instances of the Django models. A call either does all that it was asked, or raises a
`StoreError` and has changed nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from django.db import models

Record = TypeVar("Record", bound=models.Model)
Key = Mapping[str, Any]  # the key's field names -> values


@dataclass(frozen=True, slots=True)
class Add:
    """Write a record that must not be there yet."""

    record: models.Model


@dataclass(frozen=True, slots=True)
class Update:
    """Change fields of a record that must be there. `expect`: fields and the values that they
    must have for the change to be made."""

    model: type[models.Model]
    key: Key
    changes: Mapping[str, Any]
    expect: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a record that must be there, with its unique values."""

    model: type[models.Model]
    key: Key
    expect: Mapping[str, Any] = field(default_factory=dict)


Write = Add | Update | Delete


@dataclass(frozen=True, slots=True)
class Position:
    """Where in a list a page ended: the ordering value and the key of its last record."""

    order: Any
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """Records with `field` equal to `value`, newest first by `order`, ties by key.

    `field` may be "day", for a table with a day index: then `value` is a date. `low` and `high`
    bound `order`, both inclusive. Records that have expired by `live_at` are left out.
    Not `consistent` may be served by a replica, and lag behind.
    """

    model: type[models.Model]
    field: str
    value: Any
    order: str
    limit: int
    low: dt.datetime | None = None
    high: dt.datetime | None = None
    after: Position | None = None
    live_at: dt.datetime | None = None
    consistent: bool = True


class Store(Protocol):
    """A place where records are kept."""

    name: str

    @property
    def thread_bound(self) -> bool:
        """Whether a thread's calls go over a connection of its own, so that what belongs together
        must stay in one thread."""

    def get(
        self,
        model: type[Record],
        key: Key,
        *,
        live_at: dt.datetime | None = None,
        consistent: bool = True,
    ) -> Record | None:
        """The record with this key; None where there is none, or it has expired by `live_at`.

        Not `consistent` may be served by a replica, and lag behind.
        """

    def get_by_unique(
        self, model: type[Record], field: str, value: str, *, consistent: bool = True
    ) -> Record | None:
        """The record that has this value of a unique field."""

    def add(self, record: Record) -> Record:
        """Write a new record; AlreadyExists, UniqueViolation, InvalidRecord."""

    def put(self, record: Record) -> Record:
        """Write a record over whatever has its key. For tables without unique fields."""

    def update(
        self,
        model: type[Record],
        key: Key,
        changes: Mapping[str, Any],
        *,
        expect: Mapping[str, Any] | None = None,
    ) -> Record:
        """Change just these fields, atomically; the record as it is then.

        RecordNotFound, Conflict (`expect` does not hold), UniqueViolation, InvalidRecord.
        """

    def delete(
        self, model: type[models.Model], key: Key, *, expect: Mapping[str, Any] | None = None
    ) -> None:
        """Remove a record; RecordNotFound, Conflict."""

    def increment(self, initial: Record, field: str, *, below: int) -> Record | None:
        """Add one to a counter, unless it is at `below`: then None and nothing is changed.

        Where there is no record with this key yet, `initial` is written with its counter at one.
        Exact, however many processes count at once.
        """

    def query(self, query: Query) -> tuple[list[models.Model], Position | None]:
        """A page of records, and where it ended when there are more."""

    def transact(self, writes: Sequence[Write]) -> None:
        """All of these writes or none, of different records; at most 25, which with their guards
        are under DynamoDB's 100 actions.

        What is invalid in any of them is refused before anything else; otherwise the error is the
        first write's that could not be done.
        """
