"""Transactions, which DynamoDB does once however often they are sent."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any


def transaction(actions: Sequence[dict[str, Any]], *, capacity: str = "INDEXES") -> dict[str, Any]:
    """The request of a transaction of these actions, under a token of its own: for ten minutes,
    longer than any call is tried, DynamoDB does nothing twice under it."""
    return {
        "TransactItems": list(actions),
        "ClientRequestToken": str(uuid.uuid4()),
        "ReturnConsumedCapacity": capacity,
    }
