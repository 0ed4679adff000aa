"""Every test of a keeper runs on each store that has one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django import DjangoDbBlocker

from dbcore.local_engine import LocalEngine
from dbcore.retention.keepers.dynamo import DynamoKeeper
from dbcore.retention.keepers.orm import OrmKeeper
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.orm import OrmStore
from dbcore.table_sync import sync_tables
from tests.dbcore.retention.keepers.kept import NOW, Kept
from tests.support.databases import default_database
from tests.support.proxy import FaultProxy

STORES = ["sqlite", "postgresql", "dynamodb"]


@pytest.fixture(params=STORES)
def kept(request: pytest.FixtureRequest) -> Kept:
    """An empty store, and its keeper, whose clock stands at NOW."""
    if request.param == "dynamodb":
        return request.getfixturevalue("in_dynamodb")
    if request.param == "postgresql":
        request.getfixturevalue("postgresql_tables")
    return Kept(OrmKeeper(clock=lambda: NOW), OrmStore())


@pytest.fixture
def in_sqlite() -> Kept:
    """Django's own database of the tests."""
    return Kept(OrmKeeper(clock=lambda: NOW), OrmStore())


@pytest.fixture
def in_dynamodb(dynamodb: LocalEngine) -> Kept:
    """DynamoDB, on the real engine."""
    assert dynamodb.endpoint
    sync_tables()
    return Kept(DynamoKeeper(clock=lambda: NOW), DynamoStore())


@pytest.fixture
def proxy(in_dynamodb: Kept, dynamodb: LocalEngine, settings: Any) -> Iterator[FaultProxy]:
    """What is between the keeper and the engine."""
    with FaultProxy(dynamodb.endpoint) as between:
        settings.DYNAMODB_ENDPOINT = between.endpoint
        yield between


@pytest.fixture
def sqlite_file(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Django's default database is a file, as in production."""
    given = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(tmp_path / "kept.sqlite3"),
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 60,
        },
    }
    with django_db_blocker.unblock(), default_database(given):
        call_command("migrate", verbosity=0, interactive=False)
        yield


@pytest.fixture(params=STORES)
def shared(request: pytest.FixtureRequest) -> Kept:
    """As `kept`, for threads: a SQLite database in memory is no two threads' at once."""
    if request.param == "dynamodb":
        return request.getfixturevalue("in_dynamodb")
    request.getfixturevalue("sqlite_file" if request.param == "sqlite" else "postgresql_tables")
    return Kept(OrmKeeper(clock=lambda: NOW), OrmStore())
