"""Real stores whose reads are counted and can be held up, and caches for them."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.db import connections

from dbcore.stores.caching import CachingStore
from dbcore.stores.counters import CacheCounters
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.interface import Store
from dbcore.stores.orm import OrmStore

LOCAL = "django.core.cache.backends.locmem.LocMemCache"
REDIS = "django.core.cache.backends.redis.RedisCache"
LONG = 30.0  # seconds; a wait that takes it has failed


class Watched:
    """Counts reads by model; `loaded` is called with what was read, before it is handed on."""

    loaded: Callable[[Any], None] = staticmethod(lambda record: None)

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()

    def get(self, model: Any, key: Any, **given: Any) -> Any:
        self.reads[model.__name__] += 1
        record = super().get(model, key, **given)  # type: ignore[misc]
        self.loaded(record)
        return record

    def get_by_unique(self, model: Any, field: str, value: str, **given: Any) -> Any:
        self.reads[f"{model.__name__}.{field}"] += 1
        return super().get_by_unique(model, field, value, **given)  # type: ignore[misc]


class WatchedOrm(Watched, OrmStore):
    pass


class WatchedDynamo(Watched, DynamoStore):
    pass


def watched(store: Store) -> Any:
    """The same kind of store, watched."""
    return WatchedOrm() if isinstance(store, OrmStore) else WatchedDynamo()


def before(inner: Any) -> CachingStore:
    """A cache before a store, with counters of its own."""
    return CachingStore(inner, "records", CacheCounters())


def use_local_cache(settings: Any, size: int = 1000) -> None:
    """An empty cache in this process."""
    settings.CACHES = {
        "records": {
            "BACKEND": LOCAL, "LOCATION": uuid.uuid4().hex, "OPTIONS": {"MAX_ENTRIES": size},
        }
    }  # fmt: skip


def use_redis(settings: Any, url: str) -> None:
    """A cache on a Redis, as settings/base.py has it."""
    options = {
        "socket_timeout": 0.25,
        "socket_connect_timeout": 0.25,
        "serializer": "dbcore.stores.plain_bytes.PlainBytes",
    }
    settings.CACHES = {"records": {"BACKEND": REDIS, "LOCATION": url, "OPTIONS": options}}


class Held:
    """Holds the first load up, after the store has answered and before the answer is handed on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self._first = threading.Lock()

    def __call__(self, record: Any) -> None:
        if self._first.acquire(blocking=False):
            self.reached.set()
            assert self.go_on.wait(LONG)


def in_thread(call: Callable[[], Any]) -> Callable[[], Any]:
    """Run a call in a thread; the function that is returned waits for its answer."""
    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append(call())
        except BaseException as error:
            answers.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()

    def answer() -> Any:
        thread.join(LONG)
        assert answers, "the call did not come back"
        if isinstance(answers[0], BaseException):
            raise answers[0]
        return answers[0]

    return answer
