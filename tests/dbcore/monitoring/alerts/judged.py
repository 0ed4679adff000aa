"""Short ways to say what was read and judged."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection
from typing import Any

from dbcore.monitoring.alerts.books import Books
from dbcore.monitoring.alerts.findings import Finding, evaluate
from dbcore.monitoring.alerts.incidents import Event, Judge, State, excused
from dbcore.monitoring.alerts.judging import Round
from dbcore.monitoring.alerts.rules import Rule, default_rules
from dbcore.monitoring.health.results import CheckResult, Status
from dbcore.monitoring.readings import Measured, Snapshot

START = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)
OK, WARNING, CRITICAL = Status.HEALTHY, Status.WARNING, Status.CRITICAL


def after(seconds: float) -> dt.datetime:
    return START + dt.timedelta(seconds=seconds)


def check(name: str, status: Status, host: str = "") -> CheckResult:
    return CheckResult(name, status, f"{name} is {status}", 0.01, START, host)


def snapshot(seconds: float = 0.0, **given: Any) -> Snapshot:
    """Readings; numbers stand for what was measured, statuses for the checks of these names."""
    checks = [check(name, given.pop(name)) for name in list(given) if name not in _FIELDS]
    for name, value in given.items():
        if isinstance(value, (int, float)):
            given[name] = Measured(float(value), f"{name} is {value}")
    return Snapshot(**{"at": after(seconds), "checks": tuple(checks), **given})


_FIELDS = {field.name for field in dataclasses.fields(Snapshot)}


def rule_named(name: str) -> Rule:
    return next(rule for rule in default_rules() if rule.name == name)


def broken(readings: Snapshot) -> dict[tuple[str, str], Status]:
    """What the default rules find broken, and how badly."""
    return {each.key: each.severity for each in evaluate(default_rules(), readings) if each.broken}


class Story:
    """What one judge makes of readings, one after the other."""

    def __init__(self, settle: float = 15, patience: float = 60, name: str = "a") -> None:
        self.judge = Judge(name, settle_seconds=settle, patience_seconds=patience)
        self.states: dict[tuple[str, str], State] = {}

    def see(self, readings: Snapshot) -> list[tuple[Event, str, Status]]:
        """The events that the readings make: what, of which rule or check, how bad."""
        findings = evaluate(default_rules(), readings)
        by_key = {each.key: each for each in findings}
        before = dict(self.states)
        told = []
        for finding in findings:
            event = self._judge(finding, excused(finding, by_key, before))
            if event is not None:
                state = self.states[finding.key]
                told.append((event, finding.subject or finding.rule.name, state.severity))
        return told

    def _judge(self, finding: Finding, is_excused: bool) -> Event | None:
        state = self.states.get(finding.key) or State(*finding.key, since=finding.at)
        self.states[finding.key], event = self.judge.step(state, finding, is_excused)
        return event


class Table:
    """Judges at one table: they look one after the other, each at what the test says."""

    def __init__(self, books: Books) -> None:
        self.books = books

    def look(
        self,
        seconds: float,
        *checks: CheckResult,
        by: str = "web-2",
        failing: dict[str, str] | None = None,
        channels: Collection[str] = ("email", "slack"),
        rules: Collection[Rule] = default_rules(),
    ) -> list[tuple[Event, str, str]]:
        """What is told: the event, of what, the sentence."""
        readings = dataclasses.replace(
            snapshot(seconds), checks=checks, failing_channels=failing or {}
        )
        judge = Judge(by, settle_seconds=15, patience_seconds=60)
        findings = evaluate(rules, readings)
        told = Round(judge, tuple(rules), findings, channels, after(seconds)).run(self.books)
        return [(each.event, each.subject or each.rule, each.sentence) for each in told]
