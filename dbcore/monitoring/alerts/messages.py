"""What people are told: the same facts on every channel, nothing personal and nothing secret."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from django.conf import settings

from dbcore.models import new_run_id
from dbcore.monitoring.alerts.incidents import Event, State
from dbcore.monitoring.alerts.plain import presentable
from dbcore.monitoring.alerts.rules import Rule
from dbcore.monitoring.health.results import Status


@dataclass(frozen=True, slots=True)
class Message:
    """One event of one incident. Times are UTC; `runbook` is a URL, or the page's path in the
    project where DB_RUNBOOK_URL is not set."""

    source: str
    rule: str
    subject: str
    event: Event
    severity: Status
    sentence: str
    incident: str
    started_at: dt.datetime
    at: dt.datetime
    runbook: str

    @property
    def what(self) -> str:
        """What is wrong, in a few words."""
        name = self.rule.replace("_", " ")
        return f"{name}: {self.subject}" if self.subject else name

    @property
    def headline(self) -> str:
        """The one line that must be enough on a telephone."""
        return f"[{self.word}] {self.source}: {self.what}"

    @property
    def word(self) -> str:
        """CRITICAL, WARNING, RESOLVED or TEST."""
        if self.event is Event.ENDED:
            return "RESOLVED"
        return "TEST" if self.event is Event.TEST else self.severity.value.upper()

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The facts, by name."""
        facts = [("Severity", self.severity.value), ("Since", _utc(self.started_at))]
        if self.event is Event.ENDED:
            facts += [("Ended", _utc(self.at)), ("Lasted", _lasted(self.at - self.started_at))]
        return [*facts, ("Runbook", self.runbook), ("Incident", self.incident)]

    @property
    def text(self) -> str:
        """All of it, as plain text."""
        facts = "\n".join(f"{name}: {value}" for name, value in self.lines)
        return f"{self.headline}\n\n{self.sentence}\n\n{facts}\n"

    @property
    def dedup_key(self) -> str:
        """The same for every message about this rule and subject, from every monitor."""
        return f"{self.source}/{self.rule}/{self.subject}"[:255]

    @property
    def has_link(self) -> bool:
        """Whether the runbook is a URL."""
        return "://" in self.runbook

    def as_json(self) -> dict[str, Any]:
        """The message as the outbox keeps it."""
        return {
            name: value.isoformat() if isinstance(value, dt.datetime) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Self:
        """A message from the outbox."""
        return cls(
            **{
                **given,
                "event": Event(given["event"]),
                "severity": Status(given["severity"]),
                "started_at": dt.datetime.fromisoformat(given["started_at"]),
                "at": dt.datetime.fromisoformat(given["at"]),
            }
        )


def about(state: State, event: Event, rule: Rule | None) -> Message:
    """The message for an event of an incident."""
    started = state.fired_at or state.since
    return Message(
        source=source(),
        rule=state.rule,
        subject=presentable(state.subject, 200),
        event=event,
        severity=state.severity,
        sentence=presentable(state.sentence),
        incident=state.incident,
        started_at=started,
        at=(state.ended_at or state.since) if event is Event.ENDED else state.bad_at or started,
        runbook=runbook_link(_page(state, rule)),
    )


def test_message(now: dt.datetime) -> Message:
    """What `send_test_alert` sends."""
    return Message(
        source=source(), rule="test", subject="", event=Event.TEST, severity=Status.WARNING,
        sentence="This is a test of this channel: nothing is wrong, and nothing is to be done.",
        incident=new_run_id(), started_at=now, at=now, runbook=runbook_link("alert_channels"),
    )  # fmt: skip


def source() -> str:
    """Which installation speaks."""
    name = settings.DB_ALERTS_SOURCE or settings.DYNAMODB_TABLE_PREFIX.strip("-_. ")
    return name or "database layer"


def runbook_link(page: str) -> str:
    """Where a runbook page is."""
    base = settings.DB_RUNBOOK_URL
    if "{name}" in base:
        return str(base.replace("{name}", page))
    return f"{base}{page}" if base else f"docs/runbooks/{page}.md"


def _page(state: State, rule: Rule | None) -> str:
    named = rule.runbook if rule else ""
    return named or state.subject.partition(" on ")[0] or state.rule


def _utc(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def _lasted(span: dt.timedelta) -> str:
    return str(dt.timedelta(seconds=round(span.total_seconds())))
