"""What the log has of a migration. Reasons are told by their kind: they may quote a value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from logging import ERROR, INFO, WARNING
from typing import Any

from dbcore.logs import Event
from dbcore.migration.ledger import Tally
from dbcore.migration.report import Letter, Line, Report

LOGGER = "dbcore.migration"
MAX_KINDS = 10  # of reasons, in one line
COUNTS = ("read", "written", "unchanged", "skipped", "dead_lettered")
FOUND = ("missing", "different", "extra")
_VALUE = re.compile(r"\S*\d\S*")

BEGUN = Event(
    LOGGER, (INFO,), "migration begun",
    ("source", "target", "dry_run", "verify_only", "repair"),
    "`migrate_to_dynamo` begins", told=True,
)  # fmt: skip
ENDED = Event(
    LOGGER, (INFO, WARNING, ERROR), "migration ended",
    ("status", "duration", "target", *COUNTS, *FOUND, "verified", "throttles", "error"),
    "it has ended, also when it failed (error) or was stopped, or left dead letters (warning)",
    told=True,
)  # fmt: skip
REPLAYED = ("tried", "written", "unchanged", "newer", "gone", "still_dead")
REPLAY_BEGUN = Event(
    LOGGER, (INFO,), "replay begun", ("target",), "`dead_letters replay` begins", told=True,
)  # fmt: skip
REPLAY_ENDED = Event(
    LOGGER, (INFO, WARNING, ERROR), "replay ended",
    ("status", "duration", "target", *REPLAYED, "error"),
    "it has ended, also when it failed (error) or was stopped, or letters are left (warning)",
    told=True,
)  # fmt: skip
TABLE_BEGUN = Event(
    LOGGER, (INFO,), "table copy begun",
    ("table", "source_table", "total", "done", "resumed"),
    "the copy of a source table begins, or goes on from its checkpoint", told=True,
)  # fmt: skip
TABLE_ENDED = Event(
    LOGGER, (INFO,), "table copy ended", ("table", "source_table", "duration", *COUNTS),
    "all rows of a source table are accounted for", told=True,
)  # fmt: skip
DEAD_LETTERS = Event(
    LOGGER, (WARNING,), "dead letters", ("table", "source_table", "count", "reasons"),
    "rows of a source table cannot be items; `reasons` has how many for each kind of reason",
    told=True,
)  # fmt: skip
TABLE_VERIFIED = Event(
    LOGGER, (INFO, WARNING), "table verified", ("table", "source_table", "rows", *FOUND),
    "every row of a source table was compared with its item (warning: some differ)", told=True,
)  # fmt: skip
VERIFIED = Event(
    LOGGER, (INFO, WARNING), "verification ended", (*FOUND, "dead_lettered"),
    "all tables have been verified (warning: something is missing, different or extra)", told=True,
)  # fmt: skip


def table_copied(line: Line, seconds: float, letters: Iterable[Letter]) -> None:
    """A source table's rows are accounted for."""
    counts: dict[str, Any] = {name: getattr(line.tally, name) for name in COUNTS}
    TABLE_ENDED.log(table=line.table, source_table=line.source, duration=seconds, **counts)
    if line.tally.dead_lettered:
        DEAD_LETTERS.log(
            table=line.table, source_table=line.source, count=line.tally.dead_lettered,
            reasons=kinds_of(letter.reason for letter in letters if letter.source == line.source),
        )  # fmt: skip


def table_verified(line: Line, rows: int) -> None:
    """A source table's rows have been compared."""
    found = _found(line.tally)
    level = WARNING if any(found.values()) else INFO
    TABLE_VERIFIED.log(level=level, table=line.table, source_table=line.source, rows=rows, **found)


def verified(report: Report) -> None:
    """All has been compared."""
    found: dict[str, Any] = {name: report.total(name) for name in FOUND}
    VERIFIED.log(
        level=WARNING if report.differs else INFO,
        dead_lettered=report.total("dead_lettered"), **found,
    )  # fmt: skip


def kinds_of(reasons: Iterable[str]) -> list[dict[str, object]]:
    """How many there are of each kind of reason, the most frequent first."""
    counts = Counter(map(kind_of, reasons))
    return [{"reason": kind, "count": count} for kind, count in counts.most_common(MAX_KINDS)]


def kind_of(reason: str) -> str:
    """A reason without what it says of one row."""
    return _VALUE.sub("#", re.split(r"[:(,]", reason)[0]).strip()


def _found(tally: Tally) -> dict[str, Any]:
    return {name: getattr(tally, name) for name in FOUND}
