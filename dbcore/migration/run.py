"""One migration, from its source to its report."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError
from django.db.utils import DatabaseError
from django.utils import timezone

from dbcore import bookkeeping
from dbcore.errors import DbcoreError
from dbcore.leases import Lease, LeaseHeld
from dbcore.migration import target
from dbcore.migration.checking import Checking
from dbcore.migration.copying import Copying
from dbcore.migration.dry_run import DryRun
from dbcore.migration.errors import MigrationError
from dbcore.migration.flow import Flow
from dbcore.migration.options import MigrationOptions
from dbcore.migration.plan import TablePlan
from dbcore.migration.rate import Rate
from dbcore.migration.report import Report
from dbcore.migration.sources import Source, open_source
from dbcore.models import MigrationRun, new_run_id
from dbcore.progress import Silence, Watcher
from dbcore.stopping import Interrupted, Stop
from dbcore.wire import get_wire

LEASE_NAME = "migrate_to_dynamo"


def migrate(options: MigrationOptions, watch: Watcher | None = None) -> Report:
    """Run a migration; its report says how it ended, also when it failed or was interrupted."""
    return Migration(options, watch or Silence()).run()


class Migration:
    """One run of `migrate_to_dynamo`."""

    def __init__(self, options: MigrationOptions, watch: Watcher) -> None:
        self.options = options
        self.watch = watch
        self.run_id = new_run_id()
        self.report = Report(
            run=self.run_id,
            source=options.file or f"database {options.database}",
            target=target.target_name(),
            dry_run=options.dry_run,
        )
        self._stop = Stop()
        self._lease: Lease | None = None
        self._record: MigrationRun | None = None
        self._source_name = ""

    def run(self) -> Report:
        """Do all of it; a failure is in the report."""
        started = time.perf_counter()
        try:
            with self._stop.on_signal():
                self._run()
            self.report.settle()
        except (Interrupted, KeyboardInterrupt) as error:
            self.report.status = "interrupted"
            self.report.error = str(error) or "a second signal ended the run at once"
        except DbcoreError as error:
            self.report.status = "failed"
            self.report.error = str(error)
            self.report.lease_held = isinstance(error, LeaseHeld)
        except (BotoCoreError, ClientError) as error:
            self.report.status = "failed"
            self.report.error = f"DynamoDB ({self.report.target}): {error}"
        except DatabaseError as error:
            self.report.status = "failed"
            self.report.error = f"Django's database, which keeps the books: {error}"
        except Exception as error:
            self.report.status = "failed"
            self.report.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            self.watch.close()
            self.report.seconds = time.perf_counter() - started
            self._end_record()
        return self.report

    def _run(self) -> None:
        source = open_source(self.options.file, self.options.database)
        try:
            self.report.source = source.label
            self._source_name = source.name
            self.report.unknown = source.unknown
            plans = self._chosen(source)
            if self.options.dry_run:
                DryRun(source, self.options, self.report, self.watch, self._tick).run(plans)
                return
            bookkeeping.make_ready()
            layouts = {plan.layout for plan in plans}
            target.make_ready(layouts, make=self.options.writes)
            if not self.options.writes:
                self._check(source, plans)
                return
            with Lease(get_wire(), LEASE_NAME, self.run_id) as self._lease:
                self._begin_record()
                self._work(source, plans)
                # While it is alone: who waits for the lease looks here whether all is done.
                self.report.settle()
                self._end_record()
        finally:
            source.close()

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
        flow = Flow(get_wire(), self.options.concurrency, rate, self._tick)
        try:
            yield flow
        finally:
            self.report.throttles += rate.throttles
            flow.close()

    def _tick(self) -> None:
        self._stop.check()
        if self._lease is not None:
            self._lease.keep()

    def _begin_record(self) -> None:
        # Whoever holds the lease is alone: what still counts as running was killed.
        MigrationRun.objects.filter(
            target=self.report.target, status=MigrationRun.Status.RUNNING
        ).update(status=MigrationRun.Status.INTERRUPTED, error="killed", finished_at=timezone.now())
        self._record = MigrationRun.objects.create(
            id=self.run_id,
            source=self._source_name,
            target=self.report.target,
            host=platform.node(),
            pid=os.getpid(),
            options=self.options.described(),
        )

    def _end_record(self) -> None:
        if self._record is None:
            return
        self._record.status = self.report.status
        self._record.finished_at = timezone.now()
        self._record.rows_read = self.report.total("read")
        self._record.rows_written = self.report.total("written")
        self._record.dead_lettered = self.report.total("dead_lettered")
        self._record.report = self.report.as_json()
        self._record.error = self.report.error
        try:
            self._record.save()
        except DatabaseError as error:
            # The report is what the run is for: it must come out.
            self.report.notes.append(f"the record of this run could not be saved: {error}")


def _names(plan: TablePlan) -> set[str]:
    return {plan.source_table, plan.layout.table.name}
