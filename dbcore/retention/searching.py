"""Finds archives: by id, by what they hold, and whose. Only those that were booked as proven count:
of what was not, a sweep finds out first whether it stands. One whose manifest cannot be read may
hold anything: it is found each time, so that it is named and not passed over.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from django.db.models import Q, QuerySet

from dbcore.models import Archive
from dbcore.retention.archives import Manifest
from dbcore.retention.errors import NotProven, RetentionError

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
                f"archive {each} was never proven, as far as Django's database knows. The next "
                "sweep of its table takes it for proven if it stands whole: run "
                "enforce_retention, then this command again"
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
        manifest = manifest_in(row)
        if manifest is None or manifest.may_hold(key):
            yield row


def archives_of(user: str) -> Iterator[Archive]:
    """The archives that may hold records of a user."""
    for row in proven().iterator(chunk_size=_CHUNK):
        manifest = manifest_in(row)
        if manifest is None or manifest.may_hold_owner(user):
            yield row


def manifest_in(row: Archive) -> Manifest | None:
    """The manifest that Django's database has of an archive; None where it is broken."""
    try:
        return Manifest.from_json(row.manifest)
    except NotProven:
        return None
