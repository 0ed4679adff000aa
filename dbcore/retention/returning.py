"""Puts archived records back into a store, a batch at a time, and reads each back.

A record's grace is committed before the record is there: a sweep that came between would else take
it again at once. What was written counts as restored when it has been read back and is equal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone

from dbcore.attributes import Item
from dbcore.dynamo.comparing import same_item
from dbcore.errors import ConfigurationError
from dbcore.finality import is_undone_by
from dbcore.items import ItemLayout
from dbcore.models import RestoredRecord
from dbcore.retention.holds import HoldIndex, active_holds, described
from dbcore.retention.keepers.compare import differing, unknown_attributes
from dbcore.retention.keepers.gate import hold_gate
from dbcore.retention.keepers.interface import Keeper, Return, Returned
from dbcore.retention.records import key_text
from dbcore.retention.restore_report import Reason, RestoreReport

AT_ONCE = 500
MAX_GRACE_DAYS = 36_500
_LEFT = {Return.NEWER, Return.TAKEN, Return.UNFIT}


def grace_until(now: dt.datetime) -> dt.datetime:
    """Until when no sweep takes a record that is restored now; ConfigurationError."""
    days = settings.RETENTION_GRACE_DAYS
    if not 0 <= days <= MAX_GRACE_DAYS:
        raise ConfigurationError(f"RETENTION_GRACE_DAYS is {days}: 0 to {MAX_GRACE_DAYS} days")
    return now + dt.timedelta(days=days)


@dataclass(frozen=True, slots=True)
class Returning:
    """Puts records of one archive back."""

    keeper: Keeper
    layout: ItemLayout
    archive: str
    overwrite: bool
    now: dt.datetime
    report: RestoreReport

    def put_back(self, items: Sequence[Item]) -> None:
        """Put at most AT_ONCE records back, and count what became of each."""
        before = self._begin_grace(items)
        # Who writes over records does so at the gate: no hold is placed meanwhile.
        with hold_gate() if self.overwrite else nullcontext():
            holds = HoldIndex(active_holds(timezone.now()) if self.overwrite else ())
            free = [item for item in items if holds.on(self.layout, item) is None]
            held = [item for item in items if holds.on(self.layout, item) is not None]
            outcomes = dict(zip(map(self._key, free), self._put(free, self.overwrite), strict=True))
            outcomes |= zip(map(self._key, held), self._put(held, False), strict=True)
        self._end_grace(outcomes, before)
        self._count(items, outcomes, holds)
        self._verify([item for item in items if outcomes[self._key(item)].outcome in _THERE])

    def try_out(self, items: Sequence[Item]) -> None:
        """Count what would become of these records, and change nothing.

        Whether the store can hold each, and whether its unique values are free, is not asked.
        """
        holds = HoldIndex(active_holds(timezone.now()) if self.overwrite else ())
        found = self.keeper.read(self.layout, [self._key_of(item) for item in items])
        outcomes = {}
        for item, live in zip(items, found, strict=True):
            if live is not None and not _differences(self.layout, item, live):
                outcome = Return.PRESENT
            elif live is None or (
                self.overwrite
                and holds.on(self.layout, item) is None
                and not is_undone_by(self.layout, live, item)
            ):
                outcome = Return.RESTORED
            else:
                outcome = Return.NEWER
            outcomes[self._key(item)] = Returned(outcome)
        self._count(items, outcomes, holds)

    def _put(self, items: Sequence[Item], overwrite: bool) -> list[Returned]:
        return self.keeper.put_back(self.layout, items, overwrite=overwrite) if items else []

    def _begin_grace(self, items: Sequence[Item]) -> set[str]:
        """Give each record its grace; the keys of those that had one."""
        table, until = self.layout.table.name, grace_until(self.now)
        keys = [self._key(item) for item in items]
        rows = RestoredRecord.objects.filter(table=table, key__in=keys)
        before = set(rows.values_list("key", flat=True))
        RestoredRecord.objects.bulk_create(
            [
                RestoredRecord(
                    table=table, key=key, archive=self.archive,
                    restored_at=self.now, grace_until=until,
                )
                for key in keys
            ],
            update_conflicts=True,
            unique_fields=["table", "key"],
            update_fields=["archive", "restored_at", "grace_until"],
        )  # fmt: skip
        return before

    def _end_grace(self, outcomes: Mapping[str, Returned], before: set[str]) -> None:
        """Take the grace back of records that were not restored, where they had none before."""
        keys = [key for key, each in outcomes.items() if each.outcome in _LEFT]
        RestoredRecord.objects.filter(
            table=self.layout.table.name, key__in=set(keys) - before, archive=self.archive
        ).delete()

    def _count(
        self, items: Sequence[Item], outcomes: Mapping[str, Returned], holds: HoldIndex
    ) -> None:
        line = self.report.line(self.layout.table.name)
        for item in items:
            key = self._key(item)
            returned = outcomes[key]
            hold = holds.on(self.layout, item)
            if returned.outcome is Return.NEWER and hold is not None:
                line.held += 1
                self._because(key, "held", described(hold))
                continue
            line.count(returned.outcome)
            if returned.outcome in _LEFT:
                self._because(key, returned.outcome.value, returned.why or _WHY[returned.outcome])

    def _verify(self, items: Sequence[Item]) -> None:
        """Read records back that were written or were there; those that differ are listed."""
        found = self.keeper.read(self.layout, [self._key_of(item) for item in items])
        for item, live in zip(items, found, strict=True):
            names = ["it is not there"] if live is None else _differences(self.layout, item, live)
            if names:
                self.report.line(self.layout.table.name).differing += 1
                self._because(self._key(item), "differing", ", ".join(names))

    def _because(self, key: str, outcome: str, why: str) -> None:
        self.report.because(Reason(self.layout.table.name, key, outcome, why))

    def _key(self, item: Item) -> str:
        return key_text(self.layout, item)

    def _key_of(self, item: Item) -> Item:
        return self.layout.key_of_item(item)


_THERE = {Return.RESTORED, Return.PRESENT}
_WHY = {
    Return.NEWER: "another record is there; --overwrite puts the archived one in its place",
    Return.TAKEN: "another record has one of its unique values",
    Return.UNFIT: "the store cannot hold it",
}


def _differences(layout: ItemLayout, archived: Item, live: Item) -> list[str]:
    """The attributes in which a live record differs from an archived one.

    What is derived from fields may: a policy may have changed since. A field that is younger than
    the archive has its default.
    """
    younger = {
        column.attribute
        for column in layout.columns
        if column.attribute not in archived and not column.nullable
    }
    found = [name for name in differing(layout, archived, live) if name not in younger]
    unknown = {*unknown_attributes(layout, archived), *unknown_attributes(layout, live)}
    return found + [
        name for name in sorted(unknown) if not same_item(_only(archived, name), _only(live, name))
    ]


def _only(item: Item, name: str) -> Item:
    return {name: item[name]} if name in item else {}
