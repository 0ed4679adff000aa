"""Numbers in JSON that a database keeps as another number: PostgreSQL gives a large double back as
the whole number that its shortest text stands for. A number must never change on its way; what is
too long or too deep is refused and never taken for something else.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from dbcore.attributes import EXACT_INTEGERS, MAX_DIGITS, MAX_NESTING
from dbcore.errors import InvalidValue

EXACT_DOUBLES = 2**53  # from here on a double's shortest text may stand for another whole number


def exact_number(value: float) -> int | float:
    """A double as every database keeps it: a large whole one as an int, which equals it.

    Beyond DynamoDB's digits it stays a double: no int is that large, so that a `JsonDecoder` knows
    it for one.
    """
    if EXACT_DOUBLES <= abs(value) < EXACT_INTEGERS:
        return int(value)
    return float(value)


def is_too_deep(value: Any) -> bool:
    """Whether JSON is nested deeper than a record may be. Level by level: it may be deeper than
    Python can go down into."""
    level = [value]
    for _ in range(MAX_NESTING):
        parts = [each for each in level if isinstance(each, (dict, list))]
        level = [one for each in parts for one in (each.values() if type(each) is dict else each)]
    return any(isinstance(each, (dict, list)) for each in level)


class JsonDecoder(json.JSONDecoder):
    """The decoder of a JSONField, for every database: on PostgreSQL 1e+100 arrives as a one and a
    hundred zeros. InvalidValue for JSON that Python cannot read; its words quote none of it."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"parse_int": _whole_number, **given})

    def decode(self, *given: Any) -> Any:
        """The value of a text."""
        try:
            return super().decode(*given)
        except RecursionError:
            raise InvalidValue("is nested deeper than can be read") from None


def _whole_number(text: str) -> int | float:
    if len(text.lstrip("-")) <= MAX_DIGITS:
        return int(text)
    number = float(text)
    # No other double has this text; a whole number that has it not was never a double.
    if Decimal(repr(number)) == Decimal(text):
        return number
    try:
        return int(text)
    except ValueError:  # Python reads no more than 4,300 digits
        raise InvalidValue("has a number of more digits than can be read") from None
