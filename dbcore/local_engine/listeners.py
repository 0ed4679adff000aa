"""Who holds a port, as far as the kernel tells us. It must never be needed: it is for a message."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
_LISTENS = "0A"  # the state, in /proc/net/tcp
UNKNOWN = "another program"


def who_listens(port: int) -> str:
    """Name and number of the process that listens there, or "another program". Never its
    arguments, which may hold a secret. Linux only, and of others' processes for root only."""
    with contextlib.suppress(OSError):
        sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
        for process in PROC.iterdir() if sockets else ():
            if process.name.isdecimal() and _holds(process, sockets):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return UNKNOWN


def _inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _holds(process: Path, sockets: set[str]) -> bool:
    with contextlib.suppress(OSError):  # it has ended, or is not ours to look into
        return any(str(each.readlink()) in sockets for each in (process / "fd").iterdir())
    return False
