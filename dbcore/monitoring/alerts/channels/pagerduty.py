"""PagerDuty, by its Events API v2:
https://developer.pagerduty.com/docs/ZG9jOjExMDI5NTgw-events-api-v2-overview.

The deduplication key is the same for a rule and its subject from every monitor and after every
restart: a doubled trigger joins the incident that is open.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from typing import Any

from dbcore.monitoring.alerts.channels.http import Hook
from dbcore.monitoring.alerts.incidents import Event
from dbcore.monitoring.alerts.messages import Message
from dbcore.printable import shortened

MAX_SUMMARY = 1024  # characters


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """Triggers and resolves incidents of one service."""

    hook: Hook
    routing_key: str = field(repr=False)
    name: str = "pagerduty"

    def send(self, message: Message) -> str:
        status, answer = self.hook.post(payload(message, self.routing_key))
        if message.event is Event.TEST:
            self.hook.post(_resolve(message, self.routing_key))  # a test wakes nobody twice
        return f"{status} {answer}"


def payload(message: Message, routing_key: str) -> dict[str, Any]:
    """The event for a message."""
    if message.event is Event.ENDED:
        return _resolve(message, routing_key)
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": message.dedup_key,
        "client": "Daylight database monitor",
        "payload": {
            "summary": shortened(f"{message.headline}. {message.sentence}", MAX_SUMMARY),
            "source": platform.node() or message.source,
            "severity": message.severity.value,
            "timestamp": message.at.isoformat(),
            "component": message.subject or message.rule,
            "group": message.source,
            "class": message.rule,
            "custom_details": dict(message.lines),
        },
    }
    if message.has_link:
        event["links"] = [{"href": message.runbook, "text": "Runbook"}]
    return event


def _resolve(message: Message, routing_key: str) -> dict[str, Any]:
    return {
        "routing_key": routing_key,
        "event_action": "resolve",
        "dedup_key": message.dedup_key,
    }
