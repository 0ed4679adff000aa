"""Finds archives: by id, by what they hold, and whose. Only those that were proven count: what was
not has all of its records still in its store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from django.db.models import Q, QuerySet

from dbcore.models import Archive
from dbcore.retention.archives import Manifest
from dbcore.retention.errors import RetentionError

_CHUNK = 100  # manifests in hand at once: each has a digest of every key


def proven() -> QuerySet[Archive]:
    """Every archive that vouches for its records, by table, newest first."""
    return Archive.objects.exclude(state=Archive.State.WRITING).order_by(
        "table", "-created_at", "-id"
    )


def archives_with(ids: Sequence[str]) -> Iterator[Archive]:
    """The archives with these ids; RetentionError names the first that is none."""
    known = dict(Archive.objects.filter(pk__in=ids).values_list("pk", "state"))
    for each in ids:
        if each not in known:
            raise RetentionError(f"there is no archive {each!r}; the admin lists them")
        if known[each] == Archive.State.WRITING:
            raise RetentionError(
                f"archive {each} was never proven, so nothing was deleted on its account; the "
                "next sweep discards it"
            )
    yield from proven().filter(pk__in=ids).iterator(chunk_size=_CHUNK)


def archives_between(
    table: str, first: dt.datetime | None, last: dt.datetime | None
) -> Iterator[Archive]:
    """A table's archives that may have records from `first` up to, but not at, `last`."""
    found = proven().filter(table=table)
    if first is not None:
        found = found.filter(Q(newest__gte=first) | Q(newest=None))
    if last is not None:
        found = found.filter(Q(oldest__lt=last) | Q(oldest=None))
    return found.iterator(chunk_size=_CHUNK)


def archives_of_record(table: str, key: str) -> Iterator[Archive]:
    """The archives that may hold the record with this joined key."""
    for row in proven().filter(table=table).iterator(chunk_size=_CHUNK):
        if Manifest.from_json(row.manifest).may_hold(key):
            yield row


def archives_of(user: str) -> Iterator[Archive]:
    """The archives that may hold records of a user."""
    for row in proven().iterator(chunk_size=_CHUNK):
        if Manifest.from_json(row.manifest).may_hold_owner(user):
            yield row
