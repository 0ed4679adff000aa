"""Unique values on DynamoDB: one guard item each, in a table of their own.

A guard is put and deleted only in the transaction that writes its record, on the condition that
the record owns it. So two records can never have one value, whoever writes at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from dbcore.attributes import Item
from dbcore.dynamo.expressions import condition
from dbcore.fields import joined_key
from dbcore.items import ItemLayout, UniqueField

GUARD_KEY = "guard"
OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Guard:
    """That one record has one unique value."""

    field: UniqueField
    key: str  # table, field and value: the item's partition key
    owner: str  # the record's key

    @property
    def item(self) -> Item:
        """The guard as an item."""
        return {GUARD_KEY: {"S": self.key}, OWNER: {"S": self.owner}}

    def put_action(self) -> dict[str, Any]:
        """The part of a transaction that takes the value, or keeps it."""
        return {
            "Put": {
                "TableName": guard_table(),
                "Item": self.item,
                **self._is_free_or_ours(),
            }
        }

    def delete_action(self) -> dict[str, Any]:
        """The part of a transaction that gives the value up."""
        return {
            "Delete": {
                "TableName": guard_table(),
                "Key": {GUARD_KEY: {"S": self.key}},
                **self._is_free_or_ours(),
            }
        }

    def _is_free_or_ours(self) -> dict[str, Any]:
        names, values = {"g": GUARD_KEY, "o": OWNER}, {"me": {"S": self.owner}}
        return condition("attribute_not_exists(#g) OR #o = :me", names, values)


def guard_table() -> str:
    """The name of the table that holds the guards."""
    return f"{settings.DYNAMODB_TABLE_PREFIX}unique"


def guards_of(layout: ItemLayout, values: Mapping[str, Any]) -> list[Guard]:
    """The guards of a record: one for each unique field that is set."""
    owner = joined_key(str(values[name]) for name in layout.table.key_fields)
    return [
        Guard(field, guard_key(layout, field, value), owner)
        for field in layout.unique
        if (value := values[field.name]) is not None
    ]


def guards_of_item(layout: ItemLayout, item: Item) -> list[Guard]:
    """The guards of a record's unique values. The other values need not be readable."""
    if not layout.unique:
        return []
    names = (*layout.table.key_fields, *(unique.name for unique in layout.unique))
    columns = [layout.by_name[name] for name in names]
    values = {
        each.name: each.codec.from_attribute(item[each.attribute])
        if each.attribute in item
        else None
        for each in columns
    }
    return guards_of(layout, values)


def guard_key(layout: ItemLayout, field: UniqueField, value: str) -> str:
    """The partition key of the guard that a value has."""
    return joined_key((layout.table.name, field.name, field.folded(value)))
