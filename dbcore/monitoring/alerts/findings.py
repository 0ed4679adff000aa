"""Which rules are broken: pure functions of readings and rules."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dbcore.monitoring.alerts.rules import Metric, Rule
from dbcore.monitoring.health.results import CheckResult, Status
from dbcore.monitoring.readings import LastRun, Measured, Readings

Key = tuple[str, str]  # a rule's name and its subject, "" where there is but one


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric. `severity`: as bad as a health check itself calls it."""

    subject: str
    value: float
    sentence: str
    severity: Status | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says of one subject now.

    `causes` are what would explain it: while one of these is broken, and no less severe, it is no
    news; for `echo_seconds` after that it may still be seen.
    """

    rule: Rule
    subject: str
    broken: bool
    severity: Status
    sentence: str
    at: dt.datetime
    causes: frozenset[Key] = frozenset()
    echo_seconds: float = 0.0

    @property
    def key(self) -> Key:
        return self.rule.name, self.subject


def evaluate(rules: Iterable[Rule], readings: Readings) -> list[Finding]:
    """What each rule says. What could not be read is not among them."""
    found = [finding for rule in rules for finding in _findings(rule, readings)]
    keys: dict[_What, set[Key]] = {}
    for each in found:
        keys.setdefault(_what(each), set()).add(each.key)
    return [
        dataclasses.replace(
            each,
            causes=frozenset(
                key for cause in EXPLAINED_BY.get(_what(each), ()) for key in keys.get(cause, ())
            ),
        )
        for each in found
    ]


def _findings(rule: Rule, readings: Readings) -> Iterator[Finding]:
    for sample in SAMPLES[rule.metric](readings):
        severity = rule.severity or sample.severity or Status.WARNING
        broken = rule.comparison.holds(sample.value, rule.threshold)
        yield Finding(rule, sample.subject, broken, severity, sample.sentence, readings.at,
                      echo_seconds=_echo(rule.metric, readings))  # fmt: skip


# --- What a rule is about -------------------------------------------------------------------------
def _measured(value: Measured | None) -> Iterator[Sample]:
    if value is not None:
        yield Sample("", value.value, value.sentence)


def _ended_as(status: str, run: LastRun | None) -> Iterator[Sample]:
    if run is not None:
        yield Sample("", float(run.status == status), run.sentence)


def _checks(results: Iterable[CheckResult]) -> Iterator[Sample]:
    for each in results:
        if each.is_known:
            subject = f"{each.name} on {each.host}" if each.host else each.name
            yield Sample(subject, each.status.rank, each.sentence, each.status)


SAMPLES: Mapping[Metric, Callable[[Readings], Iterable[Sample]]] = {
    Metric.LATENCY_P95_MS: lambda readings: _measured(readings.latency_p95_ms),
    Metric.ERROR_RATE: lambda readings: _measured(readings.error_rate),
    Metric.POOL_USE: lambda readings: _measured(readings.pool_use),
    Metric.THROTTLES: lambda readings: _measured(readings.throttles),
    Metric.CHECK: lambda readings: _checks(readings.checks),
    Metric.SWEEP_FAILED: lambda readings: _ended_as("failed", readings.last_sweep),
    Metric.ARCHIVE_UNPROVEN: lambda readings: _ended_as("unproven", readings.last_sweep),
    Metric.SWEEP_AGE_HOURS: lambda readings: _measured(readings.sweep_age_hours),
    Metric.BACKLOG_DAYS: lambda readings: _measured(readings.backlog_days),
    Metric.MIGRATION_FAILED: lambda readings: _ended_as("failed", readings.last_migration),
    Metric.CHANNEL_FAILING: lambda readings: (
        Sample(name, float(bool(why)), why or "it delivers again")
        for name, why in readings.failing_channels.items()
    ),
}

# --- What explains what: one outage is one alert --------------------------------------------------
_What = tuple[Metric, str]
_STORE: _What = (Metric.CHECK, "primary_store")
_CALLS = (Metric.LATENCY_P95_MS, Metric.ERROR_RATE, Metric.POOL_USE, Metric.THROTTLES)
EXPLAINED_BY: Mapping[_What, Sequence[_What]] = {
    **{(metric, ""): (_STORE,) for metric in _CALLS},
    **{
        (Metric.CHECK, name): (_STORE,)
        for name in ("replicas", "tables", "indexes", "expiry_and_backups")
    },
    (Metric.CHECK, "pool"): (_STORE, (Metric.POOL_USE, "")),
    (Metric.CHECK, "last_sweep"): (
        _STORE,
        (Metric.CHECK, "tables"),
        (Metric.SWEEP_FAILED, ""),
        (Metric.ARCHIVE_UNPROVEN, ""),
        (Metric.SWEEP_AGE_HOURS, ""),
        (Metric.BACKLOG_DAYS, ""),
    ),
    (Metric.CHECK, "last_migration"): (
        _STORE,
        (Metric.CHECK, "tables"),
        (Metric.MIGRATION_FAILED, ""),
    ),
}


def _echo(metric: Metric, readings: Readings) -> float:
    """For how long an outage that is over is still in what was measured."""
    return readings.window_seconds if metric in _CALLS else 0.0


def _what(finding: Finding) -> _What:
    return finding.rule.metric, finding.subject.partition(" on ")[0]
