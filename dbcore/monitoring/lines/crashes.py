"""The end of a process or thread by an error that nobody has caught. Where the log is JSON it is
told there: Python's own words would show what the error is about."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from types import TracebackType

from django.conf import settings

from dbcore.logs import Event
from dbcore.printable import printable_lines
from dbcore.secrecy import Bare, mask_text

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
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not isinstance(error, Exception):
        sys.__excepthook__(kind, error, trace)
    elif _is_shown():
        sys.stderr.write(_shown(error))
    else:
        CRASHED.log(traceback=error)


def _thread_ends(ended: threading.ExceptHookArgs) -> None:
    if not isinstance(ended.exc_value, Exception):
        threading.__excepthook__(ended)
    elif _is_shown():
        name = ended.thread.name if ended.thread else ended.thread
        sys.stderr.write(f"Exception in thread {name}:\n{_shown(ended.exc_value)}")
    else:
        name = ended.thread.name if ended.thread else None
        THREAD_CRASHED.log(traceback=ended.exc_value, thread=name)


def _shown(error: Exception) -> str:
    """An error as Python tells it. It may quote whatever somebody has written."""
    told = "".join(traceback.format_exception(error))
    return printable_lines(mask_text(told, bare=Bare.EQUALS))


def _is_shown() -> bool:
    """Whether Python's own words may be seen: where the log is for people, or there is none yet."""
    if not settings.configured:
        return True
    return getattr(settings, "LOG_FORMAT", "text") != "json"
