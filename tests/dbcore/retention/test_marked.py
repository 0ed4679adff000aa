"""Erasures that are marked beside the archives: with Django's database lost, nobody who was erased
comes back all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daylight.models import Plan
from dbcore.errors import ConfigurationError
from dbcore.models import Archive, Erasure
from dbcore.retention.archives import Shelf, get_shelf
from dbcore.retention.archives.markers import Marker
from dbcore.retention.erased import pseudonym_of, subject_of
from dbcore.retention.erasure import erase_user
from dbcore.retention.errors import NotProven, RetentionError
from dbcore.retention.keepers.choice import keeper_named
from dbcore.retention.keepers.interface import Keeper
from dbcore.retention.reconcile import reconcile
from dbcore.retention.restore import RestoreOptions, restore
from dbcore.retention.rotate import rotate
from dbcore.retention.selection import of_user
from tests.dbcore.retention.lives import archived, records_of
from tests.dbcore.retention.making import NOW, put
from tests.support.archives import Bucket

USER = "user-who-was-erased"
SIGNED = {"who": "A. Clerk", "why": "request of J. Doe"}


def erase() -> Erasure:
    erase_user(USER, **SIGNED, pauses=(0.0,))
    return Erasure.objects.get()


def markers(folder: Path) -> list[Path]:
    return sorted((folder / "erasures").glob("*"))


@pytest.fixture
def erased(in_sqlite: Keeper) -> Erasure:
    """A user who is erased, and whose record an archive still has."""
    archived(in_sqlite, Plan, {"user_id": USER, "id": "p"})
    return erase()


def test_an_erasure_is_marked_beside_the_archives_and_the_marker_names_nobody(
    erased: Erasure, archive_dir: Path
) -> None:
    (path,) = markers(archive_dir)
    assert path.name == f"{subject_of(USER)}.0001.json"
    text = path.read_text()
    assert USER not in text and "Clerk" not in text and "Doe" not in text
    marker = get_shelf().markers.read(f"erasures/{path.name}")
    assert (marker.erasure, marker.started_at) == (erased.id, erased.started_at)
    erase()
    assert markers(archive_dir) == [path] and path.read_text() == text


def test_the_marker_is_there_before_the_first_record_goes(
    in_sqlite: Keeper, archive_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(in_sqlite, Plan, NOW, user_id=USER)
    monkeypatch.setattr(type(in_sqlite), "remove", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        erase()
    assert len(markers(archive_dir)) == 1


def test_with_the_book_lost_a_restore_leaves_the_erased_user_out(erased: Erasure) -> None:
    keeper, pseudonym = keeper_named("orm"), pseudonym_of(erased)
    Erasure.objects.all().delete()
    report = restore(of_user(USER), RestoreOptions(**SIGNED))
    assert (report.total("restored"), report.total("erased")) == (0, 1)
    assert records_of(keeper, USER) == {}
    again = Erasure.objects.get()
    assert (again.subject, again.status) == (subject_of(USER), "started")
    assert pseudonym_of(again) == pseudonym
    assert erase().status == "completed"


def test_reconciling_reads_back_what_either_side_has_lost(
    erased: Erasure, archive_dir: Path
) -> None:
    Erasure.objects.all().delete()
    Archive.objects.all().delete()
    would = reconcile(get_shelf(), dry_run=True)
    assert (would.exit_code, len(would.mended)) == (0, 2) and not Erasure.objects.exists()
    other = Erasure.objects.create(subject="0" * 64)
    assert reconcile(get_shelf()).exit_code == 0
    assert len(markers(archive_dir)) == 2 and other.delete()
    (archive_dir / "erasures" / f"{'0' * 64}.0001.json").unlink()
    assert reconcile(get_shelf()).exit_code == 0
    assert (Erasure.objects.get().id, Archive.objects.count()) == (erased.id, 1)
    assert restore(of_user(USER), RestoreOptions(**SIGNED)).total("restored") == 0
    (path,) = markers(archive_dir)
    text = path.read_bytes()
    path.unlink()
    assert len(reconcile(get_shelf()).mended) == 1
    assert path.read_bytes() == text
    report = reconcile(get_shelf())
    assert (report.mended, report.notes, report.problems, report.archives) == ([], [], [], 1)


def test_a_rotated_key_may_go_and_the_marker_is_still_read(
    erased: Erasure, archive_dir: Path, settings: Any
) -> None:
    old = settings.ARCHIVE_ENCRYPTION_KEYS["test"]
    both = {"new": b"n" * 32, "test": old}
    settings.ARCHIVE_ENCRYPTION_KEYS = both
    assert rotate(get_shelf(), dry_run=True).removable == []
    before = markers(archive_dir)[0].read_bytes()
    report = rotate(get_shelf())
    assert (report.removable, report.erasures, report.uses) == (["test"], 1, {"new": 1})
    (path,) = markers(archive_dir)
    assert path.name.endswith(".0002.json")
    # Killed before the older one was removed.
    (path.parent / path.name.replace("0002", "0001")).write_bytes(before)
    assert rotate(get_shelf()).removable == ["test"] and markers(archive_dir) == [path]
    settings.ARCHIVE_ENCRYPTION_KEYS = {"new": both["new"]}
    Erasure.objects.all().delete()
    assert reconcile(get_shelf()).exit_code == 0
    assert Erasure.objects.get().id == erased.id


@pytest.mark.parametrize("junk", [b"", b"{}", b"[1]", None])
def test_a_marker_that_was_edited_is_told_and_lets_nobody_back(
    erased: Erasure, archive_dir: Path, settings: Any, junk: bytes | None
) -> None:
    (path,) = markers(archive_dir)
    path.chmod(0o600)
    forged = path.read_bytes().replace(erased.id.encode(), b"x" * len(erased.id))
    path.write_bytes(forged if junk is None else junk)
    report = reconcile(get_shelf())
    assert report.exit_code == 2 and path.name in report.problems[0].what
    settings.ARCHIVE_ENCRYPTION_KEYS = {"new": b"n" * 32, **settings.ARCHIVE_ENCRYPTION_KEYS}
    assert rotate(get_shelf()).removable == []
    Erasure.objects.all().delete()
    with pytest.raises(RetentionError, match="not known who was erased"):
        restore(of_user(USER), RestoreOptions(**SIGNED))
    assert not Erasure.objects.exists()


def test_without_a_key_nothing_is_erased_that_an_archive_might_bring_back(
    in_sqlite: Keeper, settings: Any
) -> None:
    put(in_sqlite, Plan, NOW, user_id=USER)
    archived(in_sqlite, Plan, {"user_id": USER})
    keys, settings.ARCHIVE_ENCRYPTION_KEYS = settings.ARCHIVE_ENCRYPTION_KEYS, {}
    with pytest.raises(ConfigurationError, match="ARCHIVE_ENCRYPTION_KEYS"):
        erase()
    assert len(records_of(in_sqlite, USER)["plans"]) == 1
    settings.ARCHIVE_ENCRYPTION_KEYS = keys
    assert erase().status == "completed"


def test_where_nothing_was_ever_archived_an_erasure_needs_no_key(
    in_sqlite: Keeper, archive_dir: Path, settings: Any
) -> None:
    settings.ARCHIVE_ENCRYPTION_KEYS = {}
    put(in_sqlite, Plan, NOW, user_id=USER)
    assert erase().status == "completed" and markers(archive_dir) == []


def test_markers_in_a_bucket(cloud: Shelf, archive_bucket: Bucket, settings: Any) -> None:
    marker = Marker("id", subject_of(USER), NOW)
    cloud.markers.write(marker)
    cloud.markers.write(marker)
    (name,) = cloud.markers.names().values()
    assert cloud.markers.read(name).erasure == "id"
    assert list(cloud.listed()) == []
    settings.ARCHIVE_ENCRYPTION_KEYS = {"new": b"n" * 32, **settings.ARCHIVE_ENCRYPTION_KEYS}
    shelf = get_shelf()
    assert shelf.markers.reseal(shelf.markers.read(name)).version == 2
    assert archive_bucket.names() == [f"kept/erasures/{marker.subject}.0002.json"]
    with pytest.raises(NotProven, match="missing"):
        shelf.markers.read(name)
