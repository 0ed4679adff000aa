"""Readers and writers at once, in threads and through two caches on one Redis: what was loaded
before a write is never served after it, and many readers load once."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.core.cache import caches
from django.db import transaction

from daylight.models import UserProfile
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.stores import caching
from dbcore.stores.caching import CachingStore
from dbcore.stores.record_cache import RecordCache, place_of
from dbcore.table_sync import sync_tables
from tests.dbcore.stores.watched import (
    LONG,
    Held,
    WatchedDynamo,
    WatchedOrm,
    before,
    in_thread,
    use_local_cache,
    use_redis,
)

pytestmark = pytest.mark.django_db(transaction=True)
ANA = {"user_id": "ana"}


def make_profile(**given: Any) -> UserProfile:
    return UserProfile(**{**ANA, "first_name": "old", **given})


@pytest.fixture(params=["in process", "redis"])
def inner(request: pytest.FixtureRequest, dynamodb: LocalEngine, settings: Any) -> WatchedDynamo:
    """A store with one profile, whose reads can be held up, and an empty cache."""
    if request.param == "redis":
        use_redis(settings, request.getfixturevalue("redis_server").url)
    else:
        use_local_cache(settings)
    sync_tables(tables=["user_profiles"])
    store = WatchedDynamo()
    store.add(make_profile())
    return store


def name_in(store: CachingStore) -> str:
    found = store.get(UserProfile, ANA)
    assert found is not None
    return found.first_name


def test_a_reader_that_loaded_before_a_write_does_not_put_it_back(inner: WatchedDynamo) -> None:
    cached = before(inner)
    inner.loaded = held = Held()
    slow = in_thread(lambda: name_in(cached))
    assert held.reached.wait(LONG)
    cached.update(UserProfile, ANA, {"first_name": "new"})
    held.go_on.set()
    assert slow() == "old"  # it had asked before the write
    assert name_in(cached) == "new"
    assert name_in(cached) == "new"
    assert cached.counters.hits == 1


def test_nor_does_one_that_loads_between_a_writers_two_marks(
    inner: WatchedDynamo, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = before(inner)
    written = inner.update

    def update(*args: Any, **given: Any) -> Any:
        assert name_in(cached) == "old"  # a reader of the time before the write
        return written(*args, **given)

    monkeypatch.setattr(inner, "update", update)
    cached.update(UserProfile, ANA, {"first_name": "new"})
    assert name_in(cached) == "new"
    assert cached.counters.hits == 0


def test_nor_does_one_on_another_process_while_two_write(inner: WatchedDynamo) -> None:
    here, there = before(inner), before(inner)  # two processes' stores before one cache
    inner.loaded = held = Held()
    slow = in_thread(lambda: name_in(there))
    assert held.reached.wait(LONG)
    here.update(UserProfile, ANA, {"first_name": "newer"})
    there.update(UserProfile, ANA, {"first_name": "newest"})
    held.go_on.set()
    slow()
    assert [name_in(here), name_in(there), name_in(here)] == ["newest"] * 3


def test_an_entry_is_void_when_the_cache_has_lost_its_generation(inner: WatchedDynamo) -> None:
    cached = before(inner)
    assert name_in(cached) == "old"
    inner.update(UserProfile, ANA, {"first_name": "new"})  # around the cache
    assert name_in(cached) == "old"
    place = place_of(cached.name, layout_of(UserProfile), ANA)
    caches["records"].delete(place.generation)
    assert name_in(cached) == "new"


def test_a_writer_that_dies_leaves_no_old_record_in_the_cache(
    inner: WatchedDynamo, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying, living = before(inner), before(inner)
    assert name_in(living) == "old"
    monkeypatch.setattr(dying, "_end_write", lambda places: None)
    dying.update(UserProfile, ANA, {"first_name": "new"})
    assert name_in(living) == "new"


def test_many_readers_at_once_load_once_and_one_of_each_process_asks_for_the_lock(
    inner: WatchedDynamo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "PATIENCE", LONG)
    asked: list[Any] = []
    lock = RecordCache.lock
    monkeypatch.setattr(
        RecordCache, "lock", lambda self, place: asked.append(self) or lock(self, place)
    )
    several = [before(inner), before(inner)]  # two processes' stores before one cache
    inner.loaded = held = Held()
    answers = [in_thread(lambda at=at: name_in(several[at % 2])) for at in range(16)]
    assert held.reached.wait(LONG)
    while sum(each.counters.misses for each in several) < 16:
        time.sleep(0.001)
    held.go_on.set()
    assert [answer() for answer in answers] == ["old"] * 16
    assert inner.reads["UserProfile"] == 1
    assert asked.count(several[0]._records) <= 2 and asked.count(several[1]._records) <= 2


def test_nobody_waits_long_for_a_loader_that_is_stuck(
    inner: WatchedDynamo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "PATIENCE", 0.02)
    here, there = before(inner), before(inner)
    inner.loaded = held = Held()
    stuck = in_thread(lambda: name_in(here))
    assert held.reached.wait(LONG)
    same, other = in_thread(lambda: name_in(here)), in_thread(lambda: name_in(there))
    assert (same(), other()) == ("old", "old")  # while the first is stuck
    held.go_on.set()
    assert stuck() == "old"


def test_a_loader_that_fails_lets_the_next_one_load(inner: WatchedDynamo) -> None:
    cached = before(inner)

    def fail(record: Any) -> None:
        raise ZeroDivisionError

    inner.loaded = fail
    with pytest.raises(ZeroDivisionError):
        name_in(cached)
    del inner.loaded
    place = place_of(cached.name, layout_of(UserProfile), ANA)
    assert caches["records"].get(place.lock) is None
    assert name_in(cached) == "old"


def test_writers_and_readers_at_once_leave_the_last_write(inner: WatchedDynamo) -> None:
    several = [before(inner), before(inner)]
    wrong: list[tuple[int, int]] = []
    done = threading.Event()

    def read(store: CachingStore) -> None:
        seen = 0
        while not done.is_set():
            text = name_in(store)
            now = 0 if text == "old" else int(text)
            if now < seen:
                wrong.append((seen, now))
            seen = now

    readers = [in_thread(lambda store=store: read(store)) for store in several * 2]
    for at in range(1, 60):
        several[at % 2].update(UserProfile, ANA, {"first_name": str(at)})
        if name_in(several[(at + 1) % 2]) != str(at):
            wrong.append((at, -1))
    done.set()
    for reader in readers:
        reader()
    assert wrong == []


def test_what_others_read_during_a_transaction_is_not_kept_beyond_it(
    postgresql_tables: None, settings: Any
) -> None:
    use_local_cache(settings)
    inner = WatchedOrm()
    cached = before(inner)
    cached.add(make_profile())
    with transaction.atomic():
        cached.update(UserProfile, ANA, {"first_name": "new"})
        assert in_thread(lambda: name_in(cached))() == "old"  # not committed yet
        assert name_in(cached) == "new"
    assert name_in(cached) == "new"
    assert in_thread(lambda: name_in(cached))() == "new"
