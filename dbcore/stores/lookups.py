"""What finds records in a SQL database: by key, by a unique value, by a list's conditions."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import models
from django.db.models.functions import Lower

from dbcore.fields import RecordKeyField
from dbcore.items import ItemLayout, UniqueField
from dbcore.stores.interface import Key, Query


def by_key(layout: ItemLayout, key: Key) -> dict[str, Any]:
    """What finds a record by its key, through Django's own primary key."""
    primary = layout.model._meta.pk
    if isinstance(primary, RecordKeyField):
        return {"pk": primary.value_of([key[name] for name in primary.of])}
    return {"pk": key[primary.name]}


def by_value(unique: UniqueField, value: str) -> dict[str, Any]:
    """What finds a record by a unique value."""
    if unique.ignores_case:
        return {f"{unique.name}__lower": unique.folded(value)}
    return {unique.name: value}


class UnicodeLower(Lower):
    """Lower case as Python has it, whatever the database's locale: in the C locale PostgreSQL would
    lower ASCII alone. SQLite's LOWER is Python's own (dbcore/sqlite_functions.py)."""

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:
        """Through ICU's root collation, which PostgreSQL builds of every distribution have."""
        sql, parameters = compiler.compile(self.get_source_expressions()[0])
        return f'LOWER({sql} COLLATE "und-x-icu")', parameters


models.CharField.register_lookup(UnicodeLower)


def conditions(query: Query) -> models.Q:
    """What a list has, but for what has expired and where it goes on."""
    if query.field == "day":
        first = dt.datetime.combine(query.value, dt.time.min, dt.UTC)
        last = dt.datetime.combine(query.value, dt.time.max, dt.UTC)
        found = models.Q(**{f"{query.order}__gte": first, f"{query.order}__lte": last})
    else:
        found = models.Q(**{query.field: query.value})
    if query.low is not None:
        found &= models.Q(**{f"{query.order}__gte": query.low})
    if query.high is not None:
        found &= models.Q(**{f"{query.order}__lte": query.high})
    return found


def live(layout: ItemLayout, now: dt.datetime) -> models.Q:
    """What has not expired by now, to the second, as DynamoDB counts."""
    found = models.Q()
    for deadline in layout.table.expires:
        limit = now.replace(microsecond=0) - dt.timedelta(days=deadline.days)
        later = models.Q(**{f"{deadline.field}__gte": limit + dt.timedelta(seconds=1)})
        found &= later | models.Q(**{deadline.field: None})
    return found
