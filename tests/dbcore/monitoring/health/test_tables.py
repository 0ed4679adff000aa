"""Tables, indexes, expiry and backups: seen as they are on real engines, and never changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder

from daylight.models import Plan, User
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.models import Checkpoint
from dbcore.monitoring.health.protections import _verdict
from dbcore.table_sync import sync_tables
from dbcore.wire import get_wire
from tests.dbcore.monitoring.health.asked import (
    CRITICAL,
    HEALTHY,
    WARNING,
    ask,
    ill,
    rewritten,
)
from tests.support.proxy import FaultProxy
from tests.support.tables import (
    create,
    moto_tables,  # noqa: F401  (a fixture)
    request_of,
    without_index,
)

NOWHERE = "http://127.0.0.1:9"


def drop(model: Any) -> str:
    name = layout_of(model).table_name
    get_wire().call("DeleteTable", {"TableName": name})
    return name


def test_a_missing_table_is_critical_and_named_by_this_check_alone(site: LocalEngine) -> None:
    name = drop(Plan)
    found = ask("tables")
    assert found.status is CRITICAL and f"lacks {name}" in found.sentence
    assert "sync_tables" in found.sentence
    assert ill() == {"tables": CRITICAL}
    assert "1 tables are missing: see tables" in ask("indexes").sentence


def test_a_table_with_another_key_is_critical(site: LocalEngine) -> None:
    name = drop(User)
    create({
        "TableName": name, "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "email", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "email", "AttributeType": "S"}],
    })  # fmt: skip
    found = ask("tables")
    assert found.status is CRITICAL and f"{name} has the key email" in found.sentence


def test_a_table_that_is_not_there_yet_is_critical(site: LocalEngine, settings: Any) -> None:
    def creating(body: Any) -> None:
        if body["Table"]["TableName"] == layout_of(Plan).table_name:
            body["Table"]["TableStatus"] = "CREATING"

    with FaultProxy(settings.DYNAMODB_ENDPOINT, [rewritten("DescribeTable", creating)]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        found = ask("tables")
    assert found.status is CRITICAL and "is CREATING" in found.sentence


def test_what_sync_tables_would_mend_is_a_warning(site: LocalEngine, settings: Any) -> None:
    settings.DYNAMODB_DELETION_PROTECTION = True
    found = ask("tables")
    assert found.status is WARNING
    assert "protect from deletion" in found.sentence and "more" in found.sentence


def test_checks_read_and_write_no_record(site: LocalEngine, settings: Any) -> None:
    drop(Plan)
    settings.DYNAMODB_DELETION_PROTECTION = True
    with FaultProxy(settings.DYNAMODB_ENDPOINT) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        assert {"tables": CRITICAL}.items() <= ill().items()
        asked = {operation for operation, _ in proxy.requests}
    assert asked == {
        "DescribeTable", "DescribeTimeToLive", "DescribeContinuousBackups", "GetItem", "Query",
        "PutItem", "DeleteItem",  # of primary_store, among the leases
    }  # fmt: skip


@pytest.mark.parametrize("index", ["UserPlansIndex", "DueDayIndex"])
def test_a_missing_index_is_critical_and_its_table_is_well(site: LocalEngine, index: str) -> None:
    name = drop(Plan)
    create(without_index(request_of(Plan), index))
    found = ask("indexes")
    assert found.status is CRITICAL
    assert f"{name}: " in found.sentence and index in found.sentence
    assert ask("tables").status is HEALTHY


def test_an_index_on_another_attribute_is_critical(site: LocalEngine) -> None:
    drop(Plan)
    request = request_of(Plan)
    (index,) = request["LocalSecondaryIndexes"]
    index["Projection"] = {"ProjectionType": "KEYS_ONLY"}
    create(request)
    found = ask("indexes")
    assert found.status is CRITICAL and "projecting KEYS_ONLY" in found.sentence


def test_an_index_that_is_being_filled_is_a_warning(site: LocalEngine, settings: Any) -> None:
    def filling(body: Any) -> None:
        for index in body["Table"].get("GlobalSecondaryIndexes", ()):
            index["IndexStatus"], index["Backfilling"] = "CREATING", True

    with FaultProxy(settings.DYNAMODB_ENDPOINT, [rewritten("DescribeTable", filling)]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        found = ask("indexes")
    assert found.status is WARNING and "is CREATING, being filled" in found.sentence


# --- Django's database ----------------------------------------------------------------------------
@pytest.fixture
def on_sql(transactional_db: None, settings: Any) -> None:
    settings.DATABASE_PRIMARY, settings.DYNAMODB_ENDPOINT = "sqlite", ""


@pytest.fixture
def without_table(request: pytest.FixtureRequest, on_sql: None) -> Iterator[str]:
    """A table has another name for a while."""
    table = str(request.param)
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
    yield table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE elsewhere RENAME TO {table}")


@pytest.mark.parametrize(
    ("without_table", "status"),
    [("plans", CRITICAL), ("dbcore_deadletter", WARNING)],
    indirect=["without_table"],
)
def test_a_missing_sql_table_is_as_bad_as_what_needs_it(without_table: str, status: Any) -> None:
    found = ask("tables")
    assert found.status is status and f"({without_table})" in found.sentence
    assert "manage.py migrate" in found.sentence


def test_a_migration_that_was_not_applied_is_critical(on_sql: None) -> None:
    assert ask("tables").status is HEALTHY
    recorder = MigrationRecorder(connection)
    name = max(name for app, name in recorder.applied_migrations() if app == "daylight")
    recorder.record_unapplied("daylight", name)
    try:
        found = ask("tables")
    finally:
        recorder.record_applied("daylight", name)
    assert found.status is CRITICAL and f"daylight.{name}" in found.sentence


def said(statement: str) -> tuple[Any, ...]:
    """What SQL answers, its first row; nothing of it is held on to."""
    with connections["default"].cursor() as cursor:
        cursor.execute(statement)
        return tuple(cursor.fetchall()[0]) if cursor.description else ()


@pytest.fixture(params=["sqlite", "postgresql"])
def sql(request: pytest.FixtureRequest, transactional_db: None, settings: Any) -> str:
    """Each SQL database as the primary."""
    settings.DATABASE_PRIMARY, settings.DYNAMODB_ENDPOINT = request.param, ""
    if request.param == "postgresql":
        request.getfixturevalue("postgresql_tables")
    return str(request.param)


@pytest.mark.parametrize(
    ("model", "status"), [(Plan, CRITICAL), (Checkpoint, WARNING)], ids=["records", "books"]
)
def test_a_column_that_somebody_renamed_is_seen(sql: str, model: Any, status: Any) -> None:
    table, column = model._meta.db_table, model._meta.local_concrete_fields[-1].column
    rename = 'ALTER TABLE "%s" RENAME COLUMN "%s" TO "%s"'
    assert ask("tables").status is HEALTHY
    said(rename % (table, column, "elsewhere"))
    try:
        found = ask("tables")
    finally:
        said(rename % (table, "elsewhere", column))
    assert found.status is status and f"({table}.{column})" in found.sentence


def test_an_index_that_somebody_dropped_is_a_warning(sql: str) -> None:
    name = Plan._meta.indexes[0].name
    (made,) = said(
        f"SELECT indexdef FROM pg_indexes WHERE indexname = '{name}'"
        if sql == "postgresql"
        else f"SELECT sql FROM sqlite_master WHERE name = '{name}'"
    )
    said(f'DROP INDEX "{name}"')
    try:
        found = ask("tables")
    finally:
        said(made)
    assert found.status is WARNING and f"{name} of {Plan._meta.db_table}" in found.sentence
    assert ask("tables").status is HEALTHY


def test_a_constraint_that_somebody_dropped_is_a_warning(
    postgresql_tables: None, settings: Any
) -> None:
    settings.DATABASE_PRIMARY, settings.DYNAMODB_ENDPOINT = "postgresql", ""
    (constraint,) = Checkpoint._meta.constraints
    with connections["default"].schema_editor() as editor:
        editor.remove_constraint(Checkpoint, constraint)
    try:
        found = ask("tables")
    finally:
        with connections["default"].schema_editor() as editor:
            editor.add_constraint(Checkpoint, constraint)
    assert found.status is WARNING and constraint.name in found.sentence


def test_dynamodb_that_no_service_uses_yet_is_no_outage(on_sql: None, settings: Any) -> None:
    settings.DYNAMODB_ENDPOINT = NOWHERE
    settings.DB_HEALTH_DEADLINE = 1.5
    assert {name: ask(name).status for name in ("primary_store", "tables", "indexes")} == {
        "primary_store": HEALTHY, "tables": WARNING, "indexes": WARNING,
    }  # fmt: skip


@pytest.mark.parametrize("endpoint", ["", "local"])
def test_dynamodb_that_nobody_uses_is_not_asked(on_sql: None, settings: Any, endpoint: str) -> None:
    settings.DYNAMODB_ENDPOINT = endpoint
    for name in ("indexes", "expiry_and_backups", "clock"):
        found = ask(name)
        assert found.status is HEALTHY and "not in use" in found.sentence


# --- Expiry and backups ---------------------------------------------------------------------------
def test_what_the_local_engine_cannot_tell_is_said_and_is_well(site: LocalEngine) -> None:
    found = ask("expiry_and_backups")
    assert found.status is HEALTHY
    assert "DescribeContinuousBackups is not known to this engine" in found.sentence


def test_what_cannot_be_told_away_from_this_machine_is_a_warning() -> None:
    assert _verdict([], ["DescribeContinuousBackups"], is_local=False).status is WARNING


def test_expiry_and_recovery_are_switched_off_and_seen(
    transactional_db: None, moto: LocalEngine, settings: Any
) -> None:
    settings.DATABASE_PRIMARY = "dynamodb"
    sync_tables()
    found = ask("expiry_and_backups")
    assert found.status is HEALTHY and "as the settings ask" in found.sentence
    prefix = settings.DYNAMODB_TABLE_PREFIX
    get_wire().call("UpdateTimeToLive", {
        "TableName": f"{prefix}rate_limits",
        "TimeToLiveSpecification": {"Enabled": False, "AttributeName": "ttl"},
    })  # fmt: skip
    get_wire().call("UpdateContinuousBackups", {
        "TableName": f"{prefix}plans",
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False},
    })  # fmt: skip
    found = ask("expiry_and_backups")
    assert found.status is WARNING
    assert f"{prefix}rate_limits does not expire" in found.sentence
    assert f"{prefix}plans has no point-in-time recovery" in found.sentence
    settings.DYNAMODB_POINT_IN_TIME_RECOVERY = False
    assert "recovery" not in ask("expiry_and_backups").sentence
