"""What cannot be mended in place, or is not ours, is reported and left alone."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from daylight.models import AuditLog, Plan, User
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.table_sync import sync_tables
from dbcore.wire import get_wire
from tests.support.tables import (
    Recorder,
    Request,
    assert_as_wanted,
    create,
    describe,
    refuses,
    report_on,
    request_of,
    without_index,
)


@pytest.mark.django_db
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
    assert table.differences[0].startswith("its key is userId (S), wanted is id (S)")
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
