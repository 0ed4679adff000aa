"""Windows of measurements sent to CloudWatch, by PutMetricData.

CloudWatch may be slow or away: nothing here is called by a request, and what waits is bounded.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from django.conf import settings

from dbcore import aws
from dbcore.monitoring.metrics import Key
from dbcore.monitoring.records import Window
from dbcore.monitoring.totals import Totals

# Source: CloudWatch API reference, PutMetricData: 1000 metrics and 1 MB a request.
MAX_METRICS = 1000
MAX_BYTES = 1_000_000
CONNECT_TIMEOUT = 2.0  # seconds
READ_TIMEOUT = 5.0  # seconds
# Of the body as CBOR or form that botocore makes of it, beyond our JSON: names of parameters.
_MARGIN = 2.0

Datum = dict[str, Any]


def _client() -> Any:
    return aws.client(
        "cloudwatch", settings.DYNAMODB_REGION, settings.DB_CLOUDWATCH_ENDPOINT,
        "DB_CLOUDWATCH_ENDPOINT",
        connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, attempts=2,
    )  # fmt: skip


class Sender:
    """Sends windows. Of one that is tried again, what CloudWatch has taken is not sent again: it
    would count twice."""

    def __init__(self) -> None:
        self._window: Window | None = None
        self._taken = 0  # batches of it

    def send(self, window: Window) -> None:
        """Send a window; a ClientError or BotoCoreError where CloudWatch does not take it, and
        ConfigurationError for an endpoint in plain text."""
        if window is not self._window:
            self._window, self._taken = window, 0
        client = _client()
        for batch in itertools.islice(batches(list(data_of(window))), self._taken, None):
            client.put_metric_data(Namespace=settings.DB_CLOUDWATCH_NAMESPACE, MetricData=batch)
            self._taken += 1


def batches(data: Sequence[Datum]) -> Iterator[list[Datum]]:
    """The data in requests that CloudWatch takes."""
    batch: list[Datum] = []
    size = 0
    for datum in data:
        takes = math.ceil(len(orjson.dumps(datum)) * _MARGIN)
        if batch and (len(batch) == MAX_METRICS or size + takes > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(datum)
        size += takes
    if batch:
        yield batch


def data_of(window: Window) -> Iterator[Datum]:
    """A window's metrics: of each operation on each table, and of each pool."""
    for key, totals in window.totals.items():
        yield from _of_operation(window, key, totals)
    for name, peak in window.pools.items():
        pool = [{"Name": "Pool", "Value": name}]
        yield _datum("ConnectionsUsed", window, pool, "Count", Value=float(peak.used))
        yield _datum("ConnectionsPending", window, pool, "Count", Value=float(peak.pending))


def _of_operation(window: Window, key: Key, totals: Totals) -> Iterator[Datum]:
    _, table, operation = key
    dimensions = [
        {"Name": "Table", "Value": table},
        {"Name": "Operation", "Value": operation},
    ]
    if totals.count:
        statistics = {
            "SampleCount": float(totals.count),
            "Sum": totals.seconds * 1000,
            "Minimum": totals.least * 1000,
            "Maximum": totals.worst * 1000,
        }
        yield _datum("Latency", window, dimensions, "Milliseconds", StatisticValues=statistics)
        # Also where there were none: an alarm on the rate needs the zeros.
        yield _counted("Errors", window, dimensions, totals.errors, totals.count)
        yield _counted("Throttles", window, dimensions, totals.throttles, totals.count)
    if totals.rows:
        yield _datum("Rows", window, dimensions, "Count", Value=float(totals.rows))
    if totals.capacity:
        yield _datum("ConsumedCapacity", window, dimensions, "Count", Value=totals.capacity)


def _counted(name: str, window: Window, dimensions: Any, some: int, calls: int) -> Datum:
    """So many of the calls: its average is the rate, its sum the number."""
    statistics = {
        "SampleCount": float(calls),
        "Sum": float(some),
        "Minimum": 0.0 if some < calls else 1.0,
        "Maximum": 1.0 if some else 0.0,
    }
    return _datum(name, window, dimensions, "Count", StatisticValues=statistics)


def _datum(name: str, window: Window, dimensions: Any, unit: str, **value: Any) -> Datum:
    moment = window.start.replace(microsecond=0)
    return {
        "MetricName": name, "Dimensions": dimensions, "Timestamp": moment, "Unit": unit, **value,
    }  # fmt: skip
