"""The migration as a part of starting up: once for a source and target, however many processes
start at once."""

from __future__ import annotations

import time
from logging import INFO

from dbcore import bookkeeping
from dbcore.dynamo.leases import Lease
from dbcore.logs import Event
from dbcore.migration import target
from dbcore.migration.errors import MigrationError
from dbcore.migration.logged import LOGGER
from dbcore.migration.options import MigrationOptions
from dbcore.migration.report import EXIT_COMPLETE, EXIT_DEAD_LETTERS, Report
from dbcore.migration.run import LEASE_NAME, Migration
from dbcore.migration.sources import open_source
from dbcore.models import Checkpoint, MigrationRun
from dbcore.progress import Silence
from dbcore.schema import target_name
from dbcore.wire import get_wire

WAITING = Event(
    LOGGER, (INFO,), "waiting for another migration", (),
    "`MIGRATE_FROM_SQLITE`: another process is migrating",
)  # fmt: skip
PATIENCE = 3600.0  # seconds to wait for another process that is migrating
_POLL = 1.0
_DONE = (MigrationRun.Status.COMPLETED, MigrationRun.Status.COMPLETED_WITH_DEAD_LETTERS)


def migrate_once(database: str = "default") -> Report | None:
    """Migrate a Django database unless that is done; None where it was.

    While another process migrates, wait for it. MigrationError when the migration fails.
    """
    bookkeeping.make_ready()
    until = time.monotonic() + PATIENCE
    while not _is_done(database):
        migration = _Once(MigrationOptions(database=database), Silence())
        report = migration.run()
        if migration.needless:
            return None
        if report.exit_code in (EXIT_COMPLETE, EXIT_DEAD_LETTERS):
            return report
        if not report.lease_held or time.monotonic() >= until:
            raise MigrationError(f"MIGRATE_FROM_SQLITE: {report.error or 'DynamoDB differs'}")
        WAITING.log()
        _wait_for_other(until)
    return None


class _Once(Migration):
    """A migration that another may have finished between the question and the lease: a second would
    find what has been written since, and call it a difference."""

    needless = False

    def is_needless(self) -> bool:
        self.needless = _is_done(self.options.database)
        return self.needless


def _is_done(database: str) -> bool:
    """Whether every table of the database has been copied whole to the tables that are there now,
    and verified. One that is missing was deleted: a start neither makes it nor copies to it."""
    source = open_source(None, database)
    source.close()
    wire = get_wire()
    done = MigrationRun.objects.filter(
        source=source.name,
        target=target_name(),
        status__in=_DONE,
        options__tables=[],
        options__verify=True,
        options__verify_only=False,
        options__skip_expired=False,
    )
    if not done.exists():
        return False
    for plan in source.plans:
        whole = Checkpoint.objects.filter(
            source=source.name,
            target=target_name(),
            source_table=plan.source_table,
            complete=True,
            skip_expired=False,
        ).first()
        if whole is None:
            return False
        there = target.table_id(wire, plan.layout)
        if there and there != whole.table_id:
            return False
    return True


def _wait_for_other(until: float) -> None:
    lease = Lease(get_wire(), LEASE_NAME, "")
    while time.monotonic() < until:
        holder = lease.holder()
        if holder is None or holder.is_dead or holder.expires < time.time():
            return
        time.sleep(_POLL)
