"""Every SQL statement of every alias, measured by Django's execute_wrapper.

It never raises into a query and never says one of its own. The time is that of executing the
statement: rows that are fetched afterwards are not in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from dbcore.monitoring.measure_wire import failed_to_measure
from dbcore.monitoring.metrics import current
from dbcore.monitoring.shapes import statement, text_of
from dbcore.monitoring.slow import Shape, log_failed, log_slow
from dbcore.monitoring.switch import is_off


def measure_query(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Execute a statement and count it."""
    if is_off():
        return execute(sql, params, many, context)
    error: str | None = None
    began = time.perf_counter()
    try:
        return execute(sql, params, many, context)
    except Exception as raised:
        error = type(raised).__name__
        raise
    finally:
        seconds = time.perf_counter() - began
        try:
            _measure(sql, seconds, error, context)
        except Exception:
            failed_to_measure()


def watch(connection: BaseDatabaseWrapper, **_: object) -> None:
    """Have a connection measured; a receiver of connection_created."""
    if measure_query not in connection.execute_wrappers:
        # Not last: execute_wrapper() takes the last one off when its block ends.
        connection.execute_wrappers.insert(0, measure_query)


def _measure(sql: Any, seconds: float, error: str | None, context: dict[str, Any]) -> None:
    metrics = current()
    vendor = context["connection"].vendor
    told = statement(text_of(sql, context))
    key = (vendor, told.text, told.table, error)
    series = metrics.series.get(key)
    if series is None:
        shape = Shape(vendor, told.table, told.operation, text=told.text)
        series = metrics.new_series(key, shape, error)
    rows = -1 if error else context["cursor"].rowcount
    series.add(seconds, rows if rows >= 0 else None, 0.0)  # -1: the database does not tell
    if seconds > series.slow:
        log_slow(series.shape, seconds, error)
    if error is not None:
        log_failed(series.shape, seconds, error)
