"""A traced request shows each database call as what it was: operation and table, no key, no value.
One that is not traced shows nothing, and costs nothing."""

from __future__ import annotations

from typing import Any

import pytest
import sentry_sdk
from botocore.exceptions import ClientError

from daylight.database import user_service
from dbcore.local_engine import LocalEngine
from dbcore.monitoring.labels import DYNAMODB
from dbcore.monitoring.sentry.traces import ORIGIN, tell_call, tell_failure
from dbcore.monitoring.switch import unmeasured
from dbcore.stores.errors import AlreadyExists
from dbcore.wire import HOOKS, get_wire
from tests.dbcore.monitoring.sentry.conftest import Told
from tests.dbcore.monitoring.sentry.pages import EMAIL, NEW_USER, PLACE, USER, ask_as_served
from tests.dbcore.monitoring.sentry.server import SentryServer

DATA = ("db.system.name", "db.collection.name", "db.operation.name")


@pytest.fixture
def traced(settings: Any, request: pytest.FixtureRequest) -> Told:
    settings.SENTRY_TRACES_SAMPLE_RATE = 1.0
    told: Told = request.getfixturevalue("sentry")
    return told


def spans(transaction: dict[str, Any]) -> list[tuple[str, ...]]:
    """Description, system, table, operation and status of the spans of database calls."""
    return [
        (each["description"], *(each["data"].get(name, "") for name in DATA), each.get("status"))
        for each in transaction["spans"]
        if each["op"] == "db"
    ]  # fmt: skip


def test_spans_of_both_stores(traced: Told, tables: LocalEngine, db: None) -> None:
    user_service.create_user(NEW_USER)
    assert ask_as_served("both").startswith("200")
    transaction = traced.transaction
    assert transaction["transaction"] == "/both/{user}/"
    assert transaction["contexts"]["trace"]["op"] == "http.server"
    assert spans(transaction)[0] == ("GetItem users", DYNAMODB, "users", "GetItem", "ok")
    assert spans(transaction)[-1][:4] == ("SELECT users", "sqlite", "users", "SELECT")
    assert all(each["parent_span_id"] for each in transaction["spans"])
    assert {each["origin"] for each in transaction["spans"] if each["op"] == "db"} == {ORIGIN}
    began, ended = (transaction[name] for name in ("start_timestamp", "timestamp"))
    for each in transaction["spans"]:
        assert began <= each["start_timestamp"] <= each["timestamp"] <= ended
    traced.assert_no_secret()


def test_spans_of_postgresql(traced: Told, postgresql_tables: None, settings: Any) -> None:
    settings.DATABASE_PRIMARY = "postgresql"
    user_service.create_user(NEW_USER)
    assert ask_as_served("both").startswith("200")
    found = [each for each in spans(traced.transaction) if each[3] == "SELECT"]
    assert [each[:3] for each in found] == [("SELECT users", "postgresql", "users")] * 2
    traced.assert_no_secret()


def test_a_call_that_fails_and_one_that_is_refused(traced: Told, tables: LocalEngine) -> None:
    user_service.create_user(NEW_USER)
    with sentry_sdk.start_transaction(op="task", name="night", source="task"):
        with pytest.raises(AlreadyExists):
            user_service.create_user(NEW_USER)
        with pytest.raises(ClientError):
            get_wire().call("GetItem", {"TableName": "planted-table", "Key": {"id": {"S": USER}}})
    refused, failed = spans(traced.transaction)[-2:]
    assert refused[0].startswith("TransactWriteItems") and refused[-1] == "failed_precondition"
    assert failed == ("GetItem other", DYNAMODB, "other", "GetItem", "internal_error")
    assert traced.transaction["spans"][-1]["data"]["error.type"] == "ResourceNotFoundException"
    traced.assert_no_secret("planted-table")


def test_spans_of_an_application_are_kept_without_their_words(traced: Told) -> None:
    with sentry_sdk.start_transaction(op="task", name=EMAIL, source="custom") as transaction:
        transaction.set_data("customer", EMAIL)
        with sentry_sdk.start_span(op="function", name=f"greet {EMAIL}") as span:
            span.set_data("email", EMAIL)
            span.set_tag("email", EMAIL)
        with sentry_sdk.start_span(op="http.client", name=f"GET https://geo.example/{PLACE}"):
            pass
    found = traced.transaction
    assert found["transaction"] == "(no route)"
    assert [each["description"] for each in found["spans"]] == ["function", "GET geo.example"]
    traced.assert_no_secret()


def test_other_services_are_asked_without_our_trace(
    traced: Told, other_service: SentryServer
) -> None:
    assert ask_as_served("talkative", **{"X-Other": other_service.host}).startswith("500")
    descriptions = [each["description"] for each in traced.transaction["spans"]]
    assert "GET 127.0.0.1" in descriptions
    (asked,) = other_service.asked
    assert "trace" not in asked.lower() and "baggage" not in asked.lower()
    traced.assert_no_secret()


def test_nobody_outside_decides_what_is_traced(
    sentry_server: Any, settings: Any, request: pytest.FixtureRequest
) -> None:
    settings.SENTRY_TRACES_SAMPLE_RATE = 1e-12
    told: Told = request.getfixturevalue("sentry")
    trace = "a" * 32
    wanted = {
        "Sentry-Trace": f"{trace}-{'b' * 16}-1",
        "Baggage": f"sentry-trace_id={trace},sentry-sampled=true,sentry-sample_rand=0.000000,"
        "sentry-sample_rate=1,sentry-org_id=7",
    }
    assert ask_as_served("typo", **wanted).startswith("500")
    assert told.all("transaction") == [] and len(told.events) == 1
    assert trace not in str(told.event)


def test_what_monitoring_does_itself_has_no_span(traced: Told, tables: LocalEngine) -> None:
    with sentry_sdk.start_transaction(op="task", name="report", source="task"), unmeasured():
        user_service.create_user(NEW_USER)
    assert spans(traced.transaction) == []


def test_a_request_that_is_not_traced_is_not_looked_at(
    sentry: Told, tables: LocalEngine, db: None
) -> None:
    assert tell_failure in HOOKS and tell_call not in HOOKS
    user_service.create_user(NEW_USER)
    assert ask_as_served("both").startswith("200")
    assert sentry.all("transaction") == [] and sentry.events == []
