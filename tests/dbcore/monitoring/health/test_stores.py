"""Do the stores answer? Asked of real ones: stopped, slow, broken, behind."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from dbcore.dynamo.leases import lease_table
from dbcore.local_engine import LocalEngine
from dbcore.monitoring.health import stores
from dbcore.stores.dynamo import replicas
from dbcore.table_sync import sync_tables
from dbcore.wire import Wire, get_wire, resolve_endpoint
from tests.dbcore.monitoring.alerts.receivers import eventually
from tests.dbcore.monitoring.health.asked import (
    CRITICAL,
    HEALTHY,
    WARNING,
    ask,
    ill,
    silent_until,
)
from tests.support.databases import complete, default_database
from tests.support.engine import engine_or_skip
from tests.support.faults import Call, Custom
from tests.support.iam import ACCOUNT, but
from tests.support.postgres import Postgres
from tests.support.proxy import Delay, FaultProxy, Throttle

SQLITE = "django.db.backends.sqlite3"
NOWHERE = "http://127.0.0.1:9"


def test_a_site_that_is_well_is_healthy_in_every_check(site: LocalEngine) -> None:
    assert ill() == {}


def test_the_engine_stops_and_what_needs_it_is_critical(site: LocalEngine, settings: Any) -> None:
    settings.DB_HEALTH_DEADLINE = 2.5
    with engine_or_skip("dynoxide") as engine:
        settings.DYNAMODB_ENDPOINT = engine.endpoint
        sync_tables()
        assert ask("primary_store").status is HEALTHY
    found = ask("primary_store")
    assert found.status is CRITICAL
    assert settings.DYNAMODB_ENDPOINT in found.sentence and "network" in found.sentence
    needs_it = ("tables", "indexes", "expiry_and_backups")
    assert ill() == dict.fromkeys(("primary_store", *needs_it), CRITICAL)
    assert "see primary_store" in ask("indexes").sentence
    assert "not known" in ask("clock").sentence


def test_a_slow_engine_is_a_warning_and_its_tables_are_seen_all_the_same(
    site: LocalEngine, settings: Any
) -> None:
    settings.DB_LATENCY_THRESHOLD = 100.0
    with FaultProxy(settings.DYNAMODB_ENDPOINT, [Delay(0.15)]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        assert ill() == {"primary_store": WARNING}
        assert "over the 100 of DB_LATENCY_THRESHOLD" in ask("primary_store").sentence


def test_a_connection_that_is_slow_to_open_is_no_slow_store(
    site: LocalEngine, settings: Any
) -> None:
    settings.DB_LATENCY_THRESHOLD = 1000.0
    with FaultProxy(settings.DYNAMODB_ENDPOINT, [Delay(1.2, times=1)]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        assert ask("primary_store").status is HEALTHY


def test_an_engine_that_does_not_answer_in_time_is_critical(
    site: LocalEngine, settings: Any
) -> None:
    settings.DB_HEALTH_DEADLINE = 1.0
    release = threading.Event()
    with FaultProxy(settings.DYNAMODB_ENDPOINT, [silent_until(release)]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        assert ask("primary_store").status is CRITICAL
        assert not release.is_set(), "the answer was not waited for"
        release.set()


def test_what_the_engine_refuses_is_told_by_its_code(site: LocalEngine, settings: Any) -> None:
    settings.DB_HEALTH_DEADLINE = 2.0
    with FaultProxy(settings.DYNAMODB_ENDPOINT, [Throttle()]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        found = ask("primary_store")
    assert found.status is CRITICAL
    assert "ProvisionedThroughputExceededException, asked for GetItem" in found.sentence


def test_a_store_that_is_none_is_said(transactional_db: None, settings: Any) -> None:
    settings.DATABASE_PRIMARY = "mongodb"
    found = ask("primary_store")
    assert found.status is CRITICAL and "'mongodb'" in found.sentence


def test_a_broken_sqlite_file_is_critical(
    tmp_path: Path, settings: Any, django_db_blocker: DjangoDbBlocker
) -> None:
    settings.DYNAMODB_ENDPOINT = ""
    file = tmp_path / "d.sqlite3"
    file.write_bytes(b"this is no database, and it is long enough to be read" * 99)
    with django_db_blocker.unblock(), default_database({"ENGINE": SQLITE, "NAME": str(file)}):
        found = ask("primary_store")
        assert found.status is CRITICAL and "file is not a database" in found.sentence
        assert ask("tables").status is CRITICAL
        assert ask("last_sweep").status is WARNING, "what it would say is not known"


def test_a_postgresql_server_that_stops_is_critical(
    settings: Any, django_db_blocker: DjangoDbBlocker
) -> None:
    settings.DATABASE_PRIMARY, settings.DYNAMODB_ENDPOINT = "postgresql", ""
    gone = {
        "ENGINE": "django.db.backends.postgresql", "NAME": "d", "HOST": "127.0.0.1", "PORT": 9,
        "USER": "daylight", "PASSWORD": "hunter22hunter22",
    }  # fmt: skip
    with django_db_blocker.unblock(), default_database(gone):
        found = ask("primary_store")
    assert found.status is CRITICAL and "OperationalError" in found.sentence
    assert "hunter22" not in found.sentence


def test_postgresql_that_is_well(postgresql_tables: None, settings: Any) -> None:
    settings.DATABASE_PRIMARY, settings.DYNAMODB_ENDPOINT = "postgresql", ""
    assert ask("primary_store").status is HEALTHY
    assert ask("tables").status is HEALTHY


# --- A store that takes no write ------------------------------------------------------------------
@pytest.mark.parametrize("operation", ["PutItem", "DeleteItem"])
def test_a_role_that_may_not_write_is_critical_and_says_which_half(
    site: LocalEngine, settings: Any, operation: str
) -> None:
    with FaultProxy(settings.DYNAMODB_ENDPOINT, [but(f"dynamodb:{operation}")]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        found = ask("primary_store")
    assert found.status is CRITICAL
    assert "answers a read and takes no write" in found.sentence
    right = f"lacks the right dynamodb:{operation} on table/{lease_table()}"
    assert f"{right}; see docs/aws-permissions.md" in found.sentence
    assert ACCOUNT not in found.sentence


def test_what_is_written_to_dynamodb_is_one_row_among_the_leases_and_is_gone_again(
    site: LocalEngine, settings: Any
) -> None:
    written: list[tuple[str, str]] = []

    def note(call: Call) -> None:
        operation = call.request.operation
        if operation and not operation.startswith(("Get", "Describe")):
            written.append((operation, json.loads(call.request.body)["TableName"]))

    with FaultProxy(settings.DYNAMODB_ENDPOINT, [note]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        assert ask("primary_store").status is HEALTHY
        assert written == [("PutItem", lease_table()), ("DeleteItem", lease_table())]
        assert get_wire().call("Scan", {"TableName": lease_table()})["Items"] == []


def test_a_write_that_is_not_answered_ends_within_the_deadline(
    site: LocalEngine, settings: Any
) -> None:
    settings.DB_HEALTH_DEADLINE = 1.5
    release = threading.Event()
    faults = [Custom(silent_until(release), operations=("PutItem",))]
    with FaultProxy(settings.DYNAMODB_ENDPOINT, faults) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        found = ask("primary_store")
        assert not release.is_set()
        release.set()
    assert found.status is CRITICAL and "takes no write" in found.sentence


@pytest.fixture
def file(
    tmp_path: Path, settings: Any, django_db_blocker: DjangoDbBlocker
) -> Iterator[Callable[[str], AbstractContextManager[None]]]:
    """A SQLite file with a table; Django's default database is it, opened in a mode."""
    settings.DATABASE_PRIMARY, settings.DYNAMODB_ENDPOINT = "sqlite", ""
    path = tmp_path / "d.sqlite3"
    with closing(sqlite3.connect(path)) as made:
        made.execute("PRAGMA user_version = 7")
        made.execute("CREATE TABLE kept (n)")
        made.commit()

    def opened(mode: str) -> AbstractContextManager[None]:
        options = {"uri": True, "timeout": 0.1}
        return default_database({
            "ENGINE": SQLITE, "NAME": f"file:{path}?mode={mode}", "OPTIONS": options,
        })  # fmt: skip

    with django_db_blocker.unblock():
        yield opened
    with closing(sqlite3.connect(path)) as left:
        assert left.execute("PRAGMA user_version").fetchone() == (7,), "nothing was written"


@pytest.mark.parametrize(("mode", "status"), [("rw", HEALTHY), ("ro", CRITICAL)])
def test_a_sqlite_file_that_cannot_be_written(file: Any, mode: str, status: Any) -> None:
    with file(mode):
        found = ask("primary_store")
    assert found.status is status
    if status is CRITICAL:
        assert "answers a read and takes no write" in found.sentence
        assert "readonly database" in found.sentence


def test_a_sqlite_file_that_another_is_writing_is_a_warning(
    file: Any, tmp_path: Path, settings: Any
) -> None:
    settings.DB_HEALTH_DEADLINE = 1.0
    with file("rw"), closing(sqlite3.connect(tmp_path / "d.sqlite3")) as other:
        other.execute("BEGIN IMMEDIATE")
        found = ask("primary_store")
        other.rollback()
    assert found.status is WARNING and "database is locked" in found.sentence


def test_a_postgresql_server_that_was_made_read_only_is_critical(
    postgresql_tables: None, postgres: Postgres, settings: Any
) -> None:
    settings.DATABASE_PRIMARY, settings.DYNAMODB_ENDPOINT = "postgresql", ""
    given = {
        **postgres.settings("daylight"),
        "OPTIONS": {"options": "-c default_transaction_read_only=on"},
    }
    with default_database(given):
        found = ask("primary_store")
    assert found.status is CRITICAL
    assert "takes no write (its transactions are read-only)" in found.sentence


# --- Replicas -------------------------------------------------------------------------------------
@pytest.fixture
def far(site: LocalEngine, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalEngine]:
    """A second region, whose engine has the tables too."""
    monkeypatch.setattr(replicas, "_known", {})
    primary = settings.DYNAMODB_ENDPOINT
    with engine_or_skip("dynoxide") as engine:
        settings.DYNAMODB_ENDPOINT = engine.endpoint
        sync_tables()
        settings.DYNAMODB_ENDPOINT = primary
        settings.DYNAMODB_REPLICA_REGIONS = [f"eu-west-1={engine.endpoint}"]
        yield engine


def test_a_replica_lacks_a_table_and_then_stops(far: LocalEngine, settings: Any) -> None:
    found = ask("replicas")
    assert found.status is HEALTHY and "eu-west-1" in found.sentence
    wire = Wire(resolve_endpoint(far.endpoint, "eu-west-1"), "eu-west-1")
    name = f"{settings.DYNAMODB_TABLE_PREFIX}plans"
    wire.call("DeleteTable", {"TableName": name})
    wire.close()
    found = ask("replicas")
    assert found.status is WARNING and f"eu-west-1 lacks the tables {name}" in found.sentence
    far.stop()
    settings.DB_HEALTH_DEADLINE = 2.0
    found = ask("replicas")
    assert found.status is WARNING and "eu-west-1 does not answer" in found.sentence
    assert ask("primary_store").status is HEALTHY


def test_of_two_sql_replicas_the_broken_one_is_named(
    tmp_path: Path, settings: Any, django_db_blocker: DjangoDbBlocker
) -> None:
    files = {alias: tmp_path / alias for alias in ("replica1", "replica2")}
    for file in files.values():
        sqlite3.connect(file).close()
    files["replica2"].write_bytes(b"this is no database, and it is long enough to be read" * 99)
    settings.DATABASE_REPLICAS = list(files)
    for alias, file in files.items():
        connections.databases[alias] = complete({"ENGINE": SQLITE, "NAME": str(file)})
    try:
        with django_db_blocker.unblock():
            found = ask("replicas")
    finally:
        for alias in files:
            del connections.databases[alias]
    assert found.status is WARNING
    assert "replica2 does not answer" in found.sentence and "replica1" not in found.sentence


def test_a_postgresql_standby_that_falls_behind(
    postgres: Postgres,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    django_db_blocker: DjangoDbBlocker,
) -> None:
    settings.DATABASE_PRIMARY, settings.DATABASE_REPLICAS = "postgresql", ["replica1"]
    monkeypatch.setattr(stores, "MAX_LAG", 0.0)  # seconds
    with postgres.standby() as standby, postgres.connect("postgres") as primary:
        connections.databases["replica1"] = complete(standby)
        with django_db_blocker.unblock():
            with default_database(standby):
                found = ask("primary_store")
                assert found.status is CRITICAL and "(it is a standby)" in found.sentence
            try:
                primary.execute("CREATE TABLE followed (n int)")
                with connections["replica1"].cursor() as cursor:
                    eventually(lambda: is_level(cursor, written(primary)), "the first write")
                    assert ask("replicas").status is HEALTHY, "nothing is left to replay"
                    cursor.execute("SELECT pg_wal_replay_pause()")
                    primary.execute("DROP TABLE followed")
                    eventually(lambda: not is_level(cursor, "0/0"), "the second write")
                found = ask("replicas")
                assert found.status is WARNING
                assert "replica1 is 0 seconds behind" in found.sentence
            finally:
                connections["replica1"].close()
                del connections["replica1"]
                del connections.databases["replica1"]


def written(primary: Any) -> str:
    """How far the primary has written."""
    return str(primary.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0])


def is_level(cursor: Any, position: str) -> bool:
    """Whether a standby has received so much at least, and replayed all that it has received."""
    cursor.execute(
        "SELECT pg_last_wal_receive_lsn() >= %s AND "
        "pg_last_wal_replay_lsn() = pg_last_wal_receive_lsn()",
        [position],
    )
    return bool(cursor.fetchone()[0])


def test_without_replicas_there_is_nothing_to_ask(transactional_db: None) -> None:
    found = ask("replicas")
    assert found.status is HEALTHY and "not in use" in found.sentence
