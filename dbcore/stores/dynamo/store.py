"""Records in DynamoDB, through the wire.

A record's unique values are guarded in the transaction that writes it, and what is derived from its
fields (expiry, day, due day) is never left behind by an update.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError
from django.db import models
from django.utils import timezone

from dbcore.attributes import Item
from dbcore.dynamo.guards import GUARD_KEY, OWNER, guard_key, guard_table
from dbcore.dynamo.reading import get_item
from dbcore.dynamo.refusals import Meaning, refusal_of
from dbcore.fields import split_key
from dbcore.items import ItemLayout, layout_of
from dbcore.stores import validation
from dbcore.stores.dynamo.available import available
from dbcore.stores.dynamo.queries import run_query
from dbcore.stores.dynamo.replicas import read_nearby
from dbcore.stores.dynamo.sending import retried, send, send_together, send_update
from dbcore.stores.dynamo.writes import Prepared, adding, deleting, updating
from dbcore.stores.errors import Conflict, RecordNotFound
from dbcore.stores.interface import Add, Delete, Key, Position, Query, Record, Update, Write
from dbcore.wire import Wire, get_wire


class DynamoStore:
    """The store interface on DynamoDB."""

    name = "dynamodb"
    thread_bound = False

    @property
    def wire(self) -> Wire:
        """Today's wire: the endpoint is a setting."""
        return get_wire()

    def get(
        self,
        model: type[Record],
        key: Key,
        *,
        live_at: dt.datetime | None = None,
        consistent: bool = True,
    ) -> Record | None:
        layout = layout_of(model)
        validation.check_key(layout, key)
        with available():
            item = (
                self._item(layout, key)
                if consistent
                else read_nearby(
                    lambda wire: get_item(
                        wire, layout.table_name, layout.key_of(key), consistent=False
                    )
                )
            )
        if item is None:
            return None
        with validation.readable(layout):
            if live_at is not None and layout.item_has_expired(item, live_at):
                return None
            return _record(layout, item)  # type: ignore[no-any-return]

    def get_by_unique(
        self, model: type[Record], field: str, value: str, *, consistent: bool = True
    ) -> Record | None:
        layout = layout_of(model)
        unique = next(each for each in layout.unique if each.name == field)
        validation.check_fields(layout, {field: value}, [field])
        with available():
            for _ in range(2):
                guard = self._guard(guard_key(layout, unique, value))
                if guard is None:
                    return None
                key = dict(zip(layout.table.key_fields, split_key(guard[OWNER]["S"]), strict=True))
                item = self._item(layout, key)
                values = {} if item is None else _values(layout, item)
                held = values.get(field)
                if held is not None and unique.folded(held) == unique.folded(value):
                    return validation.record_from(layout, values)  # type: ignore[no-any-return]
                # The value moved between the two reads: look once more.
        return None

    def add(self, record: Record) -> Record:
        layout = layout_of(type(record))
        prepared = adding(layout, validation.prepared(record))
        with available():
            retried(lambda: send(self.wire, prepared))
        return _settled(layout, record)

    def put(self, record: Record) -> Record:
        layout = layout_of(type(record))
        validation.check_replaceable(layout)
        _, item = validation.prepared(record)
        with available():
            request = {"TableName": layout.table_name, "Item": item}
            self.wire.call("PutItem", {**request, "ReturnConsumedCapacity": "INDEXES"})
        return _settled(layout, record)

    def update(
        self,
        model: type[Record],
        key: Key,
        changes: Mapping[str, Any],
        *,
        expect: Mapping[str, Any] | None = None,
    ) -> Record:
        wanted = validation.checked(Update(model, key, changes, expect or {}))
        with available():
            return retried(lambda: self._update(wanted))  # type: ignore[no-any-return]

    def delete(
        self, model: type[models.Model], key: Key, *, expect: Mapping[str, Any] | None = None
    ) -> None:
        wanted = validation.checked(Delete(model, key, expect or {}))
        with available():
            retried(lambda: send(self.wire, self._deleting(wanted)))

    def increment(self, initial: Record, field: str, *, below: int) -> Record | None:
        layout = layout_of(type(initial))
        validation.check_writable(layout)
        _, item = validation.prepared(initial)
        if below < 1:
            return None
        counter = layout.by_name[field].attribute
        kept = {name: value for name, value in item.items() if name != counter}
        for name in layout.key_of_item(item):
            del kept[name]
        sets = [f"#s{at} = if_not_exists(#s{at}, :s{at})" for at in range(len(kept))]
        names = {f"#s{at}": name for at, name in enumerate(kept)} | {"#c": counter}
        given = {f":s{at}": value for at, value in enumerate(kept.values())}
        request = {
            "TableName": layout.table_name,
            "Key": layout.key_of_item(item),
            "UpdateExpression": f"SET {', '.join(sets)} ADD #c :one",
            "ConditionExpression": "attribute_not_exists(#c) OR #c < :below",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {
                **given, ":one": {"N": "1"}, ":below": {"N": str(below)},
            },
            "ReturnValues": "ALL_NEW",
            "ReturnConsumedCapacity": "INDEXES",
        }  # fmt: skip
        with available():
            try:
                answer = self.wire.call("UpdateItem", request)
            except ClientError as error:
                if refusal_of(error).has(Meaning.UNTRUE):
                    return None
                raise
        return _record(layout, answer["Attributes"])  # type: ignore[no-any-return]

    def query(self, query: Query) -> tuple[list[models.Model], Position | None]:
        with available():
            if query.consistent:
                return run_query(self.wire, query)
            return read_nearby(lambda wire: run_query(wire, query), measured=False)

    def transact(self, writes: Sequence[Write]) -> None:
        judged = [_judged(each) for each in writes]
        with available():
            retried(lambda: send_together(self.wire, [self._prepared(each) for each in judged]))
        for each in writes:
            if isinstance(each, Add):
                _settled(layout_of(type(each.record)), each.record)

    def _prepared(self, write: Update | Delete | Prepared) -> Prepared:
        if isinstance(write, Prepared):
            return write
        return self._updating(write) if isinstance(write, Update) else self._deleting(write)

    def _current(self, write: Update | Delete) -> tuple[ItemLayout, dict[str, Any]]:
        """The values of the record to write to; RecordNotFound, Conflict."""
        layout = layout_of(write.model)
        item = self._item(layout, write.key)
        if item is None:
            raise _missing(layout)
        values = _values(layout, item)
        if any(values[name] != value for name, value in write.expect.items()):
            raise Conflict(f"the record of {layout.table.name} is not as expected")
        return layout, values

    def _updating(self, write: Update) -> Prepared:
        layout, old = self._current(write)
        changes = dict(write.changes)
        if "updated_at" in layout.by_name:
            changes = {"updated_at": timezone.now(), **changes}
        validation.check_final(layout, old, changes)
        validation.check_item(layout, {**old, **changes})
        return updating(layout, old, changes, write.expect)

    def _deleting(self, write: Delete) -> Prepared:
        layout, old = self._current(write)
        return deleting(layout, old, write.expect)

    def _update(self, write: Update) -> Any:
        layout = layout_of(write.model)
        prepared = self._updating(write)
        if prepared.alone:
            item: Item | None = send_update(self.wire, prepared)
        else:
            send_together(self.wire, [prepared])
            item = self._item(layout, write.key)
        if item is None:
            raise _missing(layout)
        return _record(layout, item)

    def _item(self, layout: ItemLayout, key: Key) -> Item | None:
        return get_item(self.wire, layout.table_name, layout.key_of(key))

    def _guard(self, key: str) -> Item | None:
        return get_item(self.wire, guard_table(), {GUARD_KEY: {"S": key}})


def _judged(write: Write) -> Update | Delete | Prepared:
    """A write that may be done; of an add, which depends on nothing that is there, the actions."""
    if isinstance(write, Add):
        return adding(layout_of(type(write.record)), validation.prepared(write.record))
    return validation.checked(write)


def _values(layout: ItemLayout, item: Item) -> dict[str, Any]:
    with validation.readable(layout):
        return layout.from_item(item)


def _record(layout: ItemLayout, item: Item) -> Any:
    with validation.readable(layout):
        return validation.record_from(layout, layout.from_item(item))


def _missing(layout: ItemLayout) -> RecordNotFound:
    return RecordNotFound(f"{layout.table.name} has no record with this key")


def _settled(layout: ItemLayout, record: Record) -> Record:
    """A record as Django leaves it behind when it has saved it."""
    if record.pk is None:
        record.pk = layout.model._meta.pk.get_pk_value_on_save(record)
    record._state.adding = False
    return record
