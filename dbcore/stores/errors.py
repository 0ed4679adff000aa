"""What a store refuses or cannot do: the same errors from either store, under one base class."""

from __future__ import annotations

from dbcore.errors import DbcoreError


class StoreError(DbcoreError):
    """A call to a store did not do what was asked; nothing is half-written."""


class RecordNotFound(StoreError):
    """There is no such record, or it belongs to somebody else."""


class AlreadyExists(StoreError):
    """A record with this key is there already."""


class UniqueViolation(StoreError):
    """Another record has this value of a unique field."""

    def __init__(self, field: str, message: str = "") -> None:
        super().__init__(message or f"{field} belongs to another record")
        self.field = field


class Conflict(StoreError):
    """The record was changed meanwhile; read it again and decide anew."""


class InvalidRecord(StoreError, ValueError):
    """A value cannot be kept, or makes no sense. `field` says which, `why` what is wrong."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field} {why}")
        self.field = field
        self.why = why


class UnreadableRecord(StoreError):
    """A record is there and has a value that its field cannot have: it must be repaired first."""


class StoreUnavailable(StoreError):
    """The store is throttled or out of reach, after all retries."""
