"""Values as both stores keep and give them back: Python's own types, and numbers that are the same
in every database. What a value is must never change here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models

from dbcore.attributes import double
from dbcore.json_numbers import exact_number


def settled(field: models.Field[Any, Any], value: Any) -> Any:
    """A field's valid value as it will be read back."""
    if value is None:
        return None
    if isinstance(field, models.GenericIPAddressField):
        return field.to_python(value)  # an IPv6 address in its shortest form
    if isinstance(field, models.FloatField):
        return double(value)
    return plain(value)


def plain(value: Any) -> Any:
    """Text, a number or a JSON value in Python's own types, with lists and dicts of its own."""
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    for base, made in _PLAIN.items():
        if isinstance(value, base):
            return made(value)
    return value


_AS_IT_IS = frozenset((str, int, bool, type(None)))
_PLAIN: dict[type, Callable[[Any], Any]] = {
    # By their own methods: what an Enum says of itself is its name.
    str: str.__str__,
    int: int.__int__,
    float: exact_number,
    dict: lambda value: {plain(name): plain(each) for name, each in value.items()},
    list: lambda value: [plain(each) for each in value],
}
