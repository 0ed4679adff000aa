"""What a sweep did, table by table, to the last record."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass, field
from typing import Any

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_UNPROVEN = 2
SKIPPED = "skipped"  # the status where another was at work, and that was foreseen


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that cannot be read as one of its table. The key stands alone, so that an erasure
    finds it; `why` quotes no value."""

    key: str
    why: str


@dataclass(slots=True)
class TableLine:
    """One table's part of a sweep. Every record found due is in exactly one of the counts from
    `deleted` to `left`; what was archived is `deleted` or one of those left alone after."""

    table: str
    tier: str  # hot, warm, cold, or "expiry" where there is no policy
    days: int | None
    due: int = 0  # found due
    would: int = 0  # in a dry run: would be deleted
    archived: int = 0
    deleted: int = 0
    gone: int = 0  # deleted by somebody else meanwhile
    changed: int = 0  # changed since they were archived: left alone
    held: int = 0  # by a legal hold
    in_grace: int = 0  # restored lately
    kept: int = 0  # by another record, or no longer due
    unproven: int = 0  # their archive could not be proven: left alone
    left: int = 0  # over --max-records
    undone: int = 0  # a failure came between: left alone, or deleted and not yet counted
    unreadable: int = 0  # records that cannot be read as such, and are therefore left alone
    archives: list[str] = field(default_factory=list)
    looked_from: dt.date | None = None
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    unreadable_records: list[Unreadable] = field(default_factory=list)  # the first of them
    error: str = ""

    @property
    def counted(self) -> int:
        """The records found due that are accounted for."""
        left_alone = self.changed + self.held + self.in_grace + self.kept + self.unproven
        return self.deleted + self.gone + left_alone + self.would + self.left + self.undone

    @property
    def closes(self) -> bool:
        """Whether every record found due is accounted for."""
        return self.due == self.counted

    def as_json(self) -> dict[str, Any]:
        """The line, for --format json."""
        found = dataclasses.asdict(self)
        found["looked_from"] = None if self.looked_from is None else self.looked_from.isoformat()
        return found


@dataclass(frozen=True, slots=True)
class Damage:
    """An archive of an earlier sweep that cannot be proven, and where its records are.

    `live`: still due in the store; `elsewhere`: in another archive of that time; `missing`:
    neither; None where the manifest does not tell. `unopened`: archives of that time that were not
    looked into. `locked`: only a key is missing or is another; the next sweep tries again.
    """

    archive: str
    table: str
    why: str
    count: int
    locked: bool = False
    live: int | None = None
    elsewhere: int | None = None
    missing: int | None = None
    unopened: int = 0


@dataclass(slots=True)
class SweepReport:
    """How a sweep ended."""

    sweep: str
    store: str
    target: str
    as_of: dt.datetime
    dry_run: bool
    status: str = "running"
    lines: list[TableLine] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)  # archives that an earlier sweep had begun
    # Archives that were never proven, and of whose records none was deleted.
    discarded: list[str] = field(default_factory=list)
    # Archives that an earlier sweep had begun, and that cannot be proven now; what each lacks.
    damaged: list[str] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)
    # Archives that an earlier sweep had begun -> what failed; the next sweep goes on with them.
    unfinished: dict[str, str] = field(default_factory=dict)
    resumed_deleted: int = 0  # records deleted on account of `resumed`; in no table's line
    without_policy: dict[str, str] = field(default_factory=dict)  # table -> why it has none
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    error: str = ""
    # The first of the errors, for monitoring.
    failure: Exception | None = field(default=None, repr=False)

    def line(self, table: str) -> TableLine:
        """A table's line."""
        return next(each for each in self.lines if each.table == table)

    def total(self, name: str) -> int:
        """A count, over all tables."""
        return sum(getattr(line, name) for line in self.lines)

    def settle(self) -> None:
        """Set the status from what happened."""
        failed = any(line.error and not line.unproven for line in self.lines)
        if self.error or self.unfinished or failed:
            self.status = "failed"
        elif self.damaged or any(line.unproven for line in self.lines):
            self.status = "unproven"
        else:
            self.status = "completed"

    @property
    def exit_code(self) -> int:
        """0 done or skipped, 2 an archive could not be proven, 1 failed or stopped."""
        if self.status in ("completed", SKIPPED):
            return EXIT_DONE
        return EXIT_UNPROVEN if self.status == "unproven" else EXIT_FAILED

    def as_json(self) -> dict[str, Any]:
        """The report, for --format json and the books."""
        return {
            "sweep": self.sweep,
            "store": self.store,
            "target": self.target,
            "as_of": self.as_of.isoformat(),
            "dry_run": self.dry_run,
            "status": self.status,
            "exit": self.exit_code,
            "error": self.error,
            "seconds": round(self.seconds, 3),
            "totals": {
                name: self.total(name)
                for name in (
                    "due", "would", "archived", "deleted", "gone", "changed", "held", "in_grace",
                    "kept", "unproven", "left", "undone", "unreadable",
                )
            } | {"resumed_deleted": self.resumed_deleted},
            "tables": [line.as_json() for line in self.lines],
            "resumed": self.resumed,
            "discarded": self.discarded,
            "damaged": self.damaged,
            "damages": [dataclasses.asdict(each) for each in self.damages],
            "unfinished": self.unfinished,
            "without_policy": self.without_policy,
            "notes": self.notes,
        }  # fmt: skip
