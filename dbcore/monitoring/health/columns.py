"""Which columns, indexes and constraints of the models a SQL database lacks: two questions to
PostgreSQL's catalogue, however many tables there are; to SQLite's, which is here, one for each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

_COLUMNS = {
    "postgresql": "SELECT table_name, column_name FROM information_schema.columns "
    "WHERE table_schema = ANY(current_schemas(false))",
    "sqlite": "SELECT '{0}', name FROM pragma_table_info('{0}')",  # of one table
}
_NAMES = {
    "postgresql": "SELECT c.relname, '' FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE i.indisvalid AND n.nspname = ANY(current_schemas(false)) "
    "UNION ALL SELECT o.conname, '' FROM pg_constraint o JOIN pg_namespace n "
    "ON n.oid = o.connamespace WHERE n.nspname = ANY(current_schemas(false))",
    "sqlite": "SELECT name, coalesce(sql, '') FROM sqlite_master WHERE type IN ('table', 'index')",
}
_CONSTRAINT = re.compile(r'CONSTRAINT "([^"]+)"')  # SQLite keeps a table's as they were written


def lacking_columns(
    connection: BaseDatabaseWrapper, wanted: Sequence[type[models.Model]]
) -> list[str]:
    """As "table.column"; empty for a database whose catalogue is not known here."""
    if connection.vendor not in _COLUMNS:
        return []
    sql = _COLUMNS[connection.vendor]
    questions = {sql.format(model._meta.db_table) for model in wanted}
    there = {row for question in questions for row in _rows(connection, question)}
    return [
        f"{table}.{column}"
        for table, column in (
            (model._meta.db_table, field.column)
            for model in wanted
            for field in model._meta.local_concrete_fields
        )
        if (table, column) not in there
    ]


def lacking_names(
    connection: BaseDatabaseWrapper, wanted: Sequence[type[models.Model]]
) -> list[str]:
    """Indexes and constraints that a model names and that are not there, or not usable."""
    if connection.vendor not in _NAMES:
        return []
    there: set[str] = set()
    for name, text in _rows(connection, _NAMES[connection.vendor]):
        there.update([name, *_CONSTRAINT.findall(text)])
    return [
        f"{each.name} of {model._meta.db_table}"
        for model in wanted
        for each in (*model._meta.indexes, *model._meta.constraints)
        if each.name not in there
    ]


def _rows(connection: BaseDatabaseWrapper, sql: str) -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [(str(first), str(second)) for first, second in cursor.fetchall()]
