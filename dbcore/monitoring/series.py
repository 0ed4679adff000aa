"""Where a call is counted: the only thing that measuring touches while a request waits."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass

from django.conf import settings

from dbcore.monitoring.labels import REFUSALS
from dbcore.monitoring.slow import Shape
from dbcore.monitoring.specs import ROW_BOUNDS
from dbcore.monitoring.totals import BOUNDS, Totals

_NO_CALLS = [0] * (len(BOUNDS) + 1)
_NO_ROWS = [0] * (len(ROW_BOUNDS) + 1)
_BOUNDS = (*BOUNDS, math.inf)


@dataclass(frozen=True, slots=True)
class Counted:
    """What a series held: its totals, its histograms with all buckets, and when its last call
    ended (epoch seconds; None of calls that succeeded)."""

    totals: Totals
    buckets: list[int]
    row_buckets: list[int]
    last_at: float | None


class Series:
    """The calls of one shape with one outcome, until they are taken. Thread-safe."""

    __slots__ = (
        "_buckets", "_capacity", "_last_at", "_least", "_lock", "_retries", "_row_buckets", "_rows",
        "_seconds", "_throttles", "_worst", "error", "shape", "slow",
    )  # fmt: skip

    def __init__(self, shape: Shape, error: str | None) -> None:
        self.shape = shape
        self.error = error
        # Read once: a setting costs as much as the counting.
        self.slow = settings.DB_LATENCY_THRESHOLD / 1000  # seconds
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._buckets = _NO_CALLS.copy()
        self._row_buckets = _NO_ROWS.copy()
        self._seconds = self._capacity = self._worst = 0.0
        self._least = math.inf
        self._rows = self._retries = self._throttles = 0
        self._last_at: float | None = None

    def add(self, seconds: float, rows: int | None, capacity: float) -> None:
        """A call. `rows` is None where it is not known."""
        with self._lock:
            self._buckets[bisect_left(BOUNDS, seconds)] += 1
            self._seconds += seconds
            if seconds > self._worst:
                self._worst = seconds
            if seconds < self._least:
                self._least = seconds
            if rows is not None:
                self._row_buckets[bisect_left(ROW_BOUNDS, rows)] += 1
                self._rows += rows
            if capacity:
                self._capacity += capacity
            if self.error is not None:
                self._last_at = time.time()

    def tried_again(self, retries: int, throttles: int) -> None:
        """A call that was added had retries, so many of them for its rate."""
        with self._lock:
            self._retries += retries
            self._throttles += throttles

    def take(self) -> Counted | None:
        """What has been added, and begin anew; None where nothing was."""
        if self._least == math.inf:
            return None
        with self._lock:
            buckets, refused = self._buckets, self.error in REFUSALS
            count = sum(buckets)
            totals = Totals(
                count,
                count if self.error is not None and not refused else 0,
                count if refused else 0,
                self._rows,
                self._capacity,
                self._retries,
                self._throttles,
                self._seconds,
                self._least,
                self._worst,
                {bound: n for bound, n in zip(_BOUNDS, buckets, strict=True) if n},
            )
            counted = Counted(totals, buckets, self._row_buckets, self._last_at)
            self._clear()
        return counted
