"""Every test of a service runs on each store, with no cache before it.

To run them on one more: add its name to PRIMARIES and a fixture `<name>_tables` that leaves
DATABASE_PRIMARY's tables empty.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import models
from django.utils import timezone

from daylight.models import User
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import InvalidRecord
from dbcore.stores.interface import Store
from dbcore.table_sync import sync_tables

PRIMARIES = ("sqlite", "postgresql", "dynamodb")


@pytest.fixture
def sqlite_tables() -> None:
    """pytest-django empties Django's own database after each test."""


@pytest.fixture
def dynamodb_tables(dynamodb: LocalEngine) -> None:
    """Tables with a prefix that no other test has."""
    assert dynamodb.endpoint
    sync_tables()


@pytest.fixture(params=PRIMARIES)
def primary(request: pytest.FixtureRequest, settings: Any) -> str:
    """The name of the primary store, which is empty."""
    request.getfixturevalue(f"{request.param}_tables")
    settings.DATABASE_PRIMARY = request.param
    settings.APP_CACHE_ENABLED = False
    return str(request.param)


@pytest.fixture
def store(primary: str) -> Store:
    """The primary store, for what no service writes: records of another time."""
    return primary_store()


@pytest.fixture
def people(store: Store) -> None:
    """Ana and Bea are users."""
    for name in ("ana", "bea"):
        store.add(User(id=name, email=f"{name}@example.org", password_hash="x"))


@pytest.fixture
def travel(monkeypatch: pytest.MonkeyPatch) -> Callable[[dt.timedelta], None]:
    """Moves the services' clock on; what is written keeps its time."""
    real = timezone.now

    def move(by: dt.timedelta) -> None:
        monkeypatch.setattr(timezone, "now", lambda: real() + by)

    return move


def values(record: models.Model) -> dict[str, Any]:
    """A record's fields."""
    return {column.name: getattr(record, column.name) for column in layout_of(type(record)).columns}


def refused(field: str, call: Callable[..., Any], *args: Any, **given: Any) -> None:
    """The call is InvalidRecord of this field."""
    with pytest.raises(InvalidRecord) as caught:
        call(*args, **given)
    assert caught.value.field == field
