"""Archives in a bucket of moto's server, a process of its own.

What moto cannot show: it takes any checksum that it is given, ignores CopySourceIfMatch, and asks
no KMS.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from dbcore.errors import ConfigurationError
from dbcore.retention.archives import Manifest, Shelf
from dbcore.retention.archives.s3 import S3Archives
from dbcore.retention.errors import NotProven, RetentionError
from dbcore.tables import Tier
from tests.support.archives import (
    PLANS,
    Bucket,
    draft_of,
    plans,
    use_bucket,
)


def key_of(manifest: Manifest) -> str:
    return f"kept/{manifest.object_name}"


def test_an_archive_is_an_object_with_a_manifest_beside_it_encrypted_by_kms(
    cloud: Shelf, archive_bucket: Bucket
) -> None:
    cloud.check()
    manifest = cloud.write(draft_of(), PLANS, plans())
    assert cloud.prove(manifest, PLANS, plans()) == plans()
    assert archive_bucket.names() == [key_of(manifest), f"kept/{manifest.manifest_name}"]
    for key in archive_bucket.names():
        assert archive_bucket.head(key)["ServerSideEncryption"] == "aws:kms"
    head = archive_bucket.head(key_of(manifest))
    assert base64.b64decode(head["ChecksumSHA256"]).hex() == manifest.object_sha256
    assert list(cloud.manifests()) == [manifest]
    facts = cloud.facts(manifest)
    assert (facts.bytes, facts.storage_class, facts.frozen) == (
        manifest.object_bytes, "STANDARD", False,
    )  # fmt: skip


def test_a_kms_key_of_ones_own_is_asked_for_in_the_put_and_in_the_copy(
    archive_bucket: Bucket, settings: Any
) -> None:
    key = "arn:aws:kms:eu-central-1:123456789012:key/0f0f"
    shelf = use_bucket(settings, archive_bucket, kms_key_id=key)
    manifest = shelf.write(draft_of(), PLANS, plans())
    assert archive_bucket.head(key_of(manifest))["SSEKMSKeyId"] == key
    shelf.settle(manifest)
    head = archive_bucket.head(key_of(manifest))
    assert (head["SSEKMSKeyId"], head["ServerSideEncryption"]) == (key, "aws:kms")
    assert head["BucketKeyEnabled"] is True


@pytest.mark.parametrize("location", ["", "a/b"])
def test_the_prefix_may_be_empty_or_deep(
    archive_bucket: Bucket, settings: Any, location: str
) -> None:
    shelf = use_bucket(settings, archive_bucket, location=location)
    archive_bucket.put("a/bystander", b"x")
    manifest = shelf.write(draft_of(), PLANS, plans())
    assert f"{location}/{manifest.object_name}".lstrip("/") in archive_bucket.names()
    assert list(shelf.manifests()) == [manifest]
    assert [each.object_name for each in shelf.listed() if each.foreign] == (
        [] if location else ["a/bystander"]
    )
    shelf.discard(manifest.object_name)
    shelf.discard(manifest.object_name)
    assert archive_bucket.names() == ["a/bystander"]


def test_nothing_is_written_over(cloud: Shelf, archive_bucket: Bucket) -> None:
    draft = draft_of()
    key = f"kept/{cloud.object_name(draft)}"
    archive_bucket.put(key, b"another's")
    with pytest.raises(RetentionError, match=rf"{draft.id}.*exists already"):
        cloud.write(draft, PLANS, plans())
    assert archive_bucket.body(key) == b"another's"
    assert archive_bucket.names() == [key]


def test_a_bucket_that_does_not_exist_is_named_before_anything_is_done(
    archive_bucket: Bucket, settings: Any
) -> None:
    shelf = use_bucket(settings, archive_bucket, bucket_name="no-such-bucket")
    with pytest.raises(ConfigurationError, match="ARCHIVE_S3_BUCKET no-such-bucket: there is no"):
        shelf.check()
    with pytest.raises(RetentionError, match="NoSuchBucket"):
        shelf.write(draft_of(), PLANS, plans())


def test_an_s3_that_does_not_answer_is_told_as_such(
    archive_bucket: Bucket, settings: Any, no_delay: None
) -> None:
    shelf = use_bucket(settings, archive_bucket, endpoint_url="http://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match=r"ARCHIVE_S3_BUCKET .*Could not connect"):
        shelf.check()


@pytest.mark.parametrize(
    "endpoint", ["http://s3.example", "ftp://127.0.0.1", "https://user:pw@s3.example"]
)
def test_plain_http_over_a_network_is_refused(
    archive_bucket: Bucket, settings: Any, endpoint: str
) -> None:
    with pytest.raises(ConfigurationError, match="S3 endpoint") as found:
        use_bucket(settings, archive_bucket, endpoint_url=endpoint).check()
    assert "pw" not in str(found.value)


def test_plain_http_is_refused_where_the_environment_names_it_too(
    archive_bucket: Bucket, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3.example")
    shelf = use_bucket(
        settings, archive_bucket, endpoint_url=None, access_key="local", secret_key="local"
    )
    with pytest.raises(ConfigurationError, match=r"S3 endpoint .*for 's3.example': plain HTTP"):
        shelf.check()


# --- Torn and foreign objects -------------------------------------------------------------------


def test_an_object_that_another_has_put_there_is_not_proven_nor_moved(
    cloud: Shelf, archive_bucket: Bucket
) -> None:
    manifest = cloud.write(draft_of(), PLANS, plans())
    whole = archive_bucket.body(key_of(manifest))
    for foreign, why in ((whole[:-1], "bytes, and its"), (b"\0" + whole[1:], "its SHA-256")):
        archive_bucket.put(key_of(manifest), foreign, ChecksumAlgorithm="SHA256")
        for act in (
            lambda: cloud.prove(manifest, PLANS),
            lambda: cloud.settle(manifest),
            lambda: cloud.facts(manifest),
        ):
            with pytest.raises(NotProven, match=rf"{manifest.object_name}: .*{why}"):
                act()
    assert "StorageClass" not in archive_bucket.head(key_of(manifest))


def test_an_object_without_a_checksum_is_not_moved(cloud: Shelf, archive_bucket: Bucket) -> None:
    manifest = cloud.write(draft_of(), PLANS, plans())
    archive_bucket.put(key_of(manifest), archive_bucket.body(key_of(manifest)))
    assert cloud.prove(manifest, PLANS)
    with pytest.raises(NotProven, match="the storage has no SHA-256 to compare with"):
        cloud.settle(manifest)


def test_an_object_that_is_missing_is_named(cloud: Shelf, archive_bucket: Bucket) -> None:
    manifest = cloud.write(draft_of(), PLANS, plans())
    archive_bucket.s3.delete_object(Bucket=archive_bucket.name, Key=key_of(manifest))
    for act in (
        lambda: cloud.open(manifest, PLANS),
        lambda: cloud.settle(manifest),
        lambda: cloud.facts(manifest),
    ):
        with pytest.raises(NotProven, match=rf"{manifest.object_name}: it is missing"):
            act()


# --- Classes of storage -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tier", "days", "storage_class"),
    [
        (Tier.WARM, 365, "STANDARD_IA"),
        (Tier.WARM, 5000, "STANDARD_IA"),
        (Tier.COLD, 1095, "GLACIER"),
        (Tier.COLD, 2554, "GLACIER"),
        (Tier.COLD, 2555, "DEEP_ARCHIVE"),
    ],
)
def test_a_proven_object_is_moved_to_the_class_of_its_tier_its_manifest_is_not(
    cloud: Shelf, archive_bucket: Bucket, tier: Tier, days: int, storage_class: str
) -> None:
    policy = {"days": days, "since": ["updated_at"], "tier": tier.value}
    manifest = cloud.write(draft_of(tier=tier, policy=policy), PLANS, plans())
    assert "StorageClass" not in archive_bucket.head(key_of(manifest))  # else it could not be read
    cloud.prove(manifest, PLANS, plans())
    cloud.settle(manifest)
    head = archive_bucket.head(key_of(manifest))
    assert head["StorageClass"] == storage_class
    assert head["ServerSideEncryption"] == "aws:kms"
    assert base64.b64decode(head["ChecksumSHA256"]).hex() == manifest.object_sha256
    assert "StorageClass" not in archive_bucket.head(f"kept/{manifest.manifest_name}")
    cloud.settle(manifest)  # once more: a copy from Glacier would be refused
    assert archive_bucket.head(key_of(manifest))["LastModified"] == head["LastModified"]


def test_an_object_that_a_rule_of_the_buckets_has_moved_is_left_there(
    cloud: Shelf, archive_bucket: Bucket
) -> None:
    manifest = cloud.write(draft_of(), PLANS, plans())
    body = archive_bucket.body(key_of(manifest))
    archive_bucket.put(key_of(manifest), body, StorageClass="GLACIER", ChecksumAlgorithm="SHA256")
    cloud.settle(manifest)
    assert archive_bucket.head(key_of(manifest))["StorageClass"] == "GLACIER"


def test_a_copy_that_is_not_the_object_is_found_out(
    cloud: Shelf, archive_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = cloud.write(draft_of(), PLANS, plans())
    settle = S3Archives.settle

    def spoil(self: S3Archives, name: str, storage_class: str) -> None:
        settle(self, name, storage_class)
        archive_bucket.put(
            f"kept/{name}", b"\0" * manifest.object_bytes, ChecksumAlgorithm="SHA256"
        )

    monkeypatch.setattr(S3Archives, "settle", spoil)
    with pytest.raises(NotProven, match="its SHA-256 is not the one in its manifest"):
        cloud.settle(manifest)
