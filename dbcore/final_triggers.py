"""SQL databases refuse to undo what is for good (`Table.final`), whoever writes: the stores, the
admin, a shell, or a form that was opened before. A trigger on each such table does it, in the very
statement, and every `manage.py migrate` sees that it is there.
"""

from __future__ import annotations

from typing import Any

from django.db import connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper

from dbcore.items import ItemLayout, layout_of
from dbcore.schema import storage_models

# SQLite's errors of a trigger, and PostgreSQL's of this code, are IntegrityError to Django.
_SQLITE = (
    "CREATE TRIGGER IF NOT EXISTS {name} BEFORE UPDATE ON {table} "
    "WHEN OLD.{column} = {value} AND NEW.{column} IS NOT OLD.{column} "
    "BEGIN SELECT RAISE(ABORT, {why}); END"
)
_POSTGRESQL = (
    "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN "
    "IF OLD.{column} = {value} AND NEW.{column} IS DISTINCT FROM OLD.{column} THEN "
    "RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = {why}; END IF; "
    "RETURN NEW; END $body$",
    "CREATE TRIGGER {name} BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
)
_ARE_THERE = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger "
    "WHERE NOT tgisinternal AND pg_table_is_visible(tgrelid)",
}


def make_triggers(using: str, **_: Any) -> None:
    """Make those that a database lacks; for Django's signal post_migrate."""
    connection = connections[using]
    final = [layout_of(model) for model in storage_models() if layout_of(model).table.final]
    if connection.vendor not in _ARE_THERE or not final:
        return
    with connection.cursor() as cursor:
        cursor.execute(_ARE_THERE[connection.vendor])
        there = {name for (name,) in cursor.fetchall()}
        tables = set(connection.introspection.table_names(cursor))
        for layout in final:
            table = layout.model._meta.db_table
            mine = router.allow_migrate_model(using, layout.model) and table in tables
            if mine and _name(layout) not in there:
                for statement in _statements(connection, layout):
                    cursor.execute(statement)


def _name(layout: ItemLayout) -> str:
    """The trigger's name, which says all that may differ between two of them."""
    final = layout.table.final
    assert final is not None
    return f"{layout.model._meta.db_table}_{final.field}_{final.value}_is_final"


def _statements(connection: BaseDatabaseWrapper, layout: ItemLayout) -> list[str]:
    final, quote = layout.table.final, connection.ops.quote_name
    assert final is not None
    field: models.Field[Any, Any] = layout.by_name[final.field].field
    parts = {
        "name": quote(_name(layout)),
        "table": quote(layout.model._meta.db_table),
        "column": quote(str(field.column)),
        "value": _text(final.value),
        "why": _text(f"{layout.table.name}.{final.field}: {final.value} is for good"),
    }
    wanted = (_SQLITE,) if connection.vendor == "sqlite" else _POSTGRESQL
    return [each.format(**parts) for each in wanted]


def _text(value: str) -> str:
    """A text of a declaration in SQL, where no parameter may stand."""
    return "'" + value.replace("'", "''") + "'"
