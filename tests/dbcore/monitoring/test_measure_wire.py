"""Every call on the wire is counted as what it was, and nothing that it was about is told."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from botocore.exceptions import ClientError
from django.conf import settings as django_settings

from daylight.database import planning_service, user_service
from daylight.models import Plan, User
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.monitoring import measure_wire, metrics
from dbcore.monitoring.labels import DYNAMODB, OTHER, SEVERAL
from dbcore.monitoring.pools import pools
from dbcore.monitoring.series import Series
from dbcore.monitoring.specs import CAPACITY, DURATION, FAILURES, RETRIES, ROWS, SPECS, THROTTLES
from dbcore.monitoring.switch import unmeasured
from dbcore.stores.errors import RecordNotFound
from dbcore.wire import Call, Pipeline, close_wires, get_wire, open_connections
from tests.dbcore.monitoring.conftest import samples
from tests.support.faults import (
    SERVICE,
    Custom,
    Delay,
    DropBefore,
    InternalServerError,
    Throttle,
)
from tests.support.faults import Call as ProxyCall
from tests.support.proxy import FaultProxy
from tests.support.wire import Answer, make_error

pytestmark = pytest.mark.usefixtures("tables", "measured")


def plans() -> str:
    return layout_of(Plan).table_name


def calls() -> dict[tuple[str, str, str], float]:
    """How many, by table, operation and error."""
    found = samples(DURATION, "_count")
    assert {system for system, *_ in found} <= {DYNAMODB}
    return {(table, operation, error): n for (_, table, operation, error), n in found.items()}


def key(at: int) -> dict[str, Any]:
    return {"userId": {"S": "u"}, "id": {"S": f"p{at}"}}


@pytest.fixture
def proxy(tables: LocalEngine, settings: Any) -> Iterator[FaultProxy]:
    with FaultProxy(tables.endpoint) as between:
        settings.DYNAMODB_ENDPOINT = between.endpoint
        yield between


def test_a_services_calls_by_table_operation_rows_and_capacity() -> None:
    for at in range(3):
        planning_service.create_plan("u", {"id": f"p{at}", "title": "Lake"})
    planning_service.get_plan_by_id("p1", "u")
    with pytest.raises(RecordNotFound):
        planning_service.get_plan_by_id("gone", "u")
    assert len(planning_service.get_user_plans("u")) == 3
    assert calls() == {
        ("plans", "PutItem", ""): 3, ("plans", "GetItem", ""): 2, ("plans", "Query", ""): 1,
    }  # fmt: skip
    assert samples(ROWS, "_sum") == {
        (DYNAMODB, "plans", "GetItem"): 1, (DYNAMODB, "plans", "Query"): 3,
    }  # fmt: skip
    assert samples(ROWS, "_count") == {
        (DYNAMODB, "plans", "GetItem"): 2, (DYNAMODB, "plans", "Query"): 1,
    }  # fmt: skip
    seconds = samples(DURATION, "_sum")
    assert len(seconds) == 3 and all(0 < each < 10 for each in seconds.values())


def test_capacity_is_told_by_index_of_reads_and_of_writes() -> None:
    planning_service.create_plan("u", {"id": "p", "title": "Lake"})
    planning_service.get_user_plans("u")
    planning_service.get_plan_by_id("p", "u")
    units = samples(CAPACITY)
    assert units["plans", "PutItem", "", "write"] == 1
    assert units["plans", "PutItem", "UserPlansIndex", "write"] == 1
    assert units["plans", "GetItem", "", "read"] == 1
    assert units["plans", "Query", "UserPlansIndex", "read"] == 1
    assert ("plans", "Query", "", "read") not in units
    taken = metrics.current().take()
    written = sum(n for (_, operation, *_), n in units.items() if operation == "PutItem")
    assert taken[DYNAMODB, "plans", "PutItem"].capacity == written


def test_a_record_and_its_guards_are_one_table_and_two_records_are_several() -> None:
    user_service.create_user({"id": "u", "email": "u@example.org", "password_hash": "x"})
    assert calls() == {(SEVERAL, "TransactWriteItems", ""): 1}
    # What each table was charged is told apart all the same.
    assert {table for table, *_ in samples(CAPACITY)} == {"users", "user_profiles", "unique"}
    user_service.update_user("u", {"email": "v@example.org"})
    assert calls()["users", "TransactWriteItems", ""] == 1


def test_a_condition_that_does_not_hold_is_a_refusal_and_no_error() -> None:
    planning_service.create_plan("u", {"id": "p", "title": "Lake"})
    with pytest.raises(Exception, match="key"):
        planning_service.create_plan("u", {"id": "p", "title": "Again"})
    assert calls()["plans", "PutItem", "ConditionalCheckFailedException"] == 1
    totals = metrics.current().take()[DYNAMODB, "plans", "PutItem"]
    assert (totals.count, totals.errors, totals.refused) == (2, 0, 1)


def cancelled(*codes: str) -> Custom:
    """DynamoDB, which cancels a transaction for these reasons."""

    def answer(call: ProxyCall) -> Answer:
        made = make_error(400, f"{SERVICE}TransactionCanceledException", "Transaction cancelled")
        assert made.message is not None
        reasons = [{"Code": code} for code in ("None", *codes)]
        body = {**json.loads(made.message.body), "CancellationReasons": reasons}
        return Answer(made.message.with_json(body))

    return Custom(answer, operations=("TransactWriteItems",))


@pytest.mark.parametrize(
    ("codes", "label", "errors"),
    [
        (["ConditionalCheckFailed"], "TransactionCanceledException", 0),
        (["TransactionConflict", "DuplicateItem"], "TransactionCanceledException", 0),
        (["ThrottlingError"], "ThrottlingError", 1),
        (["ConditionalCheckFailed", "ValidationError"], "ValidationError", 1),
    ],
)
def test_a_cancelled_transaction_is_a_refusal_only_where_a_condition_did_not_hold(
    proxy: FaultProxy, codes: list[str], label: str, errors: int
) -> None:
    proxy.set_faults(cancelled(*codes))
    put = {"Put": {"TableName": plans(), "Item": key(0)}}
    with pytest.raises(ClientError):
        get_wire().call("TransactWriteItems", {"TransactItems": [put]}, deadline=0.2)
    assert [error for _, _, error in calls()] == [label]
    (totals,) = metrics.current().take().values()
    assert (totals.errors, totals.refused) == (errors, 1 - errors)


def test_a_table_that_is_not_known_is_other_and_its_error_counts() -> None:
    for name in ("nothing-of-ours", f"{django_settings.DYNAMODB_TABLE_PREFIX}plan"):
        with pytest.raises(ClientError):
            get_wire().call("GetItem", {"TableName": name, "Key": {"id": {"S": "x"}}})
    assert calls() == {(OTHER, "GetItem", "ResourceNotFoundException"): 2}
    totals = metrics.current().take()[DYNAMODB, OTHER, "GetItem"]
    assert (totals.count, totals.errors) == (2, 2)


def test_retries_and_throttles_of_a_call_that_succeeds_in_the_end(proxy: FaultProxy) -> None:
    planning_service.create_plan("u", {"id": "p", "title": "Lake"})
    proxy.set_faults(Throttle(times=2, operations=("GetItem",)))
    planning_service.get_plan_by_id("p", "u")
    proxy.set_faults(InternalServerError(times=1, operations=("GetItem",)))
    planning_service.get_plan_by_id("p", "u")
    assert calls()["plans", "GetItem", ""] == 2
    assert samples(RETRIES) == {("plans", "GetItem"): 3}
    assert samples(THROTTLES) == {("plans", "GetItem"): 2}
    totals = metrics.current().take()[DYNAMODB, "plans", "GetItem"]
    assert (totals.errors, totals.retries, totals.throttles) == (0, 3, 2)


def test_a_call_that_never_gets_through_is_an_error_by_its_class(proxy: FaultProxy) -> None:
    wire = get_wire()
    proxy.set_faults(DropBefore())
    with pytest.raises(Exception, match="closed"):
        wire.call("GetItem", {"TableName": plans(), "Key": key(0)}, deadline=0.2)
    assert [error for _, _, error in calls()] == ["ConnectionClosedError"]
    (totals,) = metrics.current().take().values()
    assert (totals.count, totals.errors) == (1, 1) and totals.retries >= 1


def test_batches_transactions_and_the_pipeline_count_their_items() -> None:
    wire, table = get_wire(), plans()
    for at in range(3):
        planning_service.create_plan("u", {"id": f"p{at}", "title": "Lake"})
    wire.call("BatchGetItem", {"RequestItems": {table: {"Keys": [key(0), key(1), key(9)]}}})
    gets = [{"Get": {"TableName": table, "Key": key(at)}} for at in (0, 9)]
    wire.call("TransactGetItems", {"TransactItems": gets})
    wire.call("Scan", {"TableName": table})
    with Pipeline(wire, 2) as pipeline:
        for at in range(2):
            body = orjson.dumps({"TableName": table, "Key": key(at)})
            pipeline.submit("GetItem", table, body, at)
        while pipeline.load:
            pipeline.gather(1.0)
    rows = {operation: n for (_, _, operation), n in samples(ROWS, "_sum").items()}
    assert rows == {"BatchGetItem": 2, "TransactGetItems": 1, "Scan": 3, "GetItem": 2}
    assert calls()["plans", "GetItem", ""] == 2


def test_a_batch_over_several_tables_is_several() -> None:
    names = [layout_of(model).table_name for model in (Plan, User)]
    keys = ({"userId": {"S": "u"}, "id": {"S": "p"}}, {"id": {"S": "u"}})
    wanted = {name: {"Keys": [each]} for name, each in zip(names, keys, strict=True)}
    get_wire().call("BatchGetItem", {"RequestItems": wanted, "ReturnConsumedCapacity": "TOTAL"})
    assert calls() == {(SEVERAL, "BatchGetItem", ""): 1}
    assert {table for table, *_ in samples(CAPACITY)} == {"plans", "users"}


def test_nothing_that_a_call_was_about_is_in_any_metric() -> None:
    user_service.create_user(
        {"id": "Secret-1", "email": "Secret-2@example.org", "password_hash": "Secret-3"}
    )
    user_service.get_user_by_email("Secret-2@example.org")
    planning_service.create_plan("Secret-1", {"id": "Secret-4", "title": "Secret-5"})
    with pytest.raises(ClientError):
        get_wire().call("GetItem", {"TableName": "Secret-6", "Key": {"Secret-7": {"S": "x"}}})
    made = metrics.current()
    made.drain()
    told = [*(str(family) for family in made.registry.collect()), *map(str, made.shapes.top(200))]
    assert told and not [each for each in told if "Secret" in each]


def test_errors_that_somebody_makes_up_do_not_make_ever_more_labels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dbcore.monitoring.labels._errors", set())
    for at in range(300):
        measure_wire.measure_call(Call("GetItem", plans(), 0.1, 0, 0, None, f"Error{at}"))
    measure_wire.measure_call(Call("GetItem", plans(), 0.1, 0, 0, None, "with a key: abc"))
    errors = {error for _, _, error in calls()}
    assert len(errors) == 101 and OTHER in errors
    assert calls()["plans", "GetItem", OTHER] == 201


def test_what_cannot_be_measured_breaks_no_call_and_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(measure_wire, "_said", False)
    monkeypatch.setattr(Series, "add", fails)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            planning_service.create_plan("u", {"title": "Lake"})
    assert len(planning_service.get_user_plans("u")) == 3
    assert samples(FAILURES) == {("measuring",): 4}
    assert len([each for each in caplog.records if "not measured" in each.message]) == 1


def test_what_monitoring_does_itself_is_not_measured() -> None:
    with unmeasured():
        planning_service.create_plan("u", {"title": "Lake"})
        with unmeasured():
            pass
        planning_service.get_user_plans("u")
    assert calls() == {}
    planning_service.get_user_plans("u")
    assert calls() == {("plans", "Query", ""): 1}


def test_connections_are_used_idle_and_gone_again() -> None:
    close_wires()  # those of making the tables
    wire = get_wire()
    planning_service.get_user_plans("u")
    assert open_connections() == (1, 1)
    first, _ = wire.connect()
    second, fresh = wire.connect()
    assert fresh and open_connections() == (2, 0)
    wire.release(first)
    second.close()
    assert open_connections() == (1, 1)
    wire.close()
    assert open_connections() == (0, 0)


def test_async_calls_that_have_no_thread_yet_are_pending(proxy: FaultProxy, settings: Any) -> None:
    settings.DYNAMODB_POOL_SIZE = 1
    proxy.set_faults(Delay(0.2))

    async def ask() -> tuple[int, int]:
        twins = [planning_service.aget_user_plans("u") for _ in range(3)]
        asked = [asyncio.create_task(each) for each in twins]
        most = (0, 0)
        while not all(each.done() for each in asked):
            (pool,) = pools()
            most = max(most, (pool.pending, pool.used))
            await asyncio.sleep(0.01)
        return most

    assert asyncio.run(ask()) == (2, 1)
    (pool,) = pools()
    assert (pool.pending, pool.used, pool.limit) == (0, 0, 1)


def test_the_metrics_are_the_declared_ones() -> None:
    declared = {spec.name for spec in SPECS}
    assert {family.name for family in metrics.current().registry.collect()} == declared
