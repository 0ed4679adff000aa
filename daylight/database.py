"""The front door of the database layer: what a Daylight process calls when it starts."""

from __future__ import annotations

from django.conf import settings

from dbcore import bookkeeping
from dbcore.errors import ConfigurationError
from dbcore.migration.once import migrate_once
from dbcore.table_sync import sync_tables


def initialize_database() -> None:
    """Bring the database layer to where it can serve: books, tables, and with
    MIGRATE_FROM_SQLITE=true the records of Django's database, once.

    Idempotent, and safe in many processes at once. Raises DbcoreError, whose message says what is
    wrong and what to do.
    """
    bookkeeping.make_ready()
    report = sync_tables()
    if report.differences:
        raise ConfigurationError(
            f"tables are not as the models declare them ({'; '.join(report.differences)}): see "
            "`manage.py sync_tables`"
        )
    if settings.MIGRATE_FROM_SQLITE:
        migrate_once()
