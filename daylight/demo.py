"""The main job, shown: sample data in SQLite, migrated to a local DynamoDB, verified, looked at.

Every figure that it prints is measured in this run.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import platform
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone
from rich import box
from rich.panel import Panel
from rich.table import Table

from daylight import mirrors, models
from daylight.sample_data import filled
from dbcore.items import layout_of
from dbcore.local_engine import shared_engine
from dbcore.migration.options import MigrationOptions
from dbcore.migration.report import EXIT_COMPLETE, EXIT_DIFFERENT, Report
from dbcore.migration.run import migrate
from dbcore.migration.text_report import print_report
from dbcore.monitoring.health import run_checks
from dbcore.monitoring.health.report import health_table
from dbcore.progress import watcher
from dbcore.retention.options import SweepOptions
from dbcore.retention.sweep import enforce_retention
from dbcore.retention.text_report import print_report as print_sweep
from dbcore.table_sync import sync_tables
from dbcore.terminal import Screen
from dbcore.wire import HOOKS, Call, get_wire

INTERRUPTED = 130  # the exit status by which shells know Ctrl-C
MOTO_ROWS = 3_000  # moto's server is written in Python: fewer rows, the same show


class Demo:
    """One showing. `run` returns the exit status."""

    def __init__(self, rows: int, now: dt.datetime, out: Any) -> None:
        self.rows = rows
        self.now = now
        self.out = out
        self.console = Screen(out)
        self.calls: dict[str, list[float]] = defaultdict(list)

    def run(self) -> int:
        """Everything, in order."""
        self._engine()
        self._sample()
        with self._measured():
            self._tables()
            report = migrate(MigrationOptions(now=self.now), watcher())
            print_report(report, self.out)
            if report.status == "interrupted":  # which the report has said
                return INTERRUPTED
            if report.error:
                self.console.say(report.error, "red")
                return report.exit_code
            again = self._again()
            self._same_answer()
        self._health()
        self._retention()
        return self._closing(report, again)

    def _step(self, text: str) -> None:
        self.console.print(f"\n[bold cyan]▶ {text}[/bold cyan]")

    def _engine(self) -> None:
        url = get_wire().endpoint.url
        status = shared_engine().status()
        kind = status.state.kind if status is not None else "an engine of yours"
        if kind == "moto":
            self.rows = min(self.rows, MOTO_ROWS)
        self.console.print(
            Panel(
                f"Python {platform.python_version()}, engine: [bold]{kind}[/bold] at {url}"
                + (
                    "\n[yellow]moto's server is slow: fewer rows[/yellow]" if kind == "moto" else ""
                ),
                title="Daylight's database layer: SQLite to DynamoDB, proven to the last row",
                box=box.ROUNDED,
            )
        )

    def _sample(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            call_command("migrate", verbosity=0, interactive=False)
        there = filled(DEFAULT_DB_ALIAS)
        if there:
            self._step(f"Records: rows are there already, in {len(there)} of 19 SQLite tables")
            return
        self._step(f"Sample data: about {self.rows:,} rows in 19 SQLite tables")
        started = time.perf_counter()
        quiet = io.StringIO()
        call_command("make_sample_data", rows=self.rows, stdout=quiet, stderr=quiet)
        self.console.print(f"  made in {time.perf_counter() - started:.1f} s")

    def _tables(self) -> None:
        self._step("Tables: keys, indexes, expiry and encryption as the models declare them")
        started = time.perf_counter()
        report = sync_tables()
        self.console.print(
            f"  {len(report.tables)} tables in place ({time.perf_counter() - started:.1f} s)"
        )

    @contextlib.contextmanager
    def _measured(self) -> Iterator[None]:
        def measure(call: Call) -> None:
            self.calls[call.operation].append(call.seconds)

        HOOKS.append(measure)
        try:
            yield
        finally:
            HOOKS.remove(measure)

    def _again(self) -> Report:
        self._step("The same command again: it must find everything there, and write nothing")
        again = migrate(MigrationOptions(now=self.now))
        self.console.print(
            f"  {again.total('read'):,} rows read, "
            f"[bold]{again.total('written'):,} written[/bold], "
            f"{again.total('unchanged') + again.total('skipped'):,} already there "
            f"({again.seconds:.1f} s)"
        )
        return again

    def _same_answer(self) -> None:
        self._step("One question, both stores: where was this user last?")
        newest = models.LocationHistory.objects.order_by("-timestamp", "id").first()
        if newest is None:
            return
        index: Any = mirrors.LocationHistories.UserTimestampIndex  # type: ignore[attr-defined]
        found = next(
            iter(index.query(newest.user_id, scan_index_forward=False, limit=1,
                             consistent_read=True))
        )  # fmt: skip
        record = found.to_record()
        same = all(
            getattr(record, column.name) == getattr(newest, column.name)
            for column in layout_of(models.LocationHistory).columns
        )
        for store, each in (("SQLite  ", newest), ("DynamoDB", record)):
            self.console.print(
                f"  {store} {each.timestamp:%Y-%m-%d %H:%M:%S} "
                f"{dict(sorted(each.location.items()))}"
            )
        self.console.print(f"  equal in every field: {'[green]yes' if same else '[red]no'}")

    def _health(self) -> None:
        self._step("Health: each check of manage.py db_health, and what the calls took in this run")
        now = timezone.now()
        self.console.print(health_table(run_checks(now=now), now))
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("operation", "calls", "median ms", "99 % ms", "slowest ms"):
            table.add_column(name, justify="left" if name == "operation" else "right")
        for operation, seconds in sorted(self.calls.items(), key=lambda each: -sum(each[1])):
            seconds.sort()
            marks = (seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100], seconds[-1])
            table.add_row(
                operation, f"{len(seconds):,}", *[f"{mark * 1000:,.2f}" for mark in marks]
            )
        self.console.print(table)

    def _retention(self) -> None:
        self._step("Retention: what a sweep would do today (a dry run: nothing is deleted)")
        report = enforce_retention(SweepOptions(store="orm", dry_run=True, as_of=self.now))
        print_sweep(report, self.out)

    def _closing(self, report: Report, again: Report) -> int:
        proven = report.exit_code == EXIT_COMPLETE and again.exit_code == EXIT_COMPLETE
        good = proven and again.total("written") == 0
        text = (
            f"[green]{report.total('read'):,} rows in DynamoDB, each compared with its row; "
            "none lost, doubled or changed.[/green]\n\n"
            "make serve   the admin, with these records and this run\n"
            "make test    the tests\n"
            "./manage.py migrate_to_dynamo --help   ·   docs/migrate.md"
            if good
            else f"[red]Something is not as it must be: see above.[/red]{_why(again)}"
        )
        self.console.print()
        self.console.print(Panel(text, box=box.ROUNDED))
        return 0 if good else max(report.exit_code, again.exit_code, 1)


def _why(report: Report) -> str:
    """What it may be, where the demo has run on records that others write to."""
    if report.total("extra"):
        return (
            "\n\nItems are left over of rows that were deleted in SQLite since the last time.\n"
            "./manage.py local_dynamodb --reset   deletes all that the local DynamoDB holds"
        )
    if report.exit_code == EXIT_DIFFERENT or report.total("written"):
        return "\n\nWhere another process wrote meanwhile (make serve), run it again."
    return ""
