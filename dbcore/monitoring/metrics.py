"""What this process has measured: what Prometheus reads, what a window's records say, and the costs
of the shapes of queries.

A call adds to one series and nothing else; from there it is carried on when somebody looks. Nothing
that is not bounded is kept: labels are from closed sets, and of shapes those that cost the most.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from dbcore.monitoring.labels import DYNAMODB, error_type
from dbcore.monitoring.multiprocess import keep_private
from dbcore.monitoring.series import Counted, Series
from dbcore.monitoring.slow import Shape, Shapes
from dbcore.monitoring.specs import (
    CAPACITY,
    DURATION,
    FAILURES,
    RETRIES,
    ROWS,
    SPECS,
    THROTTLES,
    Spec,
)
from dbcore.monitoring.totals import Totals

MAX_SERIES = 2000  # shapes with their outcomes; of more, those that were idle are let go
READS = frozenset({"GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"})

Key = tuple[str, str, str]  # system, table, operation


def _made(spec: Spec, registry: CollectorRegistry) -> Any:
    given: dict[str, Any] = {"labelnames": spec.labels, "registry": registry}
    if spec.kind == "histogram":
        return Histogram(spec.name, spec.meaning, buckets=spec.bounds, **given)
    if spec.kind == "gauge":
        # Of several processes the living ones' add up.
        return Gauge(spec.name, spec.meaning, multiprocess_mode="livesum", **given)
    return Counter(spec.name, spec.meaning, **given)


class Metrics:
    """All that one process has counted. A forked child has its own, and begins at nought."""

    def __init__(self) -> None:
        keep_private()
        self.registry = CollectorRegistry()
        self.shapes = Shapes()
        self.series: dict[tuple[str | None, ...], Series] = {}
        self._families = {spec.name: _made(spec, self.registry) for spec in SPECS}
        self._leaving: list[Series] = []
        self._charges: dict[tuple[str, str, str], float] = {}
        self._window: dict[Key, Totals] = {}
        self._charging = threading.Lock()
        self._draining = threading.Lock()

    def __getitem__(self, spec: Spec) -> Any:
        return self._families[spec.name]

    def new_series(self, key: tuple[str | None, ...], shape: Shape, error: str | None) -> Series:
        """A series that `key` will find from now on. The first makes the reporter start."""
        made = self.series.setdefault(key, Series(shape, error))
        for heard in on_new_series:
            heard()
        if len(self.series) > MAX_SERIES:
            self.drain()
        return made

    def forget_series(self) -> None:
        """Have the next call count as new; what has been counted stays."""
        with self._draining:
            self._leaving += self.series.values()
            self.series.clear()

    def charge(self, table: str, operation: str, index: str, units: float) -> None:
        """Count capacity that is not its series' own: of an index, or of one table of several."""
        with self._charging:
            key = (table, operation, index)
            self._charges[key] = self._charges.get(key, 0.0) + units

    def failure(self, part: str) -> None:
        """Count what monitoring could not do."""
        self[FAILURES].labels(part).inc()

    def take(self) -> dict[Key, Totals]:
        """What has been counted since the last time."""
        with self._draining:
            self._drain()
            taken, self._window = self._window, {}
        return taken

    def look(self) -> dict[Key, Totals]:
        """The same, left where it is."""
        with self._draining:
            self._drain()
            return dict(self._window)

    def drain(self) -> None:
        """Carry what calls have added on to where it is read."""
        with self._draining:
            self._drain()

    def _drain(self) -> None:
        # A thread may still add to a series that it had found: those are emptied once more.
        leaving, self._leaving = self._leaving, []
        crowded = len(self.series) > MAX_SERIES // 2
        for key, series in list(self.series.items()):
            counted = series.take()
            if counted is not None:
                self._carry(series, counted)
            elif crowded:
                del self.series[key]
                self._leaving.append(series)
        for series in leaving:
            counted = series.take()
            if counted is not None:
                self._carry(series, counted)
        with self._charging:
            charges, self._charges = self._charges, {}
        for (table, operation, index), units in charges.items():
            self._carry_charge(table, operation, index, units)

    def _carry(self, series: Series, counted: Counted) -> None:
        shape, totals = series.shape, counted.totals
        labels = (shape.system, shape.table, shape.operation)
        error = error_type(series.error)
        self._observed(DURATION, (*labels, error), counted.buckets, totals.seconds)
        if any(counted.row_buckets):
            self._observed(ROWS, labels, counted.row_buckets, totals.rows)
        if totals.capacity:
            self._charged(shape.table, shape.operation, shape.index, totals.capacity)
        if totals.retries:
            self[RETRIES].labels(*labels[1:]).inc(totals.retries)
        if totals.throttles:
            self[THROTTLES].labels(*labels[1:]).inc(totals.throttles)
        self._window[labels] = self._window.get(labels, Totals()) + totals
        self.shapes.add(shape, totals.count, totals.seconds, totals.worst, error, counted.last_at)

    def _observed(
        self, spec: Spec, labels: tuple[str, ...], buckets: Iterable[int], total: float
    ) -> None:
        # prometheus_client has no public way to add many observations at once.
        child = self[spec].labels(*labels)
        child._sum.inc(total)
        for value, calls in zip(child._buckets, buckets, strict=True):
            if calls:
                value.inc(calls)

    def _carry_charge(self, table: str, operation: str, index: str, units: float) -> None:
        self._charged(table, operation, index, units)
        key = (DYNAMODB, table, operation)
        self._window[key] = self._window.get(key, Totals()) + Totals(capacity=units)

    def _charged(self, table: str, operation: str, index: str, units: float) -> None:
        mode = "read" if operation in READS else "write"
        self[CAPACITY].labels(table, operation, index, mode).inc(units)


class _Current(Collector):
    """What the default registry shows of this layer: always today's metrics."""

    def collect(self) -> Iterable[Metric]:
        _metrics.drain()
        return list(_metrics.registry.collect())

    def describe(self) -> Iterable[Metric]:
        return []


# Called, without arguments, when something is measured for the first time.
on_new_series: list[Callable[[], None]] = []
_metrics = Metrics()
REGISTRY.register(_Current())


def current() -> Metrics:
    """This process's metrics."""
    return _metrics


def renew() -> None:
    """Begin at nought, with locks that nobody holds: in a forked child, and in tests."""
    global _metrics
    _metrics = Metrics()


os.register_at_fork(after_in_child=renew)
