"""Arguments that several services judge alike, before a store is asked."""

from __future__ import annotations

import datetime as dt
from typing import Any

from dbcore.stores.errors import InvalidRecord


def check_whole(field: str, value: Any, most: int) -> int:
    """`value` when it is a whole number from 1 to `most`; InvalidRecord otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidRecord(field, f"must be a whole number from 1 to {most}")
    return value


def check_day(field: str, value: Any) -> dt.date:
    """`value` when it is a date, and not a point in time; InvalidRecord otherwise."""
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        raise InvalidRecord(field, "is not a date")
    return value


def check_texts(field: str, value: Any) -> list[str]:
    """`value` as a list when it is a list or tuple of texts, none of them empty; InvalidRecord
    otherwise."""
    if not isinstance(value, (list, tuple)):
        raise InvalidRecord(field, "is not a list of texts")
    if not all(isinstance(each, str) and each for each in value):
        raise InvalidRecord(field, "has something that is not text, or is empty")
    return list(value)
