"""Words that may leave this machine: no secrets, no personal data, one line, not too long."""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.conf import settings

MASK = "***"
MAX_SENTENCE = 600  # characters
# Settings whose values must never be seen in a message, whatever error quotes them.
SECRET_SETTINGS = (
    "SECRET_KEY",
    "ALERT_SLACK_WEBHOOK_URL",
    "ALERT_PAGERDUTY_ROUTING_KEY",
    "EMAIL_HOST_PASSWORD",
    "SENTRY_DSN",
)
_PATTERNS = (
    (re.compile(r"(?<=://)[^\s/@]+@"), f"{MASK}@"),  # the account in a URL
    (re.compile(r"(https?://hooks\.slack(?:-gov)?\.com)/\S*"), rf"\1/{MASK}"),
    (re.compile(r"\?[^\s?]*=\S*"), f"?{MASK}"),  # a query, with its tokens
    (re.compile(r"(?i)\b(password|passwd|secret|token|signature|api[_-]?key)(\s*[=:]\s*)\S+"),
     rf"\1\2{MASK}"),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), f"{MASK}@{MASK}"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), MASK),
)  # fmt: skip


def presentable(text: str, limit: int = MAX_SENTENCE) -> str:
    """The text on one line of at most `limit` characters; what is secret or personal is masked."""
    for secret in _secrets():
        text = text.replace(secret, MASK)
    for pattern, mask in _PATTERNS:
        text = pattern.sub(mask, text)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return shortened(text, limit)


def shortened(text: str, limit: int) -> str:
    """The text on at most `limit` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _secrets() -> Iterable[str]:
    for name in SECRET_SETTINGS:
        value = getattr(settings, name, "")
        if isinstance(value, str) and len(value) >= 8:
            yield value
