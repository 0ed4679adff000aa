"""What the layer has done lately, as plain data: behind `get_database_metrics()`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TypedDict

from dbcore.monitoring.history import recent_by_system
from dbcore.monitoring.metrics import Key, current
from dbcore.monitoring.pools import pools
from dbcore.monitoring.slow import ShapeTotals
from dbcore.monitoring.totals import Totals
from dbcore.stores.caching import COUNTERS
from dbcore.stores.errors import StoreError


class OperationMetrics(TypedDict):
    """One operation on one table. Times are in milliseconds; `error_rate` is 0 to 1; `refused`
    counts answers such as a condition that does not hold, which are no errors."""

    count: int
    errors: int
    error_rate: float
    refused: int
    rows: int
    capacity: float
    retries: int
    throttles: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    worst_ms: float


class PoolMetrics(TypedDict):
    """A pool of this process, now."""

    used: int
    idle: int
    pending: int
    limit: int
    share: float


class QueryMetrics(TypedDict):
    """A shape of query in this process since it began. `share`: of the time of all queries."""

    query: str
    system: str
    table: str
    operation: str
    index: str
    count: int
    errors: int
    total_ms: float
    mean_ms: float
    worst_ms: float
    share: float
    last_error: str
    last_error_at: str | None


class WindowMetrics(TypedDict):
    """Which calls are counted. `scope`: "all processes", or "this process" where
    `performance_metrics` could not be read."""

    start: str
    end: str
    seconds: float
    scope: str


class DatabaseMetrics(TypedDict):
    """What `get_database_metrics` returns: `stores` is by system, table and operation."""

    window: WindowMetrics
    stores: dict[str, dict[str, dict[str, OperationMetrics]]]
    pools: dict[str, PoolMetrics]
    cache: dict[str, float]
    slow_queries: list[QueryMetrics]
    failed_queries: list[QueryMetrics]


def database_metrics(minutes: float, now: dt.datetime) -> DatabaseMetrics:
    """The last `minutes` of all processes, and what this one has not reported yet; pools, cache and
    queries are this process's own. JSON can carry it."""
    totals, scope = _totals(minutes, now)
    stores: dict[str, dict[str, dict[str, OperationMetrics]]] = {}
    for (system, table, operation), each in sorted(totals.items()):
        stores.setdefault(system, {}).setdefault(table, {})[operation] = _operation(each)
    current().drain()
    shapes = current().shapes
    return {
        "window": {
            "start": (now - dt.timedelta(minutes=minutes)).isoformat(),
            "end": now.isoformat(),
            "seconds": minutes * 60,
            "scope": scope,
        },
        "stores": stores,
        "pools": {
            pool.name: {
                "used": pool.used,
                "idle": pool.idle,
                "pending": pool.pending,
                "limit": pool.limit,
                "share": round(pool.share, 3),
            }
            for pool in pools()
        },
        "cache": COUNTERS.stats(),
        "slow_queries": [_query(each) for each in shapes.top()],
        "failed_queries": [_query(each) for each in shapes.top(failed=True)],
    }


def _totals(minutes: float, now: dt.datetime) -> tuple[Mapping[Key, Totals], str]:
    own = current().look()
    try:
        found = recent_by_system(minutes, now)
    except StoreError:
        return own, "this process"
    for key, totals in own.items():
        found[key] = found.get(key, Totals()) + totals
    return found, "all processes"


def _operation(totals: Totals) -> OperationMetrics:
    return {
        "count": totals.count,
        "errors": totals.errors,
        "error_rate": round(totals.error_rate, 4),
        "refused": totals.refused,
        "rows": totals.rows,
        "capacity": round(totals.capacity, 1),
        "retries": totals.retries,
        "throttles": totals.throttles,
        "mean_ms": _ms(totals.seconds / totals.count if totals.count else 0.0),
        "p50_ms": _ms(totals.p50),
        "p95_ms": _ms(totals.p95),
        "p99_ms": _ms(totals.p99),
        "worst_ms": _ms(totals.worst),
    }


def _query(each: ShapeTotals) -> QueryMetrics:
    shape, at = each.shape, each.last_error_at
    return {
        "query": str(shape),
        "system": shape.system,
        "table": shape.table,
        "operation": shape.operation,
        "index": shape.index,
        "count": each.count,
        "errors": each.errors,
        "total_ms": _ms(each.seconds),
        "mean_ms": _ms(each.seconds / each.count),
        "worst_ms": _ms(each.worst),
        "share": round(each.share, 4),
        "last_error": each.last_error,
        "last_error_at": None if at is None else dt.datetime.fromtimestamp(at, dt.UTC).isoformat(),
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
