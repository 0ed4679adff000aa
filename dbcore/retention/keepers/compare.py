"""Whether a record still is what it was, attribute by attribute.

DynamoDB gives a number back in its own notation (1.50 as 1.5) and a set in any order; everything
else must be identical.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from dbcore.attributes import Item
from dbcore.items import DERIVED, ItemLayout

_SETS = {"SS": str, "BS": str, "NS": Decimal}


def same_item(one: Item, other: Item) -> bool:
    """Whether two items are equal."""
    return one == other or _same_map(one, other)


def differing(layout: ItemLayout, one: Item, other: Item) -> list[str]:
    """The names of the attributes of fields that differ: what is derived from them is not asked."""
    return [
        column.attribute
        for column in layout.columns
        if not _same_or_absent(one.get(column.attribute), other.get(column.attribute))
    ]


def unknown_attributes(layout: ItemLayout, item: Item) -> list[str]:
    """The names of the attributes that are no field's, nor derived from fields."""
    known = {each.attribute for each in layout.columns} | set(DERIVED)
    return sorted(item.keys() - known)


def _same_or_absent(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    return one == other or (one is not None and other is not None and _same(one, other))


def _same_map(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    ((tag, value),) = one.items()
    ((other_tag, other_value),) = other.items()
    if tag != other_tag:
        return False
    if tag == "N":
        return value == other_value or Decimal(value) == Decimal(other_value)
    if tag == "M":
        return _same_map(value, other_value)
    if tag == "L":
        return len(value) == len(other_value) and all(map(_same, value, other_value))
    if tag in _SETS:
        return set(map(_SETS[tag], value)) == set(map(_SETS[tag], other_value))
    return bool(value == other_value)
