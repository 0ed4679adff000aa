"""The metrics that Prometheus reads, declared: named after OpenTelemetry's database conventions.

The table in docs/monitoring.md is made from these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dbcore.monitoring.totals import BOUNDS

ROW_BOUNDS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)

SYSTEM = "db_system_name"
TABLE = "db_collection_name"
OPERATION = "db_operation_name"
ERROR = "error_type"
INDEX = "aws_dynamodb_index_name"
MODE = "aws_dynamodb_capacity_mode"
POOL = "db_client_connection_pool_name"
STATE = "db_client_connection_state"


@dataclass(frozen=True, slots=True)
class Spec:
    """A metric as it is declared."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str  # a counter's without _total, which Prometheus adds
    labels: tuple[str, ...]
    meaning: str
    convention: str = ""  # OpenTelemetry's name, where it has one
    bounds: tuple[float, ...] = ()


DURATION = Spec(
    "histogram", "db_client_operation_duration_seconds", (SYSTEM, TABLE, OPERATION, ERROR),
    "Seconds of one call with its retries, or of one SQL statement. error_type is empty where it "
    "succeeded, else DynamoDB's code or the exception's class",
    "db.client.operation.duration", BOUNDS,
)  # fmt: skip
ROWS = Spec(
    "histogram", "db_client_response_returned_rows", (SYSTEM, TABLE, OPERATION),
    "Rows or items that a call returned, or that a SQL write changed. SQLite does not tell it of a "
    "SELECT",
    "db.client.response.returned_rows", ROW_BOUNDS,
)  # fmt: skip
CAPACITY = Spec(
    "counter", "aws_dynamodb_consumed_capacity_units", (TABLE, OPERATION, INDEX, MODE),
    "Capacity units that DynamoDB charged, by table and index (empty: the table itself); "
    "mode is read or write",
    "aws.dynamodb.consumed_capacity",
)  # fmt: skip
RETRIES = Spec(
    "counter", "db_client_operation_retries", (TABLE, OPERATION),
    "Tries of a call to DynamoDB beyond its first",
)  # fmt: skip
THROTTLES = Spec(
    "counter", "aws_dynamodb_throttled_requests", (TABLE, OPERATION),
    "Answers by which DynamoDB refused a try for its rate",
)  # fmt: skip
CONNECTIONS = Spec(
    "gauge", "db_client_connection_count", (POOL, STATE),
    "Open connections; state is used or idle", "db.client.connection.count",
)  # fmt: skip
CONNECTION_MAX = Spec(
    "gauge", "db_client_connection_max", (POOL,),
    "Connections that the pool keeps (dynamodb) or allows (SQL)", "db.client.connection.max",
)  # fmt: skip
PENDING = Spec(
    "gauge", "db_client_connection_pending_requests", (POOL,),
    "Calls that wait for a connection or a thread", "db.client.connection.pending_requests",
)  # fmt: skip
CACHE_READS = Spec(
    "counter", "dbcore_cache_reads", ("outcome",),
    "Reads of cached models: hit, miss, refused (an entry that was not kept for that record) or "
    "bypassed (the cache was down, or the caller inside a transaction)",
)  # fmt: skip
FAILURES = Spec(
    "counter", "dbcore_monitoring_failures", ("part",),
    "What monitoring itself could not do: measuring, records (performance_metrics), cloudwatch, "
    "dropped (windows given up for want of room), sentry (events that it did not take)",
)  # fmt: skip
SPECS = (
    DURATION, ROWS, CAPACITY, RETRIES, THROTTLES, CONNECTIONS, CONNECTION_MAX, PENDING, CACHE_READS,
    FAILURES,
)  # fmt: skip
