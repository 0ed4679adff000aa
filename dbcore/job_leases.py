"""That one process at a time does a job on a SQL database: a lease in a row of that database.

It means what DynamoDB's means (dbcore/dynamo/leases.py): it runs out by itself when its holder
dies, a holder that is known to be dead is replaced at once, and what is written under one must be
safe to write twice. Never take one inside a transaction: nobody else would see it.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import time

from django.db import DEFAULT_DB_ALIAS, IntegrityError, transaction
from django.db.models import QuerySet
from django.db.utils import DatabaseError, InterfaceError
from django.utils import timezone

from dbcore.dynamo.leases import (
    LEASE_SECONDS,
    RENEW_SECONDS,
    Holder,
    Leased,
    held_by,
    lost_to,
    process_birth,
    process_place,
)
from dbcore.models import JobLease


class SqlLease(Leased):
    """A lease on `name`. Use as a context manager, and call `keep` often while working."""

    away = (DatabaseError, InterfaceError)

    def __init__(self, name: str, owner: str, alias: str = DEFAULT_DB_ALIAS) -> None:
        self.name = name
        self.owner = owner
        self._alias = alias
        self._renewed = 0.0
        self._since = timezone.now().replace(microsecond=0)

    def acquire(self) -> None:
        """Take the lease; LeaseHeld names who has it."""
        while True:
            try:
                with transaction.atomic(using=self._alias):
                    if self._take():
                        return
            except IntegrityError:
                continue  # another was quicker to make the row: look whose it is
            holder = self.holder()
            if holder is not None:
                raise held_by(self.name, holder)

    def keep(self) -> None:
        """Renew the lease when it is time to; LeaseLost when another process has it."""
        if time.monotonic() - self._renewed < RENEW_SECONDS:
            return
        started = time.monotonic()
        if not self._rows().filter(owner=self.owner).update(expires_at=_in_a_while()):
            raise lost_to(self.name, self.holder())
        self._renewed = started

    def release(self) -> None:
        """Give the lease up, if it is still ours."""
        self._rows().filter(owner=self.owner).delete()

    def holder(self) -> Holder | None:
        """Who has the lease now."""
        row = self._rows().first()
        return None if row is None else _holder(row)

    def _rows(self) -> QuerySet[JobLease, JobLease]:
        return JobLease.objects.using(self._alias).filter(name=self.name)

    def _take(self) -> bool:
        """Make the row ours where it is nobody's any more; whether it is."""
        started = time.monotonic()
        row = self._rows().select_for_update().first()
        if row is not None:
            ours, run_out = row.owner == self.owner, row.expires_at < timezone.now()
            if not (ours or run_out or _holder(row).is_dead):
                return False
        JobLease(
            name=self.name,
            owner=self.owner,
            host=platform.node(),
            pid=os.getpid(),
            birth=process_birth(os.getpid()),
            place=process_place(),
            since=self._since,
            expires_at=_in_a_while(),
        ).save(using=self._alias, force_insert=row is None, force_update=row is not None)
        self._renewed = started
        return True


def _in_a_while() -> dt.datetime:
    return timezone.now() + dt.timedelta(seconds=LEASE_SECONDS)


def _holder(row: JobLease) -> Holder:
    return Holder(
        owner=row.owner,
        host=row.host,
        pid=row.pid,
        birth=row.birth,
        place=row.place,
        since=f"{row.since:%Y-%m-%dT%H:%M:%SZ}",
        expires=row.expires_at.timestamp(),
    )
