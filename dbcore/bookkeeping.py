"""That the tables of an application are there in Django's database: the layer's own, and the
records'. However many processes start at once, one makes tables; they must never be made by two.
"""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import DatabaseError

from dbcore.errors import ConfigurationError
from dbcore.local_engine.locks import FileLock
from dbcore.rights import in_words

PATIENCE = 3600.0  # seconds to wait for another process that is making tables
SHOWN = 5  # tables that a message names
_POLL = 0.05
_LOCK = zlib.crc32(b"dbcore.bookkeeping")  # the number of PostgreSQL's advisory lock


def make_ready() -> None:
    """Make the book-keeping's tables where settings allow it, else say how they are made."""
    make_tables("dbcore", "the book-keeping's tables")


def make_tables(application: str, what: str) -> None:
    """Make the tables of an application, `what` they are to people, where settings allow it.

    ConfigurationError where they are missing and may not or cannot be made.
    """
    with usable():
        if not settings.DBCORE_AUTO_MIGRATE:
            if _lacks(application):
                raise ConfigurationError(
                    f"Django's database lacks {what}: run `manage.py migrate` first"
                )
            return
        with alone():
            if _lacks(application):
                refuse_foreign()
                _migrate(application, what)


def has(book: type[models.Model]) -> bool:
    """Whether Django's database has this book. To ask makes no file where SQLite has none."""
    connection = connections[DEFAULT_DB_ALIAS]
    is_file = connection.vendor == "sqlite" and not _is_in_memory()
    if is_file and not Path(connection.settings_dict["NAME"]).exists():
        return False
    with connection.cursor() as cursor:
        return book._meta.db_table in connection.introspection.table_names(cursor)


@contextmanager
def usable() -> Iterator[None]:
    """Turns what Django's database cannot do into ConfigurationError."""
    try:
        yield
    except (DatabaseError, OSError) as error:
        raise ConfigurationError(f"Django's database cannot be used: {in_words(error)}") from error


def refuse_foreign() -> None:
    """Raise ConfigurationError where Django's database is somebody else's: it has tables, and none
    of the migrations of the layer or of the records. Nothing may be made there unasked."""
    connection = connections[DEFAULT_DB_ALIAS]
    tables = connection.introspection.table_names()
    records = {each._meta.app_label for each in apps.get_models() if hasattr(each, "storage")}
    applied = {label for label, _ in MigrationRecorder(connection).applied_migrations()}
    if not tables or applied & {"dbcore", *records}:
        return
    shown = ", ".join(sorted(tables)[:SHOWN]) + (", …" if len(tables) > SHOWN else "")
    raise ConfigurationError(
        f"Django's database ({connection.vendor}, {connection.settings_dict['NAME']}) has tables "
        f"({shown}) and no migration of ours: it looks like another project's, and nothing was "
        "made there. Set DATABASE_URL to a database of your own, or, if this one is meant, run "
        "`manage.py migrate` yourself"
    )


def _lacks(application: str) -> bool:
    """Whether there are migrations of the application to apply."""
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    wanted = [node for node in executor.loader.graph.leaf_nodes() if node[0] == application]
    return bool(executor.migration_plan(wanted))


def _migrate(application: str, what: str) -> None:
    try:
        call_command("migrate", application, verbosity=0, interactive=False)
    except Exception as error:
        # `manage.py migrate` knows nothing of our lock, and may have been faster.
        if _lacks(application):
            raise ConfigurationError(
                f"Django's database lacks {what}, and they cannot be made: {error}. "
                "See `manage.py migrate`"
            ) from error


@contextmanager
def alone() -> Iterator[None]:
    """No other process is within this on the same database, where it is one of the databases of
    which we know how that is said."""
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor == "postgresql":
        # Asked for again and again: a statement that waited would be ended by a statement_timeout.
        _wait(lambda: _ask("SELECT pg_try_advisory_lock(%s)"), "PostgreSQL's advisory lock")
        try:
            yield
        finally:
            _ask("SELECT pg_advisory_unlock(%s)")
    elif connection.vendor == "sqlite" and sys.platform != "win32" and not _is_in_memory():
        # Before the first connection: of several that switch a new file to WAL some would fail.
        lock = FileLock(Path(f"{connection.settings_dict['NAME']}.migrating"))
        _wait(lock.try_lock, str(lock.path))
        try:
            yield
        finally:
            lock.release()
    else:
        yield


def _is_in_memory() -> bool:
    return bool(connections[DEFAULT_DB_ALIAS].is_in_memory_db())  # type: ignore[attr-defined]


def _ask(statement: str) -> bool:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(statement, [_LOCK])
        return bool(cursor.fetchone()[0])


def _wait(try_lock: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not try_lock():
        if time.monotonic() >= until:
            raise ConfigurationError(
                f"another process has been making tables for {PATIENCE:g} seconds (it holds "
                f"{what}): is it suspended or hanging?"
            )
        time.sleep(_POLL)
