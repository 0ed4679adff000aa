"""How fast to write: as fast as DynamoDB takes it, never faster than asked.

Without a limit and without throttling nothing is held back. A throttled answer cuts the rate to a
part of what was being taken; from there it grows again until the next one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

CUT = 0.7  # of the observed rate, at a throttled answer
GROWTH = 1.08  # a second without throttling
CUT_PAUSE = 0.5  # seconds within which further throttled answers are the same event
FLOOR = 5.0  # write units a second
_FORGET = 60.0  # seconds without throttling after which nothing is held back any more


class Rate:
    """A token bucket of write units (1 KB each) whose rate adapts. Times are monotonic seconds.

    Units are charged by estimate before a request is sent and by ConsumedCapacity afterwards.
    """

    def __init__(self, limit: float | None = None, *, now: float | None = None) -> None:
        started = time.monotonic() if now is None else now
        self.limit = limit
        self._adapted: float | None = None
        self._tokens = 0.0
        self._filled = started
        self._last_cut = started - CUT_PAUSE
        self._window_started = started
        self._window_units = 0.0
        self._observed = 0.0
        self.throttles = 0

    @property
    def current(self) -> float | None:
        """Units a second that are allowed now; None: no limit."""
        if self._adapted is None or self.limit is None:
            return self.limit if self._adapted is None else self._adapted
        return min(self.limit, self._adapted)

    def settle(self, estimated: float, actual: float) -> None:
        """Charge the difference between what a request was thought to take and what it took."""
        self._tokens -= actual - estimated
        self._window_units += actual - estimated

    def wait_for(self, units: float, *, now: float | None = None) -> float:
        """Take `units`, and say how many seconds to wait before sending them."""
        now = time.monotonic() if now is None else now
        self._observe(units, now)
        self._grow(now)
        rate = self.current
        if rate is None:
            return 0.0
        self._tokens = min(rate * 0.25, self._tokens + (now - self._filled) * rate)
        self._filled = now
        self._tokens -= units
        return max(0.0, -self._tokens / rate)

    def throttled(self, *, now: float | None = None) -> None:
        """DynamoDB has refused a request for its rate."""
        now = time.monotonic() if now is None else now
        self.throttles += 1
        if now - self._last_cut < CUT_PAUSE:
            return
        rate = self.current
        taken = self._observed or (self._window_units / max(now - self._window_started, 0.05))
        self._adapted = max(FLOOR, CUT * min(taken or FLOOR, rate or taken or FLOOR))
        self._last_cut = now
        self._grown = now

    def _observe(self, units: float, now: float) -> None:
        self._window_units += units
        if now - self._window_started >= 1.0:
            self._observed = self._window_units / (now - self._window_started)
            self._window_units, self._window_started = 0.0, now

    def _grow(self, now: float) -> None:
        if self._adapted is None:
            return
        if now - self._last_cut > _FORGET:
            self._adapted = None
            return
        self._adapted *= GROWTH ** (now - self._grown)
        self._grown = now


class UnitModel:
    """What writes to one table take, in write units: a guess from its indexes at first, then what
    DynamoDB has said of earlier ones."""

    def __init__(self, indexes: int, *, transactional: bool = False) -> None:
        self._factor = (1 + indexes) * (2 if transactional else 1)
        self._units_a_byte = self._factor / 1024

    def estimate(self, items: int, size: int) -> float:
        """The units of a request with so many items and bytes."""
        return max(float(items), size * self._units_a_byte, items * self._factor * 0.5)

    def settle(self, rate: Rate, answer: Mapping[str, Any], estimated: float, size: int) -> None:
        """Charge what a request took, and learn from it, where DynamoDB says so."""
        actual = units_of(answer.get("ConsumedCapacity"))
        if actual:
            rate.settle(estimated, actual)
            if size:
                self._units_a_byte += 0.2 * (actual / size - self._units_a_byte)


def units_of(capacity: Any) -> float:
    """The capacity units of a ConsumedCapacity, one or several."""
    if isinstance(capacity, list):
        return sum(units_of(each) for each in capacity)
    return float(capacity["CapacityUnits"]) if capacity else 0.0
