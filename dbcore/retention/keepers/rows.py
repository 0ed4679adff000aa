"""A SQL table's rows as items and back. What a row cannot hold as it was is refused, never bent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import models

from dbcore.attributes import Item
from dbcore.errors import InvalidValue
from dbcore.fields import RecordKeyField, joined_key
from dbcore.items import Column, ItemLayout
from dbcore.retention.keepers.compare import differing, unknown_attributes
from dbcore.retention.keepers.pages import NOT_READABLE, unreadable_because
from dbcore.stores import validation

Rows = models.QuerySet[models.Model, models.Model]


class Unfit(Exception):
    """An item that a row cannot hold as it is; the message says what."""


def rows_of(layout: ItemLayout, alias: str) -> Rows:
    """All rows of a table. Not through a manager that may leave some out."""
    return layout.model._base_manager.using(alias).order_by()


def item_of(layout: ItemLayout, row: models.Model) -> Item:
    """A row as an item; InvalidValue where no item can hold it."""
    return layout.to_item(validation.values_of(row))


def named_item_of(layout: ItemLayout, row: models.Model) -> Item:
    """A row as an item; InvalidValue names the row that no item can hold."""
    try:
        return item_of(layout, row)
    except InvalidValue as error:
        raise InvalidValue(f"{layout.table.name} {row_key(row)}: {error}") from error


def row_key(row: models.Model) -> str:
    """A row's joined key."""
    made = isinstance(row._meta.pk, RecordKeyField)
    return str(row.pk) if made else joined_key([str(row.pk)])


def primary_key(layout: ItemLayout, item: Mapping[str, Any]) -> Any:
    """Django's primary key of the row that an item, or an item's key, is the record of."""
    values = {each.name: each.codec.from_attribute(item[each.attribute]) for each in layout.key}
    primary = layout.model._meta.pk
    if isinstance(primary, RecordKeyField):
        return primary.value_of([values[name] for name in primary.of])
    return values[primary.name]


def still_is(layout: ItemLayout, row: models.Model, item: Item) -> bool:
    """Whether a row has just what the item has. What is derived from fields no row has."""
    if unknown_attributes(layout, item):
        return False
    try:
        return not differing(layout, item_of(layout, row), item)
    except InvalidValue:
        return False


def row_from(layout: ItemLayout, item: Item) -> models.Model:
    """The row that an item is, not saved; Unfit where it would not be the same record.

    A field that the item has not, since it is younger than the item, has its default.
    """
    unknown = unknown_attributes(layout, item)
    if unknown:
        raise Unfit(f"has {', '.join(unknown)}, for which the table has no field")
    try:
        values = layout.from_item(item)
        values |= {each.name: _default(layout, each) for each in _lacking(layout, item)}
        changed = differing(layout, layout.to_item(_settled(layout, values)), item)
    except NOT_READABLE as error:
        raise Unfit(unreadable_because(layout, item, error)) from error
    changed = [name for name in changed if name in item]
    if changed:
        raise Unfit(f"has a value of {', '.join(changed)} that the field would alter")
    row: models.Model = validation.record_from(layout, values)
    row._state.adding = True
    return row


def _lacking(layout: ItemLayout, item: Item) -> Iterable[Column]:
    for column in layout.columns:
        if column.attribute not in item and not column.nullable:
            yield column


def _default(layout: ItemLayout, column: Column) -> Any:
    if column in layout.key or not column.field.has_default():
        raise Unfit(f"lacks {column.name}, which has no default")
    return column.field.get_default()


def _settled(layout: ItemLayout, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as they will be read back: Django writes an IPv6 address in its shortest form."""
    return {
        name: layout.by_name[name].field.to_python(value)
        if isinstance(layout.by_name[name].field, models.GenericIPAddressField)
        else value
        for name, value in values.items()
    }
