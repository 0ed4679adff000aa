"""The shapes of queries by their share of time, and a line in the log for each slow or failed one.

A shape has no value and no key in it, and their number is bounded.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from logging import WARNING

from django.conf import settings

from dbcore.logs import Event
from dbcore.monitoring.labels import REFUSALS, error_type

MAX_SHAPES = 200
_FIELDS = ("system", "table", "operation", "index", "query", "duration", "error")
SLOW = Event(
    "dbcore.monitoring.slow", (WARNING,), "slow query", _FIELDS,
    "a call to DynamoDB or a SQL statement took longer than `DB_LATENCY_THRESHOLD`",
)  # fmt: skip
FAILED = Event(
    "dbcore.monitoring.failed", (WARNING,), "query failed", _FIELDS,
    "a call to DynamoDB, its retries included, or a SQL statement failed. Whoever made it decides "
    "what that means, hence a warning; a condition that does not hold and a value that is taken "
    "are answers",
)  # fmt: skip
# Calls about tables, whose callers ask to find out, and report.
_OF_TABLES = frozenset({
    "CreateTable", "DeleteTable", "DescribeContinuousBackups", "DescribeLimits", "DescribeTable",
    "DescribeTimeToLive", "ListTables", "ListTagsOfResource", "TagResource",
    "UpdateContinuousBackups", "UpdateTable", "UpdateTimeToLive",
})  # fmt: skip


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
    if settings.DB_SLOW_QUERY_LOG:
        _log(SLOW, shape, seconds, error)


def log_failed(shape: Shape, seconds: float, error: str) -> None:
    """A line in the log for a query that failed. A database that is well and says no has not, nor
    has a look whether a table is there."""
    if error not in REFUSALS and shape.operation not in _OF_TABLES:
        _log(FAILED, shape, seconds, error)


def _log(event: Event, shape: Shape, seconds: float, error: str | None) -> None:
    event.log(
        system=shape.system, table=shape.table, operation=shape.operation, index=shape.index,
        query=shape.text, duration=seconds, error=error_type(error),
    )  # fmt: skip
