"""Files and folders for their owner's eyes alone: 0600 in 0700, whatever the umask is.

A folder that others made is never changed, only what is put into it; what is ours is narrowed where
it was made wider before.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS = 0o077  # what the group and everybody may do
_ours: set[Path] = set()  # folders of the project


def own(folder: Path) -> None:
    """Take a folder for the project's own: it, and those in it, are narrowed when they are used."""
    _ours.add(_plain(folder))
    _narrow_ours(folder)


def private_folder(path: Path, made: Callable[[Path], None] = lambda folder: None) -> None:
    """Make a folder, and those above it that are missing. `made` is told of each. OSError."""
    if path.is_dir():
        _narrow_ours(path)
        return
    private_folder(path.parent, made)
    with contextlib.suppress(FileExistsError):  # another process was quicker, or it is a file
        path.mkdir(mode=FOLDER_MODE)
        path.chmod(FOLDER_MODE)
    made(path)


def private_file(path: Path) -> None:
    """Make an empty file where there is none; narrow one of ours. OSError where it cannot be made.

    It is not opened where it is there: SQLite would lose its locks when it is closed again.
    """
    try:
        os.close(_opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        narrow(path)


def private_database(path: Path) -> None:
    """The same for a database of SQLite, which gives its mode to the files beside it."""
    private_file(path)
    for ending in ("-wal", "-shm", "-journal"):
        narrow(Path(f"{path}{ending}"))


class PrivateDatabase(sqlite3.Connection):
    """For OPTIONS["factory"] of a database of SQLite: its file is made before SQLite would make it,
    as the umask says. Only when it is used: whoever reads the settings alone makes no file."""

    def __init__(self, database: str | Path, *args: Any, **kwargs: Any) -> None:
        if not str(database).startswith((":memory:", "file:")):
            with contextlib.suppress(OSError):  # SQLite says what is wrong, as Django knows it
                private_folder(Path(database).parent)
                private_database(Path(database))
        super().__init__(database, *args, **kwargs)


def opener(path: str, flags: int) -> int:
    """For open(): a file that is made or found is its owner's alone."""
    return _opened(path, flags)


def narrow(path: Path) -> None:
    """Take from others what they may do with a file or folder of this process's user; nothing
    happens where it is another's, a link, or not there."""
    with contextlib.suppress(OSError):
        found = path.lstat()
        is_ours = hasattr(os, "geteuid") and found.st_uid == os.geteuid()
        if is_ours and not stat.S_ISLNK(found.st_mode) and found.st_mode & OTHERS:
            path.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)


def _plain(path: Path) -> Path:
    """The path without `..`; links stay: where they lead to is not ours to change."""
    return Path(os.path.normpath(path.absolute()))


def _opened(path: Path | str, flags: int) -> int:
    handle = os.open(path, flags | getattr(os, "O_BINARY", 0), FILE_MODE)
    with contextlib.suppress(OSError):
        if hasattr(os, "fchmod") and os.fstat(handle).st_uid == os.geteuid():
            os.fchmod(handle, FILE_MODE)  # the umask may have left too little, too
    return handle


def _narrow_ours(path: Path) -> None:
    """Narrow a folder, and those above it, up to the project's own."""
    place = _plain(path)
    root = next((each for each in _ours if each == place or each in place.parents), None)
    while root is not None:
        narrow(place)
        if place == root:
            return
        place = place.parent
