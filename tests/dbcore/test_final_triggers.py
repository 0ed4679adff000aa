"""The triggers that keep in SQL what is for good: there after every migrate, made once."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from daylight.models import ApiKey
from dbcore.final_triggers import make_triggers

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "api_keys_status_revoked_is_final"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """Django's default database."""
    if request.param == "postgresql":
        request.getfixturevalue("postgresql_tables")
    return str(request.param)


def drop(database: str) -> None:
    with connection.cursor() as cursor:
        where = " ON api_keys" if database == "postgresql" else ""
        cursor.execute(f"DROP TRIGGER {NAME}{where}")


def is_kept() -> bool:
    """Whether a revoked key cannot be made active."""
    ApiKey.objects.all().delete()
    ApiKey.objects.create(id="k", name="n", key_hash="h", key_preview="p", user_id="u",
                          status="revoked")  # fmt: skip
    try:
        with transaction.atomic():
            ApiKey.objects.update(status="active")
    except IntegrityError:
        return True
    return False


def test_migrate_makes_what_is_missing_and_leaves_what_is_there(database: str) -> None:
    assert is_kept()
    drop(database)
    assert not is_kept()
    for _ in range(2):
        call_command("migrate", verbosity=0)
        assert is_kept()


def test_a_table_that_a_migration_has_made_anew_has_its_trigger_again(database: str) -> None:
    """SQLite copies a table to change a field of it, and the copy has no triggers."""
    old, new = ApiKey._meta.get_field("name"), ApiKey._meta.get_field("name").clone()
    new.max_length = 151
    new.set_attributes_from_name("name")
    if database == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA foreign_keys = OFF")
    with connection.schema_editor() as editor:
        editor.alter_field(ApiKey, old, new, strict=False)
        editor.alter_field(ApiKey, new, old, strict=False)
    make_triggers(using="default")
    assert is_kept()


def test_a_database_without_the_table_is_left_alone(database: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(ApiKey._meta, "db_table", "not_there")
    make_triggers(using="default")
    with connection.cursor() as cursor:
        assert "not_there" not in connection.introspection.table_names(cursor)
