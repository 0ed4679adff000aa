"""Somebody else writes to the Redis of the caches: nothing of it is believed, nothing of it is run,
and no secret was ever there to be read."""

from __future__ import annotations

import logging
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.cache import caches
from django.core.checks import run_checks
from redis import Redis

from daylight.models import User, UserProfile
from dbcore.checks import check_caches
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.stores import record_cache
from dbcore.stores.record_cache import RecordCache, place_of
from dbcore.table_sync import sync_tables
from tests.dbcore.stores.watched import LOCAL, REDIS, WatchedDynamo, before, use_redis
from tests.support.redis import RedisServer

LOG = "dbcore.stores.cache"
ANA, BEA = {"user_id": "ana"}, {"user_id": "bea"}
HEAD = 16 + 8  # bytes: generation and end
Forge = Callable[[bytes, bytes], bytes]


@pytest.fixture
def inner(dynamodb: LocalEngine, settings: Any, redis_server: RedisServer) -> WatchedDynamo:
    """A store with two profiles, before a cache that has both."""
    use_redis(settings, redis_server.url)
    sync_tables(tables=["user_profiles", "users", "unique"])
    store = WatchedDynamo()
    for key in (ANA, BEA):
        store.add(UserProfile(**key, first_name=f"true {key['user_id']}"))
    return store


def in_redis(key: dict[str, str]) -> tuple[str, str]:
    """Where Redis has a profile's entry and generation; Django puts its version before."""
    place = place_of(WatchedDynamo.name, layout_of(UserProfile), key)
    return f":1:{place.entry}", f":1:{place.generation}"


def name_in(store: Any, key: dict[str, str] = ANA) -> str:
    return str(store.get(UserProfile, key).first_name)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if each.name == LOG]


def forged_item(entry: bytes, other: bytes) -> bytes:
    item = orjson.loads(entry[HEAD + 32 :]) | {"firstName": {"S": "forged"}}
    return entry[: HEAD + 32] + orjson.dumps(item)


FORGERIES: dict[str, Forge] = {
    "other content under the old seal": forged_item,
    "another record's entry with this one's generation": lambda entry, other: (
        entry[:16] + other[16:]
    ),
    "no seal, as of an earlier release": lambda entry, other: entry[:16] + entry[HEAD + 32 :],
    "a seal of another secret": lambda entry, other: entry[:HEAD] + b"\0" * 32 + entry[HEAD + 32 :],
    "a later end": lambda entry, other: entry[:16] + b"\0\0\0\0\xff\0\0\0" + entry[HEAD:],
    "a pickle": lambda entry, other: entry[:16] + pickle.dumps({"firstName": {"S": "forged"}}),
    "cut off in its content": lambda entry, other: entry[:-1],
    "cut off in its seal": lambda entry, other: entry[: HEAD + 31],
    "cut off in its head": lambda entry, other: entry[:17],
    "cut off behind its generation": lambda entry, other: entry[:16],
    "longer": lambda entry, other: entry + b" ",
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_an_entry_that_was_not_kept_for_its_record_is_a_miss_told_of_once_and_counted(
    inner: WatchedDynamo, redis_server: RedisServer, forge: Forge, caplog: pytest.LogCaptureFixture
) -> None:
    cached = before(inner)
    for key in (ANA, BEA):
        name_in(cached, key)
    with redis_server.client() as client:
        for _ in range(3):
            entry, _ = in_redis(ANA)
            client.set(entry, forge(client.get(entry), client.get(in_redis(BEA)[0])))
            assert name_in(cached) == "true ana"
            assert name_in(cached) == "true ana"
    assert cached.counters.stats()["refused"] == 3
    assert cached.counters.hits == 3, "the record is kept anew, and then served from there"
    assert told(caplog) == ["a cache entry was refused"]
    assert "forged" not in caplog.text and "ana" not in caplog.text


def test_another_records_entry_is_refused_with_its_own_generation_too(
    inner: WatchedDynamo, redis_server: RedisServer
) -> None:
    cached = before(inner)
    for key in (ANA, BEA):
        name_in(cached, key)
    with redis_server.client() as client:
        for here, there in zip(in_redis(ANA), in_redis(BEA), strict=True):
            client.copy(there, here, replace=True)
    assert name_in(cached) == "true ana"
    assert cached.counters.stats()["refused"] == 1


def test_it_is_told_of_again_after_a_minute(
    inner: WatchedDynamo, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOG)
    now = 1000.0
    cached = before(inner)
    cached._records = RecordCache("records", lambda: now)
    with redis_server.client() as client:
        for seconds in (0, 59, 2, 100):
            now += seconds
            name_in(cached)
            entry, _ = in_redis(ANA)
            client.set(entry, client.get(entry)[:-1])
            name_in(cached)
    assert told(caplog) == ["a cache entry was refused"] * 3


def test_an_old_entry_that_is_put_back_with_its_generation_ends_when_it_would_have(
    inner: WatchedDynamo,
    redis_server: RedisServer,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cached = before(inner)
    name_in(cached)
    with redis_server.client() as client:
        old = {name: client.get(name) for name in in_redis(ANA)}
        cached.update(UserProfile, ANA, {"first_name": "new"})
        assert name_in(cached) == "new"
        later = time.time() + settings.APP_CACHE_TTL + 1
        monkeypatch.setattr(record_cache, "time", _Clock(later))
        client.mset(old)
        assert name_in(cached) == "new"


class _Clock:
    """Stands for the module: it is later."""

    def __init__(self, now: float) -> None:
        self.time = lambda: now
        self.sleep = time.sleep


@pytest.mark.parametrize("generation", [b"", b"\0", b"x" * 17, b"x" * 5000])
def test_what_is_no_generation_is_not_gone_by(
    inner: WatchedDynamo, redis_server: RedisServer, generation: bytes
) -> None:
    cached = before(inner)
    name_in(cached)
    with redis_server.client() as client:
        client.set(in_redis(ANA)[1], generation)
    assert name_in(cached) == "true ana"
    assert cached.counters.hits == 0


def test_no_secret_field_is_ever_there(inner: WatchedDynamo, redis_server: RedisServer) -> None:
    cached = before(inner)
    cached.add(User(id="ana", email="ana@example.org", password_hash="pbkdf2$hunter2"))
    reads = [cached.get(User, {"id": "ana"}) for _ in range(3)]
    assert inner.reads["User"] == 1, "it is cached all the same"
    assert {each.email for each in reads} == {"ana@example.org"}
    assert {each.password_hash for each in reads} == {None}
    with redis_server.client() as client:
        values = [client.get(key) for key in client.scan_iter()]
    assert any(b"ana@example.org" in each for each in values)
    assert not any(b"hunter2" in each or b"passwordHash" in each for each in values)
    assert cached.get_by_unique(User, "email", "ana@example.org").password_hash == "pbkdf2$hunter2"


# --- Django's other values ----------------------------------------------------------------------


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def default(settings: Any, redis_server: RedisServer) -> Any:
    """Django's default cache, as settings/base.py has it."""
    options = {"serializer": "dbcore.stores.plain_json.PlainJson"}
    given = {"BACKEND": REDIS, "LOCATION": redis_server.url, "OPTIONS": options}
    settings.CACHES = {"default": given}
    return caches["default"]


def plant(client: Redis, key: str, folder: Path) -> None:
    bomb = pickle.dumps(Bomb(folder))
    client.set(f":1:{key}", bomb)


def test_a_pickle_that_somebody_has_planted_is_not_run(
    default: Any, redis_server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "it ran"
    with redis_server.client() as client:
        plant(client, "planted", folder)
    assert default.get("planted") is None
    assert default.get_many(["planted"]) == {"planted": None}
    assert not folder.exists()
    assert set(told(caplog)) == {"a cache value was refused"} and str(folder) not in caplog.text
    pickle.loads(pickle.dumps(Bomb(folder)))  # and it would have run
    assert folder.exists()


def test_nor_is_it_run_in_the_cache_of_records(
    inner: WatchedDynamo, redis_server: RedisServer, tmp_path: Path
) -> None:
    folder, cached = tmp_path / "it ran", before(inner)
    with redis_server.client() as client:
        for name in in_redis(ANA):
            plant(client, name.removeprefix(":1:"), folder)
    assert name_in(cached) == "true ana"
    assert not folder.exists()


@pytest.mark.parametrize(
    "value", [None, True, 0, -5, 1.5, "ü", [], {"a": [1, None, {"b": "c"}]}, 10**30]
)
def test_what_json_gives_back_as_it_was_may_be_cached(default: Any, value: Any) -> None:
    default.set("x", value)
    found = default.get("x", "nothing")
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("value", [(1, 2), {1: "a"}, {"a": (1,)}, b"x", {1}, float("nan"), object])
def test_and_nothing_else(default: Any, value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        default.set("x", value)
    assert default.get("x") is None


def test_numbers_are_counted_by_redis_itself(default: Any) -> None:
    default.set("n", 5)
    assert default.incr("n") == 6
    assert default.get("n") == 6
    assert default.add("n", 1) is False


def test_a_cache_that_would_unpickle_is_an_error_of_the_checks(settings: Any) -> None:
    safe = {"BACKEND": REDIS, "OPTIONS": {"serializer": "dbcore.stores.plain_json.PlainJson"}}
    pickles = "django.core.cache.backends.redis.RedisSerializer"
    found = check_caches({
        "own": {"BACKEND": LOCAL}, "safe": safe, "usual": {"BACKEND": REDIS},
        "said": {"BACKEND": REDIS, "OPTIONS": {"serializer": pickles}},
        "files": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache"},
    })  # fmt: skip
    assert [each.id for each in found] == ["dbcore.E022"] * 3
    assert [each.msg.split("'")[1] for each in found] == ["usual", "said", "files"]
    settings.CACHES = {"default": {"BACKEND": REDIS, "LOCATION": "redis://127.0.0.1"}}
    assert "dbcore.E022" in {each.id for each in run_checks(tags=["dbcore"])}
