"""Records' items in Django's cache, each good for one generation of its record alone.

A reader takes the generation before it loads, and what it keeps counts only while that one stands;
a writer makes a new one before and after its write. So an old value may be put back late, but it is
never served. Nothing here may raise, or make a caller wait, because the cache is down; and nothing
is believed that is not sealed for its place, its generation and its time: others may write there.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import orjson
from django.conf import settings
from django.core.cache import BaseCache, caches

from dbcore.attributes import Item
from dbcore.items import ItemLayout
from dbcore.stores.health import CACHE_BACK, CACHE_DOWN, CACHE_REFUSED, Health
from dbcore.stores.interface import Key

VERSION = 2  # of what an entry looks like: generation, end, seal, item
REST = 5.0  # seconds that a cache which is down is left alone
LOCK_SECONDS = 5  # a loader that died keeps the other processes off no longer
MARK_SECONDS = 10  # a writer that died keeps its record out of the cache no longer
MAX_DEBTS = 100_000
QUIET = 60.0  # seconds in which a refused entry is told of once
_TOKEN = 16  # bytes of a generation
_END = 8  # bytes: epoch seconds, by the clock of who has kept the entry
_SEAL = 32  # bytes
_WRITING = b"w"
_POLL = 0.005

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Place:
    """The cache keys of one record: its entry, its generation, and its loader's lock."""

    entry: str
    generation: str
    lock: str


class Look(NamedTuple):
    """What the cache has of a record. No generation: nothing that is loaded now may be kept.
    Refused: it has something that was not kept there for this record."""

    generation: bytes | None = None
    item: Item | None = None
    refused: bool = False


@functools.cache
def _shape(layout: ItemLayout) -> list[str]:
    """What an entry is made of: a release with other fields does not read the last one's."""
    return [f"{column.attribute}:{type(column.codec).__name__}" for column in layout.columns]


@functools.lru_cache(maxsize=8)
def _hash_key(secret: str, purpose: str) -> bytes:
    return hashlib.sha256(f"dbcore.stores.record_cache{purpose}:{secret}".encode()).digest()


def _digest(*parts: Any) -> str:
    # With a secret: a key may be a person's, and could be guessed from a plain hash.
    secret = _hash_key(settings.SECRET_KEY, "")
    return hashlib.blake2b(orjson.dumps(parts), key=secret, digest_size=20).hexdigest()


def _seal(place: Place, head: bytes, content: bytes) -> bytes:
    # Of a fixed length each, but for the last: no two entries are sealed alike.
    secret = _hash_key(settings.SECRET_KEY, ".seal")
    text = place.entry.encode() + head + content
    return hashlib.blake2b(text, key=secret, digest_size=_SEAL).digest()


def place_of(store: str, layout: ItemLayout, key: Key) -> Place:
    """Where a record of a store is kept."""
    digest = _digest(store, layout.table_name, _shape(layout), layout.key_of(key))
    name = f"record{VERSION}:{digest}"
    return Place(name, f"{name}:generation", f"{name}:lock")


def _new_generation() -> bytes:
    # Not a count: one that the cache has lost and begun again would make old entries good again.
    return os.urandom(_TOKEN // 2).hex().encode()


class RecordCache:
    """Items in one of Django's caches."""

    def __init__(self, alias: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.alias = alias
        self._clock = clock
        self._health = Health(REST, clock)
        self._told = -QUIET  # when a refused entry was told of
        # Records written while the cache was down: their generations are owed to it.
        self._debts: dict[Place, float] = {}

    def look(self, place: Place) -> Look:
        """The record's item, if there is one of its present generation."""
        if self._debts and not self._pay():
            return Look()
        found = self._ask(lambda cache: cache.get_many([place.entry, place.generation]), None)
        if found is None:
            return Look()
        generation = found.get(place.generation) or self._first_generation(place)
        if generation is None or len(generation) != _TOKEN:  # it is being written
            return Look()
        entry = found.get(place.entry)
        if entry is None or not entry.startswith(generation):
            return Look(generation)
        opened = _opened(place, entry)
        if opened is None:
            self._tell_of_refusal()
        return opened or Look(generation, refused=True)

    def _tell_of_refusal(self) -> None:
        now = self._clock()
        if now - self._told >= QUIET:
            self._told = now
            CACHE_REFUSED.log()

    def _first_generation(self, place: Place) -> bytes | None:
        made = _new_generation()

        def begin(cache: BaseCache) -> bytes | None:
            if cache.add(place.generation, made, self._lasting):
                return made
            standing: bytes | None = cache.get(place.generation)  # another reader was first
            return standing

        return self._ask(begin, None)

    @property
    def _lasting(self) -> int:
        """Seconds that a generation stays: as long as any entry of it."""
        return int(settings.APP_CACHE_TTL) * 2

    def keep(self, place: Place, generation: bytes, item: Item) -> None:
        """Keep an item that was loaded after its generation had been looked up."""
        until = int(time.time()) + settings.APP_CACHE_TTL
        head, content = generation + until.to_bytes(_END, "big"), orjson.dumps(item)
        entry = head + _seal(place, head, content) + content
        self._ask(lambda cache: cache.set(place.entry, entry, settings.APP_CACHE_TTL), None)

    def lock(self, place: Place) -> bool:
        """Be the one process that loads the record. True also where there is nobody to ask."""
        return self._ask(lambda cache: cache.add(place.lock, b"1", LOCK_SECONDS), True)

    def unlock(self, place: Place) -> None:
        """Let another process load the record."""
        self._ask(lambda cache: cache.delete(place.lock), None)

    def await_other(self, place: Place, patience: float) -> None:
        """Wait until the process that loads the record is done, at most `patience` seconds."""
        until = self._clock() + patience
        while self._ask(lambda cache: cache.get(place.lock), None) and self._clock() < until:
            time.sleep(_POLL)

    def begin_write(self, places: Iterable[Place]) -> None:
        """From now on nothing that is loaded of these records is kept."""
        marks = {place: _WRITING + _new_generation() for place in places}
        self._put(marks, MARK_SECONDS)

    def end_write(self, places: Iterable[Place]) -> None:
        """What is loaded of these records from now on may be kept; what was before is void."""
        generations = {place: _new_generation() for place in places}
        self._put(generations, self._lasting)

    def _put(self, generations: dict[Place, bytes], seconds: int) -> None:
        if not self._ask(lambda cache: _set(cache, generations, seconds), False):
            self._owe(generations)

    def _owe(self, places: Iterable[Place]) -> None:
        # Whatever another process has kept or is loading meanwhile has gone by then.
        until = self._clock() + settings.APP_CACHE_TTL + MARK_SECONDS
        for place in places:
            self._debts[place] = until
        while len(self._debts) > MAX_DEBTS:
            self._debts.pop(next(iter(self._debts)))

    def _pay(self) -> bool:
        """Void what was written while the cache was down; whether nothing is owed any more."""
        owed = dict(self._debts)
        now = self._clock()
        due = {place: _new_generation() for place, until in owed.items() if until > now}
        if due and not self._ask(lambda cache: _set(cache, due, self._lasting), False):
            return False
        for place, until in owed.items():
            if self._debts.get(place) == until:
                del self._debts[place]
        return not self._debts

    def _ask(self, call: Callable[[BaseCache], Answer], otherwise: Answer) -> Answer:
        """The cache's answer, or `otherwise` when it is down."""
        if not self._health.may_ask():
            return otherwise
        try:
            answer = call(caches[self.alias])
        except Exception as error:  # each cache's client has errors of its own
            if self._health.failed():
                CACHE_DOWN.log(error=error)
            return otherwise
        if self._health.answered():
            CACHE_BACK.log()
        return answer


def _set(cache: BaseCache, generations: dict[Place, bytes], seconds: int) -> bool:
    """Void these records' entries, and drop them: a removed record's data is not to linger."""
    refused = cache.set_many(
        {place.generation: value for place, value in generations.items()}, seconds
    )
    cache.delete_many([place.entry for place in generations])
    return not refused


def _opened(place: Place, entry: bytes) -> Look | None:
    """An entry of the present generation; None where it was not kept for this place."""
    head, rest = entry[: _TOKEN + _END], entry[_TOKEN + _END :]
    seal, content = rest[:_SEAL], rest[_SEAL:]
    if not hmac.compare_digest(seal, _seal(place, head, content)):
        return None
    until = int.from_bytes(head[_TOKEN:], "big")
    # An old one that somebody has put back with its generation is no better than when it ended.
    return Look(head[:_TOKEN], orjson.loads(content) if time.time() <= until else None)
