"""Archives can be written where the settings say, or the check says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.dbcore.monitoring.health.asked import CRITICAL, HEALTHY, ask
from tests.support.archives import FILES, Bucket, storage_of_settings, use_bucket, use_storage

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_the_check_wrote_is_gone(archive_dir: Path) -> None:
    assert ask("archives").status is HEALTHY
    assert [path for path in archive_dir.rglob("*") if path.is_file()] == []


def test_a_directory_that_nothing_can_be_written_to_is_critical(settings: Any) -> None:
    # Read-only for root, too, as which CI may run; nothing in the directory's modes says so.
    use_storage(settings, FILES, location="/proc/archives-of-daylight")
    found = ask("archives")
    assert found.status is CRITICAL
    assert "/proc" in found.sentence


def test_a_file_in_place_of_the_directory_is_critical(archive_dir: Path) -> None:
    archive_dir.write_text("not a directory")
    found = ask("archives")
    assert found.status is CRITICAL and "is not a directory" in found.sentence


def test_a_directory_that_can_be_read_and_not_written_below_is_critical(archive_dir: Path) -> None:
    archive_dir.mkdir()
    (archive_dir / "health").write_text("in the way")
    found = ask("archives")
    assert found.status is CRITICAL
    assert "cannot be written and read" in found.sentence and "sweeps fail" in found.sentence


def test_without_a_key_it_is_critical_and_no_key_is_told(archive_dir: Path, settings: Any) -> None:
    settings.ARCHIVE_ENCRYPTION_KEYS = {}
    found = ask("archives")
    assert found.status is CRITICAL and "ARCHIVE_ENCRYPTION_KEYS is empty" in found.sentence


def test_where_nothing_is_archived_nothing_is_asked(settings: Any) -> None:
    settings.RETENTION_ENABLED = False
    settings.ARCHIVE_ENCRYPTION_KEYS = {}
    found = ask("archives")
    assert found.status is HEALTHY and "not in use" in found.sentence


def test_in_a_bucket_an_object_is_written_once_an_hour(archive_bucket: Bucket) -> None:
    archive_bucket.s3.put_bucket_versioning(
        Bucket=archive_bucket.name, VersioningConfiguration={"Status": "Enabled"}
    )

    def written() -> int:
        found = archive_bucket.s3.list_object_versions(Bucket=archive_bucket.name)
        return len(found.get("Versions", ()))

    for _ in range(3):
        assert ask("archives").status is HEALTHY
    assert written() == 1
    assert archive_bucket.names() == []
    archive_bucket.s3.delete_objects(
        Bucket=archive_bucket.name,
        Delete={"Objects": [
            {"Key": each["Key"], "VersionId": each["VersionId"]}
            for kind in ("Versions", "DeleteMarkers")
            for each in archive_bucket.s3.list_object_versions(Bucket=archive_bucket.name)[kind]
        ]},
    )  # fmt: skip
    archive_bucket.s3.delete_bucket(Bucket=archive_bucket.name)
    found = ask("archives")
    assert found.status is CRITICAL and "there is no such bucket" in found.sentence
    storage_of_settings().connection.meta.client.close()


def test_a_bucket_that_is_not_there_is_critical(archive_bucket: Bucket, settings: Any) -> None:
    use_bucket(settings, archive_bucket, bucket_name="nobody-made-this")
    found = ask("archives")
    assert found.status is CRITICAL and "nobody-made-this" in found.sentence
