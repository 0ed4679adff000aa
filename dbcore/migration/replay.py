"""Dead letters tried again, after a repair of their source: only the rows that they name."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import models
from django.utils import timezone

from dbcore.dynamo.leases import Lease
from dbcore.letters import shown_row
from dbcore.migration import target
from dbcore.migration.copy import CopyOptions, TableCopy
from dbcore.migration.dead_letters import DeadLetterBox
from dbcore.migration.errors import MigrationError
from dbcore.migration.flow import Flow
from dbcore.migration.ledger import Ledger, Tally
from dbcore.migration.options import DEFAULT_CONCURRENCY
from dbcore.migration.plan import TablePlan
from dbcore.migration.rate import Rate
from dbcore.migration.run import LEASE_NAME
from dbcore.migration.sources import Source, open_source
from dbcore.models import DeadLetter, MigrationRun
from dbcore.schema import target_name
from dbcore.wire import get_wire


@dataclass(slots=True)
class Replay:
    """What became of dead letters. `gone`: the source has no such row any more; `newer`: DynamoDB
    has an item that was changed after the row, which was left."""

    tried: int = 0
    written: int = 0
    unchanged: int = 0
    newer: int = 0
    gone: int = 0
    still_dead: int = 0


def replay(letters: models.QuerySet[DeadLetter, DeadLetter]) -> Replay:
    """Try open letters of this target again; MigrationError where a source cannot be opened."""
    found = Replay()
    here = letters.filter(resolved_at=None, target=target_name())
    for source_name in here.order_by("source").values_list("source", flat=True).distinct():
        of_source = here.filter(source=source_name)
        source = _open(of_source)
        try:
            _replay_source(source, of_source, found)
        finally:
            source.close()
    return found


def _open(letters: models.QuerySet[DeadLetter, DeadLetter]) -> Source:
    """The source that letters came from, as the run that wrote them opened it."""
    run = MigrationRun.objects.filter(deadletter__in=letters).order_by("-started_at").first()
    if run is None:
        raise MigrationError("the run of these letters is gone: run migrate_to_dynamo again")
    return open_source(run.options.get("file"), str(run.options.get("database", "default")))


def _replay_source(
    source: Source, letters: models.QuerySet[DeadLetter, DeadLetter], found: Replay
) -> None:
    plans = {plan.source_table: plan for plan in source.plans}
    names = set(letters.order_by().values_list("source_table", flat=True).distinct())
    missing = names - plans.keys()
    if missing:
        raise MigrationError(f"{source.name} has no table {', '.join(sorted(missing))} any more")
    target.make_ready({plans[name].layout for name in names})
    run_id = str(uuid.uuid4())
    with Lease(get_wire(), LEASE_NAME, f"dead_letters replay {run_id}") as lease:
        flow = Flow(get_wire(), DEFAULT_CONCURRENCY, Rate(), lease.keep)
        try:
            for name in sorted(names):
                _replay_table(source, plans[name], letters.filter(source_table=name), flow, found)
        finally:
            flow.close()


def _replay_table(
    source: Source,
    plan: TablePlan,
    letters: models.QuerySet[DeadLetter, DeadLetter],
    flow: Flow,
    found: Replay,
) -> None:
    run_id = letters.order_by("id").values_list("run_id", flat=True).first()
    names = {"source": source.name, "target": target_name()}
    box = DeadLetterBox(plan, copy_pass=str(uuid.uuid4()), run_id=run_id, **names)
    ledger = Ledger(Tally(), None, box)
    copy = TableCopy(source, plan, flow, ledger, CopyOptions(now=timezone.now()))
    for letter in letters.order_by("id").iterator(chunk_size=50):
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
    ledger.save()


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


def open_letters(
    tables: Iterable[str] = (), *, resolved: bool = False
) -> models.QuerySet[DeadLetter, DeadLetter]:
    """Letters to list: open ones, or all; of these source or target tables, or of every one."""
    found = DeadLetter.objects.order_by("id")
    if not resolved:
        found = found.filter(resolved_at=None)
    names = list(tables)
    if names:
        found = found.filter(models.Q(source_table__in=names) | models.Q(table__in=names))
    return found
