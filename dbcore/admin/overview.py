"""One page that says how the database layer is: health, alerts, what the calls took, and why.

It reads what `db_health`, the monitors and all processes have; it changes nothing.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from dbcore.admin.charts import POINTS, line_chart
from dbcore.admin.unreadable import read_page
from dbcore.errors import SEE_CONNECT
from dbcore.models import AlertState
from dbcore.monitoring.deadlines import in_time
from dbcore.monitoring.health import run_checks, worst
from dbcore.monitoring.history import windows
from dbcore.monitoring.metrics import Key, current
from dbcore.monitoring.totals import Totals
from dbcore.stores.errors import StoreError, UnreadableRecord

HOURS = (1, 6, 24)  # what may be looked at
SHOWN = 15  # operations and shapes of queries
DEADLINE = 10.0  # seconds to read what was measured

Windows = list[tuple[Key, dt.datetime, Totals]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on one table, as a row of the page. Times in milliseconds."""

    name: str
    count: int
    errors: int
    throttles: int
    capacity: float
    p50: float
    p95: float
    worst: float
    share: float  # of the time of all calls, in per cent


def overview(request: HttpRequest) -> TemplateResponse:
    """The page; for colleagues who may see alerts."""
    if not request.user.has_perm("dbcore.view_alertstate"):
        raise PermissionDenied
    now = timezone.now()
    hours = next((each for each in HOURS if request.GET.get("hours") == str(each)), HOURS[0])
    read = functools.partial(windows, hours * 60, now)
    answer: Any = in_time({"windows": read}, DEADLINE)["windows"]
    unread = _why(answer) if isinstance(answer, BaseException) else ""
    found: Windows = [] if unread else answer
    results = run_checks(now=now)
    firing = AlertState.objects.filter(phase=AlertState.Phase.FIRING).order_by("since")
    alerts, unreadable_alerts = read_page(firing, firing)
    current().drain()
    return TemplateResponse(
        request,
        "dbcore/overview.html",
        {
            **admin.site.each_context(request),
            "title": "How the database is",
            "hours": hours,
            "choices": HOURS,
            "at": now,
            "status": worst(each.status for each in results),
            "checks": [(each, round(each.seconds * 1000)) for each in results],
            "alerts": alerts,
            "unreadable_alerts": unreadable_alerts,
            "unread": unread,
            "charts": charts(found, hours, now),
            "operations": operations(found),
            "shapes": current().shapes.top()[:SHOWN],
            "failed": current().shapes.top(failed=True)[:SHOWN],
        },
    )


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"it took longer than {DEADLINE:g} s: look at fewer hours"
    if isinstance(error, UnreadableRecord):
        return str(error)
    if isinstance(error, StoreError):
        return f"the primary store does not answer: {SEE_CONNECT}"
    return type(error).__name__


def operations(found: Windows) -> list[Operation]:
    """Those that took the most time, first."""
    totals = _sums((key, each) for key, _, each in found)
    all_seconds = math.fsum(each.seconds for each in totals.values()) or 1.0
    rows = [
        Operation(
            name=f"{operation} {table} ({system})",
            count=each.count,
            errors=each.errors,
            throttles=each.throttles,
            capacity=round(each.capacity, 1),
            p50=each.p50 * 1000,
            p95=each.p95 * 1000,
            worst=each.worst * 1000,
            share=100 * each.seconds / all_seconds,
        )
        for (system, table, operation), each in totals.items()
    ]
    return sorted(rows, key=lambda row: -row.share)[:SHOWN]


def charts(found: Windows, hours: int, now: dt.datetime) -> list[SafeString]:
    """Calls, latency, errors and throttles over time; a point is an average of some windows."""
    step = max(hours * 3600 / POINTS, float(settings.DB_METRICS_INTERVAL))
    begin = now - dt.timedelta(hours=hours)
    points = math.ceil(hours * 3600 / step)

    def place(moment: dt.datetime) -> int:
        return min(max(int((moment - begin).total_seconds() // step), 0), points - 1)

    totals = _sums(((key[0], place(moment)), each) for key, moment, each in found)
    moments = [begin + dt.timedelta(seconds=step * at) for at in range(points)]
    systems = sorted({system for system, _ in totals})

    def line(system: str, value: Any, missing: float | None) -> list[float | None]:
        at = (totals.get((system, place)) for place in range(points))
        return [missing if each is None else value(each) for each in at]

    both: Mapping[str, Any] = {
        "errors": lambda each: each.errors,
        "throttles": lambda each: each.throttles,
    }
    return [
        line_chart("Calls a second", moments,
                   {s: line(s, lambda each: each.count / step, 0.0) for s in systems}),
        line_chart("95 % of calls took up to … ms", moments,
                   {s: line(s, lambda each: each.p95 * 1000, None) for s in systems}),
        line_chart("Errors and throttles", moments, {
            f"{what}, {s}": line(s, value, 0.0) for what, value in both.items() for s in systems
        }),
    ]  # fmt: skip


def _sums(parts: Iterable[tuple[Any, Totals]]) -> dict[Any, Totals]:
    """Added up by key."""
    found: dict[Any, list[Totals]] = {}
    for key, each in parts:
        found.setdefault(key, []).append(each)
    return {key: sum(each, Totals()) for key, each in found.items()}
