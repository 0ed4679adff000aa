"""What the log has of sweeps, restores, erasures and work on archives. No user and no record is
named: not who was erased, nor which record was asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR, INFO, WARNING
from typing import TYPE_CHECKING, Any

from dbcore import logs
from dbcore.dynamo.leases import LeaseHeld
from dbcore.logs import Event
from dbcore.retention.errors import HeldByLaw
from dbcore.retention.report import TableLine
from dbcore.retention.restore_report import EXIT_DONE, EXIT_UNPROVEN, RestoreReport
from dbcore.stopping import Interrupted

if TYPE_CHECKING:
    from dbcore.retention.erasure_report import ErasureReport
    from dbcore.retention.shelf_work import ShelfReport

LOGGER = "dbcore.retention"
SWEPT = ("due", "would", "archived", "deleted", "gone", "changed", "held", "in_grace", "kept",
         "unproven", "left", "undone", "unreadable")  # fmt: skip

SWEEP_BEGUN = Event(
    LOGGER, (INFO,), "sweep begun", ("target", "dry_run", "as_of"), "`enforce_retention` begins",
    told=True,
)  # fmt: skip
SWEEP_ENDED = Event(
    LOGGER, (INFO, WARNING, ERROR), "sweep ended",
    ("status", "duration", "store", "target", *SWEPT, "damaged", "error"),
    "it has ended, also when it failed or an archive could not be proven (error), or was stopped "
    "(warning)",
    told=True,
)  # fmt: skip
TABLE_SWEPT = Event(
    LOGGER, (INFO, WARNING), "table swept", ("table", "tier", "duration", *SWEPT, "error"),
    "a table's turn is over (warning: with an error); the counts are those of the sweep's report",
    told=True,
)  # fmt: skip
PROVEN = Event(
    LOGGER, (INFO,), "archive proven", ("table", "archive", "count"),
    "an archive was written, read back and is what was put into it; its records are deleted next",
    told=True,
)  # fmt: skip
NOT_PROVEN = Event(
    LOGGER, (ERROR,), "archive not proven", ("table", "archive", "count", "error"),
    "an archive is not what was put into it; nothing of it is deleted", told=True,
)  # fmt: skip
RESUMED = Event(
    LOGGER, (INFO,), "archive of an earlier sweep finished", ("table", "archive", "count"),
    "a sweep that was killed had begun it", told=True,
)  # fmt: skip
DISCARDED = Event(
    LOGGER, (WARNING,), "archive of an earlier sweep discarded", ("table", "archive"),
    "a sweep was killed before it was proven; its records are all there", told=True,
)  # fmt: skip


def table_swept(line: TableLine, error: Exception | None = None) -> None:
    """A table's turn is over."""
    TABLE_SWEPT.log(
        level=WARNING if error or line.error else INFO, table=line.table, tier=line.tier,
        duration=line.seconds, error=error, **{name: getattr(line, name) for name in SWEPT},
    )  # fmt: skip


RESTORE_BEGUN = Event(
    LOGGER, (INFO,), "restore begun", ("selected", "into", "dry_run", "overwrite"),
    "`restore_archive` begins; `selected` is what is restored, and names no user and no record",
    told=True,
)  # fmt: skip
RESTORED = ("found", "restored", "present", "newer", "taken", "unfit", "held", "older", "erased",
            "redacted", "differing")  # fmt: skip
RESTORE_ENDED = Event(
    LOGGER, (INFO, WARNING, ERROR), "restore ended",
    ("duration", "archives", *RESTORED, "unproven", "frozen", "error"),
    "it has ended, also when it failed or something could not be proven (error), or when not all "
    "came back (warning)",
    told=True,
)  # fmt: skip
ERASURE_BEGUN = Event(
    LOGGER, (INFO,), "erasure begun", (), "`erase_user` begins to erase", told=True
)
ERASURE_ENDED = Event(
    LOGGER, (INFO, WARNING, ERROR), "erasure ended",
    ("duration", "erasure", "status", "count", "dead_letters", "archives", "error"),
    "it has ended, also when it failed (error) or a legal hold forbade it (warning); `archives` "
    "still have records of the user, which restores leave out",
    told=True,
)  # fmt: skip
ROTATION_BEGUN = Event(
    LOGGER, (INFO,), "rotation of keys begun", ("dry_run",), "`rotate_archive_keys` begins",
    told=True,
)  # fmt: skip
ROTATION_ENDED = Event(
    LOGGER, (INFO, WARNING, ERROR), "rotation of keys ended",
    ("duration", "archives", "rewrapped", "already", "removable", "problems", "error"),
    "it has ended, also when it failed or an archive could not be proven (error); so many keys are "
    "`removable`",
    told=True,
)  # fmt: skip
RECONCILIATION_BEGUN = Event(
    LOGGER, (INFO,), "reconciliation of archives begun", ("dry_run", "deep"),
    "`reconcile_archives` begins", told=True,
)  # fmt: skip
RECONCILIATION_ENDED = Event(
    LOGGER, (INFO, WARNING, ERROR), "reconciliation of archives ended",
    ("duration", "archives", "mended", "proven", "frozen", "problems", "error"),
    "it has ended, also when it failed or an archive could not be proven (error)", told=True,
)  # fmt: skip
AUDIT_ENDLESS = Event(
    LOGGER, (ERROR,), "audit trail lacks the end of a failed act", ("act", "error"),
    "an act failed, and that could not be written to the audit trail",
)  # fmt: skip
AUDIT_MISSING = Event(
    LOGGER, (ERROR,), "audit trail lacks an entry", ("act", "action", "phase", "error"),
    "a command that goes on without the audit trail could not write there",
)  # fmt: skip
# Nothing is wrong with the layer: somebody asked for it, or the law forbids it.
NO_FAULT = (Interrupted, KeyboardInterrupt, LeaseHeld, HeldByLaw)


@contextmanager
def told(command: str, begun: Event, ended: Event, **asked: Any) -> Iterator[dict[str, Any]]:
    """The work inside is a run of its own, whose begin and end are logged: what is put into the
    yielded mapping is `ended`'s fields and, as `level` and `error`, how it ended."""
    with logs.run(command):
        begun.log(**asked)
        started = time.perf_counter()
        ending: dict[str, Any] = {}
        try:
            yield ending
        except BaseException as error:
            level = WARNING if isinstance(error, NO_FAULT) else ERROR
            ending |= {"level": level, "error": error, "traceback": error}
            raise
        finally:
            ended.log(duration=time.perf_counter() - started, **ending)


def restored(report: RestoreReport) -> dict[str, Any]:
    """What a restore did, as fields of its end."""
    level = ERROR if report.exit_code == EXIT_UNPROVEN else WARNING
    counts = {name: report.total(name) for name in ("archives", *RESTORED)}
    return {
        "level": INFO if report.exit_code == EXIT_DONE else level,
        **counts,
        "unproven": len(report.unproven),
        "frozen": len(report.frozen),
    }


def erased(report: ErasureReport) -> dict[str, Any]:
    """What an erasure did, as fields of its end."""
    return {
        "erasure": report.erasure,
        "status": report.status,
        "count": report.records,
        "dead_letters": report.dead_letters,
        "archives": len(report.archives),
    }


def worked(report: ShelfReport, **counts: int) -> dict[str, Any]:
    """What work on a shelf did, as fields of its end."""
    level = ERROR if report.exit_code else INFO
    return {
        "level": level, "archives": report.archives, "problems": len(report.problems), **counts
    }  # fmt: skip
