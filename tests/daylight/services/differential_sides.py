"""The two sides of the differential test: one call made on each of them, what came of it, and all
that they hold."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core import signing
from django.db import models
from django.utils import timezone

from daylight.models import base
from daylight.services import bearers
from dbcore import append_only
from dbcore.dynamo.guards import GUARD_KEY, OWNER, guard_table, guards_of
from dbcore.items import DERIVED, ItemLayout, layout_of
from dbcore.stores.errors import StoreError, StoreUnavailable
from dbcore.stores.pages import Page
from dbcore.wire import get_wire

LAYOUTS = [layout_of(each) for each in apps.get_models() if hasattr(each, "storage")]
BATCH = 25  # items that one request deletes


class World:
    """What both sides are given alike: the time, ids, and secrets. Ids are in no order of time, so
    that ties are told apart by the key and by nothing else."""

    def __init__(self) -> None:
        self.now = dt.datetime.min.replace(tzinfo=dt.UTC)
        self.given = 0
        self.sql = "sqlite"  # what Django's database is: the side that is not DynamoDB

    def id(self) -> str:
        """The next id."""
        self.given += 1
        return hashlib.sha256(b"id %d" % self.given).hexdigest()[:8]

    def secret(self, length: int) -> str:
        """The next secret."""
        self.given += 1
        digest = hashlib.sha256(b"secret %d" % self.given).digest()
        return base64.urlsafe_b64encode(digest[:length]).decode().rstrip("=")

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """For a while this is where the services have these things from. Fields have timezone.now
        and new_id themselves as defaults: so what these use is replaced, and not they."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(timezone, "datetime", SimpleNamespace(now=lambda tz: self.now))
            patch.setattr(signing, "time", SimpleNamespace(time=lambda: self.now.timestamp()))
            patch.setattr(base, "uuid6", SimpleNamespace(uuid7=self.id))
            patch.setattr(bearers, "secrets", SimpleNamespace(token_urlsafe=self.secret))
            yield

    def on_both(self, call: Callable[[], Any]) -> list[Any]:
        """What came of a call on either side: its answer or its StoreError. Anything else that it
        raises goes on: no service may."""
        start, most, found = self.given, self.given, []
        for primary in (self.sql, "dynamodb"):
            settings.DATABASE_PRIMARY = primary
            self.given = start
            try:
                found.append(call())
            except StoreUnavailable:
                raise
            except StoreError as error:
                found.append(error)
            most = max(most, self.given)
        self.given = most
        return found


def difference(one: Any, other: Any, path: str = "answer") -> str | None:
    """Where two answers differ first, if they do."""
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        # DynamoDB has one kind of number, equal to what was given; true is not 1.
        alike = isinstance(one, bool) is isinstance(other, bool) and one == other
        return None if alike else f"{path}: {one!r}, {other!r}"
    if type(one) is not type(other):
        return f"{path}: {one!r}, {other!r}"
    parts = _parts(one, other)
    if parts is None:
        return None if one == other else f"{path}: {one!r}, {other!r}"
    return next((found for name, a, b in parts if (found := difference(a, b, path + name))), None)


def _parts(one: Any, other: Any) -> list[tuple[str, Any, Any]] | None:
    """What two values of one type are made of, in pairs; None: nothing to look into."""
    if isinstance(one, models.Model):
        names = [column.name for column in layout_of(type(one)).columns]
        pairs = [(f".{name}", getattr(one, name), getattr(other, name)) for name in ("pk", *names)]
        return [*pairs, (" (to be inserted)", one._state.adding, other._state.adding)]
    if isinstance(one, Page):
        keys = [[each.pk for each in page] for page in (one, other)]
        cursor = (".next_cursor", one.next_cursor, other.next_cursor)
        return [(" keys", *keys), cursor, ("", list(one), list(other))]
    if isinstance(one, StoreError):
        told = [{"text": str(each), "field": getattr(each, "field", None)} for each in (one, other)]
        return [(" error", *told)]
    if is_dataclass(one):
        return [(f".{e.name}", getattr(one, e.name), getattr(other, e.name)) for e in fields(one)]
    if isinstance(one, dict):
        pairs = [(f"[{name!r}]", one[name], other[name]) for name in one.keys() & other.keys()]
        return [(" names", str(sorted(one)), str(sorted(other))), *pairs]
    if isinstance(one, (list, tuple)):
        pairs = zip(one, other, strict=False)
        return [
            (" length", len(one), len(other)),
            *((f"[{at}]", *pair) for at, pair in enumerate(pairs)),
        ]
    return None


# --- All that they hold -------------------------------------------------------------------------


def compare_contents() -> None:
    """Both sides hold the same records; on DynamoDB with what is derived from them and with their
    guards, and no others."""
    guards = []
    for layout in LAYOUTS:
        name = layout.table.name
        rows = {_key(layout, record.__dict__): record for record in _rows(layout)}
        items = {_key(layout, layout.from_item(item)): item for item in _items(layout.table_name)}
        assert sorted(rows) == sorted(items), f"{name} holds other records"
        for key, item in items.items():
            values = layout.from_item(item)
            told = {column.name: getattr(rows[key], column.name) for column in layout.columns}
            found = difference(told, values, f"{name} {key}: ")
            assert found is None, found
            derived = {each: item[each] for each in DERIVED if each in item}
            assert derived == layout.derived(values), f"{name} {key}: what is derived is stale"
            guards += [(guard.key, guard.owner) for guard in guards_of(layout, values)]
    held = [(each[GUARD_KEY]["S"], each[OWNER]["S"]) for each in _items(guard_table())]
    assert sorted(held) == sorted(guards), "the guards are not the records'"


def clear() -> None:
    """Nothing is left on either side."""
    for layout in LAYOUTS:
        with append_only.lifted():
            _rows(layout).delete()
        _delete(layout.table_name, [layout.key_of_item(each) for each in _items(layout.table_name)])
    table = guard_table()
    _delete(table, [{GUARD_KEY: each[GUARD_KEY]} for each in _items(table)])


def _rows(layout: ItemLayout) -> models.QuerySet[models.Model, models.Model]:
    return layout.model._base_manager.all()


def _key(layout: ItemLayout, values: Any) -> str:
    return str(layout.key_of(values))


def _items(table: str) -> list[dict[str, Any]]:
    request: dict[str, Any] = {"TableName": table, "ConsistentRead": True}
    found: list[dict[str, Any]] = []
    while True:
        answer = get_wire().call("Scan", request)
        found += answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return found
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _delete(table: str, keys: list[Any]) -> None:
    for at in range(0, len(keys), BATCH):
        requests = [{"DeleteRequest": {"Key": key}} for key in keys[at : at + BATCH]]
        answer = get_wire().call("BatchWriteItem", {"RequestItems": {table: requests}})
        assert not answer.get("UnprocessedItems")
