"""Words that may leave this machine: no secrets, no personal data, one line, not too long."""

from __future__ import annotations

from dbcore.monitoring.scrub import mask_secrets

MAX_SENTENCE = 600  # characters


def presentable(text: str, limit: int = MAX_SENTENCE) -> str:
    """The text on one line of at most `limit` characters; what is secret or personal is masked."""
    text = mask_secrets(text)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return shortened(text, limit)


def shortened(text: str, limit: int) -> str:
    """The text on at most `limit` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
