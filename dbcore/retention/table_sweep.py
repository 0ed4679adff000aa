"""The sweep of one table: what is due is found, parted from what stays, archived and removed."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence

from django.conf import settings

from dbcore.attributes import Item, item_bytes
from dbcore.progress import Watcher
from dbcore.retention import logged, marks, policy
from dbcore.retention.archiving import COUNTS, Archiving
from dbcore.retention.errors import NotProven, RetentionError
from dbcore.retention.holds import HoldIndex
from dbcore.retention.keepers.interface import Keeper, Removal, Window
from dbcore.retention.options import SweepOptions
from dbcore.retention.records import key_text
from dbcore.retention.report import TableLine, Unreadable
from dbcore.retention.rules import Rule, users_layout
from dbcore.retention.standing import Standing, due_days

ARCHIVE_RECORDS = 5_000  # in one archive, at most
_SHOWN = 20  # unreadable records that a report names
ARCHIVE_BYTES = 16_000_000  # of items in one archive, about: both are in memory at once


class SweepTooLarge(RetentionError):
    """The sweep would delete more of a table than the settings allow without asking."""

    names_records = False


class TableSweep:
    """One table's turn. `line` is filled in as it goes."""

    def __init__(
        self,
        rule: Rule,
        keeper: Keeper,
        archiving: Archiving | None,
        holds: HoldIndex,
        options: SweepOptions,
        watch: Watcher,
        tick: Callable[[], None],
        users_gone: set[str],
    ) -> None:
        self.rule = rule
        self.line = line_of(rule)
        self._keeper = keeper
        self._archiving = archiving  # None: a dry run
        # Of the users that a dry run would delete, the joined keys: they keep nothing any more.
        self._users_gone = users_gone
        self._standing = Standing(rule, keeper, holds, users_gone)
        self._options = options
        self._watch = watch
        self._tick = tick
        self._left: dt.date | None = None  # the first due day of what is left behind
        self._budget = math.inf
        self._pending: list[Item] = []
        self._pending_bytes = 0

    def run(self, budget: float) -> None:
        """Sweep the table, removing at most `budget` records. Raises what ends it, if something
        does; the line then says how far it came."""
        started = time.perf_counter()
        self._budget = budget
        try:
            self._run()
        except NotProven as error:
            self.line.error = str(error)
        finally:
            self.line.undone = self.line.due - self.line.counted
            self.line.seconds = round(time.perf_counter() - started, 3)

    def _run(self) -> None:
        policy.check_accepted(self.rule, accept=self._options.accept_policy_change)
        if not self._options.dry_run:
            policy.note_declared(self.rule)
        late = policy.late_days(self.rule)
        look = marks.look_for(self.rule, self._keeper.target, late, self._options.look_back)
        if look.why and self._keeper.name != "orm":
            self.line.looked_from = look.window.first
            self.line.notes.append(f"looked back to {look.window.first}: {look.why}")
        found = self._keeper.count_due(self.rule, look.window)
        if found:
            self._check_share(found, look.window)
        if not self._options.dry_run:
            policy.accept(self.rule, self._options.who)
        if found:
            self._watch.begin(self.line.table, found)
            for page in self._keeper.due(self.rule, look.window):
                self._sweep(page)
            if self._archiving is not None:
                self._flush(self._archiving)
            self._note_unreadable(look.window)
            self._watch.flawed(self._stays())
            self._watch.end()
        if not self._options.dry_run and not self.line.error:
            marks.advance(self.rule, self._keeper.target, look, self._left)

    def _note_unreadable(self, window: Window) -> None:
        """Count what cannot be read as a record of its table. It stays, and is looked at again."""
        table = self.line.table
        found = [
            (key, why) for (name, key), why in self._keeper.unreadable.items() if name == table
        ]
        self.line.unreadable = len(found)
        self.line.unreadable_records = [Unreadable(*each) for each in found[:_SHOWN]]
        if found:
            self._left = min(filter(None, (self._left, window.first)))

    def _check_share(self, found: int, window: Window) -> None:
        """SweepTooLarge if too much of the table would go by policy, and nobody agrees to it."""
        agreed = self.rule.days is None or self._options.accept_large_sweep
        if agreed or not self._is_large(found):
            return
        would = sum(self._by_policy(page) for page in self._keeper.due(self.rule, window))
        if not self._is_large(would):
            return
        share = f"{settings.RETENTION_MAX_SHARE:.0%}"
        what = f"{would:,} records are due, more than {share} of {self.line.table}"
        if self._options.dry_run:
            self.line.notes.append(f"{what}: a sweep would stop and ask")
        elif not self._options.ask(
            f"{what}. {'Archive and delete' if self.rule.archives else 'Delete'} them?"
        ):
            raise SweepTooLarge(
                f"{what}: nothing of it was touched. If that is right, run once with "
                "--accept-large-sweep, or in parts with --max-records"
            )

    def _by_policy(self, page: Sequence[Item]) -> int:
        """How many of a page would go by the policy's days. An end of their own, such as a
        session's, is not asked about: of these all may have ended, and no reader sees them."""
        go, rule = self._standing.part(page).go, self.rule
        if not rule.expires:
            return len(go)
        return sum(not rule.has_ended(rule.layout.from_item(item)) for item in go)

    def _is_large(self, found: int) -> bool:
        records = min(found, self._budget)
        share = settings.RETENTION_MAX_SHARE
        if share >= 1 or not records:
            return False
        if share <= 0:
            return True
        least = math.ceil(records / share)  # records that the table must have
        return not self._keeper.has_more_than(self.rule.layout, least - 1)

    def _sweep(self, page: Sequence[Item]) -> None:
        """Take one page of due records."""
        self._tick()
        parted = self._standing.part(page)
        line = self.line
        line.due += len(page)
        line.held += len(parted.held)
        line.in_grace += len(parted.in_grace)
        line.kept += len(parted.kept)
        self._leave(parted.stay)
        self._watch.advance(len(parted.stay))
        room = int(min(len(parted.go), self._budget - len(self._pending)))
        go, over = parted.go[:room], parted.go[room:]
        line.left += len(over)
        self._leave(over)
        if self._archiving is None:
            line.would += len(go)
            self._budget -= len(go)
            if self.rule.layout is users_layout():
                self._users_gone.update(key_text(self.rule.layout, item) for item in go)
            self._watch.advance(len(go))
        elif self.rule.archives:
            for item in go:
                self._pend(self._archiving, item)
        else:
            self._remove(self._archiving, go)

    def _pend(self, archiving: Archiving, item: Item) -> None:
        self._pending.append(item)
        self._pending_bytes += item_bytes(item)
        if len(self._pending) >= ARCHIVE_RECORDS or self._pending_bytes >= ARCHIVE_BYTES:
            self._flush(archiving)

    def _flush(self, archiving: Archiving) -> None:
        """Archive what is pending, prove it, and remove it."""
        items, self._pending, self._pending_bytes = self._pending, [], 0
        if not items:
            return
        try:
            row = archiving.archive(self.rule, items)
        except NotProven as error:
            self.line.unproven += len(items)
            logged.NOT_PROVEN.log(table=self.line.table, count=len(items), error=error)
            raise
        self.line.archived += len(items)
        self.line.archives.append(row.id)
        logged.PROVEN.log(table=self.line.table, archive=row.id, count=len(items))
        removals = archiving.remove(self.rule, items)
        self._count(items, removals)
        archiving.finish(row, removals)

    def _remove(self, archiving: Archiving, items: Sequence[Item]) -> None:
        self._count(items, archiving.remove(self.rule, items))

    def _count(self, items: Sequence[Item], removals: Counter[Removal]) -> None:
        for removal, name in COUNTS.items():
            setattr(self.line, name, getattr(self.line, name) + removals[removal])
        self._budget -= removals[Removal.DELETED]
        if any(removals[each] for each in (Removal.CHANGED, Removal.HELD, Removal.KEPT)):
            self._leave(items)
        self._watch.advance(len(items))

    def _leave(self, items: Sequence[Item]) -> None:
        """Remember how far back something due was left: no mark may pass it."""
        days = due_days(self.rule, items)
        if self._left is not None:
            days.append(self._left)
        self._left = min(days, default=None)

    def _stays(self) -> int:
        line = self.line
        return line.held + line.in_grace + line.kept + line.changed + line.left


def line_of(rule: Rule) -> TableLine:
    """The empty line of a rule's table."""
    tier = "expiry" if rule.policy is None else rule.policy.tier.value
    return TableLine(rule.layout.table.name, tier, rule.days)
