"""One sweep, from its policies to its report: `enforce_retention`'s work.

First what an earlier sweep had begun is brought to its end, then each table has its turn. One
process at a time sweeps a target.
"""

from __future__ import annotations

import getpass
import math
import os
import platform
import time
from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.db.utils import DatabaseError
from django.utils import timezone

from dbcore import bookkeeping
from dbcore.errors import DbcoreError
from dbcore.items import layout_of
from dbcore.leases import LeaseLost
from dbcore.models import Archive, Sweep, new_run_id
from dbcore.progress import Silence, Watcher
from dbcore.retention import policy
from dbcore.retention.archives import get_shelf
from dbcore.retention.archiving import Archiving
from dbcore.retention.errors import NotProven, RetentionError
from dbcore.retention.holds import HoldIndex, active_holds, sync_holds
from dbcore.retention.keepers.choice import keeper_named, primary_keeper
from dbcore.retention.options import SweepOptions
from dbcore.retention.report import SweepReport
from dbcore.retention.rules import Rule
from dbcore.retention.table_sweep import TableSweep
from dbcore.schema import storage_models
from dbcore.stopping import Interrupted, Stop
from dbcore.tables import NoRetention

LEASE = "retention"


def enforce_retention(options: SweepOptions, watch: Watcher | None = None) -> SweepReport:
    """Keep every table's policy; the report says how it ended, also when it failed."""
    return RetentionSweep(options, watch or Silence()).run()


class RetentionSweep:
    """One run of `enforce_retention`."""

    def __init__(self, options: SweepOptions, watch: Watcher) -> None:
        self.options = options
        self.watch = watch
        self._stop = Stop()
        self._lease: Any = None
        self._row: Sweep | None = None
        self._holds = HoldIndex([])
        self.report = SweepReport(
            sweep=new_run_id(), store="", target="", as_of=options.as_of, dry_run=options.dry_run
        )

    def run(self) -> SweepReport:
        """Do all of it; a failure is in the report."""
        started = time.perf_counter()
        try:
            with self._stop.on_signal():
                self._run()
            self.report.settle()
        except (Interrupted, KeyboardInterrupt) as error:
            self.report.status = "interrupted"
            self.report.error = str(error) or "a second signal ended the sweep at once"
        except (DbcoreError, BotoCoreError, ClientError, DatabaseError, OSError) as error:
            self.report.status = "failed"
            self.report.error = self._words(error)
        except Exception as error:
            self.report.status = "failed"
            self.report.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            self.watch.close()
            self.report.seconds = time.perf_counter() - started
            self._end_row()
        return self.report

    def _words(self, error: Exception) -> str:
        if isinstance(error, (BotoCoreError, ClientError)):
            return f"AWS ({self.report.target}): {error}"
        if isinstance(error, DatabaseError):
            return f"Django's database: {error}"
        return str(error)

    def _run(self) -> None:
        options = self.options
        if options.as_of > timezone.now():
            raise RetentionError(f"--as-of {options.as_of:%Y-%m-%d %H:%M} is in the future")
        bookkeeping.make_ready()
        rules = policy.rules(options.as_of, options.tables)
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
        if any(rule.archives for rule in rules):
            get_shelf().check()
        with self.keeper.lease(LEASE, self.report.sweep) as self._lease:
            self._begin_row()
            sync_holds(self.keeper, timezone.now())
            archiving = Archiving(self.keeper, get_shelf(), self.report.sweep, self._tick)
            self._finish_earlier(archiving, rules)
            self._sweep(rules, archiving)

    def _note_tables_without_policy(self) -> None:
        for layout in map(layout_of, storage_models()):
            found = layout.table.retention
            named = not self.options.tables or layout.table.name in self.options.tables
            if isinstance(found, NoRetention) and named:
                self.report.without_policy[layout.table.name] = found.reason

    def _rehearse(self, rules: list[Rule]) -> None:
        if any(rule.archives for rule in rules):
            try:
                get_shelf().check()
            except (DbcoreError, BotoCoreError, ClientError, OSError) as error:
                self.report.notes.append(f"a sweep would fail: {self._words(error)}")
        self._sweep(rules, None)

    def _sweep(self, rules: list[Rule], archiving: Archiving | None) -> None:
        self.watch.stage("Looking for what is due" if archiving is None else "Sweeping")
        limit = self.options.max_records
        budget = math.inf if limit is None else limit
        for rule in rules:
            self._tick()
            table = TableSweep(
                rule, self.keeper, archiving, self._holds, self.options, self.watch, self._tick
            )
            self.report.lines.append(table.line)
            try:
                table.run(budget)
            except (LeaseLost, Interrupted, BotoCoreError):
                raise  # of no use to go on with the next table
            except (DbcoreError, ClientError, DatabaseError, OSError) as error:
                table.line.error = self._words(error)
            budget -= table.line.deleted + table.line.would

    def _finish_earlier(self, archiving: Archiving, rules: list[Rule]) -> None:
        """Bring to their end the archives that a sweep which was killed had begun."""
        by_table = {rule.layout.table.name: rule for rule in rules}
        pending = Archive.objects.filter(target=self.keeper.target).exclude(
            state=Archive.State.COMPLETED
        )
        for row in pending.order_by("created_at"):
            rule = by_table.get(row.table)
            if rule is None:
                continue  # not asked for, or the table has no policy any more: nothing is deleted
            self._tick()
            if row.state == Archive.State.WRITING and not archiving.adopt_or_discard(row):
                self.report.discarded.append(row.id)
            elif row.state == Archive.State.REMOVED:
                archiving.settle(row)
                self.report.resumed.append(row.id)
            else:
                self._resume(archiving, row, rule)

    def _resume(self, archiving: Archiving, row: Archive, rule: Rule) -> None:
        try:
            archiving.resume(row, rule)
        except NotProven as error:
            # Proven once, and damaged since: what is left of its records is archived anew.
            self.report.notes.append(f"archive {row.id} can no longer be proven: {error}")
            self.report.damaged.append(row.id)
        else:
            self.report.resumed.append(row.id)

    def _tick(self) -> None:
        self._stop.check()
        if self._lease is not None:
            self._lease.keep()

    def _begin_row(self) -> None:
        # Whoever holds the lease is alone: what still counts as running was killed.
        Sweep.objects.filter(target=self.report.target, status=Sweep.Status.RUNNING).update(
            status=Sweep.Status.INTERRUPTED, error="killed", finished_at=timezone.now()
        )
        self._row = Sweep.objects.create(
            id=self.report.sweep,
            store=self.report.store,
            target=self.report.target,
            as_of=self.options.as_of,
            host=platform.node(),
            pid=os.getpid(),
            options=self.options.described(),
        )

    def _end_row(self) -> None:
        if self._row is None:
            return
        row, report = self._row, self.report
        row.status, row.error, row.finished_at = report.status, report.error, timezone.now()
        row.archived, row.deleted = report.total("archived"), report.total("deleted")
        row.held, row.report = report.total("held"), report.as_json()
        try:
            row.save()
        except DatabaseError as error:
            # The report is what the sweep is for: it must come out.
            report.notes.append(f"the record of this sweep could not be saved: {error}")


def process_user() -> str:
    """Who runs this process, as the operating system has it."""
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return f"uid {os.getuid()}"
