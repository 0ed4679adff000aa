"""What the checks said, as plain data for programs and as a table for people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TypedDict

from rich.table import Table

from dbcore.monitoring.health.results import CheckResult, Status, worst
from dbcore.monitoring.summary import DatabaseMetrics, OperationMetrics
from dbcore.printable import printable
from dbcore.terminal import escape

COLOURS = {Status.HEALTHY: "green", Status.WARNING: "yellow", Status.CRITICAL: "bold red"}
TOP = 10  # operations and queries that people are shown
MINUTES = 15.0  # of metrics


class CheckReport(TypedDict):
    """One check. `status`: healthy, warning or critical; `host` is "" where any would see it."""

    name: str
    status: str
    sentence: str
    seconds: float
    host: str


class HealthReport(TypedDict):
    """What `perform_database_health_check` returns. `status` is that of the worst check; `at` an
    instant in ISO 8601."""

    status: str
    at: str
    checks: list[CheckReport]


def health_report(results: Sequence[CheckResult], at: dt.datetime) -> HealthReport:
    """The results as plain data that JSON can carry."""
    return {
        "status": worst(each.status for each in results).value,
        "at": at.isoformat(),
        "checks": [
            {
                "name": each.name,
                "status": each.status.value,
                "sentence": each.sentence,
                "seconds": round(each.seconds, 4),
                "host": each.host,
            }
            for each in results
        ],
    }


def health_table(results: Sequence[CheckResult], at: dt.datetime) -> Table:
    """The results as a person reads them."""
    status = worst(each.status for each in results)
    title = f"[{COLOURS[status]}]{status}[/] at {at:%Y-%m-%d %H:%M:%S} UTC"
    table = Table("check", "status", "what", title=title, title_justify="left", box=None)
    table.add_column("ms", justify="right")
    for each in results:
        milliseconds = f"{each.seconds * 1000:,.0f}"
        shown = f"[{COLOURS[each.status]}]{each.status}[/]"
        table.add_row(each.name, shown, escape(printable(each.sentence)), milliseconds)
    return table


def operations_table(metrics: DatabaseMetrics) -> Table:
    """The operations that took the most time, of all processes that report."""
    title = f"the last {metrics['window']['seconds'] / 60:g} minutes, {metrics['window']['scope']}"
    table = Table("operation", title=title, title_justify="left", box=None)
    for heading in ("calls", "errors", "p50 ms", "p95 ms", "worst ms", "throttles"):
        table.add_column(heading, justify="right")
    if not metrics["stores"]:
        table.add_row("nothing was measured, or nobody has reported yet")
    for name, each in top_operations(metrics):
        table.add_row(
            escape(printable(name)),
            f"{each['count']:,}",
            f"{each['errors']:,}",
            *(f"{value:,.1f}" for value in (each["p50_ms"], each["p95_ms"], each["worst_ms"])),
            f"{each['throttles']:,}",
        )
    return table


def top_operations(metrics: DatabaseMetrics) -> list[tuple[str, OperationMetrics]]:
    """The operations that took the most time in all, with the name of system and table."""
    found = [
        (f"{system} {table} {operation}", each)
        for system, tables in metrics["stores"].items()
        for table, operations in tables.items()
        for operation, each in operations.items()
    ]
    found.sort(key=lambda pair: pair[1]["count"] * pair[1]["mean_ms"], reverse=True)
    return found[:TOP]
