"""A source that is Django's own database, open in this process, keeps its locks when it is read."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

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
