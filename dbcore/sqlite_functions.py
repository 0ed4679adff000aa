"""SQL functions that SQLite must answer as Python does, on every connection that Django makes."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created


def lowered(value: Any) -> Any:
    """LOWER() as Python sees lower case.

    SQLite's own knows ASCII alone. The unique constraint on LOWER(email), look-ups by email and
    DynamoDB's guards must agree on which addresses are one: the guards go by `str.lower`.
    """
    return value.lower() if isinstance(value, str) else value


def register_functions(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Give a new SQLite connection the functions of this file."""
    if connection.vendor == "sqlite":
        # Deterministic: only such functions may be part of an index.
        connection.connection.create_function("LOWER", 1, lowered, deterministic=True)


connection_created.connect(register_functions, dispatch_uid="dbcore.sqlite_functions")
