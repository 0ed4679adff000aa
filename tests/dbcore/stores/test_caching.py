"""The cache before a store: fewer reads, the same answers, whatever happens at the same time."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pytest
from django.conf import settings as base_settings
from django.db import transaction

from daylight.models import (
    ApiKey,
    AuthSession,
    Plan,
    RateLimit,
    Role,
    User,
    UserProfile,
    UserSession,
    WeatherCache,
)
from dbcore.stores import caching, choice
from dbcore.stores.caching import CachingStore
from dbcore.stores.errors import AlreadyExists, InvalidRecord, StoreUnavailable
from dbcore.stores.interface import Add, Delete, Store, Update
from dbcore.stores.validation import values_of
from tests.dbcore.stores.watched import before, use_local_cache, watched

pytestmark = pytest.mark.django_db(transaction=True)
NOW = dt.datetime(2026, 9, 23, 12, 0, 0, 5, tzinfo=dt.UTC)
ANA = {"id": "ana"}
PROFILE = {"user_id": "ana"}
KEPT = "ab" * 32  # what a session is kept under


def make_user(**given: Any) -> User:
    return User(**{"id": "ana", "email": "ana@example.org", "password_hash": "x", **given})


def make_profile(**given: Any) -> UserProfile:
    return UserProfile(**{"user_id": "ana", "first_name": "Ana", **given})


@pytest.fixture
def inner(store: Store, settings: Any) -> Any:
    """A store, watched; its cache is empty."""
    use_local_cache(settings)
    return watched(store)


@pytest.fixture
def cached(inner: Any) -> CachingStore:
    """The same store with a cache before it."""
    return before(inner)


def test_a_record_is_read_once_and_then_comes_from_the_cache_as_it_is(
    inner: Any, cached: CachingStore
) -> None:
    preferences = {"n": 1.5, "l": [None, True, {"ö": "\u20ac"}], "big": 10**30}
    cached.add(make_profile(preferences=preferences, avatar=None, updated_at=NOW))
    loaded = cached.get(UserProfile, PROFILE)
    found = cached.get(UserProfile, PROFILE)
    assert loaded is not None and found is not None
    assert inner.reads["UserProfile"] == 1
    assert values_of(found) == values_of(loaded)
    assert (found.pk, found._state.adding) == (loaded.pk, False)
    assert cached.counters.stats() == {
        "hits": 1, "misses": 1, "refused": 0, "bypassed": 0, "hit_ratio": 0.5,
    }  # fmt: skip


def test_what_a_caller_does_to_a_record_is_its_own(cached: CachingStore) -> None:
    cached.add(make_profile(preferences={"theme": "dark"}))
    for _ in range(3):
        found = cached.get(UserProfile, PROFILE)
        assert found.preferences == {"theme": "dark"}
        found.preferences["theme"] = "light"


def test_every_kind_of_write_is_seen_by_the_next_read(cached: CachingStore) -> None:
    def name() -> str | None:
        found = cached.get(UserProfile, PROFILE)
        return None if found is None else found.first_name

    cached.add(make_profile())
    assert name() == "Ana"
    cached.update(UserProfile, PROFILE, {"first_name": "Bea"})
    assert name() == "Bea"
    cached.put(make_profile(first_name="Cat"))
    assert name() == "Cat"
    cached.transact([Update(UserProfile, PROFILE, {"first_name": "Dee"})])
    assert name() == "Dee"
    cached.transact([Delete(UserProfile, PROFILE)])
    assert name() is None
    cached.transact([Add(make_profile(first_name="Eve"))])
    assert name() == "Eve"
    cached.delete(UserProfile, PROFILE)
    assert name() is None


def test_what_is_missing_is_not_kept(inner: Any, cached: CachingStore) -> None:
    assert cached.get(User, ANA) is None
    inner.add(make_user())  # by one who knows nothing of this cache
    assert cached.get(User, ANA).email == "ana@example.org"


def test_what_has_expired_since_it_was_kept_is_not_served(inner: Any, cached: CachingStore) -> None:
    key = {"location_key": "46.05,14.5"}
    cached.put(WeatherCache(**key, data={"t": 1}, expires_at=NOW))
    early = NOW - dt.timedelta(minutes=1)
    for _ in range(2):
        assert cached.get(WeatherCache, key, live_at=early).data == {"t": 1}
    assert inner.reads["WeatherCache"] == 1
    assert cached.get(WeatherCache, key, live_at=NOW + dt.timedelta(seconds=1)) is None


def test_whoever_may_come_in_is_never_asked_of_the_cache(inner: Any, cached: CachingStore) -> None:
    cached.add(ApiKey(id="k", name="n", key_hash="h", key_preview="p", user_id="u"))
    cached.add(AuthSession(id=KEPT, user_id="u", expires_at=NOW))
    cached.add(UserSession(session_id=KEPT, user_id="u", expires_at=NOW))
    for _ in range(3):
        cached.get(ApiKey, {"id": "k"})
        cached.get(AuthSession, {"id": KEPT})
        cached.get(UserSession, {"session_id": KEPT})
        cached.get_by_unique(ApiKey, "key_hash", "h")
        cached.get_by_unique(User, "email", "ana@example.org")
        cached.get(Plan, {"user_id": "u", "id": "p"})
    assert set(inner.reads.values()) == {3}
    assert cached.counters.stats()["hits"] == 0
    window = RateLimit(identifier="i", window_start=NOW, limit=2, window_seconds=60, expires_at=NOW)
    assert cached.increment(window, "count", below=2).count == 1
    never = {"daylight.UserSession", "daylight.AuthSession", "daylight.ApiKey",
             "daylight.RateLimit", "daylight.AuditLog"}  # fmt: skip
    assert not never & set(base_settings.DBCORE_CACHED_MODELS)


def test_who_has_a_unique_value_is_always_asked_of_the_store(
    inner: Any, cached: CachingStore
) -> None:
    cached.add(Role(id="r1", name="editor", permissions=["read"]))
    for _ in range(2):
        assert cached.get(Role, {"id": "r1"}).permissions == ["read"]
        assert cached.get_by_unique(Role, "name", "editor").id == "r1"
    assert inner.reads["Role.name"] == 2
    inner.update(Role, {"id": "r1"}, {"permissions": []})  # by one who knows nothing of this cache
    assert cached.get_by_unique(Role, "name", "editor").permissions == []


def test_what_the_store_refuses_is_refused_in_the_same_words(
    inner: Any, cached: CachingStore
) -> None:
    def refusal(store: Any, call: str, *args: Any) -> str:
        with pytest.raises(InvalidRecord) as refused:
            getattr(store, call)(*args)
        return str(refused.value)

    calls: list[tuple[Any, ...]] = [
        ("get", User, {"id": ""}),
        ("get", User, {"nonsense": "x"}),
        ("update", User, {"id": 5}, {"email": "a@example.org"}),
        ("delete", User, {"id": "\ud800"}),
        ("add", make_user(id="")),
        ("put", make_profile(user_id=None)),
    ]
    for call in calls:
        assert refusal(cached, *call) == refusal(inner, *call)
    cached.add(make_user())
    with pytest.raises(AlreadyExists):
        cached.add(make_user(email="other@example.org"))


def test_a_write_that_may_still_arrive_keeps_its_record_out_of_the_cache(
    inner: Any, cached: CachingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached.add(make_user())
    cached.get(User, ANA)

    def lost(*args: Any, **given: Any) -> None:
        raise StoreUnavailable("no answer came")

    with monkeypatch.context() as patch:
        patch.setattr(inner, "update", lost)
        with pytest.raises(StoreUnavailable):
            cached.update(User, ANA, {"is_active": False})
    cached.get(User, ANA)
    inner.update(User, ANA, {"is_active": False})  # it arrives
    assert cached.get(User, ANA).is_active is False


def test_answers_are_the_stores_whatever_the_cache_loses(
    inner: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_local_cache(settings, size=5)  # a record takes two entries: most are lost soon
    cached = before(inner)
    draw = random.Random(7)
    names: dict[str, str | None] = dict.fromkeys("abcd")
    for step in range(300):
        who = draw.choice("abcd")
        key = {"user_id": who}
        if draw.random() < 0.6:
            found = cached.get(UserProfile, key)
            assert (None if found is None else found.first_name) == names[who], step
        elif names[who] is None or draw.random() < 0.7:
            names[who] = f"n{step}"
            cached.put(make_profile(user_id=who, first_name=names[who]))
        else:
            names[who] = None
            cached.delete(UserProfile, key)
    assert cached.counters.hits > 0


def test_what_a_transaction_sees_is_kept_only_once_it_is_committed(
    store: Store, settings: Any
) -> None:
    if store.name != "orm":
        pytest.skip("DynamoDB's transactions are single calls")
    use_local_cache(settings)
    inner = watched(store)
    cached = before(inner)
    cached.add(make_user(is_active=False))
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        inner.update(User, ANA, {"email": "other@example.org"})  # by a view, through the ORM
        assert cached.get(User, ANA).email == "other@example.org"
        raise ZeroDivisionError
    assert cached.get(User, ANA).email == "ana@example.org"
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        cached.update(User, ANA, {"is_active": True})
        assert cached.get(User, ANA).is_active  # its own write
        raise ZeroDivisionError
    assert not cached.get(User, ANA).is_active
    with transaction.atomic():
        cached.update(User, ANA, {"is_active": True})
    assert cached.get(User, ANA).is_active
    reads = inner.reads["User"]
    assert cached.get(User, ANA).is_active
    assert inner.reads["User"] == reads  # kept again, after the commit


def test_a_record_that_no_item_can_hold_is_served_all_the_same(store: Store, settings: Any) -> None:
    if store.name != "orm":
        pytest.skip("only SQL can hold it")
    use_local_cache(settings)
    cached = before(watched(store))
    make_profile(preferences={"text": "x" * 500_000}).save()  # by the admin, or a release ago
    for _ in range(2):
        assert len(cached.get(UserProfile, PROFILE).preferences["text"]) == 500_000
    assert cached.counters.hits == 0


def test_the_switch_and_the_caller_can_do_without(settings: Any) -> None:
    for primary in ("sqlite", "dynamodb"):
        settings.DATABASE_PRIMARY = primary
        settings.APP_CACHE_ENABLED = True
        assert isinstance(choice.primary_store(), CachingStore)
        assert not isinstance(choice.primary_store(cached=False), CachingStore)
        settings.APP_CACHE_ENABLED = False
        assert not isinstance(choice.primary_store(), CachingStore)
        assert choice.primary_store().name == ("orm" if primary == "sqlite" else "dynamodb")
    assert set(caching.COUNTERS.stats()) == {"hits", "misses", "refused", "bypassed", "hit_ratio"}
