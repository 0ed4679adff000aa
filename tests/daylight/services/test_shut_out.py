"""Who is not active, and a key that is revoked: refused at once in every call, and for good where
it is for good, whoever writes, with whatever, at the same time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from daylight.models import ApiKey, AuthSession, User, UserSession
from daylight.services.accounts import user_service
from daylight.services.api_keys import api_key_service
from daylight.services.sessions import session_service
from dbcore.items import layout_of
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.errors import InvalidRecord, RecordNotFound
from dbcore.stores.interface import Store, Update
from tests.daylight.services.test_deletion import IN, OUT, Begun, acting

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("people")]
HOUR = dt.timedelta(hours=1)
ACTIVE = {"status": "active"}


def status_of(store: Store, key_id: str) -> str:
    found = store.get(ApiKey, {"id": key_id})
    assert found is not None
    return str(found.status)


def revoked_key() -> tuple[str, ApiKey]:
    text, record = api_key_service.issue("ana", "CI")
    api_key_service.revoke(record.id, "ana")
    return text, record


# --- Users who are not active -------------------------------------------------------------------


@pytest.mark.parametrize("cached", [False, True])
def test_a_user_who_is_made_inactive_is_let_in_nowhere_from_then_on(
    store: Store, settings: Any, cached: bool
) -> None:
    settings.APP_CACHE_ENABLED = cached
    ana, bea = Begun("ana"), Begun("bea")
    for _ in range(2):
        user_service.get_user_by_id("ana")  # this process's cache has them
        assert (ana.served(), bea.served()) == (IN, IN)
    # Behind the back of this process's cache, as another process or the admin does it.
    store.update(User, {"id": "ana"}, {"is_active": False})
    assert (ana.served(), bea.served()) == (OUT, IN)
    for begin, given in (
        (session_service.create_user_session, {"ttl": HOUR}),
        (session_service.create_auth_session, {"ttl": HOUR}),
        (api_key_service.issue, {"name": "CI"}),
    ):
        with pytest.raises(RecordNotFound):
            begin("ana", **given)  # type: ignore[operator]
    # What is theirs can still be taken away.
    assert session_service.end_all_of_user("ana") == 2
    assert api_key_service.revoke_all_of_user("ana") == 1
    user_service.update_user("ana", {"is_active": True})
    assert ana.served() == OUT, "and what was taken away stays so"
    assert Begun("ana").served() == IN


def test_a_session_that_is_ended_elsewhere_is_served_from_no_cache(
    store: Store, settings: Any
) -> None:
    settings.APP_CACHE_ENABLED = True
    settings.DBCORE_CACHED_MODELS = ["daylight.UserSession", "daylight.AuthSession"]
    for begin, get, model in (
        (session_service.create_user_session, session_service.get_user_session, UserSession),
        (session_service.create_auth_session, session_service.get_auth_session, AuthSession),
    ):
        session_id, session = begin("ana", ttl=HOUR)
        for _ in range(2):
            assert get(session_id).pk == session.pk
        # Behind the back of this process's cache, as another process does it.
        store.delete(model, {layout_of(model).table.hash_key: session.pk})
        with pytest.raises(RecordNotFound):
            get(session_id)


def test_one_who_is_made_inactive_between_two_looks_is_not_served(store: Store) -> None:
    begun = Begun("ana")
    for call, given, look in (
        (session_service.get_user_session, begun.app, 1),
        (session_service.get_auth_session, begun.device_id, 1),
        (api_key_service.verify, begun.key, 0),  # which is found by its hash, and that not counted
    ):
        user_service.update_user("ana", {"is_active": True})

        def act(at: int, look: int = look) -> None:
            if at == look:  # the session or key has been found, its user not yet
                store.update(User, {"id": "ana"}, {"is_active": False})

        with acting(store, act) as asked, pytest.raises(RecordNotFound):
            call(given)  # type: ignore[operator]
        assert len(asked) == look + 1


# --- Revoked keys -------------------------------------------------------------------------------


def test_no_call_of_a_store_makes_a_revoked_key_anything_else(store: Store) -> None:
    text, record = revoked_key()
    key = {"id": record.id}
    tries: list[Callable[[], Any]] = [
        lambda: store.update(ApiKey, key, ACTIVE),
        lambda: store.update(ApiKey, key, {"status": "suspended", "name": "other"}),
        lambda: store.update(ApiKey, key, ACTIVE, expect={"status": "revoked"}),
        lambda: store.transact([Update(ApiKey, key, ACTIVE)]),
        lambda: store.put(ApiKey(id=record.id, name="n", key_hash=record.key_hash, user_id="ana",
                                 key_preview="p")),
    ]  # fmt: skip
    for each in tries:
        with pytest.raises(InvalidRecord):
            each()
        assert status_of(store, record.id) == "revoked"
        with pytest.raises(RecordNotFound):
            api_key_service.verify(text)
    with pytest.raises(InvalidRecord) as refused:
        store.update(ApiKey, key, ACTIVE)
    assert (refused.value.field, refused.value.why) == ("status", "is for good: no write undoes it")
    changed = store.update(ApiKey, key, {"name": "old", "status": "revoked"})
    assert (changed.name, changed.status) == ("old", "revoked"), "what else it has may change"


def test_a_suspended_key_may_be_active_again(store: Store) -> None:
    text, record = api_key_service.issue("ana", "CI")
    for status in ("suspended", "active"):
        store.update(ApiKey, {"id": record.id}, {"status": status})
    assert api_key_service.verify(text).id == record.id


@pytest.mark.parametrize("changes", [ACTIVE, {"status": "suspended"}, {"name": "other"}])
def test_a_key_that_is_revoked_while_another_edits_it_stays_so(
    store: Store, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each request of the edit in turn somebody else revokes the key. SQL locks the record
    instead: test_concurrency.py has that, with processes."""
    if not isinstance(store, DynamoStore):
        pytest.skip("an edit in SQL is one step to all others")
    usual = type(store.wire).call
    for step in range(2):
        _, record = api_key_service.issue("ana", "CI")
        numbers = iter(range(100))
        busy = False

        def call(wire: Any, *args: Any, **given: Any) -> Any:
            nonlocal busy
            if not busy and next(numbers) == step:  # noqa: B023  (called before the next turn)
                busy = True
                store.update(ApiKey, {"id": record.id}, {"status": "revoked"})  # noqa: B023
                busy = False
            return usual(wire, *args, **given)

        with monkeypatch.context() as patch:
            patch.setattr(type(store.wire), "call", call)
            with suppress(InvalidRecord):
                store.update(ApiKey, {"id": record.id}, changes)
        assert status_of(store, record.id) == "revoked"


def test_nor_does_django_in_sql_whoever_asks_it(store: Store) -> None:
    if store.name != "orm":
        pytest.skip("DynamoDB has no other way in than the store")
    text, record = revoked_key()
    stale = ApiKey.objects.get()
    stale.status = "active"  # a form that was opened before
    tries: list[Callable[[], Any]] = [
        stale.save,
        lambda: stale.save(update_fields=["status"]),
        lambda: ApiKey.objects.update(status="active"),
        lambda: ApiKey._base_manager.filter(id=record.id).update(status="suspended"),
        lambda: ApiKey.objects.bulk_update([stale], ["status"]),
        lambda: ApiKey.objects.update_or_create(id=record.id, defaults=ACTIVE),
        lambda: ApiKey.objects.bulk_create(
            [stale], update_conflicts=True, unique_fields=["id"], update_fields=["status"]
        ),
    ]
    for each in tries:
        with pytest.raises(IntegrityError, match="revoked is for good"), transaction.atomic():
            each()
        assert status_of(store, record.id) == "revoked"
        with pytest.raises(RecordNotFound):
            api_key_service.verify(text)
    ApiKey.objects.update(name="old")
    assert ApiKey.objects.get().name == "old"
