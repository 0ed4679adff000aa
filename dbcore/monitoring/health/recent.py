"""Answers that are kept for a few seconds: however many ask, the checks run once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dbcore.monitoring.health.results import CheckResult


@dataclass(frozen=True, slots=True)
class _Kept:
    results: Sequence[CheckResult]
    until: float


class Recent:
    """What `ask` says, at most `seconds` old. Of those that come at once one asks, and the others
    wait for it: so `ask` must end by itself."""

    def __init__(
        self,
        ask: Callable[[], Sequence[CheckResult]],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: _Kept | None = None
        # A lock may be held by a thread that is not there in the child.
        os.register_at_fork(after_in_child=self.forget)

    def results(self) -> Sequence[CheckResult]:
        """The last answer, or a new one."""
        with self._lock:
            if self._kept is None or self._clock() >= self._kept.until:
                results = self._ask()
                self._kept = _Kept(results, self._clock() + self._seconds)
            return self._kept.results

    def forget(self) -> None:
        """Ask at the next call."""
        self._lock = threading.Lock()
        self._kept = None
