"""The thread that writes what this process has measured: to `performance_metrics`, so that it
outlives the process, and to CloudWatch.

It never raises, never holds up a request, and what it could not write yet is bounded. It measures
nothing of its own.
"""

from __future__ import annotations

import atexit
import collections
import datetime as dt
import os
import threading
import time
from collections.abc import Callable
from logging import ERROR, WARNING

from django.conf import settings
from django.db import connections
from django.utils import timezone

from dbcore.logs import Event
from dbcore.monitoring import cloudwatch
from dbcore.monitoring.metrics import current, on_new_series
from dbcore.monitoring.pools import GAUGES
from dbcore.monitoring.records import PoolPeak, RecordWriter, Window
from dbcore.monitoring.switch import unmeasured

NOT_WRITTEN = Event(
    "dbcore.monitoring.reporter", (WARNING,), "measurements cannot be written", ("part", "error"),
    "once until it works again; `part`: records (`performance_metrics`) or cloudwatch",
)  # fmt: skip
LOST = Event(
    "dbcore.monitoring.reporter", (ERROR,), "measurements are lost", (),
    "what was measured in one window could not be put together",
)  # fmt: skip
LOOK_SECONDS = 5.0  # between looks at the pools
KEPT_WINDOWS = 15  # that could not be written yet
EXIT_SECONDS = 2.0  # for the last window, when the process ends
FORK_SECONDS = 1.0  # for which a fork waits for a write to end


class Outbox:
    """Windows on their way to one place. The oldest are dropped where too many wait."""

    def __init__(self, part: str, send: Callable[[Window], None]) -> None:
        self._part = part
        self._send = send
        self._waiting: collections.deque[Window] = collections.deque()
        self._well = True

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, window: Window) -> None:
        """Have a window sent."""
        if len(self._waiting) >= KEPT_WINDOWS:
            self._waiting.popleft()
            current().failure("dropped")
        self._waiting.append(window)

    def send_all(self) -> None:
        """Send what waits, oldest first, as far as it goes."""
        while self._waiting:
            try:
                self._send(self._waiting[0])
            except Exception as error:
                current().failure(self._part)
                if self._well:  # once, until it works again
                    NOT_WRITTEN.log(part=self._part, error=error)
                self._well = False
                return
            self._waiting.popleft()
            self._well = True


class Reporter:
    """Takes what has been measured and writes it. One for each process."""

    def __init__(self, now: dt.datetime) -> None:
        self.lock = threading.Lock()  # held while it reports: a fork waits for it
        self._since = now
        self._peaks: dict[str, PoolPeak] = {}
        self._records = Outbox("records", RecordWriter().write)
        self._cloudwatch = Outbox("cloudwatch", cloudwatch.Sender().send)
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Report every DB_METRICS_INTERVAL seconds from now on."""
        self._thread = threading.Thread(target=self._run, name="dbcore-reporter", daemon=True)
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Report once more and end, within `seconds`; what takes longer is given up."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def look(self) -> None:
        """See what the pools use now."""
        for pool in GAUGES.refresh():
            self._peaks[pool.name] = PoolPeak.of(pool, self._peaks.get(pool.name))

    def report(self, now: dt.datetime) -> None:
        """Write what has been measured since the last report, and what waits from before it."""
        with self.lock, unmeasured():
            totals = current().take()
            if totals:
                window = Window(self._since, now, totals, self._peaks)
                self._records.add(window)
                if settings.DB_CLOUDWATCH_INTEGRATION:
                    self._cloudwatch.add(window)
            self._since, self._peaks = now, {}
            self._records.send_all()
            self._cloudwatch.send_all()

    def _run(self) -> None:
        due = time.monotonic()  # the wall clock may be set back, and then it would wait for hours
        while True:
            interval = max(settings.DB_METRICS_INTERVAL, 0.1)
            due = max(due, time.monotonic()) + interval
            ended = self._wait(due)
            try:
                self.look()
                self.report(timezone.now())
            except Exception as error:
                current().failure("records")
                LOST.log(traceback=error)
            finally:
                connections.close_all()  # this thread's
            if ended:
                return

    def _wait(self, due: float) -> bool:
        """Wait until `due` on the monotonic clock, looking at the pools meanwhile; whether the
        process ends before."""
        while (left := due - time.monotonic()) > 0:
            if self._end.wait(min(left, LOOK_SECONDS)):
                return True
            try:
                self.look()
            except Exception:
                current().failure("measuring")
        return self._end.is_set()


_wanted = False  # whether this process reports
_reporter: Reporter | None = None
_lock = threading.Lock()


def report_from_here() -> None:
    """Have this process report, from its first measured call on. For processes that serve; a
    command that copies or compares tables must not write to one of them unasked."""
    global _wanted
    _wanted = True
    if current().series:
        _start()


def stop(seconds: float = EXIT_SECONDS) -> None:
    """Write what has been measured, within `seconds`. A call that is measured later starts the
    reporter again."""
    global _reporter
    with _lock:
        ending, _reporter = _reporter, None
        current().forget_series()
    if ending is not None:
        ending.stop(seconds)


def _start() -> None:
    """Start the reporter of this process, if it is wanted and not there."""
    global _reporter
    if not _wanted or not settings.DB_METRICS_ENABLED or _reporter is not None:
        return
    with _lock:
        if _reporter is None:
            _reporter = Reporter(timezone.now())
            _reporter.start()
            # As late as can be: what was registered before, and runs after, closes the stores.
            atexit.register(stop)


def _before_fork() -> None:
    # Else a child may be born with a lock of the database's library held by nobody.
    if _reporter is not None and _reporter.lock.acquire(timeout=FORK_SECONDS):
        _held.append(_reporter.lock)


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().release()


def _after_fork_in_child() -> None:
    global _reporter, _lock
    _held.clear()
    _lock = threading.Lock()
    _reporter = None  # its thread is the parent's; the first measured call starts another


_held: list[threading.Lock] = []
on_new_series.append(_start)
os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
