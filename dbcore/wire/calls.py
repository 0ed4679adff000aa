"""What one call was: its request, and the facts that a measurement needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from logging import DEBUG
from typing import Any

from dbcore.logs import Event

RETRIED = Event(
    "dbcore.wire", (DEBUG,), "call tried again", ("operation", "tables", "retry", "error"),
    "a call to DynamoDB was throttled, or its connection or answer broken: number `retry` follows",
)  # fmt: skip


@dataclass(slots=True)
class Call:
    """One finished call, retries included. `capacity` is DynamoDB's ConsumedCapacity as answered
    (a dict, a list of dicts, or None where it was not asked for)."""

    operation: str
    table: str  # several, joined by commas, for a batch or transaction over several tables
    seconds: float
    retries: int
    throttles: int
    capacity: Any
    error: str | None  # DynamoDB's error code, or the exception's name
    rows: int | None = None  # items that a read returned; None of other calls, and of errors
    index: str = ""  # the index that was read
    failure: Exception | None = None  # what the caller is about to be told, where it failed


Hook = Callable[[Call], None]


def rows_of(answer: Mapping[str, Any]) -> int | None:
    """How many items an answer has; None where it is not that of a read."""
    if "Item" in answer:
        return 1
    if "Count" in answer:
        return int(answer["Count"])
    found = answer.get("Responses")
    if isinstance(found, dict):  # of BatchGetItem, by table
        return sum(map(len, found.values()))
    if found is not None:  # of TransactGetItems
        return sum("Item" in each for each in found)
    return None


def tables_of(payload: Mapping[str, Any]) -> str:
    """The table or tables that a request is about."""
    name = payload.get("TableName")
    if name is not None:
        return str(name)
    if "RequestItems" in payload:
        return ",".join(payload["RequestItems"])
    if "TransactItems" in payload:
        names = (next(iter(each.values()))["TableName"] for each in payload["TransactItems"])
        return ",".join(dict.fromkeys(names))
    return ""
