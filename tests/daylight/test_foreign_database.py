"""DATABASE_URL of another project, left in a shell: its database gets no table, no sample user and
no superuser of ours.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from daylight.database import initialize_database
from daylight.models import User
from dbcore.errors import ConfigurationError
from tests.support.databases import default_database
from tests.support.postgres import Postgres

pytestmark = pytest.mark.django_db(transaction=True)


def schema(path: Path) -> list[Any]:
    with sqlite3.connect(path) as shop:
        return shop.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


@pytest.fixture
def shop(tmp_path: Path, settings: Any) -> Path:
    """A database of somebody else, with migrations of its own."""
    settings.DEBUG = settings.DBCORE_AUTO_MIGRATE = True
    path = tmp_path / "shop.sqlite3"
    with sqlite3.connect(path) as made:
        made.executescript(
            "CREATE TABLE orders (id INTEGER); CREATE TABLE django_migrations "
            "(id INTEGER, app TEXT, name TEXT, applied TEXT); "
            "INSERT INTO django_migrations VALUES (1, 'shop', '0001_initial', '2026-01-01'), "
            "(2, 'auth', '0001_initial', '2026-01-01')"
        )
    return path


def of(path: Path) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}


def test_preparing_for_development_leaves_it_alone(shop: Path) -> None:
    before = schema(shop)
    with default_database(of(shop)), pytest.raises(CommandError) as refused:
        call_command("prepare_development")
    assert "has tables (django_migrations, orders) and no migration of ours" in str(refused.value)
    assert "Set DATABASE_URL to a database of your own" in str(refused.value)
    assert schema(shop) == before


def test_and_so_does_a_start(shop: Path) -> None:
    before = schema(shop)
    with default_database(of(shop)), pytest.raises(ConfigurationError, match="another project's"):
        initialize_database()
    assert schema(shop) == before


def test_one_of_postgresqls_too(postgres: Postgres, settings: Any) -> None:
    settings.DEBUG = settings.DBCORE_AUTO_MIGRATE = True
    with postgres.as_default("shop"):
        call_command("migrate", "daylight", "zero", verbosity=0)
        call_command("migrate", "dbcore", "zero", verbosity=0)
        before = connection.introspection.table_names()
        with pytest.raises(CommandError, match="another project's"):
            call_command("prepare_development")
        assert connection.introspection.table_names() == before


def test_an_empty_one_and_one_of_ours_are_made_ready(tmp_path: Path, settings: Any) -> None:
    settings.DEBUG = True
    with default_database(of(tmp_path / "ours.sqlite3")):
        call_command("prepare_development")
        assert User.objects.exists()
        call_command("prepare_development")
