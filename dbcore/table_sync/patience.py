"""Waits for what DynamoDB does in its own time. None of them may be without an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from dbcore.errors import DbcoreError

FIRST_PAUSE = 0.1  # seconds
LONGEST_PAUSE = 5.0
TELL_AFTER = 5.0  # seconds of waiting before the log says what for

Log = Callable[[str], None]


class WaitEnded(DbcoreError):
    """A wait came to its time limit, or the run was interrupted."""

    names_records = False


class Patience:
    """Growing pauses, which together may not last longer than `limit` seconds."""

    def __init__(self, limit: float, interrupted: threading.Event, tell: Log) -> None:
        self._limit = limit
        self._interrupted = interrupted
        self._tell = tell
        self._started = time.monotonic()
        self._delay = FIRST_PAUSE
        self._told = False

    def pause(self, why: str) -> None:
        """Wait a while; WaitEnded says `why` when there is no time left."""
        waited = time.monotonic() - self._started
        if waited >= self._limit:
            raise WaitEnded(
                f"{why}, still after {self._limit:g} s; run again to go on waiting for it"
            )
        if waited >= TELL_AFTER and not self._told:
            self._told = True
            self._tell(f"waiting: {why}")
        if self._interrupted.wait(min(self._delay, self._limit - waited)):
            raise WaitEnded("interrupted")
        self._delay = min(self._delay * 1.5, LONGEST_PAUSE)
