"""The shapes of queries by their share of time, and a line in the log for each slow one.

A shape has no value and no key in it, and their number is bounded.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from django.conf import settings

logger = logging.getLogger(__name__)

MAX_SHAPES = 200


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of query. `text` is its normalised SQL; of a call to DynamoDB it is empty."""

    system: str
    table: str
    operation: str
    index: str = ""
    text: str = ""

    def __str__(self) -> str:
        through = f" through {self.index}" if self.index else ""
        return self.text or f"{self.operation} {self.table}{through}"


@dataclass(frozen=True, slots=True)
class ShapeTotals:
    """What a shape has cost this process: seconds in all, of the worst call, and its share of the
    time of all shapes; when the last error was, in epoch seconds."""

    shape: Shape
    count: int
    errors: int
    seconds: float
    worst: float
    share: float
    last_error: str
    last_error_at: float | None


class _Cost:
    __slots__ = ("count", "errors", "last_error", "last_error_at", "seconds", "worst")

    def __init__(self) -> None:
        self.count = self.errors = 0
        self.seconds = self.worst = 0.0
        self.last_error = ""
        self.last_error_at: float | None = None


class Shapes:
    """The costs of shapes. Where a new one finds no room, that with the least time goes; time that
    is forgotten so still counts in `share`. Thread-safe."""

    def __init__(self, limit: int = MAX_SHAPES) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._costs: dict[Shape, _Cost] = {}
        self._seconds = 0.0

    def add(
        self,
        shape: Shape,
        count: int,
        seconds: float,
        worst: float,
        error: str = "",
        at: float | None = None,
    ) -> None:
        """So many calls, with the sum of their seconds; where they failed, why and when last."""
        with self._lock:
            cost = self._costs.get(shape) or self._room_for(shape)
            cost.count += count
            cost.seconds += seconds
            self._seconds += seconds
            cost.worst = max(cost.worst, worst)
            if error:
                cost.errors += count
                cost.last_error = error
                cost.last_error_at = at

    def _room_for(self, shape: Shape) -> _Cost:
        if len(self._costs) >= self._limit:
            del self._costs[min(self._costs, key=lambda each: self._costs[each].seconds)]
        return self._costs.setdefault(shape, _Cost())

    def top(self, limit: int = 20, *, failed: bool = False) -> list[ShapeTotals]:
        """The shapes with the greatest share of time; `failed`: of those with errors."""
        with self._lock:
            all_seconds = self._seconds or 1.0
            found = [
                ShapeTotals(
                    shape, cost.count, cost.errors, cost.seconds, cost.worst,
                    cost.seconds / all_seconds, cost.last_error, cost.last_error_at,
                )
                for shape, cost in self._costs.items()
                if cost.errors or not failed
            ]  # fmt: skip
        return sorted(found, key=lambda each: each.seconds, reverse=True)[:limit]


def log_slow(shape: Shape, seconds: float, error: str | None) -> None:
    """A line in the log for a query that took longer than DB_LATENCY_THRESHOLD milliseconds."""
    if not settings.DB_SLOW_QUERY_LOG:
        return
    facts = {
        "db_system_name": shape.system,
        "db_collection_name": shape.table,
        "db_operation_name": shape.operation,
        "db_index": shape.index,
        "error_type": error or "",
        "duration_ms": round(seconds * 1000, 1),
    }
    ended = f", {error}" if error else ""
    logger.warning(
        "slow query: %.0f ms%s, %s: %s", seconds * 1000, ended, shape.table, shape, extra=facts
    )
