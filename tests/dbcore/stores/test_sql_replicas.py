"""SQL replicas: files here, copied from the primary when a test says so."""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections, router
from pytest_django import DjangoDbBlocker

from daylight.models import AuditLog, User
from dbcore.models import MigrationRun
from dbcore.stores import router as replicas
from dbcore.stores.health import Health
from dbcore.stores.interface import Query
from dbcore.stores.orm import OrmStore
from tests.support.databases import complete, default_database

SQLITE = "django.db.backends.sqlite3"
ANA = {"id": "ana"}
DAY = dt.date(2026, 9, 23)


class Copies:
    """Two replicas, each a file."""

    def __init__(self, folder: Path) -> None:
        self.files = {alias: folder / alias for alias in ("replica1", "replica2")}

    def catch_up(self) -> None:
        """Replication: both have now what the primary has."""
        source = connections["default"]
        source.ensure_connection()
        for file in self.files.values():
            with closing(sqlite3.connect(file)) as copy:
                source.connection.backup(copy)

    def stop(self, alias: str) -> None:
        """Its next read fails."""
        connections[alias].close()
        self.files[alias].write_bytes(b"this is no database, and it is long enough to be read" * 99)


@pytest.fixture(scope="module")
def migrated(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> dict[str, Any]:
    """The settings of a database that has its tables."""
    given = {"ENGINE": SQLITE, "NAME": str(tmp_path_factory.mktemp("migrated") / "primary")}
    with django_db_blocker.unblock(), default_database(given):
        call_command("migrate", verbosity=0)
    return given


@pytest.fixture
def copies(
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    migrated: dict[str, Any],
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Copies]:
    """Not by the mark django_db: Django's test cases forbid an alias that comes later."""
    found = Copies(tmp_path)
    monkeypatch.setattr(replicas, "_health", {})
    with django_db_blocker.unblock():
        shutil.copy(migrated["NAME"], tmp_path / "primary")
        with default_database({**migrated, "NAME": str(tmp_path / "primary")}):
            for alias, file in found.files.items():
                connections.databases[alias] = complete({"ENGINE": SQLITE, "NAME": str(file)})
            settings.DATABASE_REPLICAS = list(found.files)
            found.catch_up()
            yield found
            for alias in found.files:
                connections[alias].close()
                del connections[alias]
                del connections.databases[alias]


def make_user(**given: Any) -> User:
    return User(**{"id": "ana", "email": "ana@example.org", "password_hash": "x", **given})


def alone(alias: str) -> bool:
    return not replicas._health[alias].may_ask()


def test_only_a_read_that_may_lag_sees_a_replica(copies: Copies) -> None:
    store = OrmStore()
    store.add(make_user())
    assert store.get(User, ANA, consistent=False) is None  # replication has not come so far
    assert store.get_by_unique(User, "email", "ana@example.org", consistent=False) is None
    assert store.get(User, ANA) is not None
    assert store.get_by_unique(User, "email", "ana@example.org") is not None
    copies.catch_up()
    assert store.get(User, ANA, consistent=False) is not None


def test_a_list_may_come_from_a_replica_too(copies: Copies) -> None:
    store = OrmStore()
    noon = dt.datetime.combine(DAY, dt.time(12), dt.UTC)
    store.add(AuditLog(event_type="e", resource="r", action="a", outcome="success", source="s",
                       timestamp=noon))  # fmt: skip
    assert len(store.query(Query(AuditLog, "day", DAY, "timestamp", 5))[0]) == 1
    assert store.query(Query(AuditLog, "day", DAY, "timestamp", 5, consistent=False))[0] == []


def test_what_django_reads_itself_is_the_primarys(copies: Copies) -> None:
    get_user_model()._default_manager.create_user("admin")
    User.objects.create(id="ana", email="ana@example.org", password_hash="x")
    assert get_user_model()._default_manager.filter(username="admin").exists()
    assert User.objects.filter(id="ana").exists()
    assert MigrationRun.objects.db == "default"


def test_a_record_of_a_replica_is_saved_on_the_primary(copies: Copies) -> None:
    store = OrmStore()
    store.add(make_user())
    copies.catch_up()
    found = store.get(User, ANA, consistent=False)
    assert found is not None and found._state.db in copies.files
    found.is_active = False
    found.save()
    assert not store.get(User, ANA).is_active
    found.refresh_from_db()
    assert not found.is_active
    assert router.allow_relation(found, store.get(User, ANA))


def test_both_replicas_are_read(copies: Copies) -> None:
    store = OrmStore()
    store.add(make_user())
    copies.catch_up()
    seen = {store.get(User, ANA, consistent=False)._state.db for _ in range(60)}
    assert seen == {"replica1", "replica2"}


def test_replicas_that_stop_are_not_noticed_and_left_alone(
    copies: Copies, caplog: pytest.LogCaptureFixture
) -> None:
    def source() -> str | None:
        found = OrmStore().get(User, ANA, consistent=False)
        return None if found is None else found._state.db

    OrmStore().add(make_user())
    copies.catch_up()
    copies.stop("replica1")
    assert {source() for _ in range(60)} == {"replica2"}
    assert alone("replica1")
    copies.stop("replica2")
    assert {source() for _ in range(10)} == {"default"}
    warned = [each.message for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warned) == 2
    for alias, file in copies.files.items():
        file.unlink()
        replicas._health[alias] = Health(0.0)
    copies.catch_up()
    assert {source() for _ in range(60)} == {"replica1", "replica2"}


def test_migrations_never_touch_a_replica(copies: Copies) -> None:
    copies.files["replica1"].unlink()
    call_command("migrate", "daylight", database="replica1", verbosity=0)
    tables = connections["replica1"].introspection.table_names()
    assert "users" not in tables
    assert router.allow_migrate("default", "daylight")
