"""`db_health`: parse, call, print."""

from __future__ import annotations

import functools
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone
from rich.console import Group, RenderableType
from rich.live import Live

from dbcore.errors import SEE_CONNECT
from dbcore.management.commands.monitor import seconds
from dbcore.management.options import add_format
from dbcore.management.tool import ToolCommand, a_reader_may_leave
from dbcore.monitoring.deadlines import in_time
from dbcore.monitoring.health import CHECKS, CheckResult, run_checks, worst
from dbcore.monitoring.health.report import (
    MINUTES,
    health_report,
    health_table,
    operations_table,
)
from dbcore.monitoring.summary import DatabaseMetrics, database_metrics
from dbcore.stopping import Stop
from dbcore.terminal import Screen

EPILOG = """
examples:
  ./manage.py db_health                        how is everything?
  ./manage.py db_health --watch 5              again every 5 seconds, until Ctrl-C
  ./manage.py db_health --check clock disk     these alone
  ./manage.py db_health --metrics              and what took the most time lately
  ./manage.py db_health --format json          for programs

docs/runbooks/ has a page for each check.

exit status: 0 healthy, 1 warning (or a wrong argument), 2 critical
"""


class Command(ToolCommand):
    """Say how the database layer does."""

    help = (
        "Runs the health checks, all at once, each with a deadline (DB_HEALTH_DEADLINE), and says "
        "of each how it is and what to do."
    )
    epilog = EPILOG

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_format(parser)
        parser.add_argument(
            "--watch", type=seconds, metavar="SECONDS",
            help="look again and again, so many seconds apart, until Ctrl-C; as JSON, an object a "
            "line",
        )  # fmt: skip
        parser.add_argument(
            "--check", nargs="+", action="extend", metavar="NAME",
            help=f"only these: {', '.join(CHECKS)}",
        )  # fmt: skip
        parser.add_argument(
            "--metrics", action="store_true",
            help=f"also what took the most time in the last {MINUTES:g} minutes",
        )  # fmt: skip

    def handle(self, *args: Any, **given: Any) -> None:
        if unknown := sorted(set(given["check"] or ()) - set(CHECKS)):
            raise CommandError(
                f"there is no check {', '.join(unknown)}; there are: {', '.join(CHECKS)}"
            )
        look = functools.partial(_look, given["check"], with_metrics=given["metrics"])
        with a_reader_may_leave():
            if given["format"] == "json":
                results = self._repeat(look, self._print_json, given["watch"])
            else:
                results = self._as_tables(look, given["watch"])
            sys.stdout.flush()
        if status := worst(each.status for each in results).rank:
            sys.exit(status)

    def _as_tables(self, look: Look, watch: float | None) -> Sequence[CheckResult]:
        console = Screen(self.stdout)
        if watch is None or not console.is_terminal:
            return self._repeat(look, lambda seen: console.print(_tables(seen)), watch)
        with Live(console=console, auto_refresh=False) as live:
            return self._repeat(look, lambda seen: live.update(_tables(seen), refresh=True), watch)

    def _repeat(
        self, look: Look, show: Callable[[Seen], object], watch: float | None
    ) -> Sequence[CheckResult]:
        """Look and show, once or until a signal; the last results."""
        stop = Stop()
        with stop.on_signal():
            while True:
                began = time.monotonic()
                seen = look()
                show(seen)
                wait = 0.0 if watch is None else max(0.0, began + watch - time.monotonic())
                if watch is None or stop.wait(wait):
                    return seen.results

    def _print_json(self, seen: Seen) -> None:
        report: dict[str, Any] = {**health_report(seen.results, seen.results[0].at)}
        if seen.with_metrics:
            report["metrics"] = seen.metrics
        self.json(report)
        self.stdout.flush()


@dataclass(frozen=True, slots=True)
class Seen:
    """One look. `metrics` None: not asked for, or not to be read."""

    results: Sequence[CheckResult]
    with_metrics: bool
    metrics: DatabaseMetrics | None = None


Look = Callable[[], Seen]


def _look(names: Sequence[str] | None, *, with_metrics: bool) -> Seen:
    now = timezone.now()
    results = run_checks(names, now=now)
    if not with_metrics:
        return Seen(results, with_metrics=False)
    # The store may be away: then what there is to show is that, and soon.
    read = functools.partial(database_metrics, MINUTES, now)
    metrics = in_time({"metrics": read}, settings.DB_HEALTH_DEADLINE)["metrics"]
    return Seen(results, True, None if isinstance(metrics, BaseException) else metrics)


def _tables(seen: Seen) -> RenderableType:
    shown: list[RenderableType] = [health_table(seen.results, seen.results[0].at)]
    if seen.metrics is not None:
        shown += ["", operations_table(seen.metrics)]
    elif seen.with_metrics:
        said = f"the primary store does not answer: {SEE_CONNECT}"
        shown += ["", f"what was measured cannot be read: {said}"]
    return Group(*shown)
