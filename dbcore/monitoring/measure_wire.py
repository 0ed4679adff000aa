"""The wire's hook: every finished call to DynamoDB, measured. It never raises into a call."""

from __future__ import annotations

import sys
from logging import WARNING
from typing import Any

from botocore.exceptions import ClientError

from dbcore.logs import Event
from dbcore.monitoring.labels import DYNAMODB, collection
from dbcore.monitoring.metrics import Metrics, current
from dbcore.monitoring.series import Series
from dbcore.monitoring.slow import Shape, log_failed, log_slow
from dbcore.monitoring.switch import is_off
from dbcore.wire import Call
from dbcore.wire.answers import cancellation_codes

NOT_MEASURED = Event(
    "dbcore.monitoring.measuring", (WARNING,), "calls are not measured", (),
    "measuring has failed, for the first time in a process",
)  # fmt: skip
CANCELLED = "TransactionCanceledException"
# Reasons of a database that is well: a condition does not hold, another was quicker.
_REFUSED_ACTION = frozenset({"ConditionalCheckFailed", "TransactionConflict", "DuplicateItem"})
_PARTS = ("LocalSecondaryIndexes", "GlobalSecondaryIndexes")
_said = False  # that measuring fails


def measure_call(call: Call) -> None:
    """Count a call."""
    if is_off():
        return
    try:
        metrics = current()
        error = call.error if call.error != CANCELLED else why_cancelled(call.failure)
        key = (call.operation, call.table, call.index, error)
        series = metrics.series.get(key) or _new_series(metrics, key)
        units, capacity, seconds = 0.0, call.capacity, call.seconds
        if capacity:
            if isinstance(capacity, dict) and "Table" not in capacity:
                units = capacity["CapacityUnits"]
            else:
                _charge(metrics, call, capacity)
        series.add(seconds, call.rows, units)
        if call.retries:
            series.tried_again(call.retries, call.throttles)
        if seconds > series.slow:
            log_slow(series.shape, seconds, error)
        if error is not None:
            log_failed(series.shape, seconds, error)
    except Exception:
        failed_to_measure()


def why_cancelled(failure: Exception | None) -> str:
    """The error of a cancelled transaction: DynamoDB's own where it was refused or does not say
    why, else the first reason that is none of a database that is well."""
    codes = cancellation_codes(failure) if isinstance(failure, ClientError) else set()
    return min(codes - _REFUSED_ACTION, default=CANCELLED)


def failed_to_measure() -> None:
    """Count that something could not be measured; the log is told once, with the traceback."""
    global _said
    current().failure("measuring")
    if not _said:
        _said = True
        NOT_MEASURED.log(traceback=sys.exc_info()[1])


def _new_series(metrics: Metrics, key: tuple[str, str, str, str | None]) -> Series:
    operation, names, index, error = key
    return metrics.new_series(key, Shape(DYNAMODB, collection(names), operation, index), error)


def _charge(metrics: Metrics, call: Call, capacity: Any) -> None:
    """Count capacity by table, and by index where DynamoDB was asked to tell them apart."""
    for each in [capacity] if isinstance(capacity, dict) else capacity:
        table = collection(each["TableName"])
        if "Table" not in each:
            metrics.charge(table, call.operation, call.index, each["CapacityUnits"])
            continue
        metrics.charge(table, call.operation, "", each["Table"]["CapacityUnits"])
        for part in _PARTS:
            for index, units in each.get(part, {}).items():
                metrics.charge(table, call.operation, index, units["CapacityUnits"])
