"""Files are their owner's alone, whatever the umask is; of folders only those that are ours."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dbcore import private_files
from dbcore.monitoring.health import files
from dbcore.monitoring.health.results import Status
from dbcore.private_files import (
    PrivateDatabase,
    narrow,
    opener,
    own,
    private_database,
    private_file,
    private_folder,
)


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct, autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def nothing_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_files, "_ours", set())


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that somebody else made for all."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def test_folders_that_are_missing_are_made_and_told_of_and_the_one_above_stays(
    shared: Path,
) -> None:
    made: list[Path] = []
    private_folder(shared / "a" / "b" / "c", made.append)
    assert made == [shared / "a", shared / "a" / "b", shared / "a" / "b" / "c"]
    assert [mode(each) for each in made] == [0o700] * 3
    private_folder(shared)
    assert mode(shared) == 0o777


def test_what_is_the_projects_own_is_narrowed_up_to_its_root_and_no_further(shared: Path) -> None:
    inner = shared / "var" / "deep"
    inner.mkdir(parents=True)
    for each in (shared / "var", inner):
        each.chmod(0o755)
    own(shared / "var")
    assert mode(shared / "var") == 0o700
    private_folder(inner)
    assert (mode(inner), mode(shared)) == (0o700, 0o777)


def test_a_link_or_a_way_around_leads_to_nothing_of_ours(shared: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    other.chmod(0o755)
    own(shared / "var")
    private_folder(shared / "var")
    (shared / "var" / "link").symlink_to(other)
    private_folder(shared / "var" / "link")
    private_folder(shared / "var" / ".." / ".." / "other")
    narrow(shared / "var" / "link")
    assert mode(other) == 0o755


def test_a_folder_of_the_project_that_is_a_link_is_not_changed(shared: Path) -> None:
    (shared / "real").mkdir()
    (shared / "real").chmod(0o755)
    (shared / "var").symlink_to(shared / "real")
    own(shared / "var")
    private_folder(shared / "var")
    assert mode(shared / "real") == 0o755


def test_a_file_is_made_or_narrowed_and_keeps_what_is_in_it(shared: Path) -> None:
    new, old = shared / "new", shared / "old"
    old.write_text("kept")
    old.chmod(0o666)
    private_file(new)
    private_file(old)
    assert [mode(new), mode(old), old.read_text()] == [0o600, 0o600, "kept"]
    with open(shared / "opened", "w", opener=opener) as file:
        file.write("x")
    old.chmod(0o644)
    with open(old, "a", opener=opener):
        pass
    assert [mode(shared / "opened"), mode(old)] == [0o600, 0o600]


def test_a_database_and_what_sqlite_keeps_beside_it(shared: Path) -> None:
    path = shared / "books.sqlite3"
    private_database(path)
    books = sqlite3.connect(path)
    books.execute("PRAGMA journal_mode=WAL")
    books.execute("CREATE TABLE x (y)")
    beside = [Path(f"{path}{ending}") for ending in ("", "-wal", "-shm")]
    assert [mode(each) for each in beside] == [0o600] * 3
    for each in beside:
        each.chmod(0o644)
    private_database(path)
    assert [mode(each) for each in beside] == [0o600] * 3
    books.execute("INSERT INTO x VALUES (1)")
    books.close()


def test_a_database_is_made_where_it_is_used_and_not_before(shared: Path) -> None:
    path = shared / "deep" / "books.sqlite3"
    with contextlib.closing(sqlite3.connect(path, factory=PrivateDatabase)) as books:
        assert (mode(path), path.stat().st_size, mode(path.parent)) == (0o600, 0, 0o700)
        books.execute("CREATE TABLE x (y)")
    with contextlib.closing(sqlite3.connect(":memory:", factory=PrivateDatabase)) as books:
        books.execute("CREATE TABLE x (y)")
    (shared / "file").write_text("")
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        sqlite3.connect(shared / "file" / "books.sqlite3", factory=PrivateDatabase)


def test_what_cannot_be_made_is_an_error_and_what_is_not_there_is_none(shared: Path) -> None:
    with pytest.raises(OSError):
        private_file(shared / "nowhere" / "x")
    (shared / "file").write_text("")
    with pytest.raises(OSError):
        private_folder(shared / "file" / "x")
    narrow(shared / "nowhere")


def test_health_names_what_others_can_reach(
    shared: Path, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", str(shared / "books.sqlite3"))
    settings.STORAGES = {
        **settings.STORAGES,
        "archives": {
            "BACKEND": "dbcore.retention.archives.files.FileArchives",
            "OPTIONS": {"location": str(tmp_path / "archives")},
        },
    }
    settings.PROMETHEUS_MULTIPROC_DIR = ""
    private_folder(tmp_path / "archives")
    (shared / "books.sqlite3").write_text("")
    (shared / "books.sqlite3").chmod(0o640)
    found = files.files(None)
    assert found.status is Status.WARNING
    assert f"write to {shared} (chmod 700" in found.sentence
    assert f"open {shared}/books.sqlite3 (chmod 600)" in found.sentence
    assert "archives" not in found.sentence
    shared.chmod(0o755)
    private_database(shared / "books.sqlite3")
    found = files.files(None)
    assert f"look into {shared}" in found.sentence
    assert "books.sqlite3" not in found.sentence
    shared.chmod(0o700)
    assert files.files(None).status is Status.HEALTHY
