"""Words that may leave this machine: no secrets, no personal data, one line, not too long."""

from __future__ import annotations

from dbcore.monitoring.scrub import mask_secrets
from dbcore.printable import sentence

MAX_SENTENCE = 600  # characters


def presentable(text: str, limit: int | None = MAX_SENTENCE) -> str:
    """The text on one line of at most `limit` characters; what is secret or personal is masked."""
    return sentence(mask_secrets(text), limit)
