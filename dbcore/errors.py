"""The errors of the layer that a caller may catch, under one base class."""

from __future__ import annotations


class DbcoreError(Exception):
    """Something the database layer cannot do; the message says what, where and what to do."""


class ConfigurationError(DbcoreError):
    """A setting or declaration does not make sense."""


class InvalidValue(DbcoreError, ValueError):
    """A value that the store cannot keep unchanged."""
