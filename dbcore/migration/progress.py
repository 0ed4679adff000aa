"""What a running migration shows, on standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Protocol

from rich.console import Console
from rich.markup import escape
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

LINE_SECONDS = 5.0  # between two plain lines about one table


class Watcher(Protocol):
    """Gets told what happens."""

    def stage(self, text: str) -> None:
        """A new part of the work begins."""

    def begin(self, table: str, total: int, done: int = 0) -> None:
        """A table's turn: `total` rows, `done` of them already."""

    def advance(self, rows: int) -> None:
        """So many more rows are done."""

    def dead(self, count: int) -> None:
        """So many rows of this table are dead letters."""

    def end(self) -> None:
        """The table is done."""

    def close(self) -> None:
        """No more will come."""


class Silence:
    """Shows nothing."""

    def stage(self, text: str) -> None: ...

    def begin(self, table: str, total: int, done: int = 0) -> None: ...

    def advance(self, rows: int) -> None: ...

    def dead(self, count: int) -> None: ...

    def end(self) -> None: ...

    def close(self) -> None: ...


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:>9,.0f} rows/s" if speed else "", style="cyan")


class Bars:
    """A bar for each table."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def stage(self, text: str) -> None:
        self._stop()
        self._console.print(text, style="bold", markup=False)
        self._progress = Progress(
            TextColumn("  {task.description:<20}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            _Rate(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("[yellow]{task.fields[letters]}"),
            console=self._console,
        )
        self._progress.start()

    def begin(self, table: str, total: int, done: int = 0) -> None:
        if self._progress is not None:
            self._task = self._progress.add_task(
                escape(table), total=total, completed=done, letters=""
            )

    def advance(self, rows: int) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, rows)

    def dead(self, count: int) -> None:
        if self._progress is not None and self._task is not None and count:
            self._progress.update(self._task, letters=f"dead letters: {count:,}")

    def end(self) -> None:
        self._task = None

    def close(self) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class Lines:
    """A line now and then."""

    def __init__(self) -> None:
        self._table = ""
        self._total = self._done = self._dead = 0
        self._started = self._told = 0.0

    def stage(self, text: str) -> None:
        self._print(text)

    def begin(self, table: str, total: int, done: int = 0) -> None:
        self._table, self._total, self._done, self._dead = table, total, done, 0
        self._started = self._told = time.monotonic()
        self._begun_with = done

    def advance(self, rows: int) -> None:
        self._done += rows
        if time.monotonic() - self._told >= LINE_SECONDS:
            self._told = time.monotonic()
            self._print(self._line())

    def dead(self, count: int) -> None:
        self._dead = count

    def end(self) -> None:
        self._print(self._line())

    def close(self) -> None: ...

    def _line(self) -> str:
        seconds = max(time.monotonic() - self._started, 1e-6)
        rate = (self._done - self._begun_with) / seconds
        text = f"  {self._table}: {self._done:,} of {self._total:,} rows, {rate:,.0f} rows/s"
        if rate and self._done < self._total:
            text += f", {(self._total - self._done) / rate:,.0f} s left"
        return text + (f", dead letters: {self._dead:,}" if self._dead else "")

    @staticmethod
    def _print(text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def watcher() -> Watcher:
    """Bars when a person watches, lines when not."""
    return Bars() if sys.stderr.isatty() else Lines()
