"""A record with a value that its field cannot have: every call that reads it says so by name, from
either store. It is never taken for one whose field is empty.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from daylight.models import ApiKey, Plan, User, UserSession
from dbcore.attributes import AttributeValue
from dbcore.items import layout_of
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.errors import UnreadableRecord
from dbcore.stores.interface import Delete, Query, Store
from dbcore.stores.orm import OrmStore

pytestmark = pytest.mark.django_db(transaction=True)
NOW = dt.datetime(2026, 9, 23, 12, tzinfo=dt.UTC)
KEY = {"user_id": "u1", "id": "p1"}


def spoil(record: Any, name: str, sql: str, attribute: AttributeValue, store: Store) -> None:
    """Give a record's field a value that it cannot have."""
    layout = layout_of(type(record))
    if isinstance(store, DynamoStore):
        item = layout.to_item({each.name: getattr(record, each.name) for each in layout.columns})
        item[layout.by_name[name].attribute] = attribute
        store.wire.call("PutItem", {"TableName": layout.table_name, "Item": item})
        return
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = ON")
        cursor.execute(f'UPDATE "{record._meta.db_table}" SET "{name}" = {sql}')


def add_broken_plan(store: Store) -> None:
    plan = store.add(Plan(**KEY, title="Lake", created_at=NOW))
    text = "'not a date'" if connection.vendor == "sqlite" else "'12026-01-01 00:00:00+00'"
    spoil(plan, "start_time", text, {"S": "not a date"}, store)


LIST = Query(Plan, "user_id", "u1", "created_at", 5)
CALLS: dict[str, Callable[[Store], Any]] = {
    "get": lambda store: store.get(Plan, KEY),
    "get, lagging": lambda store: store.get(Plan, KEY, consistent=False),
    "query": lambda store: store.query(LIST),
    "update": lambda store: store.update(Plan, KEY, {"title": "Sea"}),
    "delete": lambda store: store.delete(Plan, KEY),
    "transact": lambda store: store.transact([Delete(Plan, KEY)]),
}


def test_each_call_that_reads_it_says_so_and_others_do_not(store: Store) -> None:
    add_broken_plan(store)
    for name, call in CALLS.items():
        with pytest.raises(UnreadableRecord, match="a record of plans has a value") as told:
            call(store)
        assert "not a date" not in str(told.value) and "12026" not in str(told.value), name
    store.add(Plan(user_id="u2", id="p2", title="Sea"))
    assert store.update(Plan, {"user_id": "u2", "id": "p2"}, {"title": "Hill"}).title == "Hill"


def test_a_unique_value_leads_to_it_and_says_so(store: Store) -> None:
    user = store.add(User(email="ana@example.org", password_hash="x"))
    text = "'never'" if connection.vendor == "sqlite" else "'infinity'"
    spoil(user, "last_login_at", text, {"S": "never"}, store)
    with pytest.raises(UnreadableRecord):
        store.get_by_unique(User, "email", "ana@example.org")


@pytest.mark.parametrize(("name", "sql"), [
    ("end_time", "'never'"), ("end_time", "'2026-02-31 10:00:00'"), ("end_time", "x'ff'"),
    ("end_time", "1760000000000"), ("activities", f"'[{'9' * 5000}]'"),
    ("title", "CAST(x'ff41' AS TEXT)"),
])  # fmt: skip
def test_in_sqlite_whatever_is_there(name: str, sql: str) -> None:
    store = OrmStore()
    spoil(store.add(Plan(**KEY, title="Lake")), name, sql, {}, store)
    with pytest.raises(UnreadableRecord):
        store.get(Plan, KEY)


def test_an_expiry_that_cannot_be_read_lets_nobody_in() -> None:
    """Django takes a broken date in SQLite for none at all: a key would never expire."""
    store = OrmStore()
    key = store.add(ApiKey(name="k", key_hash="h", key_preview="p", user_id="u1", expires_at=NOW))
    session = store.add(UserSession(session_id="a" * 64, user_id="u1", expires_at=NOW))
    wanted = {ApiKey: {"id": key.id}, UserSession: {"session_id": session.session_id}}
    for record in (key, session):
        spoil(record, "expires_at", "'soon'", {}, store)
        with pytest.raises(UnreadableRecord):
            store.get(type(record), wanted[type(record)], live_at=NOW)


def test_a_boolean_that_is_none_is_not_false() -> None:
    store = OrmStore()
    user = store.add(User(email="ana@example.org", password_hash="x"))
    spoil(user, "is_active", "'maybe'", {}, store)
    with pytest.raises(UnreadableRecord):
        store.get(User, {"id": user.id})
