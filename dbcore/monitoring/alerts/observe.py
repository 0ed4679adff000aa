"""Takes the readings: what was measured, what the checks say, what the books hold.

What cannot be read is left unknown, and nothing may take longer than its deadline.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping, Sequence
from logging import ERROR, INFO
from typing import Any

from django.conf import settings

from dbcore.logs import Event
from dbcore.models import MigrationRun, Sweep, SweepMark
from dbcore.monitoring import health, history
from dbcore.monitoring.deadlines import in_time
from dbcore.monitoring.health.changes import CHANGES
from dbcore.monitoring.health.results import CheckResult
from dbcore.monitoring.health.verdicts import scrubbed
from dbcore.monitoring.readings import LastRun, Measured, Snapshot
from dbcore.monitoring.switch import unmeasured
from dbcore.monitoring.totals import Totals
from dbcore.retention.keepers.choice import primary_keeper

LOGGER = "dbcore.monitoring.alerts"
CHECKS_FAILED = Event(
    LOGGER, (ERROR,), "health checks failed", ("error",), "the monitor has no answer of any check"
)
NOT_READ = Event(
    LOGGER, (INFO,), "readings could not be read", ("part", "error"),
    "`part` (history, sweeps or migrations) is unknown to the monitor's rules for now",
)  # fmt: skip

MINUTES = 5  # of history that the metrics are about
FEWEST_CALLS = 20  # fewer say little: one error of two is half of them
CHECKS_DEADLINE = 30.0  # seconds for all checks; each has its own, which is shorter
READ_DEADLINE = 10.0  # seconds for what is read beside them
# Readings of what processes wrote down in the primary store.
MEASURED = frozenset({"latency_p95_ms", "error_rate", "throttles", "pool_use"})

Operations = Mapping[tuple[str, str], Totals]  # by table and operation


class Observer:
    """Takes readings. What was measured is read again when it can have changed: processes write
    theirs every DB_METRICS_INTERVAL seconds, and to read it costs a query for each operation."""

    def __init__(self) -> None:
        self._history: dict[str, Any] = {}
        self._history_at: dt.datetime | None = None

    def look(self, now: dt.datetime) -> Snapshot:
        """One look at everything. Never raises for what cannot be read."""
        checks = in_time({"checks": functools.partial(_checks, now)}, CHECKS_DEADLINE)["checks"]
        if isinstance(checks, BaseException):
            CHECKS_FAILED.log(error=checks)
            checks = []
        # A process's measurements of a window are written when the window is over.
        window = MINUTES * 60.0 + 2 * settings.DB_METRICS_INTERVAL
        read = self._read(now)
        if _is_store_ill(checks):
            # Processes cannot write down what they measure: that there is nothing says nothing.
            read = {name: value for name, value in read.items() if name not in MEASURED}
        return Snapshot(at=now, window_seconds=window, checks=tuple(checks), **read)

    def _read(self, now: dt.datetime) -> dict[str, Any]:
        readers: dict[str, Callable[[], dict[str, Any]]] = {
            "sweeps": functools.partial(_quietly, _sweeps, now),
            "migrations": functools.partial(_quietly, _migrations, now),
        }
        if not self._is_fresh(now):
            self._history, self._history_at = {}, None
            readers["history"] = functools.partial(_quietly, _history, now)
        found: dict[str, Any] = {}
        for name, values in in_time(readers, READ_DEADLINE).items():
            if isinstance(values, BaseException):
                NOT_READ.log(part=name, error=values)
            elif name == "history":
                self._history, self._history_at = values, now
            else:
                found |= values
        return found | self._history

    def _is_fresh(self, now: dt.datetime) -> bool:
        if self._history_at is None:
            return False
        age = (now - self._history_at).total_seconds()
        return bool(0 <= age < settings.DB_METRICS_INTERVAL)  # the clock may have been set back


def _is_store_ill(checks: Sequence[CheckResult]) -> bool:
    return any(
        each.name == "primary_store" and each.status is health.Status.CRITICAL for each in checks
    )


def _checks(now: dt.datetime) -> list[CheckResult]:
    with unmeasured():
        return CHANGES.noted(health.run_checks(now=now))


def _quietly(read: Callable[[dt.datetime], dict[str, Any]], now: dt.datetime) -> dict[str, Any]:
    with unmeasured():
        return read(now)


# --- What was measured ----------------------------------------------------------------------------
def _history(now: dt.datetime) -> dict[str, Any]:
    operations = history.recent(MINUTES, now)
    return {
        "latency_p95_ms": latency(operations),
        "error_rate": error_rate(operations),
        "throttles": throttles(operations),
        "pool_use": pool_use(history.recent_pools(MINUTES, now)),
    }


def latency(operations: Operations) -> Measured:
    """The p95 of the slowest operation that was called often enough."""
    judged = {each: o for each, o in operations.items() if o.count >= FEWEST_CALLS}
    if not judged:
        return Measured(0.0, f"too few calls in the last {MINUTES} minutes to judge latency by")
    (table, name), slowest = max(judged.items(), key=lambda pair: pair[1].p95)
    milliseconds = slowest.p95 * 1000
    return Measured(
        milliseconds,
        f"95 % of {slowest.count:,} calls of {name} on {table} took up to {milliseconds:,.0f} ms "
        f"in the last {MINUTES} minutes; the limit is {settings.DB_LATENCY_THRESHOLD:g} ms",
    )


def error_rate(operations: Operations) -> Measured:
    """The share of all calls that failed."""
    count = sum(each.count for each in operations.values())
    errors = sum(each.errors for each in operations.values())
    if count < FEWEST_CALLS:
        return Measured(0.0, f"too few calls in the last {MINUTES} minutes to judge errors by")
    (table, name), _ = max(operations.items(), key=lambda pair: pair[1].errors)
    most = f", most of them {name} on {table}" if errors else ""
    return Measured(
        errors / count,
        f"{errors:,} of {count:,} calls failed in the last {MINUTES} minutes{most}; the limit is "
        f"{settings.DB_ERROR_THRESHOLD:.1%}",
    )


def throttles(operations: Operations) -> Measured:
    """How often DynamoDB refused a call for its rate."""
    total = sum(each.throttles for each in operations.values())
    if not total:
        return Measured(0.0, f"nothing was throttled in the last {MINUTES} minutes")
    (table, name), _ = max(operations.items(), key=lambda pair: pair[1].throttles)
    return Measured(
        total,
        f"DynamoDB throttled {total:,} tries in the last {MINUTES} minutes, most of them {name} on "
        f"{table}",
    )


def pool_use(pools: Sequence[history.SourcePool]) -> Measured:
    """The most that any process used of any pool."""
    if not pools:
        return Measured(0.0, f"no process reported its pools in the last {MINUTES} minutes")
    fullest = max(pools, key=lambda each: each.peak.share)
    peak = fullest.peak
    return Measured(
        peak.share,
        f"{fullest.source} used {peak.used} of {peak.limit} connections of the pool {peak.name}, "
        f"and {peak.pending} calls waited; the limit is {settings.DB_CONN_THRESHOLD:.0%}",
    )


# --- What the books hold --------------------------------------------------------------------------
def _migrations(now: dt.datetime) -> dict[str, Any]:
    run = MigrationRun.of_migrations().exclude(finished_at=None).order_by("-finished_at").first()
    if run is None:
        return {"last_migration": LastRun("", "there was no migration")}
    words = f"the migration that ended {_utc(run.finished_at)} is {run.status}"
    return {"last_migration": LastRun(run.status, _with_error(words, run.error))}


def _sweeps(now: dt.datetime) -> dict[str, Any]:
    found: dict[str, Any] = {"last_sweep": _last_sweep()}
    if not settings.RETENTION_ENABLED:
        off = Measured(0.0, "not in use: RETENTION_ENABLED is false")
        return found | {"sweep_age_hours": off, "backlog_days": off}
    return found | {"sweep_age_hours": _age(now), "backlog_days": _backlog(now)}


def _last_sweep() -> LastRun:
    sweep = Sweep.objects.filter(finished_at__isnull=False).order_by("-finished_at").first()
    if sweep is None:
        return LastRun("", "there was no sweep")
    words = f"the sweep that ended {_utc(sweep.finished_at)} is {sweep.status}"
    return LastRun(sweep.status, _with_error(words, sweep.error))


def _age(now: dt.datetime) -> Measured | None:
    """Since the last sweep that did its work; of a store that was never swept nothing is known."""
    done = Sweep.objects.filter(status=Sweep.Status.COMPLETED).order_by("-finished_at").first()
    if done is None or done.finished_at is None:
        return None
    hours = (now - done.finished_at).total_seconds() / 3600
    return Measured(hours, f"the last sweep that did its work ended {hours:,.1f} hours ago")


def _backlog(now: dt.datetime) -> Measured | None:
    """By the table that lags most. What is held, in grace or kept is due and stays: no backlog."""
    marks = SweepMark.objects.filter(
        target=primary_keeper().target, swept_through__isnull=False
    ).values_list("table", "swept_through")
    if not marks:
        return None
    excused = _only_stays()
    lags = {
        table: max(0, (now.date() - through).days - 1)
        for table, through in marks
        if through is not None and table not in excused
    }
    if not lags:
        return Measured(0.0, "what is due and still there must stay")
    table = max(lags, key=lambda name: lags[name])
    days = lags[table]
    return Measured(days, f"{table} has records that have been due for up to {days} days")


def _only_stays() -> set[str]:
    """Tables of which the last sweep left nothing behind but what must stay."""
    last = Sweep.objects.filter(status=Sweep.Status.COMPLETED).order_by("-finished_at").first()
    lines = last.report.get("tables", []) if last else []
    return {
        line["table"]
        for line in lines
        if not (line["error"] or line["left"] or line["undone"] or line["changed"])
        and (line["held"] or line["in_grace"] or line["kept"])
    }


def _with_error(words: str, error: str) -> str:
    """In the books an error may name a record or quote it; what is sent to people may not."""
    return f"{words}: {scrubbed(error)}" if error else words


def _utc(moment: dt.datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "?"
