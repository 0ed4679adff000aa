"""One migration, from its source to its report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dbcore import bookkeeping, logs
from dbcore.dynamo.leases import Lease, LeaseHeld
from dbcore.migration import target
from dbcore.migration.checking import Checking
from dbcore.migration.copying import Copying
from dbcore.migration.dry_run import DryRun
from dbcore.migration.errors import MigrationError
from dbcore.migration.flow import Flow
from dbcore.migration.logged import BEGUN, COUNTS, ENDED, FOUND
from dbcore.migration.options import MigrationOptions
from dbcore.migration.plan import TablePlan
from dbcore.migration.rate import Rate
from dbcore.migration.report import Report
from dbcore.migration.sources import Source, open_source
from dbcore.models import MigrationRun
from dbcore.progress import Silence, Watcher
from dbcore.runs import Run
from dbcore.schema import target_name
from dbcore.wire import get_wire

LEASE_NAME = "migrate_to_dynamo"


def migrate(options: MigrationOptions, watch: Watcher | None = None) -> Report:
    """Run a migration; its report says how it ended, also when it failed or was interrupted."""
    return Migration(options, watch or Silence()).run()


class Migration(Run[Report, MigrationRun]):
    """One run of `migrate_to_dynamo`."""

    command = "migrate_to_dynamo"
    begun, ended = BEGUN, ENDED
    record_model = MigrationRun
    other_side = "DynamoDB"

    def __init__(self, options: MigrationOptions, watch: Watcher) -> None:
        run_id = logs.new_run_id()
        report = Report(
            run=run_id,
            source=options.file or f"database {options.database}",
            target=target_name(),
            dry_run=options.dry_run,
        )
        super().__init__(run_id, report, watch)
        self.options = options

    def work(self) -> None:
        """Copy, check, repair: what the options ask for."""
        source = open_source(self.options.file, self.options.database)
        try:
            self.report.source = source.label
            self.report.unknown = source.unknown
            plans = self._chosen(source)
            if self.options.dry_run:
                DryRun(source, self.options, self.report, self.watch, self.tick).run(plans)
                return
            bookkeeping.make_ready()
            layouts = {plan.layout for plan in plans}
            target.make_ready(layouts, make=self.options.writes)
            if not self.options.writes:
                self._check(source, plans)
                return
            with Lease(get_wire(), LEASE_NAME, self.run_id) as self.lease:
                if self.is_needless():
                    return
                self.begin_record(source=source.name, options=self.options.described())
                self._work(source, plans)
                # While it is alone: who waits for the lease looks here whether all is done.
                self.report.settle()
                self.end_record()
        finally:
            source.close()

    def is_needless(self) -> bool:
        """Whether another has done all this until the lease was ours."""
        return False

    def _chosen(self, source: Source) -> list[TablePlan]:
        wanted = set(self.options.tables)
        known = {name for plan in source.plans for name in _names(plan)}
        unknown = wanted - known
        if unknown:
            raise MigrationError(
                f"--table {', '.join(sorted(unknown))}: {source.name} has no such table; it has "
                f"{', '.join(sorted(known))}"
            )
        return [plan for plan in source.plans if not wanted or wanted & _names(plan)]

    def _work(self, source: Source, plans: list[TablePlan]) -> None:
        if not self.options.verify_only:
            with self._flow() as flow:
                Copying(source, self.options, self.report, self.watch, flow, self.run_id).run(plans)
        if self.options.repair:
            self._check(source, plans, repair=True)
        if self.options.verify or self.options.repair:
            self._check(source, plans)

    def _check(self, source: Source, plans: list[TablePlan], *, repair: bool = False) -> None:
        with self._flow() as flow:
            Checking(source, self.options, self.report, self.watch, flow, repair=repair).run(plans)

    @contextmanager
    def _flow(self) -> Iterator[Flow]:
        rate = Rate(self.options.rate_limit)
        flow = Flow(get_wire(), self.options.concurrency, rate, self.tick)
        try:
            yield flow
        finally:
            self.report.throttles += rate.throttles
            flow.close()

    def fail(self, error: Exception) -> None:
        super().fail(error)
        self.report.lease_held = isinstance(error, LeaseHeld)

    def asked(self) -> dict[str, Any]:
        options = self.options
        return {
            "source": self.report.source,
            "dry_run": options.dry_run,
            "verify_only": options.verify_only,
            "repair": options.repair,
        }

    def counted(self) -> dict[str, Any]:
        report = self.report
        counts = {name: report.total(name) for name in (*COUNTS, *FOUND)}
        return {**counts, "verified": report.verified, "throttles": report.throttles}

    def fill(self, record: MigrationRun) -> None:
        record.rows_read = self.report.total("read")
        record.rows_written = self.report.total("written")
        record.dead_lettered = self.report.total("dead_lettered")


def _names(plan: TablePlan) -> set[str]:
    return {plan.source_table, plan.layout.table.name}
