"""Whether two items are the same: attribute by attribute, by canonical value.

DynamoDB gives a number back in its own notation (1.50 as 1.5, 1E-130 as 0.000…1), so numbers are
compared as decimals; everything else must be identical.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from dbcore.attributes import Item


def differing_attributes(expected: Item, actual: Item) -> list[str]:
    """The names of attributes that one item lacks or that differ; empty when they are the same."""
    if expected == actual:
        return []
    names = expected.keys() | actual.keys()
    return sorted(
        name
        for name in names
        if name not in expected
        or name not in actual
        or not same_value(expected[name], actual[name])
    )


def same_value(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> bool:
    """Whether two attribute values are equal."""
    ((tag, one),) = expected.items()
    ((other_tag, other),) = actual.items()
    if tag != other_tag:
        return False
    if tag == "N":
        return one == other or Decimal(one) == Decimal(other)
    if tag == "M":
        return one.keys() == other.keys() and all(same_value(one[key], other[key]) for key in one)
    if tag == "L":
        return len(one) == len(other) and all(map(same_value, one, other))
    return bool(one == other)
