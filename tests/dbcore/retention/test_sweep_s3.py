"""Sweeps whose archives go to S3 (moto's server): classes of storage, and an S3 that fails."""

from __future__ import annotations

from typing import Any

import pytest

from daylight import models
from dbcore.items import layout_of
from dbcore.models import Archive
from dbcore.retention.keepers.interface import Keeper
from dbcore.retention.options import SweepOptions
from dbcore.retention.report import SweepReport
from dbcore.retention.restore import RestoreOptions, restore
from dbcore.retention.selection import of_archives
from dbcore.retention.sweep import enforce_retention
from tests.dbcore.retention.archives.test_s3_faults import refusing
from tests.dbcore.retention.making import DAY, NOW, put, there
from tests.support.archives import Bucket, use_bucket
from tests.support.proxy import FaultProxy


def sweep(*tables: str) -> SweepReport:
    return enforce_retention(
        SweepOptions(tables=tables, as_of=NOW, accept_large_sweep=True, who="tests")
    )


def key_of(row: Archive) -> str:
    return f"kept/{row.object_name}"


def test_each_tier_goes_to_its_class_and_comes_back(
    in_sqlite: Keeper, archive_bucket: Bucket
) -> None:
    wanted = {models.Plan: "STANDARD_IA", models.Location: "GLACIER", models.User: "DEEP_ARCHIVE"}
    before = {model: put(in_sqlite, model, NOW - 2600 * DAY) for model in wanted}
    report = sweep("plans", "locations", "users")
    assert report.exit_code == 0, report.as_json()
    for model, storage_class in wanted.items():
        row = Archive.objects.get(table=model.storage.name)
        head = archive_bucket.head(key_of(row))
        assert (head["StorageClass"], row.state) == (storage_class, "completed")
        assert head["ServerSideEncryption"] == "aws:kms"
        # moto thaws at once: the first call asks for it, the second finds it done.
        for _ in range(2):
            found = restore(
                of_archives([row.id]), RestoreOptions(who="tests", why="a test"), now=NOW
            )
        layout = layout_of(model)
        key = layout.key_of_item(before[model])
        assert in_sqlite.read(layout, [key]) == [before[model]], found


@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_while_s3_fails_nothing_is_deleted_and_afterwards_all_is(
    in_sqlite: Keeper, archive_bucket: Bucket, settings: Any, no_delay: None, method: str
) -> None:
    items = [put(in_sqlite, models.Plan, NOW - 400 * DAY) for _ in range(3)]

    with FaultProxy(archive_bucket.endpoint, [refusing(503, "SlowDown", method)]) as proxy:
        use_bucket(settings, archive_bucket, endpoint_url=proxy.endpoint)
        failed = sweep("plans")
    assert failed.exit_code in (1, 2)
    assert there(in_sqlite, models.Plan, items) == [True] * 3
    assert failed.lines[0].closes

    use_bucket(settings, archive_bucket)
    assert sweep("plans").exit_code == 0
    assert there(in_sqlite, models.Plan, items) == [False] * 3
    (row,) = Archive.objects.all()
    assert (row.state, row.deleted) == ("completed", 3)
    assert archive_bucket.head(key_of(row))["ContentLength"] > 0


def test_a_bucket_that_is_not_there_stops_the_sweep_before_it_begins(
    in_sqlite: Keeper, archive_bucket: Bucket, settings: Any
) -> None:
    items = [put(in_sqlite, models.Plan, NOW - 400 * DAY)]
    use_bucket(settings, archive_bucket, bucket_name="nobodys-bucket")
    report = sweep("plans")
    assert report.exit_code == 1
    assert "nobodys-bucket" in report.error
    assert there(in_sqlite, models.Plan, items) == [True]
