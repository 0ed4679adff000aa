"""A call's docstring tells every error that it may raise: callers go by it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from daylight import database
from daylight.services.base import Service

READING = ("get_", "list_", "is_", "verify")
CALLS = [
    pytest.param(call, id=f"{type(service).__name__}.{name}")
    for service in vars(database).values()
    if isinstance(service, Service)
    for name, call in vars(type(service)).items()
    if not name.startswith("_") and f"a{name}" in vars(type(service))
]


@pytest.mark.parametrize("call", CALLS)
def test_every_call_tells_what_every_store_may_raise(call: Any) -> None:
    text = inspect.getdoc(call) or ""
    assert "StoreUnavailable" in text and "InvalidRecord" in text
    # Any write may meet others': in SQL a transaction that is ended for another's sake, in
    # DynamoDB one that is under way on the same record.
    assert ("Conflict" in text) is not call.__name__.startswith(READING)
