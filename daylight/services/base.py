"""What every service has: the primary store, and how it judges what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dbcore.attributes import check_text
from dbcore.errors import InvalidValue
from dbcore.items import layout_of
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import InvalidRecord
from dbcore.stores.interface import Record, Store

KEY_LENGTH = 255  # characters of the longest key that a record has


class Service:
    """Calls on the primary store. Every public call `name` has an async twin `aname`: see
    twins.py."""

    @property
    def store(self) -> Store:
        """Today's primary store."""
        return primary_store()


def check_id(field: str, value: Any, max_length: int = KEY_LENGTH) -> str:
    """`value` when it can be an id or another key; InvalidRecord otherwise."""
    try:
        check_text(value)
    except InvalidValue as error:
        raise InvalidRecord(field, str(error)) from None
    if not value:
        raise InvalidRecord(field, "is empty")
    if "\0" in value:
        raise InvalidRecord(field, "has a NUL character")
    if len(value) > max_length:
        raise InvalidRecord(field, f"is longer than {max_length} characters")
    return str(value)


def check_mapping(field: str, value: Any) -> Mapping[str, Any]:
    """`value` when it is a mapping of fields; InvalidRecord otherwise."""
    if not isinstance(value, Mapping):
        raise InvalidRecord(field, "is not a mapping of fields")
    return value


def new_record(model: type[Record], data: Mapping[str, Any], **given: Any) -> Record:
    """An unsaved record of `data` and of what the call itself gives.

    InvalidRecord for a field that the model has not, and for one that is the call's to give and has
    another value in `data`.
    """
    known = layout_of(model).by_name
    for name, value in check_mapping("data", data).items():
        if name not in known:
            raise InvalidRecord(str(name), "is not a field of the record")
        if name in given and value != given[name]:
            raise InvalidRecord(name, "is an argument of the call, and is not that")
    return model(**{**data, **given})
