"""Slack, by an incoming web hook: https://api.slack.com/messaging/webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dbcore.monitoring.alerts.channels.http import Hook
from dbcore.monitoring.alerts.incidents import Event
from dbcore.monitoring.alerts.messages import Message
from dbcore.monitoring.health.results import Status
from dbcore.printable import shortened

MAX_HEADER = 150  # characters, Slack's limit for a header block
MAX_SECTION = 3000


@dataclass(frozen=True, slots=True)
class Slack:
    """Posts to the channel that the web hook belongs to."""

    hook: Hook
    name: str = "slack"

    def send(self, message: Message) -> str:
        status, answer = self.hook.post(payload(message))
        return f"{status} {answer}"


def payload(message: Message) -> dict[str, Any]:
    """Blocks, and the text that notifications show."""
    facts = [{"type": "mrkdwn", "text": _fact(message, *each)} for each in message.lines]
    sentence = shortened(_escaped(message.sentence), MAX_SECTION)
    return {
        "text": _escaped(f"{message.headline}. {message.sentence}"),
        "blocks": [
            {
                "type": "header",
                "text": {
                    "type": "plain_text",
                    "text": shortened(f"{_mark(message)} {message.headline}", MAX_HEADER),
                    "emoji": True,
                },
            },
            {"type": "section", "text": {"type": "mrkdwn", "text": sentence}},
            {"type": "context", "elements": facts},
        ],
    }


def _mark(message: Message) -> str:
    if message.event is Event.ENDED:
        return ":white_check_mark:"
    return ":rotating_light:" if message.severity is Status.CRITICAL else ":warning:"


def _fact(message: Message, name: str, value: str) -> str:
    if name == "Runbook" and message.has_link:
        return f"<{_escaped(value)}|{name}>"
    return f"*{name}* {_escaped(value)}"


def _escaped(text: str) -> str:
    """Slack's three control characters, as its documentation asks."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
