"""Windows of measurements as records of `performance_metrics`: how they are written, and named.

One record for each operation on each table, host process and window. Two kinds of record beside
them: the list of series, so that a reader need not guess what there is, and the use of pools.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import models

from dbcore.monitoring.labels import DYNAMODB
from dbcore.monitoring.metrics import Key
from dbcore.monitoring.pools import PoolUse
from dbcore.monitoring.totals import Totals
from dbcore.stores.choice import primary_store

LIST = "#series"  # the series in which each record's window is the name of a series
POOLS = "#pools"  # the series with the use of pools
_HOST_LENGTH = 60


@dataclass(frozen=True, slots=True)
class PoolPeak:
    """The most that one process used of a pool in a window, and its limit then."""

    name: str
    used: int
    pending: int
    limit: int

    @property
    def share(self) -> float:
        """The greatest part of the limit that was used; more than 1 where DynamoDB's, which only
        says how many connections are kept, was exceeded."""
        return self.used / self.limit if self.limit else 0.0

    @classmethod
    def of(cls, pool: PoolUse, before: PoolPeak | None) -> PoolPeak:
        """The peak of what was seen before and is now."""
        if before is None:
            return cls(pool.name, pool.used, pool.pending, pool.limit)
        used, pending = max(before.used, pool.used), max(before.pending, pool.pending)
        return cls(pool.name, used, pending, pool.limit)


@dataclass(frozen=True, slots=True)
class Window:
    """What one process measured from `start` to `end`."""

    start: dt.datetime
    end: dt.datetime
    totals: Mapping[Key, Totals]
    pools: Mapping[str, PoolPeak] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end - self.start).total_seconds()


def metrics_model() -> Any:
    """The model that DBCORE_METRICS_MODEL names."""
    return apps.get_model(settings.DBCORE_METRICS_MODEL)


def source() -> str:
    """This process among all that report."""
    return f"{socket.gethostname()[:_HOST_LENGTH]}-{os.getpid()}"


def series_name(key: Key) -> str:
    """The series of an operation on a table. The system follows from the operation's name, except
    that a SQL database is named."""
    system, table, operation = key
    return f"{table}#{operation}" + ("" if system == DYNAMODB else f"#{system}")


def key_of(series: str) -> Key:
    """What `series_name` was given."""
    table, operation, *system = series.split("#")
    return (system[0] if system else DYNAMODB, table, operation)


def instant(moment: dt.datetime) -> str:
    """A moment as the beginning of a window's name: names are in the order of time."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


class RecordWriter:
    """Writes windows through the primary store. Writing one again changes nothing."""

    def __init__(self) -> None:
        self._listed: dict[str, dt.date] = {}

    def write(self, window: Window) -> None:
        """All records of a window; StoreUnavailable, or whatever else a store raises."""
        store = primary_store(cached=False)
        for key, totals in window.totals.items():
            store.put(_totals_record(window, key, totals))
            self._list(series_name(key), window.start)
        if window.totals and window.pools:
            # Not alone: where nothing was asked of a database, a pool is not worth a record.
            store.put(_pools_record(window))

    def _list(self, series: str, moment: dt.datetime) -> None:
        """Note that a series exists; again each day, since records expire."""
        if self._listed.get(series) == moment.date():
            return
        listed = _record(LIST, series, moment, 86_400)
        primary_store(cached=False).put(listed)
        self._listed[series] = moment.date()


def _record(series: str, window: str, start: dt.datetime, seconds: float) -> Any:
    return metrics_model()(
        series=series,
        window=window,
        started_at=start,
        window_seconds=max(round(seconds), 1),
        capacity=Decimal(0),
    )


def _named(window: Window) -> str:
    return f"{instant(window.start)}#{source()}"


def _totals_record(window: Window, key: Key, totals: Totals) -> models.Model:
    record = _record(series_name(key), _named(window), window.start, window.seconds)
    record.count = totals.count
    record.errors = totals.errors
    record.rows = totals.rows
    record.capacity = Decimal(str(round(totals.capacity, 1)))
    record.duration = totals.as_json()
    return record  # type: ignore[no-any-return]


def _pools_record(window: Window) -> models.Model:
    record = _record(POOLS, _named(window), window.start, window.seconds)
    record.count = len(window.pools)
    record.duration = {
        name: {"used": peak.used, "pending": peak.pending, "limit": peak.limit}
        for name, peak in window.pools.items()
    }
    return record  # type: ignore[no-any-return]
