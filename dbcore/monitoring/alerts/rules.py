"""What is worth an alert: the rules, the defaults among them, and what DB_ALERT_RULES changes."""

from __future__ import annotations

import dataclasses
import enum
import json
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from dbcore.errors import ConfigurationError
from dbcore.monitoring.health.results import Status

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Metric(enum.StrEnum):
    """What a rule can be about."""

    LATENCY_P95_MS = "latency_p95_ms"  # of the slowest operation on a table
    ERROR_RATE = "error_rate"  # share of calls, 0 to 1
    POOL_USE = "pool_use"  # share of connections, 0 to 1
    THROTTLES = "throttles"  # calls refused for their rate, in the window
    CHECK = "check"  # each health check: 0 healthy, 1 warning, 2 critical
    SWEEP_FAILED = "sweep_failed"  # 1 where the last sweep failed
    ARCHIVE_UNPROVEN = "archive_unproven"  # 1 where the last sweep could not prove an archive
    SWEEP_AGE_HOURS = "sweep_age_hours"  # since the last sweep that did its work
    BACKLOG_DAYS = "backlog_days"  # for how long the oldest record has been due
    MIGRATION_FAILED = "migration_failed"  # 1 where the last migration failed
    CHANNEL_FAILING = "channel_failing"  # each channel of alerts: 1 where it does not deliver


class Comparison(enum.StrEnum):
    """How a reading is compared with a rule's threshold."""

    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="

    def holds(self, value: float, threshold: float) -> bool:
        """Whether a value breaks the rule."""
        return bool(_OPERATORS[self](value, threshold))


_OPERATORS = {
    Comparison.ABOVE: operator.gt,
    Comparison.AT_LEAST: operator.ge,
    Comparison.BELOW: operator.lt,
    Comparison.AT_MOST: operator.le,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """When an alert starts.

    It is broken while `metric comparison threshold` holds, and starts after `for_seconds` of that;
    what a health check calls critical does not wait. `severity` None is the check's own. After an
    incident has ended the next one of the same rule and subject starts `cooldown_seconds` later at
    the earliest. `runbook` names a page of docs/runbooks; "": the page of the check.
    """

    name: str
    metric: Metric
    comparison: Comparison
    threshold: float
    for_seconds: float
    severity: Status | None
    cooldown_seconds: float
    runbook: str


def default_rules() -> tuple[Rule, ...]:
    """The rules as they are without DB_ALERT_RULES."""
    warning, critical = Status.WARNING, Status.CRITICAL
    above, least = Comparison.ABOVE, Comparison.AT_LEAST
    latency, errors = settings.DB_LATENCY_THRESHOLD, settings.DB_ERROR_THRESHOLD
    pool = settings.DB_CONN_THRESHOLD
    rows: tuple[tuple[str, Metric, Comparison, float, float, Status | None, float], ...] = (
        # name, metric, comparison, threshold, for seconds, severity, cooldown in seconds
        ("high_latency", Metric.LATENCY_P95_MS, above, latency, 120, warning, 600),
        ("high_error_rate", Metric.ERROR_RATE, above, errors, 0, critical, 300),
        ("pool_nearly_full", Metric.POOL_USE, above, pool, 120, warning, 600),
        ("throttling", Metric.THROTTLES, above, 0, 0, warning, 3600),
        ("unhealthy_check", Metric.CHECK, least, 1, 120, None, 120),
        ("sweep_failed", Metric.SWEEP_FAILED, least, 1, 0, warning, 0),
        ("archive_unproven", Metric.ARCHIVE_UNPROVEN, least, 1, 0, critical, 0),
        ("sweep_overdue", Metric.SWEEP_AGE_HOURS, above, 36, 0, warning, 0),
        ("retention_backlog", Metric.BACKLOG_DAYS, above, 7, 0, warning, 0),
        ("migration_failed", Metric.MIGRATION_FAILED, least, 1, 0, warning, 0),
        ("channel_failing", Metric.CHANNEL_FAILING, least, 1, 0, warning, 600),
    )
    return tuple(Rule(*row, runbook="" if row[1] is Metric.CHECK else row[0]) for row in rows)


def configured_rules() -> tuple[Rule, ...]:
    """The rules in force: the defaults as DB_ALERT_RULES changes them, and those that it adds.

    Raises ConfigurationError, which names the rule and the field.
    """
    rules = {rule.name: rule for rule in default_rules()}
    for name, change in _changes().items():
        if change is None:
            _of(rules, name, "null would switch off")
            del rules[name]
        else:
            rules[name] = _changed(rules, name, change)
    return tuple(rules.values())


def _changes() -> Mapping[str, Any]:
    given = settings.DB_ALERT_RULES
    if isinstance(given, str):
        try:
            given = json.loads(given) if given.strip() else {}
        except ValueError as error:
            raise ConfigurationError(f"DB_ALERT_RULES is not JSON: {error}") from error
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            'DB_ALERT_RULES must be an object of rules by name: {"high_latency": {"threshold": '
            '800}, "throttling": null}'
        )
    return given


def _of(rules: Mapping[str, Rule], name: str, what: str) -> Rule:
    if name not in rules:
        raise ConfigurationError(
            f"DB_ALERT_RULES: {what} {name!r}, which is no rule; there are: {', '.join(rules)}"
        )
    return rules[name]


def _changed(rules: Mapping[str, Rule], name: str, change: Any) -> Rule:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"DB_ALERT_RULES: {name!r} is no name; a rule's is 1 to 64 of a-z 0-9 _"
        )
    known = [field.name for field in dataclasses.fields(Rule) if field.name != "name"]
    if not isinstance(change, Mapping) or not set(change) <= set(known):
        raise ConfigurationError(
            f"DB_ALERT_RULES: rule {name!r} must be null or an object with some of: "
            f"{', '.join(known)}"
        )
    fields = {field: _field(name, field, value) for field, value in change.items()}
    if name in rules:
        return dataclasses.replace(rules[name], **fields)
    return _new(rules, name, fields)


def _new(rules: Mapping[str, Rule], name: str, fields: Mapping[str, Any]) -> Rule:
    needed = {"metric", "comparison", "threshold"} - set(fields)
    if needed:
        raise ConfigurationError(
            f"DB_ALERT_RULES: rule {name!r} is new and must also say: {', '.join(sorted(needed))}"
        )
    like = next((rule for rule in default_rules() if rule.metric is fields["metric"]), None)
    base: dict[str, Any] = {
        "for_seconds": 120.0,
        "severity": None if fields["metric"] is Metric.CHECK else Status.WARNING,
        "cooldown_seconds": 600.0,
        "runbook": like.runbook if like else "",
    }
    return Rule(name=name, **{**base, **fields})


def _field(rule: str, field: str, value: Any) -> Any:
    """A field's value as its type."""
    where = f"DB_ALERT_RULES: {field} of rule {rule!r}"
    if field in _CHOICES:
        kind = _CHOICES[field]
        allowed = [each.value for each in kind if each is not Status.HEALTHY]
        if value not in allowed:
            raise ConfigurationError(f"{where} is {value!r}; it must be one of {allowed}")
        return kind(value)
    if field == "runbook":
        if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_./-]{0,200}", value):
            raise ConfigurationError(f"{where} is {value!r}; it must be the name of a page")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ConfigurationError(f"{where} is {value!r}; it must be a number from 0 up")
    return float(value)


_CHOICES: dict[str, type[Metric] | type[Comparison] | type[Status]] = {
    "metric": Metric,
    "comparison": Comparison,
    "severity": Status,
}
