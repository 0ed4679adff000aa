"""Files with people's data in the clear: for their owner's eyes only, and never over another."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dbcore.attributes import Item
from dbcore.private_files import opener, private_folder
from dbcore.retention.archives.content import compress, decompress, to_lines
from dbcore.retention.archives.files import write_new
from dbcore.retention.errors import NotProven, RetentionError


def write_lines(path: Path, items: Sequence[Item]) -> None:
    """Write records as gzip-compressed DynamoDB JSON lines, which ImportTable reads; whole or not
    at all. RetentionError when it cannot be written, or is there."""
    try:
        private_folder(path.parent)
        write_new(path, compress(to_lines(items)))
    except OSError as error:
        raise RetentionError(f"{path} cannot be written: {error.strerror or error}") from error


def holds_lines(path: Path, items: Sequence[Item]) -> bool:
    """Whether a file is what `write_lines` would write of these records; one that cannot be read is
    not."""
    try:
        return decompress(path.read_bytes()) == to_lines(items)
    except (OSError, NotProven):
        return False


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A new file to write to, which is there under its name only once all of it is written.

    RetentionError when it cannot be written, or is there. A killed writer leaves a hidden
    `.NAME.….part` behind, readable by its owner alone.
    """
    if path.exists():
        raise RetentionError(f"{path} is there already, and is not written over")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        handle = opener(str(part), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.link(part, path)  # unlike a rename, it refuses a name that is taken
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
    except OSError as error:
        raise RetentionError(f"{path} cannot be written: {error.strerror or error}") from error
