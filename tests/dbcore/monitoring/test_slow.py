"""The list of what takes the time stays small and true; the log has slow queries, values never."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.db import IntegrityError, OperationalError, connection, transaction

from daylight.models import Plan
from daylight.services.planning import planning_service
from dbcore.local_engine import LocalEngine
from dbcore.monitoring import metrics
from dbcore.monitoring.slow import Shape, Shapes
from dbcore.wire import get_wire
from tests.support.faults import Delay
from tests.support.proxy import FaultProxy


@pytest.fixture(autouse=True)
def slow_query_log(settings: Any) -> None:
    """The tests' settings have it off."""
    settings.DB_SLOW_QUERY_LOG = True


def shape(at: int) -> Shape:
    return Shape("sqlite", "plans", "SELECT", text=f"SELECT {at}")


def test_shapes_are_ordered_by_their_share_of_time_and_tell_the_worst() -> None:
    shapes = Shapes()
    for at, seconds in ((1, 0.1), (2, 0.25), (1, 0.2), (3, 0.45)):
        shapes.add(shape(at), 1, seconds, seconds, "OperationalError" if seconds == 0.2 else "")
    assert [each.shape for each in shapes.top(2)] == [shape(3), shape(1)]
    of_one = next(each for each in shapes.top() if each.shape == shape(1))
    assert (of_one.count, of_one.errors, of_one.worst) == (2, 1, 0.2)
    assert of_one.share == pytest.approx(0.3)
    assert [each.shape for each in shapes.top(failed=True)] == [shape(1)]


def test_the_list_is_bounded_and_what_took_the_least_time_drops_out() -> None:
    shapes = Shapes(limit=10)
    for at in range(1, 11):
        shapes.add(shape(at), 1, at, at)
    for at in range(100, 400):
        shapes.add(shape(at), 1, 0.001, 0.001)
    kept = [each.shape for each in shapes.top(50)]
    assert len(kept) == 10
    assert kept[:9] == [shape(at) for at in range(10, 1, -1)]  # the ten new ones share a place
    assert sum(each.share for each in shapes.top(50)) < 1


@pytest.mark.django_db
@pytest.mark.usefixtures("measured")
def test_a_slow_sql_query_is_logged_by_its_shape(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DB_LATENCY_THRESHOLD = 0
    with caplog.at_level(logging.WARNING, "dbcore.monitoring.slow"):
        Plan.objects.filter(title="Secret-1").exists()
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM plans WHERE id = 'Secret-2'")
    first, second = caplog.records
    assert first.name == "dbcore.monitoring.slow"
    assert second.getMessage() == "slow query"
    told: dict[str, Any] = second.fields  # type: ignore[attr-defined]
    assert told["db.query.text"] == "SELECT id FROM plans WHERE id = ?"
    assert told["db.collection.name"] == "plans" and told["duration"] >= 0
    assert not [each for each in caplog.records if "Secret" in str(vars(each))]


@pytest.mark.django_db
@pytest.mark.usefixtures("measured")
def test_the_log_of_slow_queries_can_be_switched_off(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DB_LATENCY_THRESHOLD = 0
    settings.DB_SLOW_QUERY_LOG = False
    Plan.objects.exists()
    settings.DB_SLOW_QUERY_LOG = True
    settings.DB_LATENCY_THRESHOLD = 60_000
    metrics.current().forget_series()  # which have their threshold from before
    Plan.objects.exists()
    assert caplog.records == []
    metrics.current().drain()
    assert metrics.current().shapes.top()[0].count == 2


@pytest.mark.usefixtures("measured")
def test_a_slow_call_to_dynamodb_is_logged_by_table_and_index(
    tables: LocalEngine, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    metrics.renew()
    settings.DB_LATENCY_THRESHOLD = 150
    with FaultProxy(tables.endpoint) as between:
        settings.DYNAMODB_ENDPOINT = between.endpoint
        planning_service.get_user_plans("Secret-1")
        between.set_faults(Delay(0.2, times=1, operations=("Query",)))
        planning_service.get_user_plans("Secret-1")
        get_wire().close()
    slow = [each for each in caplog.records if each.name == "dbcore.monitoring.slow"]
    told = [each.fields for each in slow]  # type: ignore[attr-defined]
    (line,) = [each for each in told if each["duration"] >= 0.2]
    assert (line["db.collection.name"], line["db.operation.name"]) == ("plans", "Query")
    assert line["aws.dynamodb.index_name"] == "UserPlansIndex" and "db.query.text" not in line
    metrics.current().drain()
    top = metrics.current().shapes.top()[0]
    assert top.shape == Shape("aws.dynamodb", "plans", "Query", "UserPlansIndex")
    assert (top.count, top.errors) == (2, 0) and top.worst >= 0.2


@pytest.mark.django_db
@pytest.mark.usefixtures("measured")
def test_a_query_that_fails_is_logged_by_its_shape_and_a_refusal_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def insert(table: str) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} (name) VALUES ('Secret-1')")

    with pytest.raises(OperationalError):
        insert("not_there")
    with pytest.raises(IntegrityError):
        insert("roles")  # which wants more than a name
    (failed,) = [each for each in caplog.records if each.getMessage() == "query failed"]
    told: dict[str, Any] = failed.fields  # type: ignore[attr-defined]
    assert (told["error.type"], told["db.operation.name"]) == ("OperationalError", "INSERT")
    assert told["db.query.text"] == "INSERT INTO not_there (name) VALUES (?)"


@pytest.mark.usefixtures("measured", "dynamodb")
def test_a_call_that_fails_is_logged_and_a_look_for_a_table_is_not(
    caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    for operation in ("DescribeTable", "Scan"):
        with pytest.raises(ClientError):
            get_wire().call(operation, {"TableName": f"{settings.DYNAMODB_TABLE_PREFIX}plans"})
    (failed,) = [each for each in caplog.records if each.getMessage() == "query failed"]
    told: dict[str, Any] = failed.fields  # type: ignore[attr-defined]
    assert (told["db.operation.name"], told["db.collection.name"]) == ("Scan", "plans")
    assert told["error.type"] == "ResourceNotFoundException"
