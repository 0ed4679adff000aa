"""Dead letters tried again, after a repair of their source: only the rows that they name."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from django.utils import timezone

from dbcore import bookkeeping, logs
from dbcore.dynamo.leases import Lease
from dbcore.letters import shown_row
from dbcore.migration import target
from dbcore.migration.copy import CopyOptions, TableCopy
from dbcore.migration.dead_letters import DeadLetterBox
from dbcore.migration.errors import MigrationError
from dbcore.migration.flow import Flow
from dbcore.migration.ledger import Ledger, Tally
from dbcore.migration.logged import REPLAY_BEGUN, REPLAY_ENDED, REPLAYED
from dbcore.migration.options import DEFAULT_CONCURRENCY
from dbcore.migration.plan import TablePlan
from dbcore.migration.rate import Rate
from dbcore.migration.report import EXIT_COMPLETE, EXIT_DEAD_LETTERS, EXIT_FAILED
from dbcore.migration.run import LEASE_NAME
from dbcore.migration.sources import Source, open_source
from dbcore.models import DeadLetter, MigrationRun
from dbcore.models.migration import REPLAY
from dbcore.progress import Silence
from dbcore.runs import Run
from dbcore.schema import target_name
from dbcore.wire import get_wire

Letters = models.QuerySet[DeadLetter, DeadLetter]


@dataclass(slots=True)
class Replay:
    """What became of dead letters. `gone`: the source has no such row any more; `newer`: DynamoDB
    has an item that was changed after the row, which was left."""

    target: str
    tried: int = 0
    written: int = 0
    unchanged: int = 0
    newer: int = 0
    gone: int = 0
    still_dead: int = 0
    status: str = "completed"
    seconds: float = 0.0
    error: str = ""
    failure: Exception | None = field(default=None, repr=False)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 all are written or gone, 3 some are dead letters still, 1 failed."""
        if self.error or self.status == "interrupted":
            return EXIT_FAILED
        return EXIT_DEAD_LETTERS if self.still_dead else EXIT_COMPLETE

    def settle(self) -> None:
        """Set the status from what was found."""
        self.status = "completed_with_dead_letters" if self.still_dead else "completed"

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {name: getattr(self, name) for name in (*REPLAYED, "status", "error", "notes")}


def replay(letters: Letters) -> Replay:
    """Try open letters of this target again; what fails, and that it was stopped, is told in the
    report."""
    return Replaying(letters).run()


class Replaying(Run[Replay, MigrationRun]):
    """One call of `dead_letters replay`. While it works no migration does."""

    command = "dead_letters"
    begun, ended = REPLAY_BEGUN, REPLAY_ENDED
    record_model = MigrationRun
    other_side = "DynamoDB"

    def __init__(self, letters: Letters) -> None:
        report = Replay(target_name())
        super().__init__(logs.new_run_id(), report, Silence())
        self._letters = letters.filter(resolved_at=None, target=report.target)

    def work(self) -> None:
        """Each source's letters in turn."""
        bookkeeping.make_ready()
        names = self._letters.order_by("source").values_list("source", flat=True).distinct()
        for name in list(names):
            letters = self._letters.filter(source=name)
            source = _open(letters)
            try:
                self._replay_source(source, letters)
            finally:
                source.close()

    def _replay_source(self, source: Source, letters: Letters) -> None:
        plans = {plan.source_table: plan for plan in source.plans}
        names = set(letters.order_by().values_list("source_table", flat=True).distinct())
        missing = names - plans.keys()
        if missing:
            listed = ", ".join(sorted(missing))
            raise MigrationError(f"{source.name} has no table {listed} any more")
        target.make_ready({plans[name].layout for name in names})
        with Lease(get_wire(), LEASE_NAME, self.run_id) as self.lease:
            if self._record is None:
                self.begin_record(source=source.name, options={REPLAY: sorted(names)})
            flow = Flow(get_wire(), DEFAULT_CONCURRENCY, Rate(), self.tick)
            try:
                for name in sorted(names):
                    self._replay_table(source, plans[name], letters.filter(source_table=name), flow)
            finally:
                flow.close()

    def _replay_table(self, source: Source, plan: TablePlan, letters: Letters, flow: Flow) -> None:
        found = self.report
        run_id = letters.order_by("id").values_list("run_id", flat=True).first()
        names = {"source": source.name, "target": found.target}
        box = DeadLetterBox(plan, copy_pass=str(uuid.uuid4()), run_id=run_id, **names)
        ledger = Ledger(Tally(), None, box)
        copy = TableCopy(source, plan, flow, ledger, CopyOptions(now=timezone.now()))
        try:
            for letter in letters.order_by("id").iterator(chunk_size=50):
                self.tick()
                found.tried += 1
                row = source.at(plan, json.loads(letter.row_ref))
                if row is None:
                    found.gone += 1
                else:
                    before = dataclasses.replace(ledger.tally)
                    copy.copy_rows([row])
                    if _count(found, before, ledger.tally):
                        continue  # the letter has today's row and reason
                _resolve(letter)
        finally:
            ledger.save()

    def asked(self) -> dict[str, Any]:
        return {}

    def counted(self) -> dict[str, Any]:
        return {name: getattr(self.report, name) for name in REPLAYED}

    def fill(self, record: MigrationRun) -> None:
        # What is a letter still stays that of the run which set it aside.
        record.rows_read, record.rows_written = self.report.tried, self.report.written


def _open(letters: Letters) -> Source:
    """The source that letters came from, as the run that wrote them opened it."""
    run = MigrationRun.objects.filter(deadletter__in=letters).order_by("-started_at").first()
    if run is None:
        raise MigrationError("the run of these letters is gone: run migrate_to_dynamo again")
    return open_source(run.options.get("file"), str(run.options.get("database", "default")))


def _count(found: Replay, before: Tally, after: Tally) -> bool:
    """Count what became of one row; whether it is still a dead letter."""
    found.written += after.written - before.written
    found.unchanged += after.unchanged - before.unchanged
    found.newer += after.skipped - before.skipped
    dead = after.dead_lettered - before.dead_lettered
    found.still_dead += dead
    return bool(dead)


def _resolve(letter: DeadLetter) -> None:
    letter.resolved_at = timezone.now()
    letter.save(update_fields=["resolved_at"])


def describe(letter: DeadLetter) -> dict[str, object]:
    """A letter as JSON, without what is secret in its row."""
    return {
        "id": letter.pk,
        "source": letter.source_table,
        "table": letter.table,
        "key": letter.key,
        "reason": letter.reason,
        "row": shown_row(letter),
        "database": letter.source,
        "target": letter.target,
        "created_at": letter.created_at.isoformat(),
        "resolved_at": letter.resolved_at.isoformat() if letter.resolved_at else None,
    }


def open_letters(tables: Iterable[str] = (), *, resolved: bool = False) -> Letters:
    """Letters to list: open ones, or all; of these source or target tables, or of every one."""
    found = DeadLetter.objects.order_by("id")
    if not resolved:
        found = found.filter(resolved_at=None)
    names = list(tables)
    if names:
        found = found.filter(models.Q(source_table__in=names) | models.Q(table__in=names))
    return found
