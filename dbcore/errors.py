"""The errors of the layer that a caller may catch, under one base class."""

from __future__ import annotations

from typing import ClassVar


class DbcoreError(Exception):
    """Something the database layer cannot do; the message says what, where and what to do."""

    # Whether a message may name a record or a user, or quote a value: the log then has none of it.
    names_records: ClassVar[bool] = True


class ConfigurationError(DbcoreError):
    """A setting or declaration does not make sense."""

    names_records = False


class InvalidValue(DbcoreError, ValueError):
    """A value that the store cannot keep unchanged."""
