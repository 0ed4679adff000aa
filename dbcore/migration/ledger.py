"""The account of one pass over one source table: every row read ends in exactly one column.

The checkpoint follows the longest run of batches, from the first, in which every row is settled.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from dbcore.migration.dead_letters import DeadLetterBox
from dbcore.migration.errors import MigrationError
from dbcore.models import Checkpoint

WINDOW_ROWS = 20_000  # rows at most between the saved checkpoint and the last row sent
SAVE_ROWS = 8_000  # settled rows after which the checkpoint is saved
SAVE_SECONDS = 1.0


@dataclass(slots=True)
class Tally:
    """One line of the report."""

    read: int = 0
    written: int = 0
    unchanged: int = 0
    skipped: int = 0
    dead_lettered: int = 0
    missing: int = 0
    different: int = 0
    extra: int = 0

    @property
    def closes(self) -> bool:
        """Whether every row that was read is accounted for."""
        return self.read == self.written + self.unchanged + self.skipped + self.dead_lettered


@dataclass(slots=True)
class Batch:
    """Consecutive rows, and what has become of them. `open` counts those not yet settled."""

    end: Any  # the place of its last row
    rows: int
    open: int
    acknowledged: int = 0
    skipped: int = 0
    dead: int = 0


@dataclass(slots=True)
class Ledger:
    """The account of a pass. `checkpoint` is None where nothing is copied (verification)."""

    tally: Tally
    checkpoint: Checkpoint | None
    box: DeadLetterBox
    progress: Callable[[int], None] = lambda rows: None
    _batches: collections.deque[Batch] = field(default_factory=collections.deque)
    _ahead: int = 0  # rows read since the saved checkpoint
    _unsaved: int = 0  # settled rows since then
    _saved_at: float = field(default_factory=time.monotonic)

    def open_batch(self, end: Any, rows: int) -> Batch:
        """Begin the account of the next `rows` rows."""
        batch = Batch(end, rows, rows)
        self._batches.append(batch)
        self.tally.read += rows
        self._ahead += rows
        return batch

    def written(self, batch: Batch, rows: int) -> None:
        """DynamoDB has acknowledged these rows' items."""
        self.tally.written += rows
        batch.acknowledged += rows
        self._settle(batch, rows)

    def unchanged(self, batch: Batch, rows: int = 1) -> None:
        """These rows' items were there already, equal."""
        self.tally.unchanged += rows
        batch.acknowledged += rows
        self._settle(batch, rows)

    def skipped(self, batch: Batch, rows: int = 1) -> None:
        """These rows were left out on request."""
        self.tally.skipped += rows
        batch.skipped += rows
        self._settle(batch, rows)

    def dead(self, batch: Batch, row: tuple[Any, ...], reason: str) -> None:
        """This row cannot be an item; it is kept whole."""
        self.box.add(row, reason)
        self.tally.dead_lettered += 1
        batch.dead += 1
        self._settle(batch, 1)

    @property
    def must_wait(self) -> bool:
        """Whether too many rows have been sent since the saved checkpoint."""
        return self._ahead >= WINDOW_ROWS

    def _settle(self, batch: Batch, rows: int) -> None:
        batch.open -= rows
        if batch.open or self._batches[0] is not batch:
            return
        while self._batches and not self._batches[0].open:
            self._advance(self._batches.popleft())
        due = time.monotonic() - self._saved_at >= SAVE_SECONDS
        if self._unsaved >= SAVE_ROWS or due:
            self.save()

    def _advance(self, batch: Batch) -> None:
        self._unsaved += batch.rows
        self.progress(batch.rows)
        checkpoint = self.checkpoint
        if checkpoint is not None:
            checkpoint.position = batch.end
            checkpoint.acknowledged += batch.acknowledged
            checkpoint.skipped += batch.skipped
            checkpoint.dead_lettered += batch.dead

    def abandon(self) -> None:
        """Stop here: what is settled is recorded, the rows that are not count as not read."""
        tally = self.tally
        tally.read = tally.written + tally.unchanged + tally.skipped + tally.dead_lettered
        self.save()

    def save(self, *, complete: bool = False) -> None:
        """Record what is settled, dead letters first."""
        if complete and (self._batches or not self.tally.closes):
            raise MigrationError(f"the account does not close ({self.tally}): this is a bug")
        if self.checkpoint is not None:
            self.checkpoint.complete = complete
            self.checkpoint.updated_at = timezone.now()
            with transaction.atomic():
                self.box.flush()
                self.checkpoint.save()
        else:
            self.box.flush()
        self._ahead -= self._unsaved
        self._unsaved = 0
        self._saved_at = time.monotonic()
