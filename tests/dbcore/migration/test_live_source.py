"""A source that is Django's own database, open in this process, keeps its locks when it is read."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from dbcore.migration.errors import SourceError
from dbcore.migration.sources import open_source
from dbcore.migration.sources.sqlite import open_read_only

# SQLite's shared lock, which a connection in WAL mode holds as long as it lasts: os_unix.c.
ASK = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000000 + 2)
    except BlockingIOError:
        print("locked")
    else:
        print("free")
"""


def seen_by_others(path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(path)], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_reading_it_drops_no_lock_that_keeps_other_processes_from_overwriting_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "d.sqlite3"
    own = sqlite3.connect(path)
    own.execute("PRAGMA journal_mode=WAL")
    own.execute("CREATE TABLE plans (id TEXT)")
    own.commit()
    assert seen_by_others(path) == "locked"
    open_read_only(path, live=True).close()
    assert seen_by_others(path) == "locked"
    own.close()
    assert seen_by_others(path) == "free"


@pytest.fixture
def alias(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Path]:
    """The file of a database of Django's, open in this process."""
    path = tmp_path / "own.sqlite3"
    connections.databases["own"] = {**connections.databases["default"], "NAME": str(path)}
    with django_db_blocker.unblock():
        with connections["own"].cursor() as cursor:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("CREATE TABLE history (id INTEGER PRIMARY KEY, ts TEXT, type TEXT)")
        yield path
        connections["own"].close()
    del connections["own"]
    del connections.databases["own"]


def test_nor_does_reading_it_as_a_file_by_another_name(alias: Path, tmp_path: Path) -> None:
    assert seen_by_others(alias) == "locked"
    other_name = tmp_path / "link.sqlite3"
    other_name.symlink_to(alias)
    source = open_source(str(other_name))
    assert [plan.source_table for plan in source.plans] == ["history"]
    source.close()
    assert seen_by_others(alias) == "locked"


def test_what_is_not_there_is_said_to_be_missing_whatever_databases_there_are(
    alias: Path, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        open_source(str(tmp_path / "none.sqlite3"))
