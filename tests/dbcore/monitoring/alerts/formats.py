"""The formats of what Slack and PagerDuty take, as their documentation has them: no field more, the
required ones, their types and limits."""

from __future__ import annotations

from typing import Any

_PLAIN_TEXT = {
    "type": "object",
    "properties": {
        "type": {"const": "plain_text"},
        "text": {"type": "string", "minLength": 1, "maxLength": 150},
        "emoji": {"type": "boolean"},
    },
    "required": ["type", "text"],
    "additionalProperties": False,
}
_MARKDOWN = {
    "type": "object",
    "properties": {
        "type": {"const": "mrkdwn"},
        # & < > stand for themselves as entities; a link is <https://…|text>.
        "text": {"type": "string", "minLength": 1, "maxLength": 3000,
                 "pattern": r"^(?:[^<>&]|&(?:amp|lt|gt);|<https?://[^<>|]+\|[^<>|]+>)*$"},
        "verbatim": {"type": "boolean"},
    },
    "required": ["type", "text"],
    "additionalProperties": False,
}  # fmt: skip
_BLOCKS = [
    {
        "type": "object",
        "properties": {"type": {"const": "header"}, "text": _PLAIN_TEXT},
        "required": ["type", "text"],
        "additionalProperties": False,
    },
    {
        "type": "object",
        "properties": {"type": {"const": "section"}, "text": _MARKDOWN},
        "required": ["type", "text"],
        "additionalProperties": False,
    },
    {
        "type": "object",
        "properties": {
            "type": {"const": "context"},
            "elements": {"type": "array", "items": _MARKDOWN, "minItems": 1, "maxItems": 10},
        },
        "required": ["type", "elements"],
        "additionalProperties": False,
    },
]
# https://api.slack.com/messaging/webhooks, https://api.slack.com/reference/block-kit/blocks
SLACK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 40_000},
        "blocks": {"type": "array", "items": {"oneOf": _BLOCKS}, "minItems": 1, "maxItems": 50},
    },
    "required": ["text", "blocks"],
    "additionalProperties": False,
}

_KEYS = {
    "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
    "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
}
# https://developer.pagerduty.com/docs/ZG9jOjExMDI5NTgx-send-an-alert-event
PAGERDUTY: dict[str, Any] = {
    "oneOf": [
        {
            "type": "object",
            "properties": {
                **_KEYS,
                "event_action": {"const": "trigger"},
                "payload": {
                    "type": "object",
                    "properties": {
                        "summary": {"type": "string", "minLength": 1, "maxLength": 1024},
                        "source": {"type": "string", "minLength": 1},
                        "severity": {"enum": ["critical", "error", "warning", "info"]},
                        "timestamp": {"type": "string", "format": "date-time"},
                        "component": {"type": "string"},
                        "group": {"type": "string"},
                        "class": {"type": "string"},
                        "custom_details": {"type": "object"},
                    },
                    "required": ["summary", "source", "severity"],
                    "additionalProperties": False,
                },
                "links": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "href": {"type": "string", "pattern": "^https://"},
                            "text": {"type": "string"},
                        },
                        "required": ["href"],
                        "additionalProperties": False,
                    },
                },
                "client": {"type": "string"},
                "client_url": {"type": "string"},
            },
            "required": ["routing_key", "event_action", "payload"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {**_KEYS, "event_action": {"const": "resolve"}},
            "required": ["routing_key", "event_action", "dedup_key"],
            "additionalProperties": False,
        },
    ]
}
