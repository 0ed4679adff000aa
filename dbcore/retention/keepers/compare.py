"""What of a record is another than it was, and what of an item is no field's."""

from __future__ import annotations

from dbcore.attributes import Item
from dbcore.dynamo.comparing import same_or_absent
from dbcore.items import DERIVED, ItemLayout


def differing(layout: ItemLayout, one: Item, other: Item) -> list[str]:
    """The names of the attributes of fields that differ: what is derived from them is not asked."""
    return [
        column.attribute
        for column in layout.columns
        if not same_or_absent(one.get(column.attribute), other.get(column.attribute))
    ]


def unknown_attributes(layout: ItemLayout, item: Item) -> list[str]:
    """The names of the attributes that are no field's, nor derived from fields."""
    known = {each.attribute for each in layout.columns} | set(DERIVED)
    return sorted(item.keys() - known)
