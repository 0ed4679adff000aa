"""Tables brought to what the models say, on real engines."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from daylight.models import AuditLog, Plan, User
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.schema import wanted_tables
from dbcore.table_sync import sync_tables
from dbcore.table_sync.observe import Observer
from dbcore.wire import get_wire
from tests.support.tables import (
    Recorder,
    assert_as_wanted,
    create,
    describe,
    moto_tables,  # noqa: F401  (a fixture)
    report_on,
    request_of,
    shapes,
    without_index,
)


def test_everything_is_made_from_nothing_and_a_second_run_finds_nothing_to_do(
    dynamodb: LocalEngine,
) -> None:
    first = sync_tables()
    assert_as_wanted()
    assert first.changed
    assert len(first.tables) == len(wanted_tables())
    assert all("create the table" in table.actions for table in first.tables)
    assert first.differences == ()
    second_wire = Recorder()
    second = sync_tables(wire=second_wire)
    assert not second.changed
    assert second.differences == ()
    assert second_wire.writes == []


def test_an_engine_that_does_not_know_an_operation_is_noted_once_and_the_rest_goes_on(
    dynamodb: LocalEngine,
) -> None:
    report = sync_tables()
    about_backups = [note for note in report.notes if "ContinuousBackups" in note]
    assert len(about_backups) == 1
    assert report.differences == ()
    assert not any("recovery" in text for table in report.tables for text in table.actions)


def test_tables_are_made_at_the_same_time(dynamodb: LocalEngine) -> None:
    together = threading.Barrier(5, timeout=10)
    met = threading.Event()

    class Meeting(Recorder):
        def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
            if operation == "CreateTable" and not met.is_set():
                together.wait()  # broken, and the test with it, unless five come at once
                met.set()
            return super().call(operation, payload)

    sync_tables(wire=Meeting())
    assert_as_wanted()


def test_a_missing_global_index_is_added_with_the_records_that_are_there(
    dynamodb: LocalEngine,
) -> None:
    create(without_index(request_of(User), "DueDayIndex"))
    name = layout_of(User).table_name
    item = {"id": {"S": "u1"}, "dueDay": {"S": "2026-11-23#1"}}
    get_wire().call("PutItem", {"TableName": name, "Item": item})

    report = sync_tables()

    assert report_on(report, User).actions == ("add the global index DueDayIndex",)
    assert shapes(describe(name)) == shapes(request_of(User))
    found = get_wire().call(
        "Query",
        {
            "TableName": name,
            "IndexName": "DueDayIndex",
            "KeyConditionExpression": "dueDay = :d",
            "ExpressionAttributeValues": {":d": item["dueDay"]},
        },
    )
    assert found["Items"] == [item]


@pytest.mark.parametrize("engine", ["dynamodb", "moto"])
def test_missing_global_indexes_are_added_one_after_the_other(
    engine: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(engine)
    wanted = request_of(AuditLog)
    create(without_index(without_index(request_of(AuditLog), "UserAuditIndex"), "DateIndex"))
    wire = Recorder()

    report = sync_tables(tables=["audit_logs"], wire=wire)

    added = [text for text in report_on(report, AuditLog).actions if "index" in text]
    assert added == ["add the global index UserAuditIndex", "add the global index DateIndex"]
    assert shapes(describe(wanted["TableName"]))[:3] == shapes(wanted)[:3]
    updates = [payload for operation, payload in wire.calls if operation == "UpdateTable"]
    # DynamoDB allows one new index in a call, and the table is looked at between two.
    assert [len(each["GlobalSecondaryIndexUpdates"]) for each in updates] == [1, 1]
    order = [operation for operation, _ in wire.calls]
    between = order[order.index("UpdateTable") + 1 :]
    assert "DescribeTable" in between[: between.index("UpdateTable")]


def test_a_table_with_provisioned_capacity_gets_its_index_with_as_much(
    dynamodb: LocalEngine,
) -> None:
    request = without_index(request_of(User), "DueDayIndex")
    capacity = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 3}
    request.update(BillingMode="PROVISIONED", ProvisionedThroughput=capacity)
    create(request)
    wire = Recorder()
    table = report_on(sync_tables(wire=wire), User)
    assert table.notes == ("it has provisioned capacity; a new one would be on demand",)
    (update,) = (payload for operation, payload in wire.calls if operation == "UpdateTable")
    (change,) = update["GlobalSecondaryIndexUpdates"]
    assert change["Create"]["ProvisionedThroughput"] == capacity


def test_protections_and_tags_are_mended_and_never_taken_away(
    moto: LocalEngine, settings: Settings
) -> None:
    settings.DYNAMODB_POINT_IN_TIME_RECOVERY = False
    settings.DYNAMODB_TAGS = {"application": "old", "owner": "kept"}
    sync_tables(tables=["users"])
    settings.DYNAMODB_POINT_IN_TIME_RECOVERY = True
    settings.DYNAMODB_DELETION_PROTECTION = True
    settings.DYNAMODB_TAGS = {"application": "daylight"}
    mended = report_on(sync_tables(tables=["users"]), User)
    assert mended.actions == (
        "protect from deletion",
        "switch on point-in-time recovery",
        "tag with application=daylight",
    )
    assert protections(mended.name) == (
        True,
        "ENABLED",
        {"application": "daylight", "owner": "kept"},
    )
    assert not sync_tables(tables=["users"]).changed

    settings.DYNAMODB_POINT_IN_TIME_RECOVERY = False
    settings.DYNAMODB_DELETION_PROTECTION = False
    weaker = report_on(sync_tables(tables=["users"]), User)
    assert weaker.actions == ()
    assert len(weaker.notes) == 2
    assert protections(mended.name)[:2] == (True, "ENABLED")


def protections(name: str) -> tuple[bool, str, dict[str, str]]:
    table = describe(name)
    backups = get_wire().call("DescribeContinuousBackups", {"TableName": name})
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    tags = get_wire().call("ListTagsOfResource", {"ResourceArn": table["TableArn"]})["Tags"]
    return (
        table["DeletionProtectionEnabled"],
        recovery["PointInTimeRecoveryStatus"],
        {tag["Key"]: tag["Value"] for tag in tags},
    )


def test_everything_is_made_on_an_engine_that_knows_all_operations(moto: LocalEngine) -> None:
    assert sync_tables().notes == ()
    assert_as_wanted()
    for wanted in wanted_tables():
        assert protections(wanted.name) == (False, "ENABLED", {"application": "daylight"})
    assert not sync_tables().changed


def test_an_unencrypted_table_is_encrypted_where_the_engine_can(
    dynamodb: LocalEngine, moto: LocalEngine, settings: Settings
) -> None:
    request = request_of(User)
    del request["SSESpecification"]
    for engine in (dynamodb, moto):
        settings.DYNAMODB_ENDPOINT = engine.endpoint
        create(request)
    wire = Recorder()
    on_moto = sync_tables(tables=["users"], wire=wire)
    (update,) = (payload for operation, payload in wire.calls if operation == "UpdateTable")
    assert update["SSESpecification"] == {"Enabled": True, "SSEType": "KMS"}
    # moto takes the call and forgets it; so might an engine that is behind in its own answers.
    assert on_moto.tables[0].notes == ("accepted, but not seen yet: encrypt with a KMS key",)
    settings.DYNAMODB_ENDPOINT = dynamodb.endpoint
    on_dynoxide = sync_tables(tables=["users"])
    assert not on_dynoxide.changed
    assert any("encrypt with a KMS key" in note for note in on_dynoxide.notes)


def test_a_dry_run_says_what_a_run_then_does_and_writes_nothing(moto: LocalEngine) -> None:
    create(without_index(request_of(User), "DueDayIndex"))
    wire = Recorder()
    would_be = sync_tables(dry_run=True, wire=wire)
    assert wire.writes == []
    assert would_be.dry_run
    done = sync_tables()
    assert [(table.name, table.actions) for table in would_be.tables] == [
        (table.name, table.actions) for table in done.tables
    ]


def test_a_dry_run_does_not_wait_for_what_others_are_making(dynamodb: LocalEngine) -> None:
    create(request_of(User))
    busy = {"Table": {**describe(layout_of(User).table_name), "TableStatus": "UPDATING"}}
    wire = Recorder(lambda operation, _: busy if operation == "DescribeTable" else None)
    assert not sync_tables(dry_run=True, tables=["users"], wire=wire, timeout=0).changed


def test_a_dry_run_fails_for_a_difference_only(dynamodb: LocalEngine) -> None:
    out = io.StringIO()
    call_command("sync_tables", dry_run=True, stdout=out)
    assert "users: would be done: create the table" in out.getvalue()
    create(without_index(request_of(Plan), "UserPlansIndex"))
    with pytest.raises(CommandError, match="cannot be mended"):
        call_command("sync_tables", dry_run=True, stdout=out)
    assert "plans: DIFFERS: the local index UserPlansIndex is missing" in out.getvalue()


@pytest.mark.django_db
def test_tables_are_chosen_with_or_without_their_prefix(dynamodb: LocalEngine) -> None:
    full_name = layout_of(Plan).table_name
    call_command("sync_tables", table=["users", full_name], stdout=io.StringIO())
    names = Observer(get_wire(), print).table_names()
    ours = {name for name in names if name.startswith(full_name.removesuffix("plans"))}
    assert ours == {layout_of(User).table_name, full_name}
    with pytest.raises(CommandError, match=r"no table is called usres; known: .*users"):
        call_command("sync_tables", table=["usres"])


def test_an_endpoint_out_of_reach_is_one_line_and_no_traceback(settings: Settings) -> None:
    settings.DYNAMODB_ENDPOINT = "http://127.0.0.1:9"
    settings.DYNAMODB_DEADLINE = 0.1
    for options in ({}, {"table": ["users"]}):
        with pytest.raises(CommandError):
            call_command("sync_tables", stdout=io.StringIO(), **options)  # type: ignore[arg-type]


@pytest.mark.django_db
def test_the_report_can_be_read_by_a_program(dynamodb: LocalEngine) -> None:
    out = io.StringIO()
    create(without_index(request_of(Plan), "UserPlansIndex"))
    with pytest.raises(CommandError):
        call_command("sync_tables", format="json", stdout=out, stderr=io.StringIO())
    report = json.loads(out.getvalue())
    assert report["changed"] is True
    (plans,) = (each for each in report["tables"] if each["name"] == layout_of(Plan).table_name)
    assert plans["actions"] == []
    assert len(plans["differences"]) == 1
