"""Reads the locks that `make lock` writes: which packages are installed, with which hashes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_ENTRY = re.compile(r"([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*(?:\\|$)")
_HASH = re.compile(r"\s+--hash=(sha256:[0-9a-f]{64})(?: \\)?$")


@dataclass(frozen=True, slots=True)
class Entry:
    """One package in a lock. `marker` is "" where it is for every Python and system; `text` is
    the entry as it stands there."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    text: str


def normal(name: str) -> str:
    """A package's name as an index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def entries(path: Path) -> list[Entry]:
    """Every package of a lock. ValueError for a line that is none, nor a hash, nor a comment."""
    found: list[list[str]] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if _ENTRY.match(line):
            found.append([line])
        elif found and _HASH.match(line):
            found[-1].append(line)
        else:
            raise ValueError(f"{path.name}, line {number}, is no pinned package and no hash")
    return [_entry(lines) for lines in found]


def _entry(lines: list[str]) -> Entry:
    head = _ENTRY.match(lines[0])
    assert head is not None  # who calls has looked
    hashes = tuple(match[1] for line in lines[1:] if (match := _HASH.match(line)))
    return Entry(normal(head[1]), head[2], head[3] or "", hashes, "\n".join(lines))


def replaced(lock: Path, by: Path) -> str:
    """A lock's text in which what `by` names is as it says there."""
    other = entries(by)
    names = {entry.name for entry in other}
    kept = [entry for entry in entries(lock) if entry.name not in names]
    return "".join(f"{entry.text}\n" for entry in [*kept, *other])
