"""The frame of a run that is accounted for: a signal ends it between two steps, whatever ends it is
told in its report and in the log, and Django's database keeps a record of it.
"""

from __future__ import annotations

import abc
import os
import platform
import time
from logging import ERROR, INFO, WARNING
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from django.db.utils import DatabaseError
from django.utils import timezone

from dbcore import logs
from dbcore.dynamo.leases import LeaseHeld
from dbcore.errors import DbcoreError
from dbcore.models import MigrationRun, Sweep
from dbcore.operators import operator
from dbcore.progress import Watcher
from dbcore.rights import in_words
from dbcore.secrecy import Bare, mask_text, mask_texts
from dbcore.stopping import Interrupted, Stop

_LEVELS = {"completed": INFO, "completed_with_dead_letters": WARNING, "interrupted": WARNING}
NOT_SAVED = logs.Event(
    "dbcore.runs", (WARNING,), "record of a run not saved", ("error",),
    "Django's database has not taken how a run ended",
)  # fmt: skip


class RunReport(Protocol):
    """What every run's report has."""

    target: str
    status: str
    error: str
    failure: Exception | None
    seconds: float
    notes: list[str]

    def settle(self) -> None:
        """Set the status from what happened."""

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values."""


class Keepable(Protocol):
    """A lease."""

    def keep(self) -> None:
        """Raise LeaseLost where it is no longer held."""


Record = TypeVar("Record", MigrationRun, Sweep)
Told = TypeVar("Told", bound=RunReport)


class Run(abc.ABC, Generic[Told, Record]):
    """One run: `work` does it, and calls `tick` between its steps. Its lines in the log have its
    id."""

    command: ClassVar[str]
    begun: ClassVar[logs.Event]
    ended: ClassVar[logs.Event]
    record_model: type[Record]
    other_side = "AWS"  # who answers with botocore's errors

    def __init__(self, run_id: str, report: Told, watch: Watcher) -> None:
        self.run_id = run_id
        self.report = report
        self.watch = watch
        self.lease: Keepable | None = None
        self._stop = Stop()
        self._record: Record | None = None
        self._failure: BaseException | None = None
        self._unforeseen: Exception | None = None

    @abc.abstractmethod
    def work(self) -> None:
        """All that is to be done."""

    @abc.abstractmethod
    def fill(self, record: Record) -> None:
        """Put the report's figures into the record."""

    @abc.abstractmethod
    def asked(self) -> dict[str, Any]:
        """What is asked for, as fields of `begun`."""

    @abc.abstractmethod
    def counted(self) -> dict[str, Any]:
        """The report's figures, as fields of `ended`."""

    def run(self) -> Told:
        """Do the work; a failure is in the report. What nobody foresaw is raised as well."""
        started = time.perf_counter()
        with logs.run(self.command, self.run_id):
            self.begun.log(target=self.report.target, **self.asked())
            try:
                self._to_its_end()
            finally:
                self.watch.close()
                self.report.seconds = time.perf_counter() - started
                self.end_record()
                self._log_end()
        return self.report

    def _to_its_end(self) -> None:
        try:
            with self._stop.on_signal():
                self.work()
            self.report.settle()
        except (Interrupted, KeyboardInterrupt) as error:
            self._failure = error
            self.report.status = "interrupted"
            self.report.error = str(error) or "a second signal ended the run at once"
        except (DbcoreError, BotoCoreError, ClientError, DatabaseError, OSError) as error:
            self._failure = error
            self.fail(error)
        except Exception as error:
            self._failure = self._unforeseen = error
            self.report.status = "failed"
            self.report.error = f"{type(error).__name__}: {error}"
            raise

    def _log_end(self) -> None:
        report = self.report
        level = _LEVELS.get(report.status, ERROR)
        if isinstance(self._failure, LeaseHeld):
            level = WARNING  # another is at work: nothing is wrong
        self.ended.log(
            level=level, error=self._failure, traceback=self._unforeseen, status=report.status,
            duration=report.seconds, target=report.target, **self.counted(),
        )  # fmt: skip

    def fail(self, error: Exception) -> None:
        """The run has failed for this reason."""
        self.report.status = "failed"
        self.report.error = self.words(error)
        self.report.failure = error

    def words(self, error: Exception) -> str:
        """An error as people are told it."""
        if isinstance(error, (BotoCoreError, ClientError)):
            return f"{self.other_side} ({self.report.target}): {in_words(error)}"
        if isinstance(error, DatabaseError):
            return f"Django's database: {in_words(error)}"
        return in_words(error)

    def tick(self) -> None:
        """Stop where a signal asked for it; LeaseLost where another has become the one at work."""
        self._stop.check()
        if self.lease is not None:
            self.lease.keep()

    def begin_record(self, **described: Any) -> None:
        """Begin the record of this run, which holds the target's lease."""
        target, running = self.report.target, self.record_model.Status.RUNNING
        described["options"] = {**described["options"], "operator": str(operator())}
        # Whoever holds the lease is alone: what still counts as running was killed.
        self.record_model.objects.filter(target=target, status=running).update(
            status=self.record_model.Status.INTERRUPTED,
            error="killed",
            finished_at=timezone.now(),
        )
        self._record = self.record_model.objects.create(
            id=self.run_id, target=target, host=platform.node(), pid=os.getpid(), **described
        )

    def end_record(self) -> None:
        """Write into the record how it ended, or what it has come to by now."""
        if self._record is None:
            return
        record, report = self._record, self.report
        # Errors of others may quote what they were given.
        record.status, record.error = report.status, mask_text(report.error, bare=Bare.EQUALS)
        record.finished_at, record.report = timezone.now(), mask_texts(report.as_json())
        self.fill(record)
        try:
            record.save()
        except DatabaseError as error:
            # The report is what the run is for: it must come out.
            report.notes.append(f"the record of this run could not be saved: {error}")
            NOT_SAVED.log(error=error)
