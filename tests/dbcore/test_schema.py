"""What DynamoDB is asked to create: pinned as a whole, and argued where it matters."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.db import models
from django.test.utils import isolate_apps
from pytest_django import Settings

from daylight.models import AuditLog, Plan, UsageAnalytics, User
from dbcore.items import ItemLayout, layout_of
from dbcore.schema import create_table_request, storage_models, wanted_tables
from dbcore.tables import GlobalIndex, NoRetention, Table

SNAPSHOT = Path(__file__).parents[1] / "snapshots" / "create_table.json"


@pytest.fixture(autouse=True)
def _usual_settings(settings: Settings) -> None:
    """What the snapshot was made with, whatever this machine's environment says."""
    settings.DYNAMODB_TABLE_PREFIX = "daylight-"
    settings.DYNAMODB_KMS_KEY_ID = ""
    settings.DYNAMODB_DELETION_PROTECTION = False
    settings.DYNAMODB_TAGS = {"application": "daylight"}


def index_of(request: dict[str, Any], name: str) -> tuple[list[str], str]:
    """The keys, hash first, and the projection of an index."""
    indexes = request.get("LocalSecondaryIndexes", []) + request.get("GlobalSecondaryIndexes", [])
    (index,) = (each for each in indexes if each["IndexName"] == name)
    assert [key["KeyType"] for key in index["KeySchema"]] == ["HASH", "RANGE"][
        : len(index["KeySchema"])
    ]
    return [key["AttributeName"] for key in index["KeySchema"]], index["Projection"][
        "ProjectionType"
    ]


def test_what_dynamodb_holds_changes_only_in_plain_sight() -> None:
    """After a change that is meant: UPDATE_SNAPSHOTS=1 make test, and review the difference.

    An existing table can follow only some changes: see docs/sync-tables.md.
    """
    now = {
        table.name: {"ttl_attribute": table.ttl_attribute, "create_table": table.request}
        for table in wanted_tables()
    }
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(json.dumps(now, indent=2) + "\n")
    assert now == json.loads(SNAPSHOT.read_text())


def test_there_is_a_table_for_every_stored_model_and_the_layers_own_three() -> None:
    names = [table.name for table in wanted_tables()]
    assert len(names) == len(set(names)) == len(storage_models()) + 3
    assert {"daylight-unique", "daylight-leases", "daylight-holds", "daylight-users"} < set(names)


def test_only_attributes_that_key_something_are_defined_and_each_once() -> None:
    for table in wanted_tables():
        request = table.request
        indexes = request.get("LocalSecondaryIndexes", []) + request.get(
            "GlobalSecondaryIndexes", []
        )
        keys = {key["AttributeName"] for each in (request, *indexes) for key in each["KeySchema"]}
        defined = [each["AttributeName"] for each in request["AttributeDefinitions"]]
        assert sorted(defined) == sorted(keys), table.name


def test_a_users_records_are_keyed_by_user_and_ordered_by_a_local_index() -> None:
    request = create_table_request(layout_of(Plan))
    assert [key["AttributeName"] for key in request["KeySchema"]] == ["userId", "id"]
    assert [each["IndexName"] for each in request["LocalSecondaryIndexes"]] == ["UserPlansIndex"]
    assert index_of(request, "UserPlansIndex") == (["userId", "createdAt"], "ALL")


def test_days_are_found_through_a_global_index_ordered_by_time() -> None:
    request = create_table_request(layout_of(UsageAnalytics))
    assert [each["IndexName"] for each in request["GlobalSecondaryIndexes"]] == ["DateIndex"]
    assert index_of(request, "DateIndex") == (["day", "timestamp"], "ALL")


def test_what_is_due_is_found_through_a_sparse_index_unless_a_day_index_finds_it() -> None:
    request = create_table_request(layout_of(User))
    assert index_of(request, "DueDayIndex") == (["dueDay"], "KEYS_ONLY")
    audit = create_table_request(layout_of(AuditLog))
    names = [each["IndexName"] for each in audit["GlobalSecondaryIndexes"]]
    assert names == ["UserAuditIndex", "DateIndex"]


@isolate_apps()
def test_a_number_that_keys_an_index_is_a_number_and_keys_only_is_passed_on() -> None:
    class Scored(models.Model):
        id = models.CharField(max_length=9, primary_key=True)
        score = models.IntegerField()
        storage = Table(
            "scored",
            "id",
            NoRetention("a test"),
            indexes=(GlobalIndex("ScoreIndex", "id", "score", keys_only=True),),
        )

        class Meta:
            app_label = "checked"

    request = create_table_request(ItemLayout(Scored))
    assert {"AttributeName": "score", "AttributeType": "N"} in request["AttributeDefinitions"]
    assert index_of(request, "ScoreIndex") == (["id", "score"], "KEYS_ONLY")


def test_settings_decide_on_encryption_protection_and_tags(settings: Settings) -> None:
    settings.DYNAMODB_KMS_KEY_ID = "alias/daylight"
    settings.DYNAMODB_DELETION_PROTECTION = True
    settings.DYNAMODB_TAGS = {"team": "b", "application": "a"}
    for table in wanted_tables():
        encryption = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "alias/daylight"}
        assert table.request["SSESpecification"] == encryption
        assert table.request["DeletionProtectionEnabled"] is True
        tags = [{"Key": "application", "Value": "a"}, {"Key": "team", "Value": "b"}]
        assert table.request["Tags"] == tags


def test_every_table_is_encrypted_even_where_no_key_is_named(settings: Settings) -> None:
    settings.DYNAMODB_TAGS = {}
    for table in wanted_tables():
        assert table.request["SSESpecification"] == {"Enabled": True, "SSEType": "KMS"}
        assert "Tags" not in table.request  # DynamoDB refuses an empty list
