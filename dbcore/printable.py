"""Text of others on a terminal, in a log or a message: what is not to be seen moves no cursor,
hides nothing and begins no line of its own, but is shown by its escape, as JSON writes it.
"""

from __future__ import annotations

import json


def printable(text: str) -> str:
    """The text on one line. Reversible: what stands in quotes of JSON stays what it is."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def printable_lines(text: str) -> str:
    """The same of a text of ours, which has lines."""
    return text if text.isprintable() else "\n".join(map(printable, text.split("\n")))


def sentence(text: str, limit: int | None = None) -> str:
    """The text as one sentence of at most `limit` characters: line breaks and the like are blanks
    in it."""
    return shortened(printable(" ".join(text.split())), limit)


def shortened(text: str, limit: int | None) -> str:
    """The text on at most `limit` characters."""
    return text if limit is None or len(text) <= limit else f"{text[: limit - 1]}…"
