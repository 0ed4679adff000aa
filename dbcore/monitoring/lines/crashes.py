"""The end of a process or thread by an error that nobody has caught. Where the log is JSON it is
told there: Python's own words would show what the error is about."""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType

from django.conf import settings

from dbcore.logs import Event

CRASHED = Event(
    "dbcore.crash", (logging.CRITICAL,), "process crashed", (),
    "a command has ended by an error that nobody caught",
)  # fmt: skip
THREAD_CRASHED = Event(
    "dbcore.crash", (logging.ERROR,), "thread crashed", ("thread",),
    "a thread has ended by an error that nobody caught",
)  # fmt: skip


def watch_process() -> None:
    """Log how this process ends. To be called before anybody else takes an interest in that:
    Sentry goes on to whoever was there before."""
    sys.excepthook = _process_ends


def watch_threads() -> None:
    """Log how threads end, and where the log is JSON what Python warns of."""
    threading.excepthook = _thread_ends
    if not _is_shown():
        logging.captureWarnings(True)


def _process_ends(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if _is_shown() or not isinstance(error, Exception):
        sys.__excepthook__(kind, error, traceback)
    else:
        CRASHED.log(traceback=error)


def _thread_ends(ended: threading.ExceptHookArgs) -> None:
    if _is_shown() or ended.exc_value is None:
        threading.__excepthook__(ended)
    else:
        name = ended.thread.name if ended.thread else None
        THREAD_CRASHED.log(traceback=ended.exc_value, thread=name)


def _is_shown() -> bool:
    """Whether Python's own words may be seen: where the log is for people, or there is none yet."""
    if not settings.configured:
        return True
    return getattr(settings, "LOG_FORMAT", "text") != "json"
