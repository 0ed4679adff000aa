"""The copy of every chosen table, each from its checkpoint."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from dbcore.items import ItemLayout
from dbcore.migration import target
from dbcore.migration.copy import CopyOptions, TableCopy
from dbcore.migration.dead_letters import DeadLetterBox
from dbcore.migration.flow import Flow
from dbcore.migration.ledger import Ledger, Tally
from dbcore.migration.logged import TABLE_BEGUN, table_copied
from dbcore.migration.options import MigrationOptions
from dbcore.migration.plan import TablePlan
from dbcore.migration.report import MAX_LISTED_LETTERS, Letter, Line, Report
from dbcore.migration.sources import Source
from dbcore.models import Checkpoint
from dbcore.progress import Watcher
from dbcore.wire import get_wire


class Copying:
    """Copies tables one after the other."""

    def __init__(
        self,
        source: Source,
        options: MigrationOptions,
        report: Report,
        watch: Watcher,
        flow: Flow,
        run_id: str,
    ) -> None:
        self.source = source
        self.options = options
        self.report = report
        self.watch = watch
        self.flow = flow
        self.run_id = run_id

    def run(self, plans: list[TablePlan]) -> None:
        """Copy every plan's rows."""
        started = time.perf_counter()
        self.watch.stage(f"Copying to {self.report.target}")
        # Before the first write: a table that several source tables go to is still empty then.
        empty = {plan.layout: target.is_empty(get_wire(), plan.layout) for plan in plans}
        try:
            for plan in plans:
                self._copy(plan, empty[plan.layout])
        finally:
            self.report.copy_seconds = time.perf_counter() - started

    def _copy(self, plan: TablePlan, empty: bool) -> None:
        checkpoint = self._checkpoint(plan, empty)
        resumed = checkpoint.position is not None
        self.report.resumed |= resumed
        tally = Tally(
            read=checkpoint.acknowledged + checkpoint.skipped + checkpoint.dead_lettered,
            unchanged=checkpoint.acknowledged,
            skipped=checkpoint.skipped,
            dead_lettered=checkpoint.dead_lettered,
        )
        line = Line(plan.source_table, plan.layout.table.name, tally)
        self.report.lines.append(line)
        self._begin(line, self.source.count(plan), resumed=resumed)
        started = time.perf_counter()
        box = DeadLetterBox(
            plan,
            source=self.source.name,
            target=self.report.target,
            copy_pass=checkpoint.copy_pass,
            run_id=self.run_id,
        )
        ledger = Ledger(tally, checkpoint, box, self._progress(tally))
        options = CopyOptions(
            now=self.options.now,
            compare_first=checkpoint.compare_first,
            skip_expired=self.options.skip_expired,
        )
        try:
            TableCopy(self.source, plan, self.flow, ledger, options).run()
        except BaseException:
            # What is settled is settled; the rest is looked at again when the run is resumed.
            ledger.abandon()
            self._list_letters(box)
            raise
        box.resolve_others()
        self._list_letters(box)
        self.watch.end()
        table_copied(line, time.perf_counter() - started, self.report.dead_letters)

    def _begin(self, line: Line, total: int, *, resumed: bool) -> None:
        done = line.tally.read
        TABLE_BEGUN.log(
            table=line.table, source_table=line.source, total=total, done=done, resumed=resumed
        )
        self.watch.begin(line.source, total, done)

    def _progress(self, tally: Tally) -> Callable[[int], None]:
        def progress(rows: int) -> None:
            self.watch.advance(rows)
            self.watch.flawed(tally.dead_lettered)

        return progress

    def _checkpoint(self, plan: TablePlan, empty: bool) -> Checkpoint:
        """The checkpoint to go on from, or a new one at the first row.

        One that is complete, of another table or file than today's, or that left out other rows,
        is not gone on from.
        """
        found = Checkpoint.objects.filter(
            source=self.source.name, target=self.report.target, source_table=plan.source_table
        ).first()
        identity = target.table_id(get_wire(), plan.layout)
        fingerprint = self.source.fingerprint()
        skips = self.options.skip_expired
        if found is not None:
            same = (found.table_id, found.fingerprint, found.skip_expired)
            if same == (identity, fingerprint, skips) and not found.complete:
                return found
            Checkpoint.objects.filter(pk=found.pk).delete()
        return Checkpoint.objects.create(
            source=self.source.name,
            target=self.report.target,
            source_table=plan.source_table,
            table_id=identity,
            fingerprint=fingerprint,
            copy_pass=str(uuid.uuid4()),
            compare_first=not empty,
            skip_expired=skips,
        )

    def _list_letters(self, box: DeadLetterBox) -> None:
        room = MAX_LISTED_LETTERS - len(self.report.dead_letters)
        self.report.dead_letters += [Letter(*each) for each in box.kept(room)]


def layouts_of(plans: list[TablePlan]) -> list[ItemLayout]:
    """The distinct tables that plans write to, in order."""
    return list(dict.fromkeys(plan.layout for plan in plans))
