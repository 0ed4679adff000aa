"""Carries out what the plans say, all tables at once, with waits that end.

What was refused or half done is looked at again, never assumed: another host may be at the same
tables, and every call here may be made twice.
"""

from __future__ import annotations

import functools
import queue
import threading
import time
from collections.abc import Collection
from logging import DEBUG, ERROR, INFO, WARNING

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from dbcore import logs
from dbcore.errors import ConfigurationError, DbcoreError
from dbcore.rights import PAGE, in_words
from dbcore.schema import WantedTable, wanted_tables
from dbcore.table_sync.observe import SHOWN_BY, UNKNOWN_OPERATION, Caller, Observer
from dbcore.table_sync.patience import Log, Patience
from dbcore.table_sync.plan import MADE, Action, Description, Observed, Plan, plan_for, unsettled
from dbcore.table_sync.report import SyncReport, TableReport, TableSyncError
from dbcore.wire import get_wire
from dbcore.wire.answers import error_code

WIDTH = 10  # tables at a time; AWS creates 50 (in the large regions 500) at once, in ~10 s each
TIMEOUT = 1800.0  # seconds; a new index of a large table is filled in minutes to hours

# Passes by itself: another change of the table, or of the account, is under way.
BUSY = frozenset(
    {
        "ResourceInUseException",
        "LimitExceededException",
        "ContinuousBackupsUnavailableException",
    }
)
CHANGED = logs.Event(
    "dbcore.table_sync", (INFO,), "table changed", ("tables", "change"),
    "`sync_tables` has made a table or an index, or set one of its settings", told=True,
)  # fmt: skip
FAILED = logs.Event(
    "dbcore.table_sync", (ERROR,), "table not mended", ("tables", "error"),
    "a table could not be brought to what the models declare", told=True,
)  # fmt: skip
WAITS = logs.Event(
    "dbcore.table_sync", (INFO,), "waiting for a table", ("tables",),
    "DynamoDB takes its time to make or change a table", told=True,
)  # fmt: skip
ENDED = logs.Event(
    "dbcore.table_sync", (DEBUG, INFO, WARNING), "tables compared",
    ("count", "changed", "differences", "duration", "dry_run"),
    "all are as wanted (debug), or are so now (info), or differ and cannot be mended (warning)",
    told=True,
)  # fmt: skip
# What dynoxide says to an UpdateTable that changes the encryption alone.
NO_SUCH_UPDATE = "At least one of ProvisionedThroughput"


def sync_tables(
    *,
    dry_run: bool = False,
    tables: Collection[str] | None = None,
    log: Log = lambda text: None,
    timeout: float = TIMEOUT,
    wire: Caller | None = None,
) -> SyncReport:
    """Create what is missing and report what cannot be mended in place.

    `tables` limits the run to some, named with or without the prefix. `timeout` is the longest
    wait, in seconds, for one table or index. `log` is told in words what is done. Raises
    TableSyncError, after all tables, if any could not be brought to an end, and a BotoCoreError if
    DynamoDB is out of reach.
    """
    with logs.run("sync_tables"):
        return _sync_tables(_Run(wire or get_wire(), log, timeout, dry_run), tables)


def _sync_tables(run: _Run, tables: Collection[str] | None) -> SyncReport:
    started = time.perf_counter()
    wanted = wanted_tables()
    if tables is None:
        run.note_unknown_tables(wanted)
    else:
        wanted = _chosen(wanted, tables)
    report = SyncReport(tuple(run.all(wanted)), tuple(run.notes), run.dry_run)
    ENDED.log(
        level=WARNING if report.differences else INFO if report.changed else DEBUG,
        count=len(report.tables),
        changed=sum(len(table.actions) for table in report.tables),
        differences=len(report.differences),
        duration=time.perf_counter() - started,
        dry_run=run.dry_run,
    )
    if report.errors:
        raise TableSyncError(report)
    return report


def _chosen(wanted: list[WantedTable], names: Collection[str]) -> list[WantedTable]:
    prefix = settings.DYNAMODB_TABLE_PREFIX
    known = {table.name: table for table in wanted}
    full = [name if name in known else f"{prefix}{name}" for name in names]
    unknown = [name for name, each in zip(names, full, strict=True) if each not in known]
    if unknown:
        raise ConfigurationError(
            f"no table is called {', '.join(unknown)}; known: {', '.join(known)}"
        )
    return [known[name] for name in dict.fromkeys(full)]


class _Run:
    """What the tables of one run share. Thread-safe."""

    def __init__(self, wire: Caller, log: Log, timeout: float, dry_run: bool) -> None:
        self.wire = wire
        self.observer = Observer(wire, self.note_unknown_operation)
        self.timeout = timeout
        self.dry_run = dry_run
        self.interrupted = threading.Event()
        self.notes: list[str] = []
        self._log = log
        self._lock = threading.Lock()

    def all(self, wanted: list[WantedTable]) -> list[TableReport]:
        """Every table's report, in order. A process that is told to end waits for no table."""
        todo: queue.SimpleQueue[WantedTable] = queue.SimpleQueue()
        done: queue.SimpleQueue[TableReport | BaseException] = queue.SimpleQueue()
        for table in wanted:
            todo.put(table)
        work = logs.carrying(functools.partial(self._work, todo, done))
        for _ in range(min(WIDTH, len(wanted))):
            threading.Thread(target=work, name="sync-tables", daemon=True).start()
        reports = {}
        try:
            for _ in wanted:
                report = done.get()
                if isinstance(report, BaseException):
                    raise report
                reports[report.name] = report
        except BaseException:
            self.interrupted.set()  # else the threads would go on
            raise
        return [reports[table.name] for table in wanted]

    def _work(
        self,
        todo: queue.SimpleQueue[WantedTable],
        done: queue.SimpleQueue[TableReport | BaseException],
    ) -> None:
        while not self.interrupted.is_set():
            try:
                table = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put(_TableSync(self, table).report())
            except BaseException as error:
                done.put(error)

    def log(self, text: str) -> None:
        with self._lock:
            self._log(text)

    def note_once(self, note: str) -> None:
        with self._lock:
            if note not in self.notes:
                self.notes.append(note)

    def note_unknown_tables(self, wanted: list[WantedTable]) -> None:
        """Note the tables under our prefix that nobody wants. Without a prefix none is ours."""
        prefix = settings.DYNAMODB_TABLE_PREFIX
        if not prefix:
            return
        known = {table.name for table in wanted}
        try:
            found = self.observer.table_names()
        except ClientError as error:  # listing is a convenience, and may not be permitted
            self.note_once(f"tables that are not ours are not looked for: {in_words(error)}")
            return
        for name in found:
            if name.startswith(prefix) and name not in known:
                self.note_once(f"the table {name} is not ours; it is left alone")

    def note_unknown_operation(self, operation: str, right: str = "") -> None:
        if right:
            self.note_once(f"lacks the right {right}, and what that shows is not seen; see {PAGE}")
        else:
            self.note_once(f"the engine does not know {operation}; what it sets is not looked at")


class _TableSync:
    """One table on its way to what is wanted: look, do, and look again until nothing is to do."""

    def __init__(self, run: _Run, wanted: WantedTable) -> None:
        self.run = run
        self.wanted = wanted
        self.done: list[str] = []
        self.skipped: set[str] = set()
        self.refused: set[str] = set()
        self.patience = self._new_patience()

    def report(self) -> TableReport:
        """The table's report; an error is part of it, so that the other tables go on."""
        try:
            return self._look() if self.run.dry_run else self._mend()
        except (ClientError, BotoCoreError, DbcoreError) as error:
            FAILED.log(tables=self.wanted.name, error=error)
            return TableReport(self.wanted.name, tuple(self.done), error=in_words(error))

    def _look(self) -> TableReport:
        observer = self.run.observer
        plan = plan_for(self.wanted, observer.observe(observer.describe(self.wanted.name)))
        texts = tuple(action.text for action in plan.actions)
        return TableReport(self.wanted.name, texts, tuple(plan.notes), tuple(plan.differences))

    def _mend(self) -> TableReport:
        while True:
            plan = self._plan()
            tried = self.skipped.union(self.done)
            todo = [action for action in plan.actions if action.text not in tried]
            if not todo:
                unseen = [action.text for action in plan.actions if action.text in self.done]
                notes = (*plan.notes, *(f"accepted, but not seen yet: {text}" for text in unseen))
                return TableReport(
                    self.wanted.name, tuple(self.done), notes, tuple(plan.differences)
                )
            for action in todo:
                # A change of the table itself may change what the next one has to say.
                if not self._do(action) or action.operation in ("CreateTable", "UpdateTable"):
                    break

    def _plan(self) -> Plan:
        """What is to be done now. Of a table that is new also what may not be looked at."""
        observer = self.run.observer
        plan = plan_for(self.wanted, observer.observe(self._settled()))
        if MADE in self.done:
            first = plan_for(self.wanted, Observed(None)).actions
            plan.actions.extend(
                each for each in first if SHOWN_BY.get(each.operation) in observer.refused
            )
        return plan

    def _do(self, action: Action) -> bool:
        """Try one action; False when the table must be looked at again."""
        self.run.log(f"{self.wanted.name}: {action.text}")
        try:
            self.run.wire.call(action.operation, action.request)
        except ClientError as error:
            return self._refused(action, error)
        self.done.append(action.text)
        CHANGED.log(tables=self.wanted.name, change=action.text)
        self.patience = self._new_patience()
        return True

    def _refused(self, action: Action, error: ClientError) -> bool:
        message = error.response["Error"].get("Message", "")
        if error_code(error) == UNKNOWN_OPERATION:
            self.run.note_unknown_operation(action.operation)
            self.skipped.add(action.text)
            return True
        if message.startswith(NO_SUCH_UPDATE):
            self.run.note_once(f"the engine cannot do this to an existing table: {action.text}")
            self.skipped.add(action.text)
            return True
        if error_code(error) not in BUSY:
            # Another host may have done it just now, and DynamoDB has a different error for each
            # such case. Only what is still wanted and refused again is an error.
            if action.text in self.refused:
                raise error
            self.refused.add(action.text)
        self.patience.pause(f"{action.text}: {message}")
        return False

    def _settled(self) -> Description | None:
        """The table's description once it is ready for changes; None when there is no table."""
        patience = self._new_patience()
        while True:
            table = self.run.observer.describe(self.wanted.name)
            if table is not None:
                busy = unsettled(self.wanted, table)
            else:
                # Right after CreateTable, DescribeTable may not know the table yet.
                busy = "the table has not appeared" if MADE in self.done else None
            if busy is None:
                return table
            patience.pause(busy)

    def _new_patience(self) -> Patience:
        return Patience(
            self.run.timeout,
            self.run.interrupted,
            self._tell_wait,
        )

    def _tell_wait(self, text: str) -> None:
        self.run.log(f"{self.wanted.name}: {text}")
        WAITS.log(tables=self.wanted.name)
