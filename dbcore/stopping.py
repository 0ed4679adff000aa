"""SIGINT, SIGTERM and SIGHUP end long work in good order, between two of its steps; a second one at
once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dbcore.errors import DbcoreError


class Interrupted(DbcoreError):
    """A signal asked the work to stop; running the same command again goes on."""

    names_records = False


class Stop:
    """Whether a signal has asked the work to stop."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self._asked.is_set():
            raise Interrupted("a signal asked the run to stop; run the same command to go on")

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until a signal comes; whether one has."""
        return self._asked.wait(seconds)

    @contextmanager
    def on_signal(self) -> Iterator[None]:
        """Listen for SIGINT, SIGTERM and SIGHUP, in the main thread; elsewhere nothing is listened
        for. A SIGHUP that is ignored, as by nohup, stays ignored."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: Any) -> None:
            if self._asked.is_set():
                raise KeyboardInterrupt
            self._asked.set()

        wanted = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            wanted.append(signal.SIGHUP)
        before = {each: signal.signal(each, stop) for each in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
