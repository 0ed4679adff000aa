"""The verification of every chosen table, and the repair of what it finds."""

from __future__ import annotations

from collections.abc import Callable

from dbcore.items import ItemLayout
from dbcore.migration import target
from dbcore.migration.copy import CopyOptions, TableCopy
from dbcore.migration.copying import layouts_of
from dbcore.migration.dead_letters import DeadLetterBox
from dbcore.migration.flow import Flow
from dbcore.migration.guard_check import GuardCheck
from dbcore.migration.ledger import Ledger, Tally
from dbcore.migration.logged import table_verified, verified
from dbcore.migration.options import MigrationOptions
from dbcore.migration.plan import Row, TablePlan
from dbcore.migration.reads import Expected
from dbcore.migration.report import MAX_LISTED_LETTERS, Letter, Line, Report
from dbcore.migration.sources import Source
from dbcore.migration.verify import ExtraCheck, Findings, RowCheck
from dbcore.models import Checkpoint
from dbcore.progress import Watcher
from dbcore.wire import get_wire


class Checking:
    """Verifies tables one after the other; with `repair`, writes what is missing or different."""

    def __init__(
        self,
        source: Source,
        options: MigrationOptions,
        report: Report,
        watch: Watcher,
        flow: Flow,
        *,
        repair: bool,
    ) -> None:
        self.source = source
        self.options = options
        self.report = report
        self.watch = watch
        self.flow = flow
        self.repair = repair
        self.findings = Findings()
        self._checks: dict[str, RowCheck] = {}

    def run(self, plans: list[TablePlan]) -> None:
        """Verify every plan's rows, then every table's items."""
        self.watch.stage("Repairing" if self.repair else "Verifying: every row against its item")
        for plan in plans:
            self._rows(plan)
            if not self.repair:
                table_verified(self._line(plan), self._checks[plan.source_table].rows)
        if self.repair:
            return
        if not self.options.allow_extra:
            for layout in layouts_of(plans):
                self._extra(layout, plans)
        self.report.findings = self.findings.listed
        self.report.verified = True
        verified(self.report)

    def _extra(self, layout: ItemLayout, plans: list[TablePlan]) -> None:
        of_table = [plan for plan in self.source.plans if plan.layout is layout]
        last = next(plan for plan in reversed(plans) if plan.layout is layout)
        tally = self._line(last).tally
        checks = [self._checks.get(plan.source_table) for plan in of_table]
        extra = ExtraCheck(self.source, of_table, self.flow, tally, self.findings)
        extra.run(sum(check.present for check in checks if check is not None))
        if layout.unique:
            guards = GuardCheck(self.source, of_table, self.flow, tally, self.findings)
            guards.run(sum(check.guards for check in checks if check is not None))

    def _line(self, plan: TablePlan) -> Line:
        for line in self.report.lines:
            if line.source == plan.source_table:
                return line
        line = Line(plan.source_table, plan.layout.table.name, Tally())
        self.report.lines.append(line)
        return line

    def _rows(self, plan: TablePlan) -> None:
        """Compare one source table's rows."""
        alone = all(line.source != plan.source_table for line in self.report.lines)
        line = self._line(plan)
        repairs = Tally()
        ledger = self._ledger(plan, repairs)
        self.watch.begin(plan.source_table, self.source.count(plan))
        check = RowCheck(
            self.source,
            plan,
            self.flow,
            Tally() if self.repair else line.tally,
            self.findings,
            now=self.options.now,
            skip_expired=self.options.skip_expired,
            expiry_is_carried_out=self._expiry_is_carried_out(plan),
            dead=lambda row, reason: self._dead(plan, row, reason) if alone else None,
            repair=self._repairer(plan, ledger) if self.repair else None,
            progress=self.watch.advance,
        )
        check.run()
        ledger.save()
        if repairs.dead_lettered:
            self._list_letters(ledger.box)
        self.watch.end()
        line.expired = check.expired
        self._checks[plan.source_table] = check
        if alone or self.repair:
            self._account(line.tally, check, repairs)

    def _expiry_is_carried_out(self, plan: TablePlan) -> bool:
        """Whether an expired row that has no item may have had one: on an engine that deletes what
        has expired, and after a whole copy to this very table that left nothing out."""
        wire = get_wire()
        if wire.endpoint.loopback or not plan.layout.table.expires:
            return False
        return Checkpoint.objects.filter(
            source=self.source.name,
            target=self.report.target,
            source_table=plan.source_table,
            table_id=target.table_id(wire, plan.layout),
            fingerprint=self.source.fingerprint(),
            complete=True,
            skip_expired=False,
        ).exists()

    @staticmethod
    def _account(tally: Tally, check: RowCheck, repairs: Tally) -> None:
        """Close a line's account where copying has not, or where a repair has moved rows.

        Rows that are missing or different were not written by this run: they stand under
        `unchanged`, and in their own columns.
        """
        tally.read = check.rows
        tally.skipped = check.skipped
        tally.dead_lettered = check.dead_rows + repairs.dead_lettered
        good = tally.read - tally.skipped - tally.dead_lettered
        tally.written = min(good, tally.written + repairs.written)
        tally.unchanged = good - tally.written

    def _ledger(self, plan: TablePlan, repairs: Tally) -> Ledger:
        """The account of what a repair writes, and of rows that turn out to be dead letters."""
        box = DeadLetterBox(
            plan,
            source=self.source.name,
            target=self.report.target,
            copy_pass=self.report.run,
            run_id=self.report.run,
        )
        return Ledger(repairs, None, box)

    def _repairer(self, plan: TablePlan, ledger: Ledger) -> Callable[[list[Expected]], None]:
        copy = TableCopy(self.source, plan, self.flow, ledger, CopyOptions(now=self.options.now))

        def repair(bad: list[Expected]) -> None:
            copy.write(ledger.open_batch(None, len(bad)), bad)

        return repair

    def _list_letters(self, box: DeadLetterBox) -> None:
        listed = set(self.report.dead_letters)
        found = [Letter(*each) for each in box.kept(MAX_LISTED_LETTERS - len(listed))]
        self.report.dead_letters += [letter for letter in found if letter not in listed]

    def _dead(self, plan: TablePlan, row: Row, reason: str) -> None:
        if len(self.report.dead_letters) < MAX_LISTED_LETTERS:
            key, told = plan.row_key(row), plan.told(row, reason)
            letter = Letter(plan.source_table, plan.layout.table.name, key, told)
            self.report.dead_letters.append(letter)
