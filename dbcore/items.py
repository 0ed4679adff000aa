"""How one model's records look as DynamoDB items: attributes, key, what is derived, what is unique.

An `ItemLayout` is derived from the model's fields and its `storage`; nothing is listed twice.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings
from django.db import models
from django.db.models import F
from django.db.models.functions import Lower

from dbcore.attributes import (
    MAX_HASH_KEY_BYTES,
    MAX_ITEM_BYTES,
    MAX_RANGE_KEY_BYTES,
    AttributeValue,
    Codec,
    Item,
    attribute_name,
    codec_for,
    item_bytes,
)
from dbcore.columns import ColumnReader, column_reader
from dbcore.errors import InvalidValue
from dbcore.fields import RecordKeyField
from dbcore.tables import DAY_SHARDS, GlobalIndex, LocalIndex, Retention, Table

TTL = "ttl"
DAY = "day"
DUE_DAY = "dueDay"
DUE_DAY_INDEX = "DueDayIndex"
DERIVED = (TTL, DAY, DUE_DAY)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ABSENT: AttributeValue = {}
_DATES = (models.DateField, models.DateTimeField)
_SECOND = dt.timedelta(seconds=1)
_LAST_SECOND = (dt.datetime.max.replace(tzinfo=dt.UTC) - _EPOCH) // _SECOND


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a model and its attribute."""

    field: models.Field[Any, Any]
    name: str
    attribute: str
    codec: Codec

    @property
    def nullable(self) -> bool:
        """Null is no attribute at all: an index key may not be of type NULL."""
        return bool(self.field.null)


@dataclass(frozen=True, slots=True)
class UniqueField:
    """A field whose value only one record of the table may have."""

    name: str
    ignores_case: bool

    def folded(self, value: str) -> str:
        """The value as uniqueness sees it."""
        return value.lower() if self.ignores_case else value


class ItemLayout:
    """A model's records as items. Values are dicts by Django field name, as Django gives them."""

    def __init__(self, model: type[models.Model]) -> None:
        self.model = model
        self.table: Table = model.storage  # type: ignore[attr-defined]
        self.columns: tuple[Column, ...] = tuple(_columns(model))
        self.by_name = {column.name: column for column in self.columns}
        self.key = tuple(self.by_name[name] for name in self.table.key_fields)
        self.unique = tuple(_unique_fields(model))

    @property
    def table_name(self) -> str:
        """The table's name in DynamoDB, with the configured prefix."""
        return f"{settings.DYNAMODB_TABLE_PREFIX}{self.table.name}"

    @functools.cached_property
    def key_limits(self) -> dict[str, int]:
        """Fields that key the table or an index, and how many bytes such a value may have."""
        table = self.table
        hashes = {table.hash_key}
        ranges = {table.range_key}
        for index in table.indexes:
            if isinstance(index, GlobalIndex):
                hashes.add(index.hash_key)
            if isinstance(index, (GlobalIndex, LocalIndex)):
                ranges.add(index.range_key)
        limits = dict.fromkeys(hashes, MAX_HASH_KEY_BYTES)
        limits |= {name: MAX_RANGE_KEY_BYTES for name in ranges if name is not None}
        return limits

    def to_item(self, values: Mapping[str, Any]) -> Item:
        """The item of a record; InvalidValue names the field that cannot be kept."""
        item: Item = {}
        for column in self.columns:
            value = values[column.name]
            if value is None:
                if not column.nullable:
                    raise InvalidValue(f"{column.name} is missing")
                continue
            try:
                item[column.attribute] = column.codec.to_attribute(value)
            except InvalidValue as error:
                raise InvalidValue(f"{column.name} {error}") from None
        return self.completed(item, values)

    def completed(self, item: Item, values: Mapping[str, Any]) -> Item:
        """The item that has all its fields' attributes with what is derived from them; InvalidValue
        where DynamoDB would refuse it."""
        item.update(self.derived(values))
        self._check(item)
        return item

    def _check(self, item: Item) -> None:
        """Raise InvalidValue where DynamoDB would refuse the item for its keys or its size."""
        for name, limit in self.key_limits.items():
            text = item.get(self.by_name[name].attribute, _ABSENT).get("S")
            if text is None:
                continue
            if not text:
                raise InvalidValue(f"{name} is empty, which a key may not be")
            if len(text) * 4 > limit and len(text.encode()) > limit:
                raise InvalidValue(f"{name} is over {limit} bytes, too long for a key")
        # An item's JSON is never shorter than DynamoDB's count of it, and much faster to make.
        if len(orjson.dumps(item)) > MAX_ITEM_BYTES and item_bytes(item) > MAX_ITEM_BYTES:
            raise InvalidValue("item is over 400 KB")

    def from_item(self, item: Item) -> dict[str, Any]:
        """A record's values, by field name; a null field is an attribute that is not there."""
        return {
            name: None if (value := item.get(attribute)) is None else from_attribute(value)
            for name, attribute, from_attribute in self._readers
        }

    @functools.cached_property
    def _readers(self) -> tuple[tuple[str, str, Callable[[Mapping[str, Any]], Any]], ...]:
        """Each field's name, its attribute's, and how its value is read."""
        return tuple(
            (column.name, column.attribute, column.codec.from_attribute) for column in self.columns
        )

    def columns_of(self, items: Sequence[Item]) -> list[list[Any]]:
        """The values of many items, a list for each of `columns`: the same as from_item gives.

        Raises an error where from_item would not: of a field that may not be null, but is absent.
        """
        return [read(items) for read in self._column_readers]

    @functools.cached_property
    def _column_readers(self) -> tuple[ColumnReader, ...]:
        return tuple(
            column_reader(column.attribute, column.codec, nullable=column.nullable)
            for column in self.columns
        )

    def key_of(self, values: Mapping[str, Any]) -> Item:
        """The item's primary key."""
        return {
            column.attribute: column.codec.to_attribute(values[column.name]) for column in self.key
        }

    def key_of_item(self, item: Mapping[str, Any]) -> Item:
        """The primary key within an item."""
        return {column.attribute: item[column.attribute] for column in self.key}

    def derived(self, values: Mapping[str, Any]) -> Item:
        """The attributes that no field has: expiry, day and due day."""
        item: Item = {}
        expiry = self.expires_at(values)
        if expiry is not None:
            item[TTL] = {"N": str(expiry)}
        day_index = self.table.day_index
        if day_index is not None:
            instant = values[day_index.timestamp].astimezone(dt.UTC)
            item[DAY] = {"S": self._sharded(instant.date(), values)}
        if self.table.needs_due_day:
            due = self.due_at(values)
            if due is not None:
                item[DUE_DAY] = {"S": self._sharded(due.date(), values)}
        return item

    def expires_at(self, values: Mapping[str, Any]) -> int | None:
        """When the record expires, in whole epoch seconds, or None: never."""
        instants = [
            (values[deadline.field] - _EPOCH) // _SECOND + deadline.days * 86400
            for deadline in self.table.expires
            if values[deadline.field] is not None
        ]
        return min(instants, default=None)

    def has_expired(self, values: Mapping[str, Any], now: dt.datetime) -> bool:
        """Whether the record's own expiry has passed, to the second: no reader sees it any more.
        Of a record only the fields of its deadlines are asked for."""
        expires = self.expires_at(values)
        return expires is not None and expires <= now.timestamp()

    def item_has_expired(self, item: Item, now: dt.datetime) -> bool:
        """The same of an item, which DynamoDB may take days to delete."""
        if TTL in item:
            return float(item[TTL]["N"]) <= now.timestamp()
        # One under a legal hold has no ttl, and expires for readers all the same.
        return bool(self.table.expires) and self.has_expired(self.from_item(item), now)

    def due_at(self, values: Mapping[str, Any]) -> dt.datetime | None:
        """When the record is due: as soon as it has expired or its policy says so.

        None: never, or not within the calendar.
        """
        instants = []
        expires = self.expires_at(values)
        if expires is not None and expires <= _LAST_SECOND:
            instants.append(_EPOCH + expires * _SECOND)
        policy = self.table.retention
        if isinstance(policy, Retention):
            since = max(values[name] for name in policy.since if values[name] is not None)
            with contextlib.suppress(OverflowError):
                instants.append(since.astimezone(dt.UTC) + dt.timedelta(days=policy.days))
        return min(instants, default=None)

    @functools.cached_property
    def due_sources(self) -> frozenset[str]:
        """The fields on which `due_at` depends."""
        policy = self.table.retention
        since = policy.since if isinstance(policy, Retention) else ()
        return frozenset((*since, *(deadline.field for deadline in self.table.expires)))

    @functools.cached_property
    def shard_field(self) -> str:
        """The key's field by which records are spread over a day's shards: its last text, since
        what is counted by windows of time has many records of one window."""
        texts = [each.name for each in self.key if not isinstance(each.field, _DATES)]
        return texts[-1] if texts else self.key[-1].name

    def _sharded(self, day: dt.date, values: Mapping[str, Any]) -> str:
        (key,) = (
            self.by_name[self.shard_field].codec.to_attribute(values[self.shard_field]).values()
        )
        return f"{day.isoformat()}#{shard_of(key)}"


def shard_of(key: str) -> int:
    """Which shard of its day a record is in: stable over processes and versions."""
    return zlib.crc32(key.encode()) % DAY_SHARDS


def _columns(model: type[models.Model]) -> Iterator[Column]:
    for field in model._meta.concrete_fields:
        if not isinstance(field, RecordKeyField):
            yield Column(field, field.name, attribute_name(field.name), codec_for(field))


def _unique_fields(model: type[models.Model]) -> Iterator[UniqueField]:
    """Unique fields, from `unique=True` and from constraints on one field or its Lower()."""
    for field in model._meta.concrete_fields:
        if field.unique and not field.primary_key:
            yield UniqueField(field.name, ignores_case=False)
    for constraint in model._meta.constraints:
        name = lowered_field(constraint)
        if name is not None:
            yield UniqueField(name, ignores_case=True)


def lowered_field(constraint: models.BaseConstraint) -> str | None:
    """The field that a case-insensitive unique constraint is on, if it is one."""
    if not isinstance(constraint, models.UniqueConstraint) or len(constraint.expressions) != 1:
        return None
    expression = constraint.expressions[0]
    if not isinstance(expression, Lower):
        return None
    (source,) = expression.get_source_expressions()
    return str(source.name) if isinstance(source, F) else None  # type: ignore[attr-defined]


@functools.cache
def layout_of(model: type[models.Model]) -> ItemLayout:
    """The layout of a model, made once."""
    return ItemLayout(model)
