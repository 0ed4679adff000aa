"""The front door: a process that starts finds books, tables and, when asked, its records."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from daylight import database
from daylight.database import initialize_database, planning_service, shutdown_database
from daylight.mirrors import Users
from daylight.models import User
from daylight.services.base import Service
from dbcore import deployment
from dbcore.errors import ConfigurationError
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.local_engine.state import EngineState
from dbcore.migration import once
from dbcore.migration.errors import MigrationError
from dbcore.models import MigrationRun
from dbcore.schema import wanted_tables
from dbcore.wire import get_wire
from tests.support.databases import default_database
from tests.support.postgres import Postgres
from tests.support.tables import describe

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db(transaction=True)


def test_it_makes_every_table_and_may_be_called_again(dynamodb: LocalEngine, settings: Any) -> None:
    settings.DATABASE_PRIMARY = "dynamodb"
    initialize_database()
    initialize_database()
    assert {describe(table.name)["TableStatus"] for table in wanted_tables()} == {"ACTIVE"}
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


def test_what_another_has_migrated_between_the_question_and_the_lease_is_left_alone(
    dynamodb: LocalEngine, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MIGRATE_FROM_SQLITE = True
    ana = User.objects.create(email="ana@example.org", password_hash="x")
    initialize_database()
    Users.get(ana.id).delete()  # by the application, which is at work since
    usual, early = once._is_done, iter([False])
    monkeypatch.setattr(once, "_is_done", lambda database: next(early, None) or usual(database))
    assert once.migrate_once() is None
    assert Users.count() == 0 and MigrationRun.objects.count() == 1


def test_a_migration_that_fails_stops_the_start(dynamodb: LocalEngine, settings: Any) -> None:
    settings.MIGRATE_FROM_SQLITE = True
    initialize_database()
    MigrationRun.objects.all().delete()
    layout = layout_of(User)
    stray = {"id": {"S": "stray"}, "email": {"S": "nobody@example.org"}}
    get_wire().call("PutItem", {"TableName": layout.table_name, "Item": stray})
    with pytest.raises(MigrationError, match="MIGRATE_FROM_SQLITE"):
        initialize_database()


def test_a_table_with_another_key_stops_the_start(dynamodb: LocalEngine, settings: Any) -> None:
    settings.DATABASE_PRIMARY = "dynamodb"
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


def test_with_a_sql_primary_dynamodb_is_not_even_asked(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATABASE_PRIMARY = "sqlite"
    settings.DYNAMODB_ENDPOINT = "http://127.0.0.1:9"
    calls: list[object] = []
    monkeypatch.setattr("dbcore.wire.client.HOOKS", [calls.append])
    initialize_database()
    assert calls == []


def test_a_primary_that_does_not_answer_is_named(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATABASE_PRIMARY = "dynamodb"
    settings.DYNAMODB_ENDPOINT = "http://127.0.0.1:9"
    monkeypatch.setattr(deployment, "PROBE_DEADLINE", 0.1)
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:9 cannot be used"):
        initialize_database()
    settings.DATABASE_PRIMARY = "mongodb"
    with pytest.raises(ConfigurationError, match="mongodb"):
        initialize_database()


def test_a_sql_primary_that_does_not_answer_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("this is no database at all, and long enough to be read as one")
    given = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "file")}
    with default_database(given), pytest.raises(ConfigurationError, match="cannot be used"):
        initialize_database()


def test_tables_of_a_sql_primary_are_made_where_settings_allow_it(
    tmp_path: Path, settings: Any
) -> None:
    given = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "file")}
    with default_database(given):
        call_command("migrate", "dbcore", verbosity=0)
        settings.DBCORE_AUTO_MIGRATE = False
        with pytest.raises(ConfigurationError, match=r"manage\.py migrate"):
            initialize_database()
        settings.DBCORE_AUTO_MIGRATE = True
        initialize_database()
        assert not User.objects.exists()


def test_after_a_shutdown_nothing_is_open_and_the_next_call_opens_it_anew(
    dynamodb: LocalEngine, settings: Any, postgres: Postgres
) -> None:
    settings.DATABASE_PRIMARY = "dynamodb"
    initialize_database()
    wire = get_wire()
    with postgres.as_default("shutdown"):
        assert not User.objects.exists()
        shutdown_database()
        shutdown_database()
        assert connection.connection is None
        assert not wire._idle
        plan = planning_service.create_plan("u", {"title": "after it"})
        assert planning_service.get_plan_by_id(plan.id, "u").title == "after it"
        assert not User.objects.exists()


def test_a_shutdown_does_not_end_a_transaction_of_its_caller(postgres: Postgres) -> None:
    with postgres.as_default("shutdown"):
        with transaction.atomic():
            User.objects.create(id="ana", email="ana@example.org", password_hash="x")
            shutdown_database()
        assert User.objects.filter(id="ana").exists()


def test_a_process_that_ends_stops_the_engine_that_it_started(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DAYLIGHT_ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": "settings.development",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'daylight.sqlite3'}",
        "DATABASE_PRIMARY": "dynamodb",
        "DYNAMODB_ENDPOINT": "local",
        "LOCAL_DYNAMODB_PATH": str(tmp_path / "dynamodb.db"),
    }
    script = (
        "import django; django.setup(); import daylight.database as d; d.initialize_database(); "
        "print(d.user_service.create_user({'email': 'a@example.org', 'password_hash': 'x'})[0].id)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert found.returncode == 0 and found.stdout.strip(), found.stderr
    assert not [path for path in tmp_path.glob("**/*.json") if EngineState.read(path)]


def test_every_service_is_at_the_front_door() -> None:
    folder = ROOT / "daylight" / "services"
    modules = {path.stem for path in folder.glob("*.py")} - {
        "__init__", "base", "bearers", "checks", "presence", "twins",
    }  # fmt: skip
    found = {
        type(each).__module__.rpartition(".")[2]
        for each in vars(database).values() if isinstance(each, Service)
    }  # fmt: skip
    assert found == modules
    assert set(database.__all__) >= {
        name for name, each in vars(database).items() if isinstance(each, Service)
    }
