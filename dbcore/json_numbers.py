"""Numbers in JSON that a database keeps as another number: PostgreSQL gives a large double back as
the whole number that its shortest text stands for. A number must never change on its way.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from dbcore.attributes import EXACT_INTEGERS, MAX_DIGITS

EXACT_DOUBLES = 2**53  # from here on a double's shortest text may stand for another whole number


def exact_number(value: float) -> int | float:
    """A double as every database keeps it: a large whole one as an int, which equals it.

    Beyond DynamoDB's digits it stays a double: no int is that large, so that a `JsonDecoder` knows
    it for one.
    """
    if EXACT_DOUBLES <= abs(value) < EXACT_INTEGERS:
        return int(value)
    return float(value)


class JsonDecoder(json.JSONDecoder):
    """The decoder of a JSONField, for every database: on PostgreSQL 1e+100 arrives as a one and a
    hundred zeros."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"parse_int": _whole_number, **given})


def _whole_number(text: str) -> int | float:
    if len(text.lstrip("-")) <= MAX_DIGITS:
        return int(text)
    number = float(text)
    # No other double has this text; a whole number that has it not was never a double.
    return number if Decimal(repr(number)) == Decimal(text) else int(text)
