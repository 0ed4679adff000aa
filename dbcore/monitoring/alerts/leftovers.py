"""Alerts of which nothing speaks any more: what they were about is gone, and without a word of it
they would stay open for good. What merely cannot be read now must not end here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from dbcore.monitoring.alerts.findings import Key
from dbcore.monitoring.alerts.incidents import Judge, Phase, State
from dbcore.monitoring.alerts.rules import Metric, Rule
from dbcore.monitoring.health.results import HOST_BOUND

HOST_GONE = dt.timedelta(hours=24)  # without a word of a host, its alerts end


@dataclass(frozen=True, slots=True)
class InUse:
    """What there can be alerts about here. `spoken`: what this look says something of."""

    rules: Collection[Rule]
    channels: Collection[str]
    spoken: Collection[Key]


def leftover(state: State, in_use: InUse, judge: Judge, now: dt.datetime) -> str:
    """Why an alert is to be ended, "" where it is not. Not while another monitor, which may have
    other settings, has seen it broken lately."""
    if state.phase is Phase.OK or state.key in in_use.spoken or judge.is_anothers(state, now):
        return ""
    return _why(state, in_use, judge, now)


def _why(state: State, in_use: InUse, judge: Judge, now: dt.datetime) -> str:
    rule = next((rule for rule in in_use.rules if rule.name == state.rule), None)
    if rule is None:
        return "There is no such rule any more."
    if rule.metric is Metric.CHANNEL_FAILING and state.subject not in in_use.channels:
        return "This channel is not in use any more."
    if rule.metric is not Metric.CHECK:
        return ""
    if state.subject in HOST_BOUND:
        return "This check is told for each host by itself now."
    host = state.subject.partition(" on ")[2]
    if host in ("", judge.name) or now - (state.bad_at or state.since) < HOST_GONE:
        return ""
    return (
        f"No monitor has spoken for {host} for {HOST_GONE.total_seconds() / 3600:g} hours: whether "
        "it is well is not known. If the host is still in use, run a monitor there."
    )
