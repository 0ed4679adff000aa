"""What the books say of the last sweep and the last migration. Their errors stay in the books: they
may quote a record.
"""

from __future__ import annotations

import datetime as dt
import functools
from typing import cast

from django.conf import settings
from django.db import Error

from dbcore.dynamo.leases import LEASE_SECONDS, Lease
from dbcore.models import DeadLetter, MigrationRun, Sweep
from dbcore.monitoring.health.dynamodb import FAILURES, Within, is_used
from dbcore.monitoring.health.verdicts import (
    Check,
    Context,
    Verdict,
    critical,
    healthy,
    in_words,
    warning,
)
from dbcore.wire import Wire, get_wire

OVERDUE = dt.timedelta(hours=36)  # a day, and half of one for a night that went wrong


def about_books(check: Check) -> Check:
    """The check, for where the books can be read and where not: what they would say is not known
    then, and `tables` or `primary_store` say how bad that is."""

    @functools.wraps(check)
    def asked(context: Context) -> Verdict:
        try:
            return check(context)
        except Error as error:
            return warning(f"the books cannot be read ({in_words(error)}): see tables")

    return asked


@about_books
def last_sweep(context: Context) -> Verdict:
    """How the last sweep that ended did, and how long ago one did its work."""
    if not settings.RETENTION_ENABLED:
        return healthy("not in use: RETENTION_ENABLED is false")
    last = Sweep.objects.filter(finished_at__isnull=False).order_by("-finished_at").first()
    if last is None:
        return warning("there was no sweep yet: let `manage.py enforce_retention` run every day")
    if last.status == Sweep.Status.UNPROVEN:
        return critical(
            f"the sweep {last.id} could not prove an archive, and deleted nothing of it: see "
            "archive_unproven"
        )
    if last.status != Sweep.Status.COMPLETED:
        return warning(
            f"the sweep {last.id} is {last.status}: see its error in the admin, then run "
            "`manage.py enforce_retention`"
        )
    hours = (context.now - _end(last)) / dt.timedelta(hours=1)
    if context.now - _end(last) > OVERDUE:
        return warning(
            f"the last sweep ended {hours:,.0f} hours ago: does the timer of `manage.py "
            "enforce_retention` run?"
        )
    return healthy(f"the last sweep did its work, {hours:,.1f} hours ago")


@about_books
def last_migration(context: Context) -> Verdict:
    """How the last migration that ended did, and what it left to be mended."""
    if (killed := _killed_migration(context)) is not None:
        return warning(
            f"the migration {killed.id} was interrupted: nobody is at work on it, and it has not "
            "ended; run the same `manage.py migrate_to_dynamo` again"
        )
    run = MigrationRun.of_migrations().exclude(finished_at=None).order_by("-finished_at").first()
    letters = DeadLetter.objects.filter(resolved_at__isnull=True).count()
    if run is not None and run.status in (
        MigrationRun.Status.FAILED,
        MigrationRun.Status.INTERRUPTED,
    ):
        return warning(
            f"the migration {run.id} is {run.status}: see its error in the admin, and run the same "
            "`manage.py migrate_to_dynamo` again"
        )
    if letters:
        return warning(
            f"{letters:,} rows could not be migrated: mend them, then `manage.py dead_letters "
            "replay`"
        )
    if run is None:
        return healthy("there was no migration")
    return healthy(f"the last migration completed on {_end(run):%Y-%m-%d %H:%M} UTC")


def _killed_migration(context: Context) -> MigrationRun | None:
    """The last run that counts as running, and does not hold the lease under which it works. None
    where DynamoDB cannot be asked who does: that is no news of the migration."""
    # Not at the top: a process that serves does not need the migration.
    from dbcore.migration.run import LEASE_NAME

    run = MigrationRun.of_migrations().filter(finished_at=None).order_by("-started_at").first()
    if run is None or not is_used():
        return None
    try:
        holder = Lease(cast("Wire", Within(get_wire(), context)), LEASE_NAME, "").holder()
    except FAILURES:
        return None
    if holder is None or holder.owner != run.id or holder.is_dead:
        return run
    # Twice as long: another machine's clock may be a little off.
    is_over = holder.expires + LEASE_SECONDS < context.now.timestamp()
    return run if is_over else None


def _end(run: Sweep | MigrationRun) -> dt.datetime:
    assert run.finished_at is not None
    return run.finished_at.astimezone(dt.UTC)
