"""Which of the records that are due stay all the same: those held by law, in grace, or kept.

It spares archiving what would not be deleted. The delete itself asks again: a hold that is placed
meanwhile is respected there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field

from dbcore.attributes import Item
from dbcore.models import RestoredRecord
from dbcore.retention.holds import HoldIndex
from dbcore.retention.keepers.interface import Keeper
from dbcore.retention.records import key_text
from dbcore.retention.rules import Rule

_LOOKUP = 500  # keys in one question to Django's database


@dataclass(slots=True)
class Parted:
    """Due records: those to go, and those that stay, by why."""

    go: list[Item] = field(default_factory=list)
    held: list[Item] = field(default_factory=list)
    in_grace: list[Item] = field(default_factory=list)
    kept: list[Item] = field(default_factory=list)

    @property
    def stay(self) -> list[Item]:
        """All that stay."""
        return [*self.held, *self.in_grace, *self.kept]


class Standing:
    """Tells, for one table, which due records stay.

    `gone`: joined keys of records that count as deleted already, and keep nothing: in a dry run,
    those that a sweep would have deleted by now.
    """

    def __init__(
        self, rule: Rule, keeper: Keeper, holds: HoldIndex, gone: Container[str] = ()
    ) -> None:
        self._rule = rule
        self._keeper = keeper
        self._holds = holds
        self._gone = gone

    def part(self, items: Sequence[Item]) -> Parted:
        """Due records, parted."""
        layout = self._rule.layout
        parted = Parted()
        graced = self._in_grace([key_text(layout, item) for item in items])
        keepers = self._kept(items)
        for item, is_kept in zip(items, keepers, strict=True):
            if self._holds.on(layout, item) is not None:
                parted.held.append(item)
            elif key_text(layout, item) in graced:
                parted.in_grace.append(item)
            elif is_kept:
                parted.kept.append(item)
            else:
                parted.go.append(item)
        return parted

    def _in_grace(self, keys: Sequence[str]) -> set[str]:
        """The keys of records that were restored, and whose grace is not over."""
        table, now = self._rule.layout.table.name, self._rule.now
        found: set[str] = set()
        for start in range(0, len(keys), _LOOKUP):
            rows = RestoredRecord.objects.filter(
                table=table, key__in=keys[start : start + _LOOKUP], grace_until__gt=now
            )
            found.update(rows.values_list("key", flat=True))
        return found

    def _kept(self, items: Sequence[Item]) -> list[bool]:
        """Of each record, whether the record that keeps it is there."""
        keeper, policy = self._rule.kept_by, self._rule.policy
        if keeper is None or policy is None or policy.while_kept is None or not items:
            return [False] * len(items)
        name = self._rule.layout.by_name[policy.while_kept].attribute
        key = keeper.key[0].attribute
        keys = [{key: item[name]} for item in items]
        found = self._keeper.read(keeper, keys)
        return [
            each is not None and key_text(keeper, its) not in self._gone
            for its, each in zip(keys, found, strict=True)
        ]


def due_days(rule: Rule, items: Iterable[Item]) -> list[dt.date]:
    """The day on which each record came due."""
    return [rule.due_day(rule.layout.from_item(item)) for item in items]
