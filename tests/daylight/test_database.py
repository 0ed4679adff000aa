"""The front door: a process that starts finds books, tables and, when asked, its records."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from daylight.database import initialize_database
from daylight.mirrors import Users
from daylight.models import User
from dbcore.errors import ConfigurationError
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.migration.errors import MigrationError
from dbcore.models import MigrationRun
from dbcore.schema import wanted_tables
from dbcore.wire import get_wire

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db(transaction=True)


def test_it_makes_every_table_and_may_be_called_again(dynamodb: LocalEngine) -> None:
    initialize_database()
    initialize_database()
    there = get_wire().call("ListTables", {})["TableNames"]
    assert {table.name for table in wanted_tables()} <= set(there)
    assert not MigrationRun.objects.exists()


def test_it_migrates_once_when_asked(dynamodb: LocalEngine, settings: Any) -> None:
    settings.MIGRATE_FROM_SQLITE = True
    ana = User.objects.create(email="Ana@example.org", password_hash="x")
    initialize_database()
    assert Users.get(ana.id, consistent_read=True).email == "Ana@example.org"
    # What is written to DynamoDB from now on is the truth: a second start must leave it alone.
    Users.get(ana.id).delete()
    initialize_database()
    assert MigrationRun.objects.count() == 1
    assert Users.count() == 0


def test_a_migration_that_fails_stops_the_start(dynamodb: LocalEngine, settings: Any) -> None:
    settings.MIGRATE_FROM_SQLITE = True
    initialize_database()
    MigrationRun.objects.all().delete()
    layout = layout_of(User)
    stray = {"id": {"S": "stray"}, "email": {"S": "nobody@example.org"}}
    get_wire().call("PutItem", {"TableName": layout.table_name, "Item": stray})
    with pytest.raises(MigrationError, match="MIGRATE_FROM_SQLITE"):
        initialize_database()


def test_a_table_with_another_key_stops_the_start(dynamodb: LocalEngine) -> None:
    get_wire().call(
        "CreateTable",
        {
            "TableName": layout_of(User).table_name,
            "KeySchema": [{"AttributeName": "email", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "email", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    with pytest.raises(ConfigurationError, match="sync_tables"):
        initialize_database()


def test_of_many_processes_that_start_at_once_one_migrates(
    dynamodb: LocalEngine, settings: Any, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "DAYLIGHT_ENV": "development",
        "DJANGO_SETTINGS_MODULE": "settings.development",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'daylight.sqlite3'}",
        "DYNAMODB_ENDPOINT": str(dynamodb.endpoint),
        "DYNAMODB_TABLE_PREFIX": settings.DYNAMODB_TABLE_PREFIX,
        "MIGRATE_FROM_SQLITE": "true",
    }

    def manage(*arguments: str) -> None:
        subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment, check=True,
            capture_output=True,
        )  # fmt: skip

    manage("migrate")
    manage("make_sample_data", "--rows", "400")
    start = "import django; django.setup(); import daylight.database as d; d.initialize_database()"
    several = [
        subprocess.Popen([sys.executable, "-c", start], cwd=ROOT, env=environment) for _ in range(3)
    ]
    assert [each.wait() for each in several] == [0, 0, 0]
    count = (
        "import django; django.setup(); from dbcore.models import MigrationRun as R; "
        "print(R.objects.filter(rows_written__gt=0).count(), R.objects.count())"
    )
    found = subprocess.run(
        [sys.executable, "-c", count], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert found.stdout.split() == ["1", "1"], found.stderr


def test_books_that_are_missing_are_named_where_they_may_not_be_made(
    dynamodb: LocalEngine, settings: Any
) -> None:
    settings.DBCORE_AUTO_MIGRATE = False
    call_command("migrate", "dbcore", "zero", verbosity=0)
    try:
        with pytest.raises(ConfigurationError, match=r"manage\.py migrate"):
            initialize_database()
    finally:
        call_command("migrate", "dbcore", verbosity=0)
