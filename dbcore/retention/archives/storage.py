"""What a shelf asks of the Django storage behind it, beside what every Django storage does.

Two answer: `files.FileArchives` and `s3.S3Archives`. Neither ever writes over an existing name, nor
chooses another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol


class Frozen(Exception):
    """The object is in a class of storage that cannot be read at once."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What can be told of an object without opening it."""

    bytes: int
    sha256: str | None  # in hex; None: the storage does not know it
    storage_class: str  # "" where there are none
    frozen: bool  # it must be thawed before it can be read


class ArchiveStorage(Protocol):
    """A place for objects. Names are relative, with forward slashes."""

    def check(self) -> None:
        """ConfigurationError when nothing can be written here. Changes nothing."""

    def save(self, name: str, content: Any) -> str:
        """Write a new file, durably; FileExistsError when there is one."""

    def read(self, name: str) -> bytes:
        """A whole file; FileNotFoundError, Frozen."""

    def facts(self, name: str) -> Facts:
        """What can be told of a file; FileNotFoundError."""

    def delete(self, name: str) -> None:
        """Remove a file; nothing happens when there is none."""

    def names(self, prefix: str = "") -> Iterator[str]:
        """The names that begin so, in order."""

    def sweep_parts(self, prefix: str) -> None:
        """Remove what killed writes of names that begin so have left."""

    def settle(self, name: str, storage_class: str) -> None:
        """Have the file moved to a class of storage, where there are classes."""

    def thaw(self, name: str) -> str:
        """Ask for a frozen file to be thawed, unless it was asked already; what to tell people."""
