"""Whoever is told that something cannot be reached is told who says why; whoever is told something
else is not."""

from __future__ import annotations

import io
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections

from daylight.models import Plan, User
from dbcore import bookkeeping
from dbcore.dynamo.leases import LeaseHeld
from dbcore.errors import SEE_CONNECT, ConfigurationError
from dbcore.migration.options import MigrationOptions
from dbcore.migration.run import migrate
from dbcore.retention.archives.s3 import S3Archives
from dbcore.rights import in_words
from dbcore.stores.choice import primary_store
from dbcore.stores.dynamo.available import available
from dbcore.stores.errors import StoreUnavailable
from dbcore.wire import close_wires, get_wire
from tests.support.databases import default_database
from tests.support.postgres import Postgres


def django_error(connect: Callable[[], Any]) -> OperationalError:
    """The error of Django's that a driver's becomes."""
    with pytest.raises(OperationalError) as raised:
        connect()
    return raised.value


@pytest.fixture
def nobody() -> str:
    """The address of a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        return f"127.0.0.1:{gone.getsockname()[1]}"


@pytest.fixture
def dynamodb_away(settings: Any, nobody: str) -> Iterator[None]:
    settings.DYNAMODB_ENDPOINT = f"http://{nobody}"
    settings.DYNAMODB_DEADLINE, settings.DB_HEALTH_DEADLINE = 0.2, 1.0
    settings.DATABASE_PRIMARY = "dynamodb"
    yield
    close_wires()


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url="https://x"), NoCredentialsError(),
        ConnectionRefusedError("refused"), TimeoutError("timed out"), socket.gaierror("no name"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_what_did_not_answer_is_pointed_to_connect(error: Exception) -> None:
    assert in_words(error).endswith(f"; {SEE_CONNECT}")


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ValidationException", "Message": "no"}}, "PutItem"),
        FileNotFoundError("gone"), LeaseHeld("another is at work"), ValueError("no"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_what_did_answer_is_not(error: Exception) -> None:
    assert in_words(error) == str(error)


def test_a_postgresql_that_is_away_is_told_from_one_that_refuses(
    postgres: Postgres, nobody: str, django_db_blocker: Any
) -> None:
    host, _, port = nobody.partition(":")
    away = {"ENGINE": "django.db.backends.postgresql", "NAME": "d", "HOST": host, "PORT": port}
    with django_db_blocker.unblock():
        with default_database(away):
            error = django_error(connections["default"].ensure_connection)
            assert isinstance(error.__cause__, psycopg.OperationalError)
            assert in_words(error).endswith(SEE_CONNECT)
            with pytest.raises(ConfigurationError, match=SEE_CONNECT):
                bookkeeping.make_ready()
        with default_database(postgres.settings("postgres")):
            with connections["default"].cursor() as cursor:
                cursor.execute("SET statement_timeout = 1")
                error = django_error(lambda: cursor.execute("SELECT pg_sleep(30)"))
            assert in_words(error) == str(error), "it answered"


def test_a_sqlite_file_that_is_busy_is_not_out_of_reach(
    tmp_path: Path, django_db_blocker: Any
) -> None:
    path = tmp_path / "d.sqlite3"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("CREATE TABLE t (x)")
    holder.execute("BEGIN EXCLUSIVE")
    given = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": {"timeout": 0}}
    with django_db_blocker.unblock(), default_database(given):
        cursor = connections["default"].cursor()
        error = django_error(lambda: cursor.execute("SELECT * FROM t"))
    holder.close()
    assert in_words(error) == str(error)


@pytest.mark.django_db
def test_whatever_a_person_starts_while_dynamodb_is_away_points_there(
    dynamodb_away: None,
) -> None:
    with pytest.raises(StoreUnavailable, match=SEE_CONNECT):
        primary_store().get(User, {"id": "u-1"})
    with pytest.raises(StoreUnavailable, match=SEE_CONNECT), available():
        get_wire().call("ListTables", {}, deadline=0.1)
    assert SEE_CONNECT in migrate(MigrationOptions()).error
    with pytest.raises(CommandError, match=SEE_CONNECT):
        call_command("sync_tables", stdout=io.StringIO())
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("db_health", "--check", "primary_store", "tables", stdout=out)
    assert " ".join(out.getvalue().split()).count("manage.py connect") == 2
    assert Plan.objects.count() == 0


def test_a_bucket_that_is_away_points_there(nobody: str, no_delay: None) -> None:
    archives = S3Archives(bucket_name="b", endpoint_url=f"http://{nobody}", region_name="eu-west-1")
    with pytest.raises(ConfigurationError, match=SEE_CONNECT):
        archives.check()
