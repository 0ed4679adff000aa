"""Records without their secrets (`Table.secret`), for whoever is not to check one."""

from __future__ import annotations

from dbcore.attributes import Item
from dbcore.items import ItemLayout, layout_of
from dbcore.stores.interface import Record


def withheld(record: Record) -> Record:
    """The record, whose secret fields are None from now on.

    None matches no password, and no database takes it for one: to save the record in SQL fails, and
    does not put an empty secret in the place of the true one.
    """
    for name in layout_of(type(record)).table.secret:
        setattr(record, name, None)
    return record


def open_item(layout: ItemLayout, item: Item) -> Item:
    """The item without its secrets."""
    hidden = {layout.by_name[name].attribute for name in layout.table.secret}
    return {name: value for name, value in item.items() if name not in hidden} if hidden else item
