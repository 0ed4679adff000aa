"""Writes that meet other writes, lost answers, and values that only one store could keep."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from daylight.models import AuditLog, Plan, User, UserSession
from dbcore.local_engine import LocalEngine
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.errors import InvalidRecord
from dbcore.stores.interface import Add, Delete, Store, Update
from dbcore.table_sync import sync_tables
from dbcore.wire import HOOKS
from dbcore.wire.calls import Call

pytestmark = pytest.mark.django_db(transaction=True)
NOW = dt.datetime(2026, 9, 23, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
KEPT = "ab" * 32  # what a session is kept under


def make_session() -> UserSession:
    return UserSession(session_id=KEPT, user_id="u", expires_at=NOW, created_at=NOW - HOUR)


@pytest.mark.parametrize("value", [Decimal(1), [Decimal("0.5")], {"deep": {"er": Decimal(2)}}])
def test_a_decimal_is_not_json_in_either_store(store: Store, value: Any) -> None:
    with pytest.raises(InvalidRecord) as refused:
        store.add(Plan(user_id="u", title="Lake", preferences={"x": value}))
    assert refused.value.field == "preferences"


def test_a_record_with_unique_fields_is_not_written_over(store: Store) -> None:
    user = store.add(User(email="ana@example.org", password_hash="x"))
    with pytest.raises(InvalidRecord):
        store.put(User(id=user.id, email="bea@example.org", password_hash="x"))
    assert store.get(User, {"id": user.id}).email == "ana@example.org"


def test_what_is_append_only_stays_in_a_transaction_too(store: Store) -> None:
    entry = AuditLog(event_type="e", resource="r", action="a", outcome="success", source="s")
    store.add(entry)
    plan = Plan(user_id="u", id="p", title="Lake")
    for write in (
        Update(AuditLog, {"id": entry.id}, {"action": "b"}),
        Delete(AuditLog, {"id": entry.id}),
    ):
        with pytest.raises(InvalidRecord):
            store.transact([Add(plan), write])
    assert store.get(AuditLog, {"id": entry.id}).action == "a"
    assert store.get(Plan, {"user_id": "u", "id": "p"}) is None


def test_an_expiry_that_is_moved_while_another_field_changes_stays_moved(
    dynamodb: LocalEngine,
) -> None:
    assert dynamodb.endpoint
    sync_tables()
    store, key = DynamoStore(), {"session_id": KEPT}
    store.add(make_session())

    def overtake(call: Call) -> None:
        if call.operation == "GetItem":  # what the update below goes by has just been read
            HOOKS.remove(overtake)
            store.update(UserSession, key, {"expires_at": NOW + HOUR})

    HOOKS.append(overtake)
    store.update(UserSession, key, {"data": {"seen": True}})
    assert overtake not in HOOKS
    found = store.get(UserSession, key, live_at=NOW + HOUR / 2)
    assert found is not None and found.data == {"seen": True}
