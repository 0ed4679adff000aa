"""Ours: the migration's own copy of one table, with its checkpoints, accounting and dead letters.

It must copy with the same code as the migration command, not with one written for the benchmark.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.peers.child import Job, run


def _configure(job: Job, folder: Path) -> None:
    """Settings for this process: a book-keeping database of its own, the given endpoint."""
    os.environ["DATABASE_URL"] = f"sqlite:///{folder / 'books.sqlite3'}"
    os.environ["DYNAMODB_ENDPOINT"] = job.endpoint
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings.development"
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", "dbcore", verbosity=0)


def prepare(job: Job) -> tuple[Callable[[], int], Callable[[], None]]:
    """Everything that happens before the first read; returns the copy, which returns its rows,
    and a check that every row is accounted for."""
    folder = tempfile.TemporaryDirectory()
    _configure(job, Path(folder.name))
    from django.utils import timezone

    from dbcore.migration.copy import CopyOptions, TableCopy
    from dbcore.migration.dead_letters import DeadLetterBox
    from dbcore.migration.flow import Flow
    from dbcore.migration.ledger import Ledger, Tally
    from dbcore.migration.options import DEFAULT_CONCURRENCY
    from dbcore.migration.rate import Rate
    from dbcore.migration.sources import open_source
    from dbcore.models import Checkpoint
    from dbcore.wire import get_wire

    source = open_source(job.file)
    plan = next(plan for plan in source.plans if plan.source_table == "location_history")
    names = {"source": source.name, "target": job.endpoint}
    checkpoint = Checkpoint.objects.create(source_table=plan.source_table, **names)
    box = DeadLetterBox(plan, copy_pass="bench", run_id=None, **names)
    ledger = Ledger(Tally(), checkpoint, box)
    flow = Flow(get_wire(), DEFAULT_CONCURRENCY, Rate())
    options = CopyOptions(now=timezone.now())
    copier = TableCopy(_First(source, job.rows), plan, flow, ledger, options)

    def copy() -> int:
        copier.run()
        return ledger.tally.written

    def check() -> None:
        saved = Checkpoint.objects.get()
        assert saved.complete and saved.acknowledged == job.rows == ledger.tally.written
        assert ledger.tally.closes and ledger.tally.dead_lettered == 0
        flow.close()
        folder.cleanup()

    return copy, check


class _First:
    """A source of which only the first rows are copied."""

    def __init__(self, source: Any, rows: int) -> None:
        self._source = source
        self._rows = rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def pages(self, *given: Any) -> Iterator[list[Any]]:
        left = self._rows
        for page in self._source.pages(*given):
            yield page[:left]
            left -= len(page)
            if left <= 0:
                return


if __name__ == "__main__":
    run(prepare)
