"""An export is loaded by engines of somebody else: ImportTable as moto has it, dynoxide's import.

moto's ImportTable does not parse JSON as JSON: it passes over a line with an empty map, and leaves
escapes as they are. So it gets records without either; dynoxide gets any.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.db import models as django_models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daylight import models
from dbcore.attributes import Item
from dbcore.dynamo.comparing import differing_attributes
from dbcore.items import ItemLayout, layout_of
from dbcore.local_engine import LocalEngine, find_engine
from dbcore.retention.archives import Shelf
from dbcore.retention.records import key_text
from dbcore.schema import create_table_request
from tests import strategies
from tests.support.archives import PLANS, Bucket, aws_client, draft_of, plans

PATIENCE = 30.0  # seconds
FEW = settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def all_items(dynamodb: Any, layout: ItemLayout, table: str) -> dict[str, Item]:
    """A table's items, by key."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return {key_text(layout, item): item for page in pages for item in page["Items"]}


def import_plans(dynamodb: Any, bucket: Bucket, prefix: str, table: str) -> dict[str, Any]:
    """What ImportTable says once it has ended."""
    keys = [column.attribute for column in PLANS.key]
    asked = dynamodb.import_table(
        S3BucketSource={"S3Bucket": bucket.name, "S3KeyPrefix": prefix},
        InputFormat="DYNAMODB_JSON",
        InputCompressionType="GZIP",
        TableCreationParameters={
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in keys],
            "KeySchema": [
                {"AttributeName": key, "KeyType": kind}
                for key, kind in zip(keys, ("HASH", "RANGE"), strict=True)
            ],
        },
    )["ImportTableDescription"]
    until = time.monotonic() + PATIENCE
    while asked["ImportStatus"] == "IN_PROGRESS" and time.monotonic() < until:
        time.sleep(0.02)
        asked = dynamodb.describe_import(ImportArn=asked["ImportArn"])["ImportTableDescription"]
    found: dict[str, Any] = asked
    return found


def test_the_table_that_import_table_makes_equals_the_archive_item_by_item(
    shelf: Shelf, archive_bucket: Bucket, tmp_path: Path
) -> None:
    plain = {"title": {"S": "Ä plan"}, "preferences": {"M": {"pace": {"N": "1.50"}}}}
    items = [{**plan, **plain, "x-unknown": {"SS": ["ä", "b"]}} for plan in plans(40)]
    manifest = shelf.write(draft_of(), PLANS, items)
    shelf.export(manifest, PLANS, tmp_path / "plans.json.gz")
    archive_bucket.put("out/plans.json.gz", (tmp_path / "plans.json.gz").read_bytes())
    dynamodb = aws_client("dynamodb", archive_bucket.endpoint)
    table = f"imported-{uuid.uuid4().hex}"
    told = import_plans(dynamodb, archive_bucket, "out/", table)
    assert (told["ImportStatus"], told["ImportedItemCount"]) == ("COMPLETED", 40), told
    assert all_items(dynamodb, PLANS, table) == {key_text(PLANS, item): item for item in items}
    dynamodb.close()


def dynoxide_import(source: Path, layout: ItemLayout) -> Path:
    """The database that dynoxide makes of a directory of exports of one table."""
    request = create_table_request(layout)
    schema = source.with_suffix(".schema.json")
    schema.write_text(
        json.dumps({"Table": {**request, "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"}}})
    )
    output = source.with_suffix(".db")
    (program,) = find_engine("dynoxide", os.environ.get("DYNOXIDE_BINARY", "")).command
    done = subprocess.run(
        [program, "import", "--source", source, "--schema", schema, "--output", output],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return output


@pytest.mark.parametrize(
    "model", [models.Plan, models.User, models.AuditLog], ids=lambda model: model.__name__
)
def test_dynoxide_imports_any_records_with_all_indexes_of_their_table(
    shelf: Shelf,
    dynamodb_engine: LocalEngine,  # a machine without dynoxide skips this
    model: type[django_models.Model],
    tmp_path: Path,
) -> None:
    layout = layout_of(model)

    @FEW
    @given(st.lists(strategies.records(model).map(layout.to_item), min_size=1, max_size=8))
    def holds(found: list[Item]) -> None:
        items = {key_text(layout, item): item for item in found}
        manifest = shelf.write(draft_of(layout), layout, list(items.values()))
        data = tmp_path / manifest.id / layout.table_name / "data"
        data.mkdir(parents=True)
        shelf.export(manifest, layout, data / "data.json.gz")
        with LocalEngine("dynoxide", db_path=dynoxide_import(tmp_path / manifest.id, layout)) as at:
            dynamodb = aws_client("dynamodb", at.endpoint)
            imported = all_items(dynamodb, layout, layout.table_name)
            dynamodb.close()
        assert imported.keys() == items.keys()
        for key, item in items.items():
            assert differing_attributes(item, imported[key]) == []

    holds()
