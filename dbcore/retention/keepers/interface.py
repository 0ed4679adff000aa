"""What retention asks of a store: find, remove, put back, hold. Two stores answer, with the same
meaning: `orm.OrmKeeper` and `dynamo.DynamoKeeper`.

Records go through here as DynamoDB items, in either store: the item is what an archive keeps.
Nothing here deletes a record but on the condition that it still is what it was when it was found,
and that no legal hold is on it.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from dbcore.attributes import Item
from dbcore.fields import joined_key
from dbcore.items import ItemLayout
from dbcore.retention.rules import Rule

PAGE = 1_000  # due records that are in hand at once, at most


class Removal(enum.Enum):
    """What became of a record that was to be deleted."""

    DELETED = "deleted"
    GONE = "gone"  # it was no longer there
    CHANGED = "changed"  # it is not what it was: left alone
    HELD = "held"  # a legal hold is on it, its user or its table: left alone
    KEPT = "kept"  # the record that keeps it (a profile's user) is there: left alone


class Return(enum.Enum):
    """What became of a record that was to be put back."""

    RESTORED = "restored"
    PRESENT = "present"  # an equal one is there
    NEWER = "newer"  # another is there, and was left alone
    TAKEN = "taken"  # another record has one of its unique values by now
    UNFIT = "unfit"  # this store cannot hold it; `why` says what


@dataclass(frozen=True, slots=True)
class Returned:
    """What became of a record, and why where that needs saying."""

    outcome: Return
    why: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """The due days (UTC, both inclusive) in which to look for what is due.

    The SQL store needs none: its indexes find what is due at any day.
    """

    first: dt.date
    last: dt.date


@dataclass(frozen=True, slots=True)
class HoldKey:
    """What a legal hold is on. scope: user, table or record. `table` and `subject` (a user's id, or
    a record's joined key) as far as the scope has them."""

    scope: str
    table: str = ""
    subject: str = ""

    @property
    def text(self) -> str:
        """The hold's key in a store: injective."""
        return joined_key((self.scope, self.table, self.subject))


class Keeper(Protocol):
    """Retention's access to one store."""

    name: str  # orm or dynamodb
    # Records that `due` met and could not read: (table, joined key) -> why. They are left alone.
    unreadable: dict[tuple[str, str], str]

    @property
    def target(self) -> str:
        """Which database, or endpoint, region and prefix: books are kept per target."""

    def lease(self, name: str, owner: str) -> AbstractContextManager[Any]:
        """The lease under which one process at a time works; has `keep()`, to be called often."""

    def count_due(self, rule: Rule, window: Window) -> int:
        """How many records may be due: at least as many as are. Costs what is due."""

    def due(self, rule: Rule, window: Window) -> Iterator[list[Item]]:
        """Pages of at most PAGE records that are due, whole, as they are now, oldest day first.

        Each page is read when it is asked for; records may be removed between pages. Costs what is
        due, not the table.
        """

    def has_more_than(self, layout: ItemLayout, records: int) -> bool:
        """Whether the table has more records than this. Costs at most that many index entries."""

    def lives(self, rule: Rule, window: Window) -> bool:
        """Whether a record of the table has a sign of life, from which its policy counts, on a day
        of the window. The table is one that is archived. Costs a few index entries a day."""

    def remove(self, rule: Rule, items: Sequence[Item]) -> list[Removal]:
        """Delete each record that is still what it was, is not held and not kept; what became of
        each, in order. The unique values of a deleted record are free again."""

    def put_back(
        self, layout: ItemLayout, items: Sequence[Item], *, overwrite: bool
    ) -> list[Returned]:
        """Write each record again as it was; over one that differs only where `overwrite`."""

    def read(self, layout: ItemLayout, keys: Sequence[Item]) -> list[Item | None]:
        """The records with these keys, read consistently, in order; None where there is none."""

    def owned_by(self, layout: ItemLayout, owner: str) -> Iterator[Item]:
        """Every record of the table that belongs to a user. May scan: erasures are rare."""

    def replace(self, layout: ItemLayout, old: Item, new: Item) -> bool:
        """Put `new` for `old`, which has the same key, if the record still is `old`."""

    def enforce_holds(
        self,
        holds: Sequence[tuple[HoldKey, dt.datetime | None]],
        *,
        again: bool = False,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        """Make these, with their ends (None: open), the holds that `remove` respects, and what is
        held not expire. `again`: also what was written under holds that stood before. `keep` is
        called often while that goes on."""
