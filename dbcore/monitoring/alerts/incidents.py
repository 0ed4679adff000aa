"""How an alert begins and ends: a pure state machine for each rule and subject.

ok → pending (for as long as its rule says) → firing → ok. One event when it starts, one when it
gets worse, one when it ends; nothing else may ever be told.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass

from dbcore.models import new_run_id
from dbcore.monitoring.alerts.findings import Finding, Key
from dbcore.monitoring.health.results import Status


class Phase(enum.StrEnum):
    """Where an alert stands."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"


class Event(enum.StrEnum):
    """What people are told of."""

    STARTED = "started"
    WORSENED = "worsened"
    ENDED = "ended"
    TEST = "test"


AHEAD = dt.timedelta(seconds=60)  # that two hosts' clocks may differ, and a look may take


@dataclass(frozen=True, slots=True)
class State:
    """Where one rule stands on one subject; dbcore.models.AlertState explains the fields."""

    rule: str
    subject: str
    since: dt.datetime
    phase: Phase = Phase.OK
    severity: Status = Status.HEALTHY
    incident: str = ""
    sentence: str = ""
    fired_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    bad_at: dt.datetime | None = None
    bad_by: str = ""
    version: int = 0

    @property
    def key(self) -> Key:
        return self.rule, self.subject


@dataclass(frozen=True, slots=True)
class Judge:
    """Who judges, and how patiently. `settle_seconds`: how much later a finding that something
    else may explain must still be there. `patience_seconds`: for how long what another monitor saw
    broken is not over because this one sees it well."""

    name: str
    settle_seconds: float
    patience_seconds: float

    def possible(self, state: State, now: dt.datetime) -> State:
        """The state without times that a clock which was ahead has left: until they come, nothing
        else would count."""
        latest = now + AHEAD + dt.timedelta(seconds=self.patience_seconds)

        def past(moment: dt.datetime | None) -> dt.datetime | None:
            return now if moment is not None and moment > latest else moment

        return dataclasses.replace(
            state,
            since=past(state.since) or now,
            fired_at=past(state.fired_at),
            ended_at=past(state.ended_at),
            bad_at=past(state.bad_at),
        )

    def step(self, state: State, finding: Finding, excused: bool) -> tuple[State, Event | None]:
        """The state after a finding, and what is to be told."""
        if finding.at < state.since:
            return state, None  # this look began before the last change
        if finding.broken:
            return self._broken(state, finding, excused)
        return self._well(state, finding)

    def _broken(self, state: State, finding: Finding, excused: bool) -> tuple[State, Event | None]:
        if excused and state.phase is not Phase.FIRING:
            if state.phase is Phase.OK:
                return state, None
            return dataclasses.replace(state, phase=Phase.OK, since=finding.at), None
        seen = dataclasses.replace(
            state, bad_at=finding.at, bad_by=self.name, sentence=finding.sentence
        )
        if state.phase is Phase.FIRING:
            if not finding.severity.is_worse_than(state.severity):
                return seen, None
            return dataclasses.replace(seen, severity=finding.severity), Event.WORSENED
        if state.phase is Phase.OK:
            seen = dataclasses.replace(
                seen, phase=Phase.PENDING, since=finding.at, incident=new_run_id()
            )
        seen = dataclasses.replace(seen, severity=finding.severity)
        if not self._is_due(seen, finding):
            return seen, None
        return (
            dataclasses.replace(seen, phase=Phase.FIRING, since=finding.at, fired_at=finding.at),
            Event.STARTED,
        )

    def _is_due(self, state: State, finding: Finding) -> bool:
        rule = finding.rule
        at_once = rule.severity is None and finding.severity is Status.CRITICAL
        wait = 0.0 if at_once else rule.for_seconds
        if finding.causes:
            wait = max(wait, self.settle_seconds)
        if _seconds(state.since, finding.at) < wait:
            return False
        ended = state.ended_at
        return ended is None or _seconds(ended, finding.at) >= rule.cooldown_seconds

    def _well(self, state: State, finding: Finding) -> tuple[State, Event | None]:
        if state.phase is Phase.OK:
            return state, None
        if self.is_anothers(state, finding.at):
            return state, None
        return ended(state, finding.at, finding.sentence)

    def is_anothers(self, state: State, at: dt.datetime) -> bool:
        """Whether another monitor has seen it broken lately."""
        return (
            state.bad_at is not None
            and state.bad_by != self.name
            and _seconds(state.bad_at, at) < self.patience_seconds
        )


def ended(state: State, at: dt.datetime, sentence: str) -> tuple[State, Event | None]:
    """The state when what was broken is well again."""
    after = dataclasses.replace(state, phase=Phase.OK, since=at, sentence=sentence)
    if state.phase is not Phase.FIRING:
        return after, None
    return dataclasses.replace(after, ended_at=at), Event.ENDED


def excused(finding: Finding, findings: Mapping[Key, Finding], states: Mapping[Key, State]) -> bool:
    """Whether something else explains a finding, so that it is no news."""
    return any(_explains(finding, findings.get(key), states.get(key)) for key in finding.causes)


def _explains(finding: Finding, cause: Finding | None, state: State | None) -> bool:
    if cause is not None and cause.broken and not finding.severity.is_worse_than(cause.severity):
        return True
    if state is None or finding.severity.is_worse_than(state.severity):
        return False
    if state.phase is Phase.FIRING:
        return True
    ended_at = state.ended_at
    return ended_at is not None and _seconds(ended_at, finding.at) < finding.echo_seconds


def is_same(before: State, after: State) -> bool:
    """Whether nothing has changed but who saw it broken last, and in which words."""
    return (
        dataclasses.replace(
            before, bad_at=after.bad_at, bad_by=after.bad_by, sentence=after.sentence
        )
        == after
    )


def _seconds(since: dt.datetime, until: dt.datetime) -> float:
    return (until - since).total_seconds()
