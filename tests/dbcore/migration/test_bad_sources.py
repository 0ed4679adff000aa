"""A source or target that cannot be used is refused in words that say what to do, before anything
is written; and standard output is JSON all the same."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from dbcore.models import MigrationRun
from dbcore.wire import pipeline
from tests.dbcore.migration.conftest import Migrate
from tests.dbcore.migration.legacy_file import Legacy, build, open_file
from tests.dbcore.migration.runs import Outcome, Project, Tables
from tests.support.proxy import DropBefore, FaultProxy


def assert_refused(project: Project, done: Outcome, *said: object) -> None:
    """Exit 1, JSON, a message on standard error, and nothing written anywhere."""
    assert done.code == 1, done.err
    report = done.report
    assert report["status"] == "failed"
    assert report["tables"] == []
    assert " ".join(report["error"].split()) in " ".join(done.err.split())
    assert "Traceback" not in done.err
    for part in said:
        assert str(part) in report["error"], report["error"]
    assert project.tables.names() == []
    for table in ("migrationrun", "checkpoint", "deadletter"):
        assert project.rows(table) == []


def test_a_file_that_is_not_there(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "no such.sqlite3"
    assert_refused(project, project.migrate(path), path, "does not exist")
    assert not path.exists()


@pytest.mark.parametrize("option", ["--dry-run", "--verify-only"])
def test_no_option_makes_up_for_a_missing_file(
    project: Project, tmp_path: Path, option: str
) -> None:
    path = tmp_path / "no such.sqlite3"
    assert_refused(project, project.migrate(path, option), path, "does not exist")


def test_a_folder(project: Project, tmp_path: Path) -> None:
    assert_refused(project, project.migrate(tmp_path), tmp_path, "is not a file")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"id;email\n1;ada@example.org\n" * 50, "is not a SQLite database"),
        (b"SQLite format 3", "is not a SQLite database"),
        (b"SQLite format 3\x00", "is not a SQLite database that can be read"),
        (b"SQLite format 3\x00" + b"\xaa" * 5000, "is not a SQLite database that can be read"),
    ],
)
def test_a_file_that_is_something_else(
    run: Migrate, tables: Tables, tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "legacy.sqlite3"
    path.write_bytes(content)
    report = run(path)
    assert (report["exit"], report["status"], report["tables"]) == (1, "failed", [])
    assert str(path) in report["error"]
    assert said in report["error"]
    assert tables.names() == []
    assert path.read_bytes() == content


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_file_cut_off(run: Migrate, tables: Tables, legacy: Legacy, share: float) -> None:
    whole = legacy.path.read_bytes()
    legacy.path.write_bytes(whole[: int(len(whole) * share)])
    report = run(legacy)
    assert (report["exit"], report["tables"]) == (1, [])
    assert str(legacy.path) in report["error"]
    assert tables.names() == []


def test_a_file_with_pages_overwritten(project: Project, legacy: Legacy) -> None:
    content = bytearray(legacy.path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 3 * 4096] = os.urandom(3 * 4096)
    legacy.path.write_bytes(content)
    done = project.migrate(legacy.path)
    assert_refused(project, done, legacy.path)
    assert "corrupt" in done.err or "malformed" in done.err


def test_a_file_that_another_process_has_locked(project: Project, legacy: Legacy) -> None:
    with contextlib.closing(sqlite3.connect(legacy.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        done = project.migrate(legacy.path)
        other.execute("ROLLBACK")
    assert_refused(project, done, legacy.path, "locked by another process", "copy the file")


def test_a_file_with_a_transaction_that_its_writer_never_finished(
    project: Project, legacy: Legacy
) -> None:
    """Read as it is, it would be half of what a dead process was writing."""
    writer = (
        "import os, sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA cache_size = 1')\n"
        "db.execute('BEGIN')\n"
        "db.execute(\"UPDATE users SET password_hash = 'half'\")\n"
        "db.execute(\"UPDATE location_history SET activity = 'half', metadata = metadata\")\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", writer, str(legacy.path)], check=True)
    assert Path(f"{legacy.path}-journal").stat().st_size > 0
    assert b"half" in legacy.path.read_bytes()
    done = project.migrate(legacy.path)
    assert_refused(project, done, legacy.path, "-journal", "unfinished")


def test_a_database_with_none_of_the_tables(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite3"
    with open_file(path) as file:
        file.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
    done = project.migrate(path)
    assert_refused(project, done, path, "none of the tables", "right file")


def test_a_database_alias_that_settings_do_not_have(project: Project) -> None:
    done = project.migrate(None, "--database", "archive")
    assert_refused(project, done, "'archive'", "default")


def test_a_default_database_without_tables(project: Project) -> None:
    with open_file(project.books) as file:
        file.execute("CREATE TABLE other (id INTEGER PRIMARY KEY)")
    done = project.migrate()
    assert_refused(project, done, project.books, "manage.py migrate")


def test_a_default_database_that_is_not_there_yet(project: Project) -> None:
    done = project.migrate()
    assert done.code == 1
    assert done.report["status"] == "failed"
    assert str(project.books) in done.report["error"]


def test_an_engine_that_cannot_be_reached(project: Project, good: Legacy) -> None:
    there = project.endpoint
    project.endpoint, project.env = "http://127.0.0.1:9", {"DYNAMODB_DEADLINE": "0.5"}
    done = project.migrate(good.path)
    assert (done.code, done.report["status"]) == (1, "failed")
    assert "http://127.0.0.1:9" in done.report["error"]
    assert done.report["error"] in done.err
    assert "Traceback" not in done.err
    project.endpoint = there
    assert project.tables.names() == []
    assert project.rows("migrationrun") == []


def test_an_engine_that_goes_away_in_the_middle_fails_the_run_and_the_next_goes_on(
    run: Migrate, tables: Tables, good: Legacy, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultProxy(tables.endpoint) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        settings.DYNAMODB_DEADLINE = 0.5
        monkeypatch.setattr(pipeline.Pipeline.__init__, "__kwdefaults__",
                            {"deadline": 0.5, "on_throttle": None})  # fmt: skip
        proxy.set_faults(DropBefore(1, operations=("TransactWriteItems",)))
        report = run(good)
        assert (report["exit"], report["status"]) == (1, "failed")
        assert "users cannot be written" in report["error"]
        assert [each["source"] for each in report["tables"]] == [
            "history", "location_history", "users",
        ]  # fmt: skip
        assert report["tables"][2]["read"] == 0
        proxy.set_faults()
        assert run(good)["exit"] == 0


def test_a_table_with_another_key_is_left_alone(run: Migrate, tables: Tables, good: Legacy) -> None:
    tables.client.create_table(
        TableName=tables.prefix + "users",
        KeySchema=[{"AttributeName": "other", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "other", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )
    report = run(good)
    assert (report["exit"], report["status"], report["tables"]) == (1, "failed", [])
    assert f"{tables.prefix}users" in report["error"]
    assert "sync_tables" in report["error"]
    for table in ("users", "location_history"):
        assert tables.scan(table) == []


def test_books_that_another_process_has_locked_fail_the_run_with_a_report(
    run: Migrate, good: Legacy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*args: object, **kwargs: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(MigrationRun, "save", locked)
    report = run(good)
    assert (report["exit"], report["status"]) == (1, "failed")
    assert "database is locked" in report["error"]


def test_reading_a_file_on_a_read_only_medium_in_wal_mode(
    run: Migrate, tables: Tables, tmp_path: Path
) -> None:
    folder = tmp_path / "medium"
    folder.mkdir()
    legacy = build(folder / "legacy.sqlite3", bad=False)
    with open_file(legacy.path) as file:
        file.execute("PRAGMA journal_mode = WAL")
    folder.chmod(0o500)
    try:
        report = run(legacy)
    finally:
        folder.chmod(0o700)
    assert report["exit"] == 0, report["error"]
    assert len(tables.scan("users")) == 40
