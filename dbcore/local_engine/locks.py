"""Locks between processes, which the kernel takes back when a process dies in any way.

A lock must never outlive its process: no lock is inherited by a forked child or by a program
that is started, and lock files are never deleted (two processes would lock two files).
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dbcore.local_engine.errors import SharedEngineUnsupportedError, locked_too_long
from dbcore.private_files import opener, private_folder

if sys.platform != "win32":
    import fcntl

_held: set[FileLock] = set()


class FileLock:
    """One process's hold on one lock file: shared with others, or exclusive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        return self._fd is not None

    def try_lock(self, *, shared: bool = False) -> bool:
        """Takes the lock if that is possible at once; a lock that is held already stays."""
        if self.held:
            return True
        if sys.platform == "win32":
            raise SharedEngineUnsupportedError
        private_folder(self.path.parent)
        # Python opens with O_CLOEXEC, so a started program never has the lock.
        fd = opener(str(self.path), os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                return False
            raise
        self._fd = fd
        _held.add(self)
        return True

    def release(self) -> None:
        if self._fd is None or sys.platform == "win32":
            return
        fd, self._fd = self._fd, None
        _held.discard(self)
        # Unlocked and not just closed: a child that is being forked this moment has a copy of
        # the descriptor, and the lock would last until the child has closed it.
        fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)

    @contextmanager
    def exclusively(self, timeout: float) -> Iterator[None]:
        """Holds the lock, waiting for it; an error says which file it was when that is vain."""
        deadline = time.monotonic() + timeout
        while not self.try_lock():
            if time.monotonic() > deadline:
                raise locked_too_long(self.path, timeout)
            time.sleep(0.02)
        try:
            yield
        finally:
            self.release()

    def forget(self) -> None:
        """In a forked child: closes the copy, which leaves the parent's lock as it is."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with suppress(OSError):
                os.close(fd)


def _forget_in_child() -> None:
    for lock in list(_held):
        lock.forget()
    _held.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_in_child)
