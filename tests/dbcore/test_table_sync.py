"""Tables brought to what the models say: on real engines, and with answers that only AWS gives."""

from __future__ import annotations

import copy
import io
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.core.management import CommandError, call_command
from pytest_django import Settings

from daylight.models import AuditLog, Plan, User
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.schema import create_table_request, wanted_tables
from dbcore.table_sync import SyncReport, TableReport, TableSyncError, sync_tables
from dbcore.table_sync.observe import Observer
from dbcore.wire import close_wires, get_wire

ROOT = Path(__file__).parents[2]
Request = dict[str, Any]
READING = ("Describe", "List")


@pytest.fixture
def moto(moto_engine: LocalEngine, settings: Settings) -> Iterator[LocalEngine]:
    """The engine that knows point-in-time recovery."""
    settings.DYNAMODB_ENDPOINT = moto_engine.endpoint
    settings.DYNAMODB_TABLE_PREFIX = f"t{uuid.uuid4().hex[:8]}-"
    yield moto_engine
    close_wires()


class Recorder:
    """The wire, with every call written down, and answered by `script` where that has one."""

    def __init__(self, script: Callable[[str, Request], Any] = lambda *_: None) -> None:
        self.calls: list[tuple[str, Request]] = []
        self._script = script
        self._lock = threading.Lock()

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.calls.append((operation, dict(payload)))
            answer = self._script(operation, dict(payload))
        if isinstance(answer, BaseException):
            raise answer
        return get_wire().call(operation, payload) if answer is None else answer

    @property
    def writes(self) -> list[str]:
        return [operation for operation, _ in self.calls if not operation.startswith(READING)]


def refusal(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Any")  # type: ignore[arg-type]


def refuses(operation: str, code: str, times: int) -> Callable[[str, Request], Any]:
    """A script that refuses an operation so many times."""
    left = [times]

    def script(called: str, _: Request) -> Any:
        if called != operation or left[0] == 0:
            return None
        left[0] -= 1
        return refusal(code)

    return script


def request_of(model: Any) -> Request:
    return copy.deepcopy(create_table_request(layout_of(model)))


def create(request: Request) -> None:
    get_wire().call("CreateTable", request)


def describe(name: str) -> Request:
    table: Request = get_wire().call("DescribeTable", {"TableName": name})["Table"]
    return table


def without_index(request: Request, name: str) -> Request:
    """The request for the same table without one of its indexes."""
    for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        kept = [each for each in request.pop(kind, []) if each["IndexName"] != name]
        if kept:
            request[kind] = kept
    indexes = request.get("LocalSecondaryIndexes", []) + request.get("GlobalSecondaryIndexes", [])
    keys = {key["AttributeName"] for each in (request, *indexes) for key in each["KeySchema"]}
    definitions = request["AttributeDefinitions"]
    request["AttributeDefinitions"] = [
        each for each in definitions if each["AttributeName"] in keys
    ]
    return request


def report_on(report: SyncReport, model: Any) -> TableReport:
    (found,) = (each for each in report.tables if each.name == layout_of(model).table_name)
    return found


def shapes(description: Request) -> Any:
    """What CreateTable asks for and DescribeTable tells, in one form."""
    kinds = ("LocalSecondaryIndexes", "GlobalSecondaryIndexes")
    fields = ("IndexName", "KeySchema", "Projection")
    indexes = [
        [{field: index[field] for field in fields} for index in description.get(kind, [])]
        for kind in kinds
    ]
    definitions = {
        each["AttributeName"]: each["AttributeType"] for each in description["AttributeDefinitions"]
    }
    return description["KeySchema"], indexes, definitions, description["DeletionProtectionEnabled"]


def assert_as_wanted() -> None:
    for wanted in wanted_tables():
        table = describe(wanted.name)
        assert table["TableStatus"] == "ACTIVE"
        assert shapes(table) == shapes(wanted.request)
        assert table["SSEDescription"]["SSEType"] == "KMS"
        ttl = get_wire().call("DescribeTimeToLive", {"TableName": wanted.name})
        assert ttl["TimeToLiveDescription"].get("AttributeName") == wanted.ttl_attribute


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


def still_being_made(looks: int) -> Callable[[str, Request], Any]:
    """A script after which a table, once created, is hidden, then busy, for some looks."""
    seen: dict[str, int] = {}

    def script(operation: str, payload: Request) -> Any:
        name = payload.get("TableName", "")
        if operation == "CreateTable":
            seen[name] = 0
        if operation != "DescribeTable" or name not in seen:
            return None
        seen[name] += 1
        if seen[name] == 1:
            return refusal("ResourceNotFoundException")
        return {"Table": {"TableStatus": "CREATING"}} if seen[name] <= looks else None

    return script


def test_what_is_being_made_is_waited_for_before_anything_else_is_done_to_it(
    dynamodb: LocalEngine,
) -> None:
    wire = Recorder(still_being_made(looks=3))
    report = sync_tables(tables=["user_sessions"], wire=wire)
    (table,) = report.tables
    assert table.actions == ("create the table", "let records expire by ttl")
    order = [operation for operation, _ in wire.calls]
    assert order.count("CreateTable") == 1
    before_expiry = order[order.index("CreateTable") : order.index("UpdateTimeToLive")]
    assert before_expiry.count("DescribeTable") == 4


def test_an_index_that_is_being_filled_is_waited_for(dynamodb: LocalEngine) -> None:
    create(request_of(User))
    looks = 0

    def filling(operation: str, _: Request) -> Any:
        nonlocal looks
        if operation != "DescribeTable" or looks == 3:
            return None
        looks += 1
        table = describe(layout_of(User).table_name)
        table["GlobalSecondaryIndexes"][0].update(IndexStatus="CREATING", Backfilling=True)
        return {"Table": table}

    report = sync_tables(tables=["users"], wire=Recorder(filling))
    assert looks == 3
    assert not report.changed


def test_a_wait_ends_with_an_error_that_says_what_for(dynamodb: LocalEngine) -> None:
    wire = Recorder(still_being_made(looks=1_000_000))
    with pytest.raises(
        TableSyncError, match=r"is CREATING, still after 0\.3 s; run again"
    ) as caught:
        sync_tables(tables=["users"], wire=wire, timeout=0.3)
    (table,) = caught.value.report.tables
    assert table.actions == ("create the table",)


def test_an_interrupted_run_does_not_wait_for_its_waits(dynamodb: LocalEngine) -> None:
    never_ready = still_being_made(looks=1_000_000)

    def script(operation: str, payload: Request) -> Any:
        if operation == "CreateTable" and payload["TableName"] == layout_of(Plan).table_name:
            return KeyboardInterrupt()
        return never_ready(operation, payload)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        sync_tables(tables=["plans", "users"], wire=Recorder(script), timeout=60)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("code", ["LimitExceededException", "ResourceInUseException"])
def test_too_many_changes_at_once_are_waited_out(dynamodb: LocalEngine, code: str) -> None:
    wire = Recorder(refuses("CreateTable", code, times=4))
    assert sync_tables(tables=["users", "plans"], wire=wire).changed
    assert wire.writes.count("CreateTable") == 4 + 2


def test_backups_that_are_not_ready_yet_are_waited_for(moto: LocalEngine) -> None:
    script = refuses("UpdateContinuousBackups", "ContinuousBackupsUnavailableException", times=3)
    report = sync_tables(tables=["users"], wire=Recorder(script))
    assert "switch on point-in-time recovery" in report_on(report, User).actions


def test_a_limit_that_never_lifts_is_an_error_in_dynamodbs_words(dynamodb: LocalEngine) -> None:
    wire = Recorder(refuses("CreateTable", "LimitExceededException", times=1_000_000))
    with pytest.raises(TableSyncError, match="create the table: no, still after"):
        sync_tables(tables=["users"], wire=wire, timeout=0.3)


def test_one_table_that_fails_does_not_keep_the_others_from_being_made(
    dynamodb: LocalEngine,
) -> None:
    name = layout_of(User).table_name

    def deny(operation: str, payload: Request) -> Any:
        denied = operation == "CreateTable" and payload["TableName"] == name
        return refusal("AccessDeniedException", "you may not") if denied else None

    with pytest.raises(TableSyncError, match=f"{name}: .*you may not") as caught:
        sync_tables(wire=Recorder(deny))
    made = [table for table in caught.value.report.tables if table.actions]
    assert len(made) == len(wanted_tables()) - 1


def test_a_table_with_another_key_is_reported_and_left_alone(dynamodb: LocalEngine) -> None:
    request = without_index(request_of(User), "DueDayIndex")
    request["AttributeDefinitions"][0]["AttributeName"] = "userId"
    request["KeySchema"][0]["AttributeName"] = "userId"
    del request["Tags"]
    create(request)
    before = describe(request["TableName"])

    report = sync_tables()

    table = report_on(report, User)
    assert table.actions == ()
    assert table.differences[0].startswith("its key is userId, wanted is id")
    assert report.differences == tuple(f"{table.name}: {each}" for each in table.differences)
    assert describe(request["TableName"]) == before
    with pytest.raises(CommandError, match="1 differences"):
        call_command("sync_tables", stdout=io.StringIO(), stderr=io.StringIO())


def test_a_missing_local_index_is_reported_and_what_can_be_mended_is_mended(
    dynamodb: LocalEngine,
) -> None:
    create(without_index(without_index(request_of(Plan), "UserPlansIndex"), "DueDayIndex"))
    table = report_on(sync_tables(), Plan)
    assert table.actions == ("add the global index DueDayIndex",)
    assert table.differences == (
        "the local index UserPlansIndex is missing: it can only be made with its table",
    )


def test_indexes_of_another_shape_are_reported(dynamodb: LocalEngine) -> None:
    request = request_of(Plan)
    request["LocalSecondaryIndexes"][0]["Projection"] = {"ProjectionType": "KEYS_ONLY"}
    request["GlobalSecondaryIndexes"][0]["KeySchema"].append(
        {"AttributeName": "createdAt", "KeyType": "RANGE"}
    )
    create(request)
    table = report_on(sync_tables(), Plan)
    assert table.actions == ()
    assert table.differences == (
        "the local index UserPlansIndex is on userId + createdAt, projecting KEYS_ONLY, "
        "wanted is one on userId + createdAt, projecting ALL",
        "the global index DueDayIndex is on dueDay + createdAt, projecting KEYS_ONLY, "
        "wanted is one on dueDay, projecting KEYS_ONLY",
    )


def test_a_key_attribute_of_another_type_is_reported_and_no_index_is_added_on_it(
    dynamodb: LocalEngine,
) -> None:
    request = without_index(request_of(AuditLog), "DateIndex")
    request["AttributeDefinitions"] = [
        {**each, "AttributeType": "N"} if each["AttributeName"] == "timestamp" else each
        for each in request["AttributeDefinitions"]
    ]
    create(request)
    table = report_on(sync_tables(), AuditLog)
    assert table.actions == ()
    assert table.differences == (
        "attribute timestamp keys the table or an index as N, wanted is S",
        "the global index DateIndex is missing, and the type of its key stands in the way",
    )


def expire_by(name: str, attribute: str) -> None:
    specification = {"Enabled": True, "AttributeName": attribute}
    request = {"TableName": name, "TimeToLiveSpecification": specification}
    get_wire().call("UpdateTimeToLive", request)


def test_expiry_by_another_attribute_or_where_none_is_wanted_is_reported(
    dynamodb: LocalEngine,
) -> None:
    sync_tables()
    sessions, users = (f"{layout_of(User).table_name[:10]}{n}" for n in ("user_sessions", "users"))
    off = {"Enabled": False, "AttributeName": "ttl"}
    get_wire().call("UpdateTimeToLive", {"TableName": sessions, "TimeToLiveSpecification": off})
    expire_by(sessions, "expiresAt")
    expire_by(users, "ttl")
    assert sync_tables().differences == (
        f"{sessions}: records expire by expiresAt, wanted is ttl",
        f"{users}: records expire by ttl, wanted is no expiry",
    )


def test_tables_and_indexes_that_are_not_ours_are_noted_and_kept(dynamodb: LocalEngine) -> None:
    request = request_of(User)
    extra = copy.deepcopy(request["GlobalSecondaryIndexes"][0])
    request["GlobalSecondaryIndexes"].append({**extra, "IndexName": "SomebodysIndex"})
    create(request)
    stranger = {**request_of(User), "TableName": f"{request['TableName']}-of-somebody"}
    create(stranger)

    report = sync_tables()

    assert report_on(report, User).notes == ("the global index SomebodysIndex is not ours",)
    assert f"the table {stranger['TableName']} is not ours; it is left alone" in report.notes
    assert report.differences == ()
    assert len(describe(request["TableName"])["GlobalSecondaryIndexes"]) == 2
    assert describe(stranger["TableName"])["TableStatus"] == "ACTIVE"


def test_strangers_are_looked_for_on_every_page_and_only_under_our_prefix(
    dynamodb: LocalEngine, settings: Settings
) -> None:
    stranger = f"{settings.DYNAMODB_TABLE_PREFIX}stranger"
    pages = {
        None: {"TableNames": ["other"], "LastEvaluatedTableName": "other"},
        "other": {"TableNames": [stranger]},
    }

    def script(operation: str, payload: Request) -> Any:
        return pages[payload.get("ExclusiveStartTableName")] if operation == "ListTables" else None

    wire = Recorder(script)
    strangers = [note for note in sync_tables(wire=wire).notes if "not ours" in note]
    assert strangers == [f"the table {stranger} is not ours; it is left alone"]


def test_without_leave_to_list_tables_the_rest_is_done(dynamodb: LocalEngine) -> None:
    report = sync_tables(wire=Recorder(refuses("ListTables", "AccessDeniedException", times=1)))
    assert any(
        note.startswith("tables that are not ours are not looked for") for note in report.notes
    )
    assert_as_wanted()


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


@pytest.mark.parametrize(
    ("key", "is_the_same"),
    [
        ("", True),
        ("arn:aws:kms:eu-central-1:123456789012:key/1234abcd", True),
        ("1234abcd", True),
        ("abcd", False),
        ("arn:aws:kms:eu-central-1:123456789012:key/other", False),
    ],
)
def test_a_key_is_the_same_key_however_it_is_named(
    dynamodb: LocalEngine, settings: Settings, key: str, is_the_same: bool
) -> None:
    settings.DYNAMODB_KMS_KEY_ID = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd"
    sync_tables(tables=["users"])
    settings.DYNAMODB_KMS_KEY_ID = key
    assert sync_tables(tables=["users"], dry_run=True).changed is not is_the_same


def test_a_key_that_an_alias_names_is_only_noted(dynamodb: LocalEngine, settings: Settings) -> None:
    sync_tables(tables=["users"])
    settings.DYNAMODB_KMS_KEY_ID = "alias/daylight"
    report = sync_tables(tables=["users"])
    assert not report.changed
    assert "whether that is alias/daylight is not known" in report.tables[0].notes[0]


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


def test_two_threads_at_once_make_everything_once(dynamodb: LocalEngine) -> None:
    create(without_index(request_of(User), "DueDayIndex"))
    wires = [Recorder(), Recorder()]
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda wire: sync_tables(wire=wire), wires))
    assert_as_wanted()
    assert not any(report.differences for report in reports)
    made = [
        table.name
        for report in reports
        for table in report.tables
        if "create the table" in table.actions
    ]
    assert sorted(made) == [each.name for each in wanted_tables() if each.name.find("-users") < 0]


def test_the_loser_of_a_race_for_an_index_finds_it_made(dynamodb: LocalEngine) -> None:
    request = without_index(request_of(User), "DueDayIndex")
    create(request)

    def another_host_is_first(operation: str, payload: Request) -> Any:
        if operation == "UpdateTable":
            get_wire().call(operation, payload)  # then ours is refused: there is such an index
        return None

    report = sync_tables(tables=["users"], wire=Recorder(another_host_is_first))
    assert report_on(report, User).actions == ()
    assert shapes(describe(request["TableName"])) == shapes(request_of(User))


def test_two_processes_at_once_both_succeed(dynamodb: LocalEngine, settings: Settings) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "settings.development",
        "DATABASE_URL": "sqlite://:memory:",
        "DYNAMODB_ENDPOINT": dynamodb.endpoint,
        "DYNAMODB_TABLE_PREFIX": settings.DYNAMODB_TABLE_PREFIX,
    }
    command = [sys.executable, "manage.py", "sync_tables", "--format", "json"]
    both = [
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    outputs = [each.communicate(timeout=120) for each in both]
    assert [each.returncode for each in both] == [0, 0], outputs
    reports = [json.loads(out) for out, _ in outputs]
    made = sum(
        "create the table" in table["actions"] for each in reports for table in each["tables"]
    )
    assert made == len(wanted_tables())
    assert_as_wanted()
