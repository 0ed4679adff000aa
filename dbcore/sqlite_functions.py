"""What SQLite must answer as Python does, on every connection that Django makes: SQL functions, and
what it reads. A value that is none of its column's may not pass for another.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.utils.dateparse import parse_datetime


def lowered(value: Any) -> Any:
    """LOWER() as Python sees lower case.

    SQLite's own knows ASCII alone. The unique constraint on LOWER(email), look-ups by email and
    DynamoDB's guards must agree on which addresses are one: the guards go by `str.lower`.
    """
    return value.lower() if isinstance(value, str) else value


def read_boolean(raw: bytes) -> bool:
    """A stored boolean; ValueError for what is none. Django would take it for false."""
    if raw not in (b"0", b"1"):
        raise ValueError("not a boolean")
    return raw == b"1"


def read_datetime(raw: bytes) -> dt.datetime:
    """A stored datetime; ValueError for what is none. Django would take some of that for null: an
    API key whose expiry is broken would never expire. (An empty text is null to sqlite3 itself.)"""
    try:
        found = parse_datetime(raw.decode())
    except ValueError:  # its words may quote what is there
        found = None
    if found is None:
        raise ValueError("not a date")
    return found


def register_functions(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Give a new SQLite connection the functions of this file."""
    if connection.vendor == "sqlite":
        # In place of Django's, which has registered its own when it was imported.
        sqlite3.register_converter("bool", read_boolean)
        sqlite3.register_converter("datetime", read_datetime)
        # Deterministic: only such functions may be part of an index.
        connection.connection.create_function("LOWER", 1, lowered, deterministic=True)


connection_created.connect(register_functions, dispatch_uid="dbcore.sqlite_functions")
