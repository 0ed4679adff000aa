"""Placing a legal hold and deleting records in SQL take turns, by a row that both of them write."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, IntegrityError, transaction

from dbcore.models import JobLease

_NAME = "legal holds: the gate"  # never a lease: nobody can hold what has long run out
_EVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@contextmanager
def hold_gate() -> Iterator[None]:
    """A transaction on Django's database in which no other process has passed this gate.

    Written and not read only, which locks the row in every database; SQLite has one writer anyhow.
    """
    with transaction.atomic(using=DEFAULT_DB_ALIAS):
        while not _lock():
            try:
                with transaction.atomic(using=DEFAULT_DB_ALIAS):
                    JobLease.objects.using(DEFAULT_DB_ALIAS).create(
                        name=_NAME, owner="", host="", pid=0, since=_EVER, expires_at=_EVER
                    )
            except IntegrityError:
                continue  # another was first
        yield


def _lock() -> bool:
    return bool(JobLease.objects.using(DEFAULT_DB_ALIAS).filter(name=_NAME).update(pid=0))
