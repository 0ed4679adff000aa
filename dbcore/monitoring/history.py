"""What all processes measured lately, read back from `performance_metrics`.

Reading it is not measured. It costs one query for the list of series and one for each series.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dbcore.monitoring.metrics import Key
from dbcore.monitoring.records import LIST, POOLS, PoolPeak, instant, key_of, metrics_model
from dbcore.monitoring.switch import unmeasured
from dbcore.monitoring.totals import Totals
from dbcore.stores.choice import primary_store
from dbcore.stores.interface import Position, Query

_PAGE = 100


@dataclass(frozen=True, slots=True)
class SourcePool:
    """The most that one process used of a pool. `source`: its host and process id."""

    source: str
    peak: PoolPeak


def recent(minutes: float, now: dt.datetime) -> dict[tuple[str, str], Totals]:
    """The totals of all windows that began in the last `minutes`, of all processes, by table and
    operation. StoreUnavailable."""
    found: dict[tuple[str, str], Totals] = {}
    for (_, table, operation), each in recent_by_system(minutes, now).items():
        found[table, operation] = found.get((table, operation), Totals()) + each
    return found


def recent_by_system(minutes: float, now: dt.datetime) -> dict[Key, Totals]:
    """The same by system, table and operation."""
    found: dict[Key, list[Totals]] = {}
    for key, _, totals in windows(minutes, now):
        found.setdefault(key, []).append(totals)
    return {key: sum(parts, Totals()) for key, parts in found.items()}


def windows(minutes: float, now: dt.datetime) -> list[tuple[Key, dt.datetime, Totals]]:
    """Each process's windows that began in the last `minutes`: what was measured, when the window
    began, what it counted. StoreUnavailable."""
    since = now - dt.timedelta(minutes=minutes)
    with unmeasured():
        return [
            (key_of(series), record.started_at, _totals(record))
            for series in _series()
            for record in _records(series, since, now)
        ]


def recent_pools(minutes: float, now: dt.datetime) -> list[SourcePool]:
    """The peaks of each process's pools in the windows that began in the last `minutes`."""
    since = now - dt.timedelta(minutes=minutes)
    peaks: dict[tuple[str, str], PoolPeak] = {}
    with unmeasured():
        for record in _records(POOLS, since, now):
            source = record.window.partition("#")[2]
            for name, use in record.duration.items():
                peak = PoolPeak(name, int(use["used"]), int(use["pending"]), int(use["limit"]))
                known = peaks.get((source, name))
                peaks[source, name] = max(known, peak, key=_use) if known else peak
    return [SourcePool(source, peak) for (source, _), peak in sorted(peaks.items())]


def _use(peak: PoolPeak) -> tuple[float, int]:
    return peak.share, peak.pending


def _series() -> list[str]:
    return [record.window for record in _newest_first(LIST)]


def _records(series: str, since: dt.datetime, now: dt.datetime) -> Iterator[Any]:
    """The records of a series whose windows began from `since` to `now`."""
    first, last = instant(since), instant(now)
    for record in _newest_first(series):
        began = record.window.partition("#")[0]
        if began < first:
            return
        if began <= last:
            yield record


def _newest_first(series: str) -> Iterator[Any]:
    store, after = primary_store(cached=False), None
    while True:
        query = Query(metrics_model(), "series", series, order="window", limit=_PAGE, after=after)
        records, end = store.query(query)
        yield from records
        if end is None:
            return
        after = Position(end.order, end.key)


def _totals(record: Any) -> Totals:
    return Totals.from_json(
        record.duration,
        count=record.count,
        errors=record.errors,
        rows=record.rows,
        capacity=float(record.capacity),
    )
