"""Whether two items are equal, attribute by attribute.

DynamoDB gives a number back in its own notation (1.50 as 1.5, 1E-130 as 0.000…1) and a set in any
order; everything else must be identical.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from dbcore.attributes import Item

_SETS = {"SS": str, "BS": str, "NS": Decimal}


def same_item(one: Item, other: Item) -> bool:
    """Whether two items are equal."""
    return one == other or _same_map(one, other)


def differing_attributes(one: Item, other: Item) -> list[str]:
    """The names of attributes that one item lacks or that differ; empty when they are equal."""
    if one == other:
        return []
    names = one.keys() | other.keys()
    return sorted(name for name in names if not same_or_absent(one.get(name), other.get(name)))


def same_or_absent(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Whether two attributes are equal; one that is not there equals one that is not there."""
    return one == other or (one is not None and other is not None and same_value(one, other))


def same_value(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two attribute values are equal."""
    ((tag, value),) = one.items()
    ((other_tag, other_value),) = other.items()
    if tag != other_tag:
        return False
    if tag == "N":
        return value == other_value or Decimal(value) == Decimal(other_value)
    if tag == "M":
        return _same_map(value, other_value)
    if tag == "L":
        return len(value) == len(other_value) and all(map(same_value, value, other_value))
    if tag in _SETS:
        return set(map(_SETS[tag], value)) == set(map(_SETS[tag], other_value))
    return bool(value == other_value)


def _same_map(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(same_value(one[name], other[name]) for name in one)
