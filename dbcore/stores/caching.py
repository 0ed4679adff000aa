"""A store with a read-through cache before it, for the models that `DBCORE_CACHED_MODELS` names.

Nothing that decides whether somebody may come in is ever kept here: no session, no key, no count,
no secret field of any record. Records come from the cache as from the store, fresh instances of the
Django models; their secret fields are None, whether the cache had them or not.

How stale an answer can be: every write through this class voids the record in the cache, so with a
cache that all processes share (Redis) a read sees every write that ended before it. The default
cache is each process's own: another process's write, and any write that goes around the stores
(the admin, `manage.py shell`), is seen after at most `APP_CACHE_TTL` seconds. The same holds for
the others while a shared cache is out of one writer's reach. Of `get_by_unique` and of `query` it
keeps nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connections, models, transaction

from dbcore.attributes import Item
from dbcore.errors import InvalidValue
from dbcore.items import layout_of
from dbcore.stores import validation
from dbcore.stores.counters import CacheCounters
from dbcore.stores.errors import InvalidRecord, StoreUnavailable
from dbcore.stores.flights import Flights
from dbcore.stores.interface import Add, Key, Position, Query, Record, Store, Write
from dbcore.stores.orm import OrmStore
from dbcore.stores.record_cache import Look, Place, RecordCache, place_of
from dbcore.stores.withheld import open_item, withheld

PATIENCE = 0.5  # seconds to wait for another's load before loading oneself

COUNTERS = CacheCounters()  # of this process, for monitoring
FOR_ALL_THREADS = frozenset(
    f"django.core.cache.backends.{name}"
    for name in ("dummy.DummyCache", "locmem.LocMemCache", "redis.RedisCache")
)


class CachingStore:
    """The store interface: `get` reads through the cache, every write voids what it changes."""

    def __init__(self, inner: Store, alias: str, counters: CacheCounters = COUNTERS) -> None:
        self.inner = inner
        self.name = inner.name
        self.counters = counters
        self._records = RecordCache(alias)
        self._flights = Flights(PATIENCE)

    @property
    def thread_bound(self) -> bool:
        """Also with a cache in Django's database, or one that threads may not share."""
        cache = settings.CACHES[self._records.alias]["BACKEND"]
        return self.inner.thread_bound or cache not in FOR_ALL_THREADS

    def get(
        self,
        model: type[Record],
        key: Key,
        *,
        live_at: dt.datetime | None = None,
        consistent: bool = True,
    ) -> Record | None:
        if not _is_cached(model):
            return self.inner.get(model, key, live_at=live_at, consistent=consistent)
        found = self._get(model, key, live_at, consistent)
        return None if found is None else withheld(found)

    def _get(
        self, model: type[Record], key: Key, live_at: dt.datetime | None, consistent: bool
    ) -> Record | None:
        layout = layout_of(model)
        validation.check_key(layout, key)
        if self._in_transaction():
            # What it sees may never be committed.
            self.counters.bypass()
            return self.inner.get(model, key, live_at=live_at, consistent=consistent)
        place = place_of(self.name, layout, key)
        look = self._records.look(place)
        if look.item is not None:
            self.counters.hit()
            return _record(model, look.item, live_at)
        if look.generation is None:
            self.counters.bypass()
            return self.inner.get(model, key, live_at=live_at, consistent=consistent)
        (self.counters.refuse if look.refused else self.counters.miss)()
        if not consistent:
            # A replica's answer may be older than the generation: it is not kept.
            return self.inner.get(model, key, live_at=live_at, consistent=False)
        return self._load(model, key, place, live_at)

    def _load(
        self, model: type[Record], key: Key, place: Place, live_at: dt.datetime | None
    ) -> Record | None:
        """Read a record and keep it, one caller at a time as far as the others' patience goes."""
        with self._flights.turn(place.entry) as first:
            locked = first and self._records.lock(place)
            if first and not locked:
                self._records.await_other(place, PATIENCE)
            try:
                look = self._records.look(place)  # another may have just loaded it
                if look.item is not None:
                    return _record(model, look.item, live_at)
                return self._fill(model, key, place, look, live_at)
            finally:
                if locked:
                    self._records.unlock(place)

    def _fill(
        self,
        model: type[Record],
        key: Key,
        place: Place,
        look: Look,
        live_at: dt.datetime | None,
    ) -> Record | None:
        # What is not there is not kept: it may be added by who knows nothing of this cache.
        record = self.inner.get(model, key, live_at=live_at)
        if record is not None and look.generation is not None:
            try:
                item = layout_of(model).to_item(validation.values_of(record))
            except InvalidValue:
                return record  # SQL may hold what no item can: served, not kept
            self._records.keep(place, look.generation, open_item(layout_of(model), item))
        return record

    def get_by_unique(
        self, model: type[Record], field: str, value: str, *, consistent: bool = True
    ) -> Record | None:
        return self.inner.get_by_unique(model, field, value, consistent=consistent)

    def add(self, record: Record) -> Record:
        with self._changing([_of(record)]):
            return self.inner.add(record)

    def put(self, record: Record) -> Record:
        with self._changing([_of(record)]):
            return self.inner.put(record)

    def update(
        self,
        model: type[Record],
        key: Key,
        changes: Mapping[str, Any],
        *,
        expect: Mapping[str, Any] | None = None,
    ) -> Record:
        with self._changing([(model, key)]):
            return self.inner.update(model, key, changes, expect=expect)

    def delete(
        self, model: type[models.Model], key: Key, *, expect: Mapping[str, Any] | None = None
    ) -> None:
        with self._changing([(model, key)]):
            self.inner.delete(model, key, expect=expect)

    def increment(self, initial: Record, field: str, *, below: int) -> Record | None:
        with self._changing([_of(initial)]):
            return self.inner.increment(initial, field, below=below)

    def query(self, query: Query) -> tuple[list[models.Model], Position | None]:
        return self.inner.query(query)

    def transact(self, writes: Sequence[Write]) -> None:
        with self._changing(
            [
                _of(write.record) if isinstance(write, Add) else (write.model, write.key)
                for write in writes
            ]
        ):
            self.inner.transact(writes)

    @contextmanager
    def _changing(self, records: Sequence[tuple[type[models.Model], Key]]) -> Iterator[None]:
        """Void these records in the cache before they are written and after."""
        places = [place for each in records for place in self._places(*each)]
        if not places:
            yield
            return
        self._records.begin_write(places)
        try:
            yield
        except StoreUnavailable:
            # The write may still arrive: nothing is kept until its mark has run out.
            self._records.begin_write(places)
            raise
        except BaseException:
            self._end_write(places)
            raise
        self._end_write(places)

    def _end_write(self, places: list[Place]) -> None:
        if isinstance(self.inner, OrmStore):
            # Within a caller's transaction others see the old record until it is committed.
            transaction.on_commit(
                lambda: self._records.end_write(places), using=self.inner.alias, robust=True
            )
        else:
            self._records.end_write(places)

    def _places(self, model: type[models.Model], key: Key) -> list[Place]:
        if not _is_cached(model):
            return []
        layout = layout_of(model)
        try:
            validation.check_key(layout, key)
            return [place_of(self.name, layout, key)]
        except (InvalidRecord, InvalidValue):
            return []  # for the store to refuse

    def _in_transaction(self) -> bool:
        if not isinstance(self.inner, OrmStore):
            return False
        return connections[self.inner.alias].in_atomic_block


def _is_cached(model: type[models.Model]) -> bool:
    return model._meta.label in settings.DBCORE_CACHED_MODELS


def _of(record: models.Model) -> tuple[type[models.Model], dict[str, Any]]:
    model = type(record)
    return model, {name: getattr(record, name) for name in layout_of(model).table.key_fields}


def _record(model: type[Record], item: Item, live_at: dt.datetime | None) -> Record | None:
    """The record of a cached item; None when it has expired since."""
    layout = layout_of(model)
    if live_at is not None and layout.item_has_expired(item, live_at):
        return None
    found: Record = validation.record_from(layout, layout.from_item(item))
    return found
