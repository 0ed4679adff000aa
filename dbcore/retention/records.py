"""Which record an item is, and whose: the names by which holds, restores and erasures know records.

A key's text must be the same wherever it is made: what a hold or a grace is on is found by it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from dbcore.attributes import Item, check_text
from dbcore.bearers import check_hashed, looks_hashed
from dbcore.errors import InvalidValue
from dbcore.fields import joined_key
from dbcore.items import Column, ItemLayout, layout_of
from dbcore.retention.errors import RetentionError
from dbcore.retention.keepers.interface import HoldKey
from dbcore.schema import storage_models

USER, TABLE, RECORD = "user", "table", "record"  # what a hold may be on
MAX_SUBJECT = 1600  # characters of a user's id or a joined key, as the books keep it


def layouts() -> list[ItemLayout]:
    """Every table of the application, by name."""
    found = [layout_of(model) for model in storage_models()]
    return sorted(found, key=lambda layout: layout.table.name)


def layout_named(name: str) -> ItemLayout:
    """The table of this name, with or without the prefix; RetentionError names those there are."""
    known = {layout.table.name: layout for layout in layouts()}
    found = known.get(name) or known.get(name.removeprefix(settings.DYNAMODB_TABLE_PREFIX))
    if found is None:
        raise RetentionError(f"there is no table {name!r}; there is: {', '.join(known)}")
    return found


def key_text(layout: ItemLayout, item: Mapping[str, Any]) -> str:
    """A record's joined key, from its item or the item's key."""
    return joined_key(
        str(next(iter(item[column.attribute].values()))) for column in layout.key
    )  # fmt: skip


def owner_of(layout: ItemLayout, item: Item) -> str | None:
    """The id of the user that a record belongs to, if it belongs to one."""
    if layout.table.owner is None:
        return None
    value = item.get(layout.by_name[layout.table.owner].attribute)
    return None if value is None else str(value.get("S", ""))


def hold_keys(layout: ItemLayout, item: Item) -> list[HoldKey]:
    """Every hold that would be on a record."""
    owner = owner_of(layout, item)
    keys = [
        HoldKey(TABLE, layout.table.name),
        HoldKey(RECORD, layout.table.name, key_text(layout, item)),
    ]
    return keys if owner is None else [HoldKey(USER, "", owner), *keys]


def key_of_parts(layout: ItemLayout, parts: Sequence[str]) -> Item:
    """The item's key from text as a person types it: one part for each field of the key."""
    if len(parts) != len(layout.key):
        names = " ".join(column.name for column in layout.key)
        raise RetentionError(
            f"a record of {layout.table.name} is named by its {names}, not by {len(parts)} "
            f"part{'' if len(parts) == 1 else 's'}"
        )
    return {
        column.attribute: _attribute(layout, column, part)
        for column, part in zip(layout.key, parts, strict=True)
    }


def _attribute(layout: ItemLayout, column: Column, part: str) -> dict[str, Any]:
    if check_hashed in column.field.validators and not looks_hashed(part):
        # Not quoted, nor kept in any book: it may be what lets somebody in.
        raise RetentionError(
            f"{layout.table.name}.{column.name} is a hash: give the 64 hexadecimal digits that the "
            "record has, and not what a device bears"
        )
    try:
        value: Any = column.field.to_python(check_text(part))
        if isinstance(column.field, models.DateTimeField) and value is not None:
            value = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        if value in (None, "") or "\0" in part or len(part) > MAX_SUBJECT:
            raise InvalidValue("is no key that a record can have")
        return column.codec.to_attribute(value)
    except (InvalidValue, ValueError) as error:
        raise RetentionError(f"{layout.table.name}.{column.name} {error}") from None
    except ValidationError as error:
        raise RetentionError(
            f"{layout.table.name}.{column.name}: {part!r} ({'; '.join(error.messages)})"
        ) from None


def check_user(user: str) -> str:
    """`user` when it can be a user's id; RetentionError otherwise."""
    try:
        check_text(user)
    except InvalidValue as error:
        raise RetentionError(f"the user's id {error}") from None
    if not user.strip() or "\0" in user or len(user) > MAX_SUBJECT:
        raise RetentionError("the user's id is empty, too long, or has a NUL character")
    return user
