"""Lists page by page: opaque cursors that are signed, belong to one list, and grow old.

A cursor holds a place in the order of a list, not a key of either store: it is as good after a
switch of the store as before.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, overload

from django.core import signing
from django.db import models

from dbcore.attributes import timestamp_text
from dbcore.items import layout_of
from dbcore.stores.errors import InvalidRecord
from dbcore.stores.interface import Position, Query, Store
from dbcore.stores.validation import check_instant

MAX_LIMIT = 1000
CURSOR_DAYS = 7  # after which a cursor is stale
_SALT = "dbcore.stores.pages"

Each = TypeVar("Each", bound=models.Model)


@dataclass(frozen=True, slots=True)
class _End:
    """Where a page ended, in which list."""

    order: dt.datetime
    key: str
    queries: Sequence[Query]
    moving: str


class Page(Sequence[Each], Generic[Each]):
    """Records, newest first. `next_cursor` continues the list; None: there are no more."""

    def __init__(self, records: Sequence[Each], end: _End | None = None) -> None:
        self._records = list(records)
        self._end = end

    @functools.cached_property
    def next_cursor(self) -> str | None:
        """Made and signed when it is asked for: that takes as long as reading five records."""
        return None if self._end is None else _encode(self._end)

    @overload
    def __getitem__(self, at: int) -> Each: ...

    @overload
    def __getitem__(self, at: slice) -> list[Each]: ...

    def __getitem__(self, at: int | slice) -> Each | list[Each]:
        return self._records[at]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Each]:
        return iter(self._records)

    def __repr__(self) -> str:
        more = ", and more" if self._end else ""
        return f"<Page of {len(self)} records{more}>"


def read_page(
    store: Store, query: Query, cursor: str | None = None, *, moving: str = ""
) -> Page[Any]:
    """One page; InvalidRecord for a bad limit, a bad range or a cursor that is not this list's.

    `moving` names bounds that move with the clock ("30 days"): then the cursor belongs to that
    name, and not to where the bounds happened to be when it was given.
    """
    return read_page_of_all(store, [query], cursor, moving=moving)


def read_page_of_all(
    store: Store, queries: Sequence[Query], cursor: str | None = None, *, moving: str = ""
) -> Page[Any]:
    """One page of several lists taken as one. They have the same model, order and limit."""
    one = queries[0]
    check_limit(one.limit)
    check_range(one.low, one.high)
    after = None if cursor is None else _decode(cursor, _list_name(queries, moving))
    found: list[models.Model] = []
    ends = []
    for query in queries:
        records, end = store.query(query if after is None else replace(query, after=after))
        found += records
        ends.append(end)
    more = len(found) > one.limit or any(ends)
    if len(queries) > 1:
        found = heapq.nlargest(one.limit, found, key=lambda record: _place(record, one))
    return Page(found, _End(*_place(found[-1], one), tuple(queries), moving) if more else None)


def check_limit(limit: Any) -> None:
    """Raise InvalidRecord for a limit that is not a whole number from 1 to MAX_LIMIT."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        raise InvalidRecord("limit", f"must be a whole number from 1 to {MAX_LIMIT}")


def check_range(low: Any, high: Any) -> None:
    """Raise InvalidRecord for a naive time, or a start after its end."""
    for name, value in (("start", low), ("end", high)):
        if value is not None:
            check_instant(name, value)
    if low is not None and high is not None and low > high:
        raise InvalidRecord("start", "is after the end")


def _list_name(queries: Sequence[Query], moving: str) -> str:
    """What a cursor belongs to."""
    parts = [moving]
    for query in queries:
        parts += [query.model._meta.label, query.field, str(query.value), query.order]
        if not moving:
            parts += [timestamp_text(each) if each else "" for each in (query.low, query.high)]
    # As JSON: no part can be mistaken for two, whatever is in it.
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _place(record: models.Model, query: Query) -> tuple[dt.datetime, str]:
    """Where a record stands in the order."""
    key = layout_of(query.model).table.key_fields[-1]
    return getattr(record, query.order), getattr(record, key)


def _encode(end: _End) -> str:
    place = {
        "l": _list_name(end.queries, end.moving),
        "o": timestamp_text(end.order),
        "k": end.key,
    }
    # Not compressed: an id hardly gets shorter, and zlib takes a quarter of a megabyte to find out.
    return signing.dumps(place, salt=_SALT)


def _decode(cursor: Any, name: str) -> Position:
    if not isinstance(cursor, str):
        raise InvalidRecord("cursor", "must be the text that a page gave")
    try:
        place = signing.loads(cursor, salt=_SALT, max_age=dt.timedelta(days=CURSOR_DAYS))
    except signing.SignatureExpired:
        raise InvalidRecord("cursor", "is stale: begin the list anew") from None
    except (signing.BadSignature, ValueError):  # ValueError: not even text that UTF-8 can carry
        raise InvalidRecord("cursor", "is not one that a page gave") from None
    if place["l"] != name:
        raise InvalidRecord("cursor", "belongs to another list")
    return Position(dt.datetime.fromisoformat(place["o"]), (place["k"],))
