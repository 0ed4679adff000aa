"""What can go wrong in retention, for a person to read."""

from __future__ import annotations

from dbcore.errors import DbcoreError


class RetentionError(DbcoreError):
    """A sweep, restore, hold or erasure cannot be done; the message says why and what to do."""


class NotProven(RetentionError):
    """An archive does not hold, on being read back, what was put into it. Nothing of it may be
    deleted."""

    names_records = False


class NotThawed(RetentionError):
    """An archive is in a class of storage that cannot be read at once; thawing was asked for."""

    names_records = False


class HeldByLaw(RetentionError):
    """A legal hold forbids it; the message names the hold."""
