"""Erases one user from every store in use and from the layer's own books.

The erasure is in the book of erasures before the first record goes: from then on no restore brings
one back. Nothing on which a legal hold is may go: holds are looked up before, and asked again
within each delete. Killed anywhere, the same call completes it.
"""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from django.db import transaction
from django.utils import timezone

from dbcore.attributes import Item
from dbcore.items import ItemLayout
from dbcore.models import Erasure, new_run_id
from dbcore.retention.audit import PARTIAL, SUCCESS, Act, audited
from dbcore.retention.books import forget_graces, forget_in_books, forget_log_of, letters_of
from dbcore.retention.erased import erasure_of, pseudonym_of, redacted, stays_redacted, subject_of
from dbcore.retention.erasure_report import ArchiveNamed, ErasureReport, TableCount
from dbcore.retention.errors import HeldByLaw, RetentionError
from dbcore.retention.holds import HoldIndex, active_holds, check_signed, described, sync_holds
from dbcore.retention.in_use import stores_in_use
from dbcore.retention.keepers.gate import hold_gate
from dbcore.retention.keepers.interface import Keeper, Removal
from dbcore.retention.logged import ERASURE_BEGUN, ERASURE_ENDED, erased, told
from dbcore.retention.marked import mark
from dbcore.retention.records import check_user, layouts, owner_of
from dbcore.retention.rules import Rule, users_layout
from dbcore.retention.searching import archives_of

LEASE = "retention"
AT_ONCE = 100  # records between two looks at the lease and the holds
# Seconds before each further look for records of the user: DynamoDB's global indexes lag, and a
# session of theirs may have written until the user was gone.
PAUSES = (1.0, 2.0, 4.0, 8.0)


class NotErased(RetentionError):
    """Records of the user are still there; the message says where. The same call goes on."""


def erase_user(
    user: str,
    *,
    who: str,
    why: str,
    now: dt.datetime | None = None,
    dry_run: bool = False,
    pauses: Sequence[float] | None = None,
) -> ErasureReport:
    """Erase a user: every record of theirs in the stores in use, and what the books say of them.

    Records of tables with `personal` fields stay without these; the user's own record goes after
    all others. Archives are not rewritten: the report names those that hold records of the user.
    `dry_run` counts and changes nothing. Calling it again completes an erasure that was cut short,
    and takes what has been written since.

    HeldByLaw names the legal hold that forbids it; RetentionError: an id that nothing belongs to,
    or a blank who or why; ConfigurationError, RetentionError as well where it cannot be marked
    beside the archives: nothing is erased then; NotErased: records keep appearing, or could not be
    removed; LeaseHeld: a sweep or restore is at work; AuditFailed; the stores' own errors.
    """
    check_user(user)
    check_signed(who, why)
    erasing = _Erasing(user, now or timezone.now())
    if dry_run:
        erasing.look()
        return erasing.report
    with told("erase_user", ERASURE_BEGUN, ERASURE_ENDED) as ending, ExitStack() as entered:
        erasing.take_leases(entered)
        try:
            erasing.look()
            erasing.run(who, why, PAUSES if pauses is None else pauses)
        finally:
            ending |= erased(erasing.report)
    return erasing.report


class _Erasing:
    """One call of `erase_user`."""

    def __init__(self, user: str, now: dt.datetime) -> None:
        self.user = user
        self.now = now
        stores = stores_in_use()
        self.report = ErasureReport(user, not_looked_at=stores.not_looked_at)
        self._keepers = stores.keepers
        self._counts: dict[tuple[str, str], TableCount] = {}
        self._standing = erasure_of(user)
        self._keep: Callable[[], None] = lambda: None

    def take_leases(self, entered: ExitStack) -> None:
        """Be the only one at work on each store."""
        leases = [entered.enter_context(k.lease(LEASE, new_run_id())) for k in self._keepers]

        def keep() -> None:
            for lease in leases:
                lease.keep()

        self._keep = keep

    def look(self) -> None:
        """Count what is there; HeldByLaw, RetentionError where the id is nobody's."""
        held: dict[str, str] = {}
        holds = HoldIndex(active_holds(self.now))
        on_user = holds.on_user(self.user)
        if on_user is not None:
            held[on_user.id] = described(on_user)
        for keeper, layout in self._tables():
            count = self._count(keeper, layout)
            for item in self._owned(keeper, layout):
                count.found += 1
                hold = holds.on(layout, item)
                if hold is not None:
                    held[hold.id] = described(hold)
        self.report.dead_letters = sum(1 for _ in letters_of(self.user))
        self.report.archives = [ArchiveNamed.of(row) for row in archives_of(self.user)]
        if held:
            raise HeldByLaw(f"nothing was erased: {'; '.join(held.values())}")
        archived = any(each.known for each in self.report.archives)
        anything = self.report.records or self.report.dead_letters or archived
        if not anything and self._standing is None:
            raise RetentionError(
                f"nothing belongs to a user {self.user!r}: no record, dead letter or archive. "
                "Check the id"
            )

    def run(self, who: str, why: str, pauses: Sequence[float]) -> None:
        """Erase, between two entries in the audit trail that do not name the user."""
        erasure = self._standing or Erasure(
            id=new_run_id(), subject=subject_of(self.user), requested_by=who, reason=why,
            started_at=self.now,
        )  # fmt: skip
        self.report.erasure = erasure.id
        if erasure.status == Erasure.Status.COMPLETED:
            self.report.completed_before = erasure.completed_at
        with audited(Act("erase", f"erasure/{erasure.id}", who, why)) as ending:
            if self._standing is None:
                with transaction.atomic(durable=True):
                    erasure.save(force_insert=True)
            mark(erasure)
            ending.outcome = PARTIAL
            for keeper in self._keepers:  # one that has run out may still stand there, and name
                sync_holds(keeper, timezone.now(), again=False)
            self._erase_all(pseudonym_of(erasure), pauses)
            self.report.forgotten = forget_in_books(self.user, pseudonym_of(erasure))
            self._complete(erasure)
            ending.outcome, ending.details = SUCCESS, {"records": self.report.records}

    def _complete(self, erasure: Erasure) -> None:
        self.report.status = "completed"
        erasure.status = Erasure.Status.COMPLETED
        erasure.completed_at = timezone.now()
        erasure.report = self.report.stored()
        erasure.save()

    def _erase_all(self, pseudonym: str, pauses: Sequence[float]) -> None:
        """Look and remove until a look finds nothing; NotErased when that never comes."""
        left = self._erase_once(pseudonym)
        for pause in pauses:
            time.sleep(pause)
            left = self._erase_once(pseudonym)
            if not left:
                return
        if left:
            raise NotErased(
                f"the user still has records in {', '.join(left)}: they keep being written, or "
                "could not be removed. End the user's sessions and run the same command again"
            )

    def _erase_once(self, pseudonym: str) -> list[str]:
        """Remove all that a look finds; the tables where it found any."""
        found = []
        for keeper, layout in self._tables():
            records = self._owned(keeper, layout)
            while chunk := list(itertools.islice(records, AT_ONCE)):
                found.append(f"{layout.table.name} ({keeper.name})")
                self._keep()
                forget_log_of(layout, chunk, pseudonym)
                self._erase(keeper, layout, chunk, pseudonym)
        return list(dict.fromkeys(found))

    def _erase(
        self, keeper: Keeper, layout: ItemLayout, items: Sequence[Item], pseudonym: str
    ) -> None:
        count = self._count(keeper, layout)
        if stays_redacted(layout):
            # `replace` asks for no hold. None is placed while somebody is at the gate.
            with hold_gate():
                self._check_holds(layout, items)
                for item in items:
                    new = redacted(layout, item, pseudonym)
                    count.redacted += keeper.replace(layout, item, new)
            return
        found = keeper.remove(Rule(layout, None, self.now), items)
        count.deleted += found.count(Removal.DELETED)
        forget_graces(layout, items)
        if Removal.HELD in found:
            self._check_holds(layout, items)
            raise HeldByLaw(
                f"a legal hold on {layout.table.name} or one of its records has stopped the "
                "erasure: see `legal_hold list`"
            )

    def _check_holds(self, layout: ItemLayout, items: Sequence[Item]) -> None:
        holds = HoldIndex(active_holds(timezone.now()))
        for item in items:
            hold = holds.on(layout, item)
            if hold is not None:
                raise HeldByLaw(
                    f"the erasure was stopped half-way, and restores honour it: {described(hold)}"
                )

    def _tables(self) -> Iterator[tuple[Keeper, ItemLayout]]:
        for keeper in self._keepers:
            for layout in erasable():
                yield keeper, layout

    def _owned(self, keeper: Keeper, layout: ItemLayout) -> Iterator[Item]:
        """The user's records, as a store's lagging index may not have them any more."""
        for item in keeper.owned_by(layout, self.user):
            if owner_of(layout, item) == self.user:
                yield item

    def _count(self, keeper: Keeper, layout: ItemLayout) -> TableCount:
        place = (keeper.name, layout.table.name)
        if place not in self._counts:
            self._counts[place] = TableCount(*place)
            self.report.tables.append(self._counts[place])
        return self._counts[place]


def erasable() -> list[ItemLayout]:
    """The tables with records of users, in the order in which they are erased.

    The user's own record goes after all that depends on it, but before what it keeps: a profile
    cannot go while its user is there.
    """
    users = users_layout()

    def order(layout: ItemLayout) -> int:
        kept = getattr(layout.table.retention, "while_kept", None) is not None
        return 1 if layout is users else 2 if kept else 0

    return sorted((each for each in layouts() if each.table.owner is not None), key=order)
