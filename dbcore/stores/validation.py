"""What may be kept, judged before either store is asked: so that both refuse the same."""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from django.core.exceptions import ValidationError
from django.db import DataError, OperationalError, models
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.models import signals
from django.db.models.base import ModelState

from dbcore.attributes import AttributeValue, Item, timestamp_text
from dbcore.errors import InvalidValue
from dbcore.fields import RecordKeyField
from dbcore.finality import WHY, undone_by
from dbcore.items import DAY, Column, ItemLayout, layout_of
from dbcore.secrecy import MASK
from dbcore.stores.errors import InvalidRecord, StoreError, UnreadableRecord
from dbcore.stores.interface import Add, Query, Update, Write
from dbcore.stores.plain_values import settled

Each = TypeVar("Each", bound=Write)

# What Django, the drivers and our codecs raise of a value that is none of its field's.
UNREADABLE = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, DataError,
)  # fmt: skip
_SAID = "a record of {} has a value that its field cannot have: the admin's list shows which"
_NOT_UTF8 = "Could not decode to UTF-8"  # SQLite's text need not be


def values_of(record: models.Model) -> dict[str, Any]:
    """A record's values by field name, without Django's own key."""
    return {column.name: getattr(record, column.name) for column in layout_of(type(record)).columns}


class Whole(NamedTuple):
    """A record that is to be written whole: its values, and the item that DynamoDB has of it."""

    values: dict[str, Any]
    item: Item


def prepared(record: models.Model) -> Whole:
    """A record as it is to be written; InvalidRecord where it cannot be kept.

    The record is given the values as they will be read back.
    """
    layout = layout_of(type(record))
    values = values_of(record)
    others: dict[str, Any] = {}
    item: Item = {}
    for column in layout.columns:
        value = values[column.name]
        attribute = _check_field(column, value)
        kept = settled(column.field, value)
        if kept is not value:
            others[column.name] = kept
            if kept != value:  # another text of the same address
                attribute = column.codec.to_attribute(kept)
        if attribute is not None:
            item[column.attribute] = attribute
    values |= others
    try:
        whole = Whole(values, layout.completed(item, values))
    except InvalidValue as error:
        raise invalid(str(error)) from None
    for name, value in others.items():
        setattr(record, name, value)
    return whole


def checked(write: Each) -> Each:
    """A write as it is to be done; InvalidRecord where that cannot be, whatever is there.

    All the writes of a transaction are judged before the first is done: so that both stores give
    the same error when several of them cannot be.
    """
    if isinstance(write, Add):
        prepared(write.record)
        return write
    layout = layout_of(write.model)
    check_writable(layout)
    check_key(layout, write.key)
    if isinstance(write, Update):
        return replace(write, changes=_prepared_changes(layout, write.changes))
    return write


def _prepared_changes(layout: ItemLayout, changes: Any) -> dict[str, Any]:
    """The values that an update sets; InvalidRecord where one cannot be kept, or is of no field
    that may change."""
    if not isinstance(changes, Mapping):
        raise InvalidRecord("updates", "is not a mapping of fields")
    for name in changes:
        if name not in layout.by_name:
            raise InvalidRecord(str(name), "is not a field of the record")
        if name in layout.table.key_fields:
            raise InvalidRecord(name, "is part of the key, which never changes")
    check_fields(layout, changes, changes)
    return _settled(layout, changes)


def _settled(layout: ItemLayout, values: Mapping[str, Any]) -> dict[str, Any]:
    """Valid values as they will be read back."""
    return {name: settled(layout.by_name[name].field, value) for name, value in values.items()}


def record_from(layout: ItemLayout, values: Mapping[str, Any]) -> Any:
    """A record as if Django had just read it: with its key, and not to be inserted again."""
    names, key_field = _loading(layout)
    if key_field is not None:
        key = key_field.value_of([values[name] for name in key_field.of])
        values = {**values, key_field.name: key}
    model = layout.model
    if _is_heard(model):
        return model.from_db(None, names, [values[name] for name in names])
    return _loaded(model, values, [values.values()])[0]


def records_from(layout: ItemLayout, items: Sequence[Item]) -> list[Any]:
    """The records of many items, each as `record_from` makes it of `from_item`.

    Field by field and not item by item, which takes half of the time.
    """
    model = layout.model
    if not _is_heard(model):
        try:
            names, rows = _rows(layout, items)
        except Exception:  # of an item that is not as we write them: below it is told which
            pass
        else:
            return _loaded(model, names, rows)
    return [record_from(layout, layout.from_item(item)) for item in items]


def _rows(layout: ItemLayout, items: Sequence[Item]) -> tuple[list[str], Iterable[Any]]:
    """The names of all fields, Django's own key the last, and each record's values."""
    names = [column.name for column in layout.columns]
    columns = layout.columns_of(items)
    _, key_field = _loading(layout)
    if key_field is not None:
        columns.append(key_field.values_of(columns[names.index(name)] for name in key_field.of))
        names.append(key_field.name)
    return names, zip(*columns, strict=True)


def _is_heard(model: type[models.Model]) -> bool:
    """Whether a signal tells somebody of each instance that is made."""
    return signals.pre_init.has_listeners(model) or signals.post_init.has_listeners(model)


def _loaded(
    model: type[models.Model], names: Iterable[str], rows: Iterable[Iterable[Any]]
) -> list[Any]:
    """What from_db leaves behind, without the signals that nobody hears and a default for each
    field: a list of records is mostly this."""
    records = []
    for row in rows:
        record = model.__new__(model)
        record._state = state = ModelState()
        state.adding = False
        record.__dict__.update(zip(names, row))  # noqa: B905  it is always as long, and costs
        records.append(record)
    return records


@functools.cache
def _loading(layout: ItemLayout) -> tuple[list[str], RecordKeyField | None]:
    """All of the model's fields in the ORM's order, and the one that is made of others."""
    fields = layout.model._meta.concrete_fields
    made = next((each for each in fields if isinstance(each, RecordKeyField)), None)
    return [each.name for each in fields], made


@contextmanager
def readable(layout: ItemLayout) -> Iterator[None]:
    """Turns what comes of a stored value that is none of its field's into UnreadableRecord. Inside,
    what a store has answered is read, and nothing that a caller gave is judged."""
    try:
        yield
    except StoreError:
        raise
    except UNREADABLE as error:
        raise UnreadableRecord(_SAID.format(layout.table.name)) from error
    except OperationalError as error:
        if _NOT_UTF8 not in str(error):
            raise
        raise UnreadableRecord(_SAID.format(layout.table.name)) from error


def check_item(layout: ItemLayout, values: Mapping[str, Any]) -> None:
    """Raise InvalidRecord where the values together cannot be kept.

    What an update leaves behind is judged by this alone: a migrated record whose other fields would
    be refused today can still be changed.
    """
    try:
        layout.to_item(values)
    except InvalidValue as error:
        raise invalid(str(error)) from None


def check_key(layout: ItemLayout, key: Mapping[str, Any]) -> None:
    """Raise InvalidRecord for a key that no record can have."""
    if set(key) != set(layout.table.key_fields):
        raise InvalidRecord("key", f"must be of {', '.join(layout.table.key_fields)}")
    check_fields(layout, key, key)


def check_query(layout: ItemLayout, query: Query) -> None:
    """Raise InvalidRecord for a list that no record can be in."""
    value = query.value
    if query.field == DAY:
        if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
            raise InvalidRecord(DAY, "is not a date")
        return
    if value is None:
        raise InvalidRecord(query.field, "is missing")
    check_fields(layout, {query.field: value}, [query.field])


def check_replaceable(layout: ItemLayout) -> None:
    """Raise InvalidRecord where a record may not be written over."""
    check_writable(layout)
    if layout.unique or layout.table.final is not None:
        why = "has unique fields, or final values: add or update its records"
        raise InvalidRecord(layout.table.name, why)


def check_final(
    layout: ItemLayout, standing: Mapping[str, Any], changes: Mapping[str, Any]
) -> None:
    """Raise InvalidRecord for changes that would undo what is for good."""
    field = undone_by(layout, standing, changes)
    if field:
        raise InvalidRecord(field, WHY)


def check_instant(field: str, value: Any) -> None:
    """Raise InvalidRecord for what is not a datetime with a time zone, within the calendar."""
    try:
        timestamp_text(value)
    except InvalidValue as error:
        raise InvalidRecord(field, str(error)) from None


def check_writable(layout: ItemLayout) -> None:
    """Raise InvalidRecord for a change or removal of what is append-only."""
    if layout.table.append_only:
        raise InvalidRecord(layout.table.name, "is append-only: its records never change")


def check_fields(layout: ItemLayout, values: Mapping[str, Any], names: Iterable[str]) -> None:
    """Raise InvalidRecord for the first of these fields whose value cannot be kept."""
    for name in names:
        _check_field(layout.by_name[name], values[name])


def _check_field(column: Column, value: Any) -> AttributeValue | None:
    """The value as DynamoDB has it, None of None; InvalidRecord where it cannot be kept."""
    if value is None:
        if not column.nullable:
            raise InvalidRecord(column.name, "is missing")
        return None
    try:
        attribute = column.codec.to_attribute(value)
        _check_range(column.field, value)
        column.field.run_validators(value)
        _check_portable(value)
    except InvalidValue as error:
        raise InvalidRecord(column.name, str(error)) from None
    except TypeError as error:
        raise InvalidRecord(column.name, f"is not JSON: {error}") from None
    except ValidationError as error:
        raise InvalidRecord(column.name, "; ".join(map(_unquoted, error.error_list))) from None
    if value == "" and not _may_be_empty(column.field):
        raise InvalidRecord(column.name, "is empty")
    choices = column.field.flatchoices
    if choices and value not in {choice for choice, _ in choices}:
        raise InvalidRecord(column.name, f"is not one of {', '.join(str(c) for c, _ in choices)}")
    return attribute


def _unquoted(error: ValidationError) -> str:
    """What a validator says, without the value: it may be a secret."""
    text = str(error.message)
    return text % {**error.params, "value": MASK} if error.params else text


def _check_range(field: models.Field[Any, Any], value: Any) -> None:
    """Raise InvalidValue for a whole number that a database might not hold.

    The same range everywhere: Django's own validators know that of the database alone which was
    asked first, and DynamoDB has none.
    """
    if isinstance(field, models.IntegerField):
        low, high = BaseDatabaseOperations.integer_field_ranges[field.get_internal_type()]
        if not low <= value <= high:
            raise InvalidValue(f"must be a whole number from {low} to {high}")


def _may_be_empty(field: models.Field[Any, Any]) -> bool:
    """Whether "" is a value of the field: no two records could share it where it is unique, and
    some fields make it NULL in SQL."""
    return bool(field.blank and not field.unique and field.empty_strings_allowed)


def _check_portable(value: Any) -> None:
    """Raise InvalidValue for text that not every database keeps: PostgreSQL has no NUL in it."""
    if isinstance(value, (dict, list)):
        # A number of DynamoDB's may be a Decimal; one of JSON's may not: a TypeError.
        found = "\\u0000" in json.dumps(value) and _has_nul(value)
    else:
        found = _has_nul(value)
    if found:
        raise InvalidValue("has a NUL character, which not every database keeps")


def _has_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_nul(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(_has_nul(each) for each in value)
    return isinstance(value, str) and "\0" in value


def invalid(text: str) -> InvalidRecord:
    """The error of a text that begins with the field's name."""
    field, _, why = text.partition(" ")
    return InvalidRecord(field, why)
