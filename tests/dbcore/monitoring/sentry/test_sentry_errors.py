"""An error arrives with the table and operation that it is about, once, and without anything of
whoever's request it was. What a view or the wire has dealt with does not arrive."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.test import AsyncClient

from daylight.models import Plan, RateLimit, User
from dbcore.local_engine import LocalEngine
from dbcore.monitoring.labels import DYNAMODB, SEVERAL
from dbcore.monitoring.sentry import facts
from dbcore.monitoring.sentry.facts import type_of
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import StoreError
from dbcore.stores.interface import Delete, Query, Store
from tests.dbcore.monitoring.sentry.conftest import Told
from tests.dbcore.monitoring.sentry.pages import (
    EMAIL,
    PLACE,
    USER,
    ask,
    ask_as_served,
)
from tests.support.databases import default_database
from tests.support.faults import Throttle
from tests.support.proxy import FaultProxy

CALL = ("db.system.name", "db.collection.name", "db.operation.name", "error.type")


def call_of(event: dict[str, Any]) -> tuple[str, ...]:
    return tuple(event["tags"].get(name, "") for name in CALL)


def values(event: dict[str, Any]) -> dict[str, str]:
    """What each exception says."""
    return {each["type"]: each["value"] for each in event["exception"]["values"]}


def test_an_engine_that_is_stopped(sentry: Told, stopped: None) -> None:
    assert ask_as_served("plans").startswith("500")
    event = sentry.event
    assert call_of(event) == (DYNAMODB, "plans", "GetItem", "EndpointConnectionError")
    assert values(event)["EndpointConnectionError"] == "GetItem plans"
    assert event["exception"]["values"][-1]["type"] == "StoreUnavailable"
    frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
    assert frames[-1]["function"] == "available" and frames[-1]["context_line"]
    assert event["transaction"] == "/plans/{user}/"
    assert event["request"] == {"method": "POST"}
    assert event["environment"] == "test"
    sentry.assert_no_secret()


def test_an_async_view_and_its_twin_in_a_thread(sentry: Told, stopped: None) -> None:
    client = AsyncClient(raise_request_exception=False)
    answer = asyncio.run(client.get(f"/aplans/{USER}/"))  # type: ignore[arg-type]
    assert answer.status_code == 500
    assert call_of(sentry.event) == (DYNAMODB, "plans", "GetItem", "EndpointConnectionError")
    sentry.assert_no_secret()


def test_a_table_that_is_missing(sentry: Told, dynamodb: LocalEngine, settings: Any) -> None:
    settings.DATABASE_PRIMARY = "dynamodb"
    assert ask("plans").status_code == 500
    assert call_of(sentry.event) == (DYNAMODB, "plans", "GetItem", "ResourceNotFoundException")
    assert values(sentry.event)["ClientError"] == "ResourceNotFoundException: GetItem plans"
    sentry.assert_no_secret(settings.DYNAMODB_TABLE_PREFIX)


@pytest.mark.parametrize("store", ["db", "postgresql_tables"])
def test_a_value_that_is_taken(sentry: Told, store: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(store)
    assert ask("twice").status_code == 500
    system = "sqlite" if store == "db" else "postgresql"
    assert call_of(sentry.event) == (system, "users", "INSERT", "IntegrityError")
    said = {
        "sqlite": "SQLITE_CONSTRAINT_UNIQUE: INSERT users",
        "postgresql": "SQLSTATE 23505 users_email_unique_any_case: INSERT users",
    }
    assert said[system] in values(sentry.event).values()
    sentry.assert_no_secret()


def test_a_service_call_that_the_store_refuses(sentry: Told, primary: str) -> None:
    assert ask("rename").status_code == 500
    system = DYNAMODB if primary == "dynamodb" else primary
    assert call_of(sentry.event) == (system, "users", "update", "RecordNotFound")
    sentry.assert_no_secret()


def test_a_database_that_does_not_let_anybody_in(
    sentry: Told, db: None, settings: Any, tmp_path: Any
) -> None:
    nowhere = {"ENGINE": "django.db.backends.postgresql", "NAME": "d", "HOST": str(tmp_path),
               "USER": "planted-account", "PASSWORD": "planted-password"}  # fmt: skip
    settings.DATABASE_PRIMARY = "postgresql"
    with default_database(nowhere):
        assert ask("plans").status_code == 500
    assert call_of(sentry.event) == ("postgresql", "", "CONNECT", "OperationalError")
    sentry.assert_no_secret("planted-account", str(tmp_path))


def test_an_error_that_is_about_no_database(sentry: Told) -> None:
    assert ask("typo").status_code == 500
    tags = {name for name in sentry.event["tags"] if not name.endswith("_id")}
    assert tags == {"error.type"}
    assert call_of(sentry.event)[-1] == "KeyError"
    sentry.assert_no_secret()


def test_what_a_view_has_dealt_with_is_not_told(sentry: Told, primary: str) -> None:
    assert ask("forgiven").content == b"taken, missing"
    assert sentry.events == []


def test_a_throttle_that_passes_is_not_told(
    sentry: Told, tables: LocalEngine, settings: Any
) -> None:
    with FaultProxy(tables.endpoint, [Throttle(times=2)]) as between:
        settings.DYNAMODB_ENDPOINT = between.endpoint
        assert ask("forgiven").status_code == 200
    assert sentry.events == []


def test_an_error_that_is_logged_and_raised_is_told_once(sentry: Told, stopped: None) -> None:
    assert ask("logged").status_code == 500
    assert call_of(sentry.event) == (DYNAMODB, "plans", "GetItem", "EndpointConnectionError")
    assert sentry.event["logentry"]["message"] == "no plan for %s"
    sentry.assert_no_secret()


@pytest.mark.parametrize(
    ("call", "table"),
    [
        (lambda store: store.add(User(id="", email=EMAIL)), "users"),
        (lambda store: store.put(Plan(user_id=USER, id="", title=PLACE)), "plans"),
        (lambda store: store.get(User, {"id": 7}), "users"),
        (lambda store: store.delete(Plan, {"user_id": USER, "id": PLACE}), "plans"),
        (lambda store: store.query(Query(Plan, "user_id", None, "created_at", 5)), "plans"),
        (lambda store: store.increment(RateLimit(identifier=""), "count", below=5), "rate_limits"),
        (lambda store: store.transact([Delete(User, {"id": ""}), Delete(User, {})]), "users"),
        (lambda store: store.transact([Delete(User, {"id": USER}), Delete(Plan, {})]), SEVERAL),
    ],
)
def test_the_call_to_a_store_is_known_whatever_goes_wrong_in_it(
    primary: str, call: Callable[[Store], object], table: str
) -> None:
    with pytest.raises(StoreError) as refused:
        call(primary_store())
    system = DYNAMODB if primary == "dynamodb" else primary
    found = facts.call_of(refused.value)
    assert found is not None
    assert (found.system, found.table) == (system, table)
    assert type_of(refused.value) == type(refused.value).__name__


def test_nothing_is_told_where_sentry_is_not_in_use(
    sentry_server: Any, settings: Any, stopped: None
) -> None:
    settings.ROOT_URLCONF = "tests.dbcore.monitoring.sentry.pages"
    assert ask("plans").status_code == 500
    logging.getLogger("planted").error("%s", PLACE)
    assert sentry_server.tries == 0
