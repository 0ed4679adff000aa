"""Brings to their end the archives that an earlier sweep had begun.

Nothing is deleted on account of an archive that is not proven here once more, and none is thrown
away that may be the only copy of its records. One that is damaged keeps no other from its turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from botocore.exceptions import BotoCoreError, ClientError
from django.db.utils import DatabaseError

from dbcore.attributes import Item
from dbcore.dynamo.leases import LeaseLost
from dbcore.errors import DbcoreError
from dbcore.models import Archive
from dbcore.retention import logged
from dbcore.retention.archives import Manifest, Shelf
from dbcore.retention.archives.keyring import Locked
from dbcore.retention.archiving import REMOVED_AT_ONCE, Archiving
from dbcore.retention.damage import became_of
from dbcore.retention.errors import NotProven, RetentionError
from dbcore.retention.holds import HoldIndex
from dbcore.retention.keepers.interface import Keeper, Removal
from dbcore.retention.report import Damage, SweepReport
from dbcore.retention.rules import Rule
from dbcore.retention.standing import Standing
from dbcore.stopping import Interrupted

_STATE = Archive.State


class Earlier:
    """Finishes what earlier sweeps have left, for one sweep. `tick` is called often."""

    def __init__(
        self,
        archiving: Archiving,
        keeper: Keeper,
        shelf: Shelf,
        holds: HoldIndex,
        report: SweepReport,
        tick: Callable[[], None],
    ) -> None:
        self._archiving = archiving
        self._keeper = keeper
        self._shelf = shelf
        self._holds = holds
        self._report = report
        self._tick = tick

    def finish(self, rules: Iterable[Rule], budget: float) -> None:
        """Go over every archive of these tables that is not done with, deleting at most `budget`
        records. What cannot be finished is in the report."""
        by_table = {rule.layout.table.name: rule for rule in rules}
        pending = Archive.objects.filter(target=self._keeper.target).exclude(state=_STATE.COMPLETED)
        for row in pending.order_by("created_at"):
            rule = by_table.get(row.table)
            if rule is None:
                continue  # not asked for, or the table has no policy any more: nothing is deleted
            self._tick()
            if row.state == _STATE.DAMAGED:
                self._report.notes.append(
                    f"archive {row.id} of {row.table} is still booked as damaged: put its object "
                    "back, then run reconcile_archives --deep"
                )
            else:
                self._try(row, rule, budget)

    def _try(self, row: Archive, rule: Rule, budget: float) -> None:
        archive, table = row.id, row.table
        try:
            self._finish_or_report(row, rule, budget)
        except (LeaseLost, Interrupted, BotoCoreError):
            raise  # of no use to go on with the next one
        except (DbcoreError, ClientError, DatabaseError, OSError) as error:
            self._report.unfinished[archive] = f"{table}: {error}"
            self._report.failure = self._report.failure or error

    def _finish_or_report(self, row: Archive, rule: Rule, budget: float) -> None:
        try:
            self._finish(row, rule, budget)
        except Locked as error:
            # Not booked: with the right keys, the next sweep goes on with it.
            self._damaged(row, Damage(row.id, row.table, str(error), row.count, locked=True), error)
        except NotProven as error:
            self._evidence(row, rule, error)

    def _finish(self, row: Archive, rule: Rule, budget: float) -> None:
        if row.state == _STATE.WRITING and not self._adopt(row):
            return
        if row.state == _STATE.REMOVED:
            self._archiving.settle(row)
        elif not self._resume(row, rule, budget):
            return
        self._report.resumed.append(row.id)
        logged.RESUMED.log(table=row.table, archive=row.id, count=row.count)

    def _adopt(self, row: Archive) -> bool:
        """Take an archive for proven whose proof was never booked; whether there is one.

        A sweep that was killed just before it booked the proof leaves one that stands, and so does
        a database that was put back from a backup: there it may be all that is left of its records.
        Without a manifest it is nothing: a killed write leaves that, and nobody can open it.
        """
        found = self._shelf.standing(row.object_name)
        if not found.versions:
            self._discard(row)
            return False
        manifest = self._shelf.manifest_of(found)
        self._shelf.facts(manifest)
        self._archiving.book_proof(row, manifest)
        return True

    def _discard(self, row: Archive) -> None:
        archive = row.id  # which deleting the row takes away
        self._shelf.discard(row.object_name)
        row.delete()
        self._report.discarded.append(archive)
        logged.DISCARDED.log(table=row.table, archive=archive)

    def _resume(self, row: Archive, rule: Rule, budget: float) -> bool:
        """Go on deleting what a proven archive holds; whether all of it has been dealt with.

        What is gone by now was deleted by the sweep that had begun. What is there is asked about
        as any due record is: it may have come under a hold, or have been restored since.
        """
        items = self._shelf.open(Manifest.from_json(row.manifest), rule.layout)
        standing = Standing(rule, self._keeper, self._holds)
        became: Counter[Removal] = Counter()
        for start in range(0, len(items), REMOVED_AT_ONCE):
            self._tick()
            some = items[start : start + REMOVED_AT_ONCE]
            became += self._remove(rule, standing, some, budget)
        left = len(items) - became.total()
        if left:
            self._report.notes.append(
                f"archive {row.id}: {left:,} of its records are left for the next sweep "
                "(--max-records)"
            )
            return False
        self._archiving.finish(row, became)
        return True

    def _remove(
        self, rule: Rule, standing: Standing, items: Sequence[Item], budget: float
    ) -> Counter[Removal]:
        """What became of some of an archive's records; those over the budget are not counted."""
        live = self._live(rule, items)
        due = [item for item in live if rule.is_due(rule.layout.from_item(item))]
        parted = standing.part(due)
        room = int(min(len(parted.go), max(0, budget - self._report.resumed_deleted)))
        became = self._archiving.remove(rule, parted.go[:room])
        self._report.resumed_deleted += became[Removal.DELETED]
        became[Removal.DELETED] += len(items) - len(live)
        became[Removal.HELD] += len(parted.held)
        became[Removal.KEPT] += len(live) - len(due) + len(parted.in_grace) + len(parted.kept)
        return became

    def _live(self, rule: Rule, items: Sequence[Item]) -> list[Item]:
        """Those whose key the store still has."""
        layout = rule.layout
        found = self._keeper.read(layout, [layout.key_of_item(item) for item in items])
        return [item for item, live in zip(items, found, strict=True) if live is not None]

    def _evidence(self, row: Archive, rule: Rule, error: NotProven) -> None:
        """Book an archive as damaged, unless all of its records are live and as it had them."""
        manifest = self._manifest(row)
        if manifest is None:
            damage = Damage(row.id, row.table, str(error), row.count)
        else:
            if row.state == _STATE.REMOVED and self._stands(manifest):
                raise RetentionError(str(error)) from error  # of its storage, not of the archive
            became = became_of(manifest, rule, self._keeper, self._shelf, self._tick)
            if row.state == _STATE.WRITING and became.untouched:
                self._discard(row)
                return
            damage = Damage(
                row.id, row.table, str(error), manifest.count, live=became.live,
                elsewhere=became.elsewhere, missing=became.missing, unopened=became.unopened,
            )  # fmt: skip
            row.manifest, row.key_id = manifest.as_json(), manifest.encryption.key_id
        row.state = _STATE.DAMAGED
        row.save()
        self._damaged(row, damage, error)

    def _manifest(self, row: Archive) -> Manifest | None:
        """The archive's manifest, sealed, from Django's database or else from beside the object."""
        try:
            manifest = Manifest.from_json(row.manifest)
            self._shelf.check_seal(manifest)
            return manifest
        except NotProven:
            pass
        try:
            return self._shelf.manifest_of(self._shelf.beside(row.object_name))
        except NotProven:
            return None

    def _stands(self, manifest: Manifest) -> bool:
        try:
            self._shelf.facts(manifest)
        except NotProven:
            return False
        return True

    def _damaged(self, row: Archive, damage: Damage, error: NotProven) -> None:
        self._report.damaged.append(row.id)
        self._report.damages.append(damage)
        logged.NOT_PROVEN.log(table=row.table, archive=row.id, count=damage.count, error=error)
