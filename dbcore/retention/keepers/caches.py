"""Cached records are void before and after retention writes them: no reader is to meet one that is
gone, or miss one that is back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from django.conf import settings
from django.db import transaction

from dbcore.attributes import Item
from dbcore.items import ItemLayout
from dbcore.retention.keepers.pages import NOT_READABLE
from dbcore.stores.choice import RECORDS_CACHE
from dbcore.stores.record_cache import Place, RecordCache, place_of

_records = RecordCache(RECORDS_CACHE)


@contextmanager
def voided(
    store: str, layout: ItemLayout, items: Sequence[Item], alias: str = ""
) -> Iterator[None]:
    """Void these records in the cache before they are written and after.

    `alias`: the SQL database, if it is one; within a caller's transaction readers see the old
    records until that is committed.
    """
    places = _places(store, layout, items)
    if not places:
        yield
        return
    _records.begin_write(places)
    try:
        yield
    except BaseException:
        # The write may still arrive: nothing is kept until its mark has run out.
        _records.begin_write(places)
        raise
    if alias:
        transaction.on_commit(lambda: _records.end_write(places), using=alias, robust=True)
    else:
        _records.end_write(places)


def _places(store: str, layout: ItemLayout, items: Sequence[Item]) -> list[Place]:
    if not settings.APP_CACHE_ENABLED:
        return []
    if layout.model._meta.label not in settings.DBCORE_CACHED_MODELS:
        return []
    places = []
    for item in items:
        with suppress(*NOT_READABLE):  # what has no key is no record either
            columns = layout.key
            key = {each.name: each.codec.from_attribute(item[each.attribute]) for each in columns}
            places.append(place_of(store, layout, key))
    return places
