"""What can go wrong in retention, for a person to read."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError

from dbcore.errors import DbcoreError


class RetentionError(DbcoreError):
    """A sweep, restore, hold or erasure cannot be done; the message says why and what to do."""


class NotProven(RetentionError):
    """An archive does not hold, on being read back, what was put into it. Nothing of it may be
    deleted."""

    names_records = False


class StorageFailed(RetentionError):
    """The place where archives stand did not answer, or not with what was asked for."""

    names_records = False

    @property
    def unreachable(self) -> bool:
        """Whether it did not answer at all, so that asking for another archive is of no use."""
        return isinstance(self.__cause__, BotoCoreError)


class NotThawed(RetentionError):
    """An archive is in a class of storage that cannot be read at once; thawing was asked for."""

    names_records = False


class HeldByLaw(RetentionError):
    """A legal hold forbids it; the message names the hold."""
