"""The cache on a real Redis: what it holds, and what happens when it is stopped or stalled."""

from __future__ import annotations

import logging
from typing import Any

import orjson
import pytest

from daylight.models import UserProfile
from dbcore.local_engine import LocalEngine
from dbcore.stores import record_cache
from dbcore.stores.plain_bytes import PlainBytes
from dbcore.stores.record_cache import RecordCache
from dbcore.table_sync import sync_tables
from tests.dbcore.stores.watched import WatchedDynamo, before, use_redis
from tests.settings.complete import LOAD, run_python
from tests.support.redis import RedisServer

ANA = {"user_id": "ana-of-ljubljana"}
LOG = "dbcore.stores.cache"


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def inner(dynamodb: LocalEngine, settings: Any, redis_server: RedisServer) -> WatchedDynamo:
    use_redis(settings, redis_server.url)
    sync_tables(tables=["user_profiles"])
    store = WatchedDynamo()
    store.add(UserProfile(**ANA, first_name="old", last_name="of@example.org"))
    return store


def name_in(store: Any) -> str:
    return str(store.get(UserProfile, ANA).first_name)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if each.levelno >= logging.WARNING]


def test_keys_name_nobody_and_values_are_json_not_pickles(
    inner: WatchedDynamo, redis_server: RedisServer
) -> None:
    cached = before(inner)
    name_in(cached)
    with redis_server.client() as client:
        kept = {key: client.get(key) for key in client.scan_iter()}
        lasting = {key: client.ttl(key) for key in kept}
    assert len(kept) == 2
    for key, value in kept.items():
        assert b"ana" not in key and b"ljubljana" not in key
        assert bytes.fromhex(value[:16].decode()) is not None
    (entry,) = (value for value in kept.values() if len(value) > 16)
    assert orjson.loads(entry[16 + 8 + 32 :])["lastName"] == {"S": "of@example.org"}
    assert all(0 < seconds <= 60 for seconds in lasting.values())
    with pytest.raises(TypeError):
        PlainBytes().dumps({"a": "pickle"})  # type: ignore[arg-type]


def test_a_removed_record_leaves_no_data_behind(
    inner: WatchedDynamo, redis_server: RedisServer
) -> None:
    cached = before(inner)
    name_in(cached)
    cached.delete(UserProfile, ANA)
    with redis_server.client() as client:
        assert not [key for key in client.scan_iter() if b"@" in client.get(key)]


def test_another_secret_and_another_release_read_other_keys(
    inner: WatchedDynamo, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reads() -> int:
        name_in(before(inner))
        return inner.reads["UserProfile"]

    assert [reads(), reads()] == [1, 1]
    settings.SECRET_KEY = "another"
    assert [reads(), reads()] == [2, 2]
    monkeypatch.setattr(record_cache, "VERSION", 3)
    assert [reads(), reads()] == [3, 3]
    monkeypatch.setattr(record_cache, "_shape", lambda layout: ["a field more"])
    assert [reads(), reads()] == [4, 4]
    settings.DYNAMODB_TABLE_PREFIX = settings.DYNAMODB_TABLE_PREFIX + "b-"
    sync_tables(tables=["user_profiles"])
    assert before(inner).get(UserProfile, ANA) is None


def test_a_redis_that_is_stopped_is_done_without_and_said_once(
    inner: WatchedDynamo, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOG)
    cached = before(inner)
    clock = Clock()
    cached._records = RecordCache("records", clock)
    name_in(cached)
    redis_server.stop()
    for at in range(20):
        cached.update(UserProfile, ANA, {"first_name": str(at)})
        assert name_in(cached) == str(at)
    assert len(warnings(caplog)) == 1
    assert cached.counters.bypassed == 20
    redis_server.start()
    name_in(cached)
    assert cached.counters.bypassed == 21  # it is left alone for its rest
    clock.now += record_cache.REST
    name_in(cached)
    name_in(cached)
    assert cached.counters.hits == 1
    assert [each.message for each in caplog.records][-1] == "the cache is back"


def test_one_call_is_slowed_by_a_redis_that_stalls_and_not_the_next(
    inner: WatchedDynamo, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = before(inner)
    name_in(cached)
    asked: list[object] = []
    ask = RecordCache._ask

    def counted(self: RecordCache, call: Any, otherwise: Any) -> Any:
        asked.append(self._health.may_ask())
        return ask(self, call, otherwise)

    monkeypatch.setattr(RecordCache, "_ask", counted)
    with redis_server.stalled():
        for _ in range(10):
            assert name_in(cached) == "old"
    assert asked.count(True) == 1


def test_what_was_written_while_redis_was_out_of_reach_is_not_served_from_it_later(
    inner: WatchedDynamo, redis_server: RedisServer
) -> None:
    cached = before(inner)
    clock = Clock()
    cached._records = RecordCache("records", clock)
    name_in(cached)
    with redis_server.stalled():
        cached.update(UserProfile, ANA, {"first_name": "new"})
    assert name_in(cached) == "new"
    clock.now += record_cache.REST  # it is asked again, and still has the old record
    assert name_in(cached) == "new"
    assert name_in(cached) == "new"
    assert cached.counters.hits == 1
    assert name_in(before(inner)) == "new"


def test_debts_to_a_cache_that_stays_down_do_not_grow_without_end(
    inner: WatchedDynamo, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_cache, "MAX_DEBTS", 3)
    sync_tables(tables=["user_profiles"])
    cached = before(inner)
    redis_server.stop()
    for at in range(6):
        cached.put(UserProfile(user_id=f"u{at}"))
    assert len(cached._records._debts) == 3


def test_the_variable_gives_a_redis_that_is_not_waited_for_and_not_pickled_to() -> None:
    found = run_python(
        LOAD + "c = s.CACHES['records']; print(c['BACKEND'].rpartition('.')[2], c['LOCATION'], "
        "c['KEY_PREFIX'], c['OPTIONS']['serializer'].rpartition('.')[2], "
        "c['OPTIONS']['socket_timeout'], "
        "s.CACHES['default']['OPTIONS']['serializer'].rpartition('.')[2])",
        DAYLIGHT_ENV="development",
        CACHE_URL="rediss://:secret@cache.internal:6379/0?key_prefix=daylight&serializer=pickles",
    )
    wanted = "RedisCache rediss://:secret@cache.internal:6379/0 daylight PlainBytes 0.25 PlainJson"
    assert found.stdout.strip() == wanted, found.stderr
