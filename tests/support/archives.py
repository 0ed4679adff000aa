"""Places for archives: a directory and an S3 bucket of the test's own, and shelves on them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.core.files.storage import storages

from daylight.models import Plan
from dbcore.attributes import Item
from dbcore.items import ItemLayout, layout_of
from dbcore.local_engine import LocalEngine
from dbcore.models import Archive, new_run_id
from dbcore.retention.archives import Draft, Manifest, Shelf, get_shelf
from dbcore.tables import Retention, Tier

REGION = "eu-central-1"
FILES = "dbcore.retention.archives.files.FileArchives"
S3 = "dbcore.retention.archives.s3.S3Archives"
PLANS = layout_of(Plan)
NOW = dt.datetime(2026, 11, 22, 8, 30, 0, 123456, tzinfo=dt.UTC)


def use_storage(settings: Any, backend: str, **options: Any) -> None:
    """Archives go there, from now on in this test."""
    settings.STORAGES = {
        **settings.STORAGES,
        "archives": {"BACKEND": backend, "OPTIONS": options},
    }


@pytest.fixture
def archive_dir(tmp_path: Path, settings: Any) -> Path:
    """The settings' archives are files in this directory, which is not there yet."""
    place = tmp_path / "archives"
    use_storage(settings, FILES, location=str(place))
    return place


@pytest.fixture
def shelf(archive_dir: Path) -> Shelf:
    """An empty shelf of files, with the test settings' key."""
    return get_shelf()


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket on moto's server, and what it takes to look into it."""

    name: str
    endpoint: str
    s3: Any = field(repr=False)

    def head(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = self.s3.head_object(
            Bucket=self.name, Key=key, ChecksumMode="ENABLED"
        )
        return found

    def body(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()
        return body

    def put(self, key: str, body: bytes, **options: Any) -> None:
        self.s3.put_object(Bucket=self.name, Key=key, Body=body, **options)

    def names(self) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=self.name)
        return [entry["Key"] for entry in found.get("Contents", ())]


def aws_client(service: str, endpoint: str) -> Any:
    """A client of moto's server."""
    return boto3.client(
        service, endpoint_url=endpoint, region_name=REGION,
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip


@pytest.fixture
def archive_bucket(moto_engine: LocalEngine, settings: Any) -> Iterator[Bucket]:
    """The settings' archives are objects in this bucket, under `kept/`."""
    s3 = aws_client("s3", moto_engine.endpoint)
    bucket = Bucket(f"archives-{uuid.uuid4().hex[:12]}", moto_engine.endpoint, s3)
    s3.create_bucket(Bucket=bucket.name, CreateBucketConfiguration={"LocationConstraint": REGION})
    use_bucket(settings, bucket)
    yield bucket
    s3.close()


@pytest.fixture
def cloud(archive_bucket: Bucket) -> Shelf:
    """An empty shelf in the bucket."""
    return get_shelf()


@pytest.fixture
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore tries again at once."""
    delay = "botocore.retries.standard.ExponentialBackoff.delay_amount"
    monkeypatch.setattr(delay, lambda *_: 0.0)


def use_bucket(settings: Any, bucket: Bucket, **options: Any) -> Shelf:
    """The shelf of a bucket, as the settings would name it but for these options."""
    use_storage(
        settings, S3,
        **{"bucket_name": bucket.name, "location": "kept", "endpoint_url": bucket.endpoint,
           "region_name": REGION, **options},
    )  # fmt: skip
    return get_shelf()


def storage_of_settings() -> Any:
    """The storage behind the settings' shelf."""
    return storages["archives"]


def draft_of(layout: ItemLayout = PLANS, **changes: Any) -> Draft:
    """What a sweep would say of an archive before it writes it."""
    policy = layout.table.retention
    days, since, tier = (
        (policy.days, policy.since, policy.tier)
        if isinstance(policy, Retention)
        else (365, ("created_at",), Tier.WARM)
    )
    draft = Draft(
        id=new_run_id(), table=layout.table.name, store="orm", target="sqlite:test", tier=tier,
        policy={"days": days, "since": since, "tier": tier.value}, sweep=new_run_id(),
        created_at=NOW, oldest=NOW - dt.timedelta(days=900), newest=NOW - dt.timedelta(days=400),
        schema="id:CharField",
    )  # fmt: skip
    return replace(draft, **changes)


def plans(count: int = 3) -> list[Item]:
    """Plans of two users, as items."""
    return [
        PLANS.to_item(
            {
                "user_id": f"user-{number % 2}", "id": f"plan-{number}", "title": "Ä\u2028plan\n",
                "description": "", "location": {"lat": 50.5, "tags": ["a", None, True, 1e20]},
                "start_time": None, "end_time": NOW, "activities": [], "preferences": {},
                "status": "active", "created_at": NOW, "updated_at": NOW,
            }
        )
        for number in range(count)
    ]  # fmt: skip


def row_of(manifest: Manifest) -> Archive:
    """The row of an archive whose sweep is over."""
    return Archive.objects.create(
        id=manifest.id, store=manifest.store, target=manifest.target, table=manifest.table,
        tier=manifest.tier.value, state=Archive.State.COMPLETED, object_name=manifest.object_name,
        count=manifest.count, oldest=manifest.oldest, newest=manifest.newest,
        key_id=manifest.encryption.key_id, manifest=manifest.as_json(),
        created_at=manifest.created_at, proven_at=NOW, completed_at=NOW, deleted=manifest.count,
    )  # fmt: skip
