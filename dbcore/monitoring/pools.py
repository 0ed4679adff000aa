"""Connections: in use, idle, waited for. Looked at when metrics are read, and every few seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connections

from dbcore.monitoring.metrics import Metrics, current
from dbcore.monitoring.specs import CACHE_READS, CONNECTION_MAX, CONNECTIONS, PENDING
from dbcore.stores.caching import COUNTERS
from dbcore.wire import open_connections

# Asked for the calls that wait for a thread in which to call DynamoDB.
WAITING: list[Callable[[], int]] = []


@dataclass(frozen=True, slots=True)
class PoolUse:
    """A pool as it is now, in this process. `limit`: the connections that it keeps (dynamodb, which
    opens more where more are needed) or allows (SQL)."""

    name: str
    used: int
    idle: int
    pending: int
    limit: int

    @property
    def share(self) -> float:
        """What is used of the limit; more than 1 where DynamoDB's is exceeded."""
        return self.used / self.limit if self.limit else 0.0


def pools() -> list[PoolUse]:
    """DynamoDB's pool, and that of each SQL alias that has one."""
    opened, idle = open_connections()
    pending = sum(ask() for ask in WAITING)
    limit = max(settings.DYNAMODB_POOL_SIZE, 1)
    found = [PoolUse("dynamodb", max(opened - idle, 0), idle, pending, limit)]
    with_pool = (a for a, each in connections.settings.items() if each["OPTIONS"].get("pool"))
    return [*found, *map(_sql_pool, with_pool)]


def _sql_pool(alias: str) -> PoolUse:
    wrapper: Any = connections[alias]
    pool = wrapper.pool
    told = pool.get_stats()
    idle = told.get("pool_available", 0)
    # Django's own pool counts those that are being made, and some before it is opened.
    made = 0 if pool.closed else told.get("pool_size", 0)
    used = getattr(pool, "used", made - idle)
    return PoolUse(alias, used, idle, told.get("requests_waiting", 0), told.get("pool_max", 0))


class Gauges:
    """Sets this process's gauges. One for each process: it remembers what it has counted."""

    def __init__(self) -> None:
        self._metrics: Metrics | None = None
        self._reads: dict[str, float] = {}

    def refresh(self) -> list[PoolUse]:
        """Look at the pools and the cache, and carry on what was counted, so that processes which
        share their counters see it; the pools as they are."""
        metrics = current()
        metrics.drain()
        if metrics is not self._metrics:  # after a fork
            self._metrics, self._reads = metrics, {}
        seen = pools()
        for pool in seen:
            metrics[CONNECTIONS].labels(pool.name, "used").set(pool.used)
            metrics[CONNECTIONS].labels(pool.name, "idle").set(pool.idle)
            metrics[CONNECTION_MAX].labels(pool.name).set(pool.limit)
            metrics[PENDING].labels(pool.name).set(pool.pending)
        stats = COUNTERS.stats()
        outcomes = ("hit", "hits"), ("miss", "misses"), ("refused",) * 2, ("bypassed",) * 2
        for outcome, name in outcomes:
            more = stats[name] - self._reads.get(name, 0.0)
            if more > 0:
                metrics[CACHE_READS].labels(outcome).inc(more)
            self._reads[name] = stats[name]
        return seen


GAUGES = Gauges()
