"""What an erasure did, or would do. Only what is stored of it names nobody."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from dbcore.models import Archive
from dbcore.retention.books import Forgotten
from dbcore.retention.searching import manifest_in


@dataclass(slots=True)
class TableCount:
    """What became of the user's records in one table of one store."""

    store: str
    table: str
    found: int = 0  # at the first look
    deleted: int = 0
    redacted: int = 0  # kept without what is personal


@dataclass(frozen=True, slots=True)
class ArchiveNamed:
    """An archive that still holds records of the user; restores leave them out. Not `known`: its
    manifest is broken, and it may hold some."""

    archive: str
    table: str
    object_name: str
    encrypted: bool
    known: bool = True

    @classmethod
    def of(cls, row: Archive) -> ArchiveNamed:
        """An archive by its row."""
        manifest = manifest_in(row)
        if manifest is None:
            return cls(row.id, row.table, row.object_name, encrypted=True, known=False)
        encrypted = bool(manifest.encryption.algorithm)
        return cls(row.id, row.table, row.object_name, encrypted)


@dataclass(slots=True)
class ErasureReport:
    """What an erasure did, or would do. Names no user but in `user`, which is never stored."""

    user: str
    erasure: str = ""
    status: str = "dry_run"  # dry_run, completed
    completed_before: dt.datetime | None = None
    tables: list[TableCount] = field(default_factory=list)
    dead_letters: int = 0
    forgotten: Forgotten = field(default_factory=Forgotten)
    archives: list[ArchiveNamed] = field(default_factory=list)
    not_looked_at: str = ""  # why a store may have records of the user that nobody looked for

    @property
    def records(self) -> int:
        """How many records of the user there were at the first look."""
        return sum(each.found for each in self.tables)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values; without the user, it is what the book of erasures keeps."""
        found = dataclasses.asdict(self)
        found["completed_before"] = self.completed_before and self.completed_before.isoformat()
        return found

    def stored(self) -> dict[str, Any]:
        """The report as the book of erasures keeps it."""
        found = self.as_json()
        del found["user"]
        return found
