"""What a restore did, to the last record, for people and for programs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from dbcore.retention.keepers.interface import Return

EXIT_DONE, EXIT_FAILED, EXIT_UNPROVEN, EXIT_LEFT = 0, 1, 2, 3
MAX_LISTED = 1_000


@dataclass(slots=True)
class TableLine:
    """One table's part of a restore. Every record that was asked for and found is in exactly one
    of the counts; `differing` are among the restored, `redacted` among what was put back."""

    table: str
    archives: int = 0
    found: int = 0
    restored: int = 0
    present: int = 0  # an equal record was there
    newer: int = 0  # another was there, and was left alone
    taken: int = 0  # another record has one of its unique values by now
    unfit: int = 0  # the store cannot hold it
    held: int = 0  # a legal hold is on what it would have been written over
    older: int = 0  # a later archive has the record as well
    erased: int = 0  # its user was erased: left out
    redacted: int = 0  # its user was erased: without what is personal
    differing: int = 0  # read back, it was not what had been written

    def count(self, outcome: Return) -> None:
        """Count what became of one record."""
        setattr(self, outcome.value, getattr(self, outcome.value) + 1)

    @property
    def closes(self) -> bool:
        """Whether every record found is accounted for."""
        put = self.restored + self.present + self.newer + self.taken + self.unfit + self.held
        return self.found == put + self.older + self.erased

    @property
    def left(self) -> int:
        """Records that could not be restored."""
        return self.newer + self.taken + self.unfit + self.held


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one record was not restored, or not as it was archived."""

    table: str
    key: str
    outcome: str
    why: str


@dataclass(frozen=True, slots=True)
class Unread:
    """An archive of which nothing was restored, and why."""

    archive: str
    table: str
    why: str


@dataclass(slots=True)
class RestoreReport:
    """How a restore ended. `into` is a store's name, or the directory that was exported to."""

    what: str = ""
    into: str = ""
    dry_run: bool = False
    lines: dict[str, TableLine] = field(default_factory=dict)
    reasons: list[Reason] = field(default_factory=list)
    more_reasons: int = 0  # those over MAX_LISTED
    unproven: list[Unread] = field(default_factory=list)
    frozen: list[Unread] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    error: str = ""  # what ended it before its time

    def line(self, table: str) -> TableLine:
        """The account of a table."""
        return self.lines.setdefault(table, TableLine(table))

    def because(self, reason: Reason) -> None:
        """List why a record was not restored."""
        if len(self.reasons) < MAX_LISTED:
            self.reasons.append(reason)
        else:
            self.more_reasons += 1

    def total(self, name: str) -> int:
        """The sum of one count over all tables."""
        return sum(getattr(line, name) for line in self.lines.values())

    @property
    def exit_code(self) -> int:
        """0 all is back, 2 something is not proven, 1 failed, or something must thaw first, 3 some
        records could not be restored."""
        if self.error:
            return EXIT_FAILED
        if self.unproven or self.total("differing"):
            return EXIT_UNPROVEN
        if self.frozen:
            return EXIT_FAILED
        return EXIT_LEFT if self.total("left") else EXIT_DONE

    def counts(self) -> dict[str, int]:
        """Every count that is not zero, over all tables."""
        names = [each.name for each in dataclasses.fields(TableLine) if each.name != "table"]
        return {name: count for name in names if (count := self.total(name))}

    def as_json(self) -> dict[str, Any]:
        """The contract: keys are added, never renamed or removed."""
        return {
            "what": self.what,
            "into": self.into,
            "dry_run": self.dry_run,
            "tables": [dataclasses.asdict(line) for line in self.lines.values()],
            "reasons": [dataclasses.asdict(reason) for reason in self.reasons],
            "more_reasons": self.more_reasons,
            "unproven": [dataclasses.asdict(each) for each in self.unproven],
            "frozen": [dataclasses.asdict(each) for each in self.frozen],
            "files": self.files,
            "error": self.error,
            "exit": self.exit_code,
        }
