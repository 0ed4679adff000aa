"""What long work shows, on standard error: bars on a terminal, lines in the log elsewhere. Nothing
here may print to standard output, which is the report's."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from logging import INFO
from typing import Protocol

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from dbcore.logs import Event
from dbcore.printable import printable
from dbcore.terminal import NARROW, Screen, escape

LINE_SECONDS = 5.0  # between two lines in the log about one table


class Watcher(Protocol):
    """Gets told what happens."""

    def stage(self, text: str) -> None:
        """A new part of the work begins."""

    def begin(self, table: str, total: int, done: int = 0) -> None:
        """A table's turn: `total` records, `done` of them already."""

    def advance(self, count: int) -> None:
        """So many more records are done."""

    def flawed(self, count: int) -> None:
        """So many of this table's are set aside: dead letters, or what could not be restored."""

    def end(self) -> None:
        """The table is done."""

    def close(self) -> None:
        """No more will come."""


class Silence:
    """Shows nothing."""

    def stage(self, text: str) -> None: ...

    def begin(self, table: str, total: int, done: int = 0) -> None: ...

    def advance(self, count: int) -> None: ...

    def flawed(self, count: int) -> None: ...

    def end(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Words:
    """What is counted, and what those that are set aside are called."""

    unit: str
    flaws: str


ROWS = Words("rows", "dead letters")
RECORDS = Words("records", "not restored")


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:>9,.0f} {self._unit}/s" if speed else "", style="cyan")


class Bars:
    """A bar for each table."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._console = Screen(sys.stderr, 80)
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def stage(self, text: str) -> None:
        self._stop()
        self._console.say(text, "bold")
        self._progress = Progress(
            TextColumn("  {task.description:<20}"),
            BarColumn(bar_width=28 if self._console.width >= NARROW else 8),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            _Rate(self._words.unit),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("[yellow]{task.fields[flaws]}"),
            console=self._console,
        )
        self._progress.start()

    def begin(self, table: str, total: int, done: int = 0) -> None:
        if self._progress is not None:
            self._task = self._progress.add_task(
                escape(printable(table)), total=total, completed=done, flaws=""
            )

    def advance(self, count: int) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, count)

    def flawed(self, count: int) -> None:
        if self._progress is not None and self._task is not None and count:
            self._progress.update(self._task, flaws=f"{self._words.flaws}: {count:,}")

    def end(self) -> None:
        self._task = None

    def close(self) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


PROGRESS = Event(
    "dbcore.progress", (INFO,), "progress",
    ("stage", "part", "done", "total", "unit", "per_second", "seconds_left", "set_aside"),
    f"every {LINE_SECONDS:g} seconds of a run that no terminal shows; `part`: a table, or archives",
)  # fmt: skip
STAGE = Event(
    "dbcore.progress", (INFO,), "stage begun", ("stage",),
    "a part of a run begins that no terminal shows",
)  # fmt: skip


class Logged:
    """A line in the log now and then."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._stage = self._part = ""
        self._total = self._done = self._flawed = self._begun_with = 0
        self._started = self._told = 0.0

    def stage(self, text: str) -> None:
        self._stage = text
        STAGE.log(stage=text)

    def begin(self, table: str, total: int, done: int = 0) -> None:
        self._part, self._total, self._done, self._flawed = table, total, done, 0
        self._started = self._told = time.monotonic()
        self._begun_with = done

    def advance(self, count: int) -> None:
        self._done += count
        if time.monotonic() - self._told >= LINE_SECONDS:
            self._told = time.monotonic()
            self._tell()

    def flawed(self, count: int) -> None:
        self._flawed = count

    def end(self) -> None: ...

    def close(self) -> None: ...

    def _tell(self) -> None:
        rate = (self._done - self._begun_with) / max(self._told - self._started, 1e-6)
        PROGRESS.log(
            stage=self._stage,
            part=self._part,
            done=self._done,
            total=self._total,
            unit=self._words.unit,
            per_second=round(rate, 1),
            seconds_left=round(max(self._total - self._done, 0) / rate) if rate else None,
            set_aside=self._flawed,
        )


def watcher(words: Words = ROWS) -> Watcher:
    """Bars when a person watches, the log when not."""
    return Bars(words) if sys.stderr.isatty() else Logged(words)
