"""The verification of every chosen table, and the repair of what it finds."""

from __future__ import annotations

from collections.abc import Callable

from dbcore.migration.copy import CopyOptions, TableCopy
from dbcore.migration.copying import layouts_of
from dbcore.migration.dead_letters import DeadLetterBox
from dbcore.migration.flow import Flow
from dbcore.migration.ledger import Ledger, Tally
from dbcore.migration.options import MigrationOptions
from dbcore.migration.plan import Row, TablePlan
from dbcore.migration.progress import Watcher
from dbcore.migration.reads import Expected
from dbcore.migration.report import MAX_LISTED_LETTERS, Letter, Line, Report
from dbcore.migration.sources import Source
from dbcore.migration.verify import ExtraCheck, Findings, RowCheck


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
        self._present: dict[str, int] = {}

    def run(self, plans: list[TablePlan]) -> None:
        """Verify every plan's rows, then every table's items."""
        self.watch.stage("Repairing" if self.repair else "Verifying: every row against its item")
        for plan in plans:
            self._rows(plan)
        if self.repair:
            return
        if not self.options.allow_extra:
            for layout in layouts_of(plans):
                of_table = [plan for plan in self.source.plans if plan.layout is layout]
                last = next(plan for plan in reversed(plans) if plan.layout is layout)
                check = ExtraCheck(
                    self.source, of_table, self.flow, self._line(last).tally, self.findings
                )
                check.run(sum(self._present.get(plan.source_table, 0) for plan in of_table))
        self.report.findings = self.findings.listed
        self.report.verified = True

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
        self._present[plan.source_table] = check.present
        if alone or self.repair:
            self._account(line.tally, check, repairs)

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
            letter = Letter(plan.source_table, plan.layout.table.name, plan.row_key(row), reason)
            self.report.dead_letters.append(letter)
