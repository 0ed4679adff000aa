"""Counters of several processes that add up, and of those that have ended, which stay counted.

prometheus_client leaves two files behind for each process that ends. Here they are added to those
of "the dead", so that a server whose workers come and go does not gather files without end. Needs
neither Django's settings nor a database: gunicorn's arbiter calls it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import mmap_dict, multiprocess, values
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from dbcore.private_files import opener, private_file

# These have no types.
_Files: Any = mmap_dict.MmapedDict
_Living: Any = multiprocess.MultiProcessCollector
_mark_dead: Any = multiprocess.mark_process_dead

_DEAD = "dead"
_KINDS = ("counter", "histogram")
_LOCK = "moving.lock"


class _Private(_Files):  # type: ignore[misc]
    """A process's counters, which others may not read."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if not read_mode:
            private_file(Path(filename))
        super().__init__(filename, read_mode)


def keep_private() -> None:
    """Have prometheus_client make its files so. To be called before it makes the first."""
    values.MmapedDict = _Private  # type: ignore[attr-defined]


class Together(Collector):
    """What all processes that share a folder have counted."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        # Read in one go: between two files of one process nothing may move.
        with _locked(Path(self._folder), fcntl.LOCK_SH):
            return list(_Living(None, self._folder).collect())

    def describe(self) -> Iterable[Metric]:
        return []


def begin(folder: str) -> None:
    """Empty the folder: what a server before this one has counted is not this one's."""
    for file in Path(folder).glob("*.db"):
        file.unlink(missing_ok=True)


def bury(folder: str, process: int) -> None:
    """Keep what a process that has ended counted, without its files; its gauges are gone."""
    place = Path(folder)
    with _locked(place, fcntl.LOCK_EX):
        _mark_dead(process, folder)
        for kind in _KINDS:
            file = place / f"{kind}_{process}.db"
            if file.exists():
                _add(file, place / f"{kind}_{_DEAD}.db")
                file.unlink()


def _add(file: Path, to: Path) -> None:
    kept = _Private(str(to))
    try:
        for key, value, _, _ in _Files.read_all_values_from_file(str(file)):
            kept.write_value(key, kept.read_value(key)[0] + value, 0.0)
    finally:
        kept.close()


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    with open(folder / _LOCK, "a", opener=opener) as file:
        fcntl.flock(file, how)
        yield
