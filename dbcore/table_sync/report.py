"""What a run of `sync_tables` did and found, as values; and how they read.

A difference must never be left out of the text: it is why the command failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from dbcore.errors import DbcoreError

_NAMED = 3  # tables that failed, in a message; the report has all


@dataclass(frozen=True, slots=True)
class TableReport:
    """One table: what was done (in a dry run: would be), what is worth knowing, what is wrong."""

    name: str
    actions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """A whole run. `notes` are those that belong to no single table."""

    tables: tuple[TableReport, ...]
    notes: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def differences(self) -> tuple[str, ...]:
        """Every difference that cannot be mended in place, with its table's name."""
        return tuple(f"{table.name}: {each}" for table in self.tables for each in table.differences)

    @property
    def errors(self) -> tuple[str, ...]:
        """Why tables could not be brought to an end, with their names."""
        return tuple(f"{table.name}: {table.error}" for table in self.tables if table.error)

    @property
    def changed(self) -> bool:
        """Whether anything was done (in a dry run: would be)."""
        return any(table.actions for table in self.tables)

    def as_json(self) -> str:
        """The report for programs."""
        body = {**asdict(self), "changed": self.changed}
        return json.dumps(body)

    def as_text(self) -> str:
        """The report for people: tables about which there is nothing to say are only counted."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        done = "would be done" if self.dry_run else "done"
        for table in self.tables:
            groups = ((done, table.actions), ("note", table.notes), ("DIFFERS", table.differences))
            for kind, texts in (*groups, ("FAILED", (table.error,) if table.error else ())):
                yield from (f"{table.name}: {kind}: {text}" for text in texts)
        yield from (f"note: {note}" for note in self.notes)
        count = sum(len(table.actions) for table in self.tables)
        yield (
            f"{len(self.tables)} tables, {count or 'nothing'} {done if count else 'to do'}, "
            f"{len(self.differences)} differences that cannot be mended in place"
        )


class TableSyncError(DbcoreError):
    """Tables could not be brought to an end; `report` says which, why, and what was done."""

    names_records = False

    def __init__(self, report: SyncReport) -> None:
        more = len(report.errors) - _NAMED
        told = "; ".join(report.errors[:_NAMED])
        super().__init__(f"{told}; and {more} tables more" if more > 0 else told)
        self.report = report
