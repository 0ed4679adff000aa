"""What monitoring does itself is not measured: else writing a measurement would be one more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_off = ContextVar("dbcore_unmeasured", default=False)
is_off = _off.get


@contextmanager
def unmeasured() -> Iterator[None]:
    """No call of this thread or task is measured inside."""
    token = _off.set(True)
    try:
        yield
    finally:
        _off.reset(token)
