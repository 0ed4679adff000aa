"""A tick of the monitor, for people and for programs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from dbcore.monitoring.alerts.incidents import State
from dbcore.monitoring.alerts.monitor import Tick
from dbcore.monitoring.health.results import Status


def as_text(tick: Tick, *, whole: bool) -> Iterator[str]:
    """Lines: what happened and, where `whole`, how everything stands."""
    at = f"{tick.at:%Y-%m-%d %H:%M:%S}"
    if whole:
        yield f"{at} {tick.status}: {_count(len(tick.checks), 'check')}, {_open(tick)}"
        for check in tick.checks:
            if check.status is not Status.HEALTHY:
                yield f"{at}   {check.status} {check.name}: {check.sentence}"
        for state in tick.open:
            name = f"{state.rule} {state.subject}".strip()
            yield f"{at}   {state.phase} {name} since {state.since:%H:%M:%S}: {state.sentence}"
    for message in tick.told:
        yield f"{at} {message.headline}. {message.sentence}"
    for sent in tick.sent:
        done = "sent" if sent.delivered else "NOT sent"
        yield f"{at} {sent.headline}: {done} by {sent.channel}: {sent.answer}"


def as_json(tick: Tick) -> dict[str, Any]:
    """All of it. Times are ISO 8601."""
    return {
        "at": tick.at.isoformat(),
        "status": tick.status,
        "on_memory": tick.on_memory,
        "checks": [
            {
                "name": check.name,
                "status": check.status,
                "sentence": check.sentence,
                "seconds": round(check.seconds, 3),
                "host": check.host,
            }
            for check in tick.checks
        ],
        "alerts": [_state(state) for state in tick.open],
        "told": [
            {"event": each.event, "headline": each.headline, "incident": each.incident}
            for each in tick.told
        ],
        "sent": [
            {
                "channel": each.channel,
                "headline": each.headline,
                "delivered": each.delivered,
                "answer": each.answer,
            }
            for each in tick.sent
        ],
    }


def _state(state: State) -> dict[str, Any]:
    return {
        "rule": state.rule,
        "subject": state.subject,
        "phase": state.phase,
        "severity": state.severity,
        "since": _iso(state.since),
        "fired_at": _iso(state.fired_at),
        "sentence": state.sentence,
        "incident": state.incident,
    }


def _iso(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _open(tick: Tick) -> str:
    words = _count(len(tick.open), "open alert")
    return f"{words}, Django's database is away" if tick.on_memory else words


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
