"""One sweep, from its policies to its report: `enforce_retention`'s work.

First what an earlier sweep had begun is brought to its end, then each table has its turn. One
process at a time sweeps a target.
"""

from __future__ import annotations

import math
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.db.utils import DatabaseError
from django.utils import timezone

from dbcore import bookkeeping, logs
from dbcore.dynamo.leases import LeaseHeld, LeaseLost
from dbcore.errors import DbcoreError
from dbcore.items import layout_of
from dbcore.models import Sweep
from dbcore.progress import Silence, Watcher
from dbcore.retention import clock, logged, policy
from dbcore.retention.archives import get_shelf
from dbcore.retention.archiving import Archiving
from dbcore.retention.earlier import Earlier
from dbcore.retention.errors import RetentionError
from dbcore.retention.holds import HoldIndex, active_holds, sync_holds
from dbcore.retention.keepers.choice import keeper_named, primary_keeper
from dbcore.retention.options import SweepOptions
from dbcore.retention.report import SKIPPED, SweepReport
from dbcore.retention.rules import Rule
from dbcore.retention.table_sweep import TableSweep
from dbcore.runs import Run
from dbcore.schema import storage_models
from dbcore.stopping import Interrupted
from dbcore.tables import NoRetention

LEASE = "retention"


def enforce_retention(options: SweepOptions, watch: Watcher | None = None) -> SweepReport:
    """Keep every table's policy; the report says how it ended, also when it failed."""
    return RetentionSweep(options, watch or Silence()).run()


class RetentionSweep(Run[SweepReport, Sweep]):
    """One run of `enforce_retention`."""

    command = "enforce_retention"
    begun, ended = logged.SWEEP_BEGUN, logged.SWEEP_ENDED
    record_model = Sweep

    def __init__(self, options: SweepOptions, watch: Watcher) -> None:
        run_id = logs.new_run_id()
        report = SweepReport(
            sweep=run_id,
            store="",
            target="",
            as_of=options.as_of or timezone.now(),
            dry_run=options.dry_run,
        )
        super().__init__(run_id, report, watch)
        self.options = options
        self._holds = HoldIndex([])

    def work(self) -> None:
        """Finish what an earlier sweep had begun, then sweep each table."""
        options, as_of = self.options, self.report.as_of
        if as_of > timezone.now():
            raise RetentionError(f"--as-of {as_of:%Y-%m-%d %H:%M} is in the future")
        bookkeeping.make_ready()
        rules = policy.rules(as_of, options.tables)
        self._note_tables_without_policy()
        self.keeper = primary_keeper() if options.store is None else keeper_named(options.store)
        self.report.store, self.report.target = self.keeper.name, self.keeper.target
        self._holds = HoldIndex(active_holds(timezone.now()))
        if options.dry_run:
            self._rehearse(rules)
            return
        if not settings.RETENTION_ENABLED:
            self.report.notes.append("RETENTION_ENABLED is false: nothing was swept")
            return
        self._check_clock()
        if any(rule.archives for rule in rules):
            get_shelf().check()
        with self.keeper.lease(LEASE, self.report.sweep) as self.lease:
            self.begin_record(
                store=self.report.store,
                as_of=as_of,
                options=options.described(),
            )
            sync_holds(self.keeper, timezone.now())
            self._finish_and_sweep(rules)

    def _finish_and_sweep(self, rules: list[Rule]) -> None:
        shelf = get_shelf()
        archiving = Archiving(self.keeper, shelf, self.report.sweep, self.tick)
        earlier = Earlier(archiving, self.keeper, shelf, self._holds, self.report, self.tick)
        earlier.finish(rules, self._budget())
        self._sweep(rules, archiving)

    def _check_clock(self) -> None:
        """ClockDoubted where this machine's clock may be far ahead, and nobody says that it is
        right. Who gives an --as-of has looked at a calendar."""
        as_of = self.report.as_of
        if self.options.as_of is not None:
            return
        why = clock.doubt(as_of, self.keeper, policy.rules(as_of))
        if why and self.options.dry_run:
            self.report.notes.append(f"{why}: a sweep would stop and ask")
        elif why and not self.options.ask(f"{why}. Is that right?"):
            raise clock.ClockDoubted(f"{why}: {clock.advice(as_of)}")

    def _note_tables_without_policy(self) -> None:
        for layout in map(layout_of, storage_models()):
            found = layout.table.retention
            named = not self.options.tables or layout.table.name in self.options.tables
            if isinstance(found, NoRetention) and named:
                self.report.without_policy[layout.table.name] = found.reason

    def _rehearse(self, rules: list[Rule]) -> None:
        self._check_clock()
        if any(rule.archives for rule in rules):
            try:
                get_shelf().check()
            except (DbcoreError, BotoCoreError, ClientError, OSError) as error:
                self.report.notes.append(f"a sweep would fail: {self.words(error)}")
        self._sweep(rules, None)

    def _budget(self) -> float:
        limit = self.options.max_records
        return math.inf if limit is None else limit

    def _sweep(self, rules: list[Rule], archiving: Archiving | None) -> None:
        self.watch.stage("Looking for what is due" if archiving is None else "Sweeping")
        budget = self._budget() - self.report.resumed_deleted
        users_gone: set[str] = set()
        for rule in rules:
            self.tick()
            table = TableSweep(
                rule, self.keeper, archiving, self._holds, self.options, self.watch, self.tick,
                users_gone,
            )  # fmt: skip
            self.report.lines.append(table.line)
            try:
                table.run(budget)
            except (LeaseLost, Interrupted, BotoCoreError):
                raise  # of no use to go on with the next table
            except (DbcoreError, ClientError, DatabaseError, OSError) as error:
                table.line.error = self.words(error)
                self.report.failure = self.report.failure or error
                logged.table_swept(table.line, error)
            else:
                logged.table_swept(table.line)
            budget -= table.line.deleted + table.line.would

    def fail(self, error: Exception) -> None:
        """As every run; but that another is at work may be foreseen."""
        super().fail(error)
        if self.options.if_free and isinstance(error, LeaseHeld):
            self.report.status = SKIPPED

    def asked(self) -> dict[str, Any]:
        return {"dry_run": self.report.dry_run, "as_of": self.report.as_of.isoformat()}

    def counted(self) -> dict[str, Any]:
        report = self.report
        counts = {name: report.total(name) for name in logged.SWEPT}
        return {**counts, "store": report.store, "damaged": len(report.damaged)}

    def fill(self, record: Sweep) -> None:
        record.archived = self.report.total("archived")
        record.deleted = self.report.total("deleted")
        record.resumed_deleted = self.report.resumed_deleted
        record.held = self.report.total("held")
