"""From what the command line says to a source."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections, models
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import DatabaseError
from django.utils.module_loading import import_string

from dbcore.fields import RecordKeyField
from dbcore.items import ItemLayout, layout_of
from dbcore.migration.errors import SourceError
from dbcore.migration.plan import LegacyTable
from dbcore.migration.sources.base import Source
from dbcore.migration.sources.django_db import DjangoSource
from dbcore.migration.sources.sqlite import SqliteSource
from dbcore.schema import storage_models

DJANGOS = "django_migrations"  # a table that every database of Django's has


def open_source(file: str | None = None, database: str = "default") -> Source:
    """An earlier SQLite file, or a Django database alias; SourceError when it cannot be read."""
    if file is not None:
        return _open_file(Path(file))
    if database not in connections.databases:
        known = ", ".join(sorted(connections.databases))
        raise SourceError(f"there is no database {database!r} in DATABASES; there is: {known}")
    tables = [_table_of(model) for model in storage_models()]
    connection = connections[database]
    if not isinstance(connection, DatabaseWrapper) or connection.is_in_memory_db():
        _refuse_unmigrated(database)
        return DjangoSource(database, tables, name=f"database {database}")
    path = Path(str(connection.settings_dict["NAME"]))
    source = _with_tables(
        SqliteSource(
            path,
            tables,
            name=f"{platform.node()}:{path.resolve()}",
            known_elsewhere=[DJANGOS, *connection.introspection.django_table_names()],
            live=True,
        )
    )
    try:
        _refuse_unmigrated(database)
    except SourceError:
        source.close()
        raise
    return source


def _open_file(path: Path) -> Source:
    known: Sequence[LegacyTable] = import_string(settings.DBCORE_LEGACY_TABLES)
    source = SqliteSource(
        path,
        known,
        name=f"{platform.node()}:{os.path.realpath(path)}",
        live=_is_a_database_here(path),
    )
    if DJANGOS in source.unknown:
        # Its tables have the same names, and are not as an earlier file's: what is a secret there
        # is its hash here.
        source.close()
        raise SourceError(
            f"{path} is a database of Django's, and not an earlier file: name it in DATABASES, and "
            "give its alias to --database"
        )
    return _with_tables(source)


def _refuse_unmigrated(database: str) -> None:
    """Raise SourceError for a database of an earlier release: its rows may not be as the models
    have them, and secrets may stand in them where the models have hashes."""
    labels = {model._meta.app_label for model in storage_models()}
    try:
        executor = MigrationExecutor(connections[database])
        wanted = [node for node in executor.loader.graph.leaf_nodes() if node[0] in labels]
        lacking = executor.migration_plan(wanted)
    except DatabaseError as error:
        raise SourceError(f"database {database!r} cannot be read: {error}") from error
    if lacking:
        raise SourceError(
            f"database {database!r} lacks migrations: run `manage.py migrate --database {database}`"
        )


def _is_a_database_here(path: Path) -> bool:
    """Whether a file is one of DATABASES, by whatever path: this process may have it open."""
    for alias in connections:
        connection = connections[alias]
        if isinstance(connection, DatabaseWrapper) and not connection.is_in_memory_db():
            with contextlib.suppress(OSError):  # one of them does not exist
                if path.samefile(str(connection.settings_dict["NAME"])):
                    return True
    return False


def _with_tables(source: SqliteSource) -> Source:
    if not source.plans:
        source.close()
        raise SourceError(
            f"{source.path} has none of the tables that are known here. Is it the right file? "
            "Django's own are made by `manage.py migrate`"
        )
    return source


def _table_of(model: type[models.Model]) -> LegacyTable:
    """Django's own table of a model, described as any other source table."""
    layout = layout_of(model)
    return LegacyTable(
        name=model._meta.db_table,
        model=model,
        fields={column.name: str(column.field.column) for column in layout.columns},
        locate=_locate_by_primary_key(layout),
    )


def _locate_by_primary_key(layout: ItemLayout) -> Any:
    primary = layout.model._meta.pk

    def locate(key: Mapping[str, Any]) -> Mapping[str, Any]:
        parts = [key[name] for name in layout.table.key_fields]
        value = primary.value_of(parts) if isinstance(primary, RecordKeyField) else parts[0]
        return {str(primary.column): value}

    return locate
