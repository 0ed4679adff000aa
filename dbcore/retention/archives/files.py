"""Archives in a directory. A file appears whole and durable under its name, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.files.storage import FileSystemStorage

from dbcore.errors import ConfigurationError
from dbcore.private_files import opener, private_folder
from dbcore.retention.archives.manifest import TABLE_NAME
from dbcore.retention.archives.storage import Facts

_PART = ".part"  # what a write has under way, or a killed one has left


class FileArchives(FileSystemStorage):
    """A Django storage that writes each file once, whole, for its owner alone to read."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """The name itself: another would be a file that no manifest names."""
        return name

    def _save(self, name: str, content: Any) -> str:
        path = Path(self.path(name))
        private_folder(path.parent, made=lambda folder: _sync_directory(folder.parent))
        write_new(path, b"".join(content.chunks()))
        return name

    def check(self) -> None:
        there = Path(self.location)
        while not there.exists() and there != there.parent:
            there = there.parent
        if not there.is_dir():
            raise ConfigurationError(f"ARCHIVE_DIR {self.location}: {there} is not a directory")
        if not os.access(there, os.W_OK | os.X_OK):
            raise ConfigurationError(
                f"ARCHIVE_DIR {self.location}: this process may not write to {there}"
            )

    def read(self, name: str) -> bytes:
        return Path(self.path(name)).read_bytes()

    def facts(self, name: str) -> Facts:
        with Path(self.path(name)).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return Facts(file.tell(), digest, storage_class="", frozen=False)

    def names(self, prefix: str = "") -> Iterator[str]:
        return (name for name in self._all(prefix) if not name.endswith(_PART))

    def sweep_parts(self, prefix: str) -> None:
        folder, _, start = prefix.rpartition("/")
        for name in self._all(f"{folder}/.{start}" if folder else f".{start}"):
            if name.endswith(_PART):
                self.delete(name)

    def settle(self, name: str, storage_class: str) -> None:
        """A directory has no classes."""

    def thaw(self, name: str) -> str:
        raise AssertionError("files do not freeze")

    def _all(self, prefix: str) -> Iterator[str]:
        """Every file whose name begins so, in order; only the prefix's directory is looked into."""
        root = Path(self.location)
        above = root / prefix.rpartition("/")[0]
        foreign: list[str] = []
        for folder, folders, files in os.walk(
            above, onerror=lambda error: _tell(error, root, foreign), followlinks=True
        ):
            # A table's folder may be a link to another disk; one that leads back here is left out.
            folders[:] = sorted(each for each in folders if not _leads_back(Path(folder, each)))
            for file in sorted(files):
                name = (Path(folder) / file).relative_to(root).as_posix()
                if name.startswith(prefix):
                    yield name
        yield from (name for name in foreign if name.startswith(prefix))


def _tell(error: OSError, root: Path, foreign: list[str]) -> None:
    """A directory that cannot be read must not pass for an empty one; one that is not there may,
    and one that no table can have made (a disk's `lost+found`) is foreign, and named."""
    if isinstance(error, FileNotFoundError):
        return
    parts = Path(error.filename).relative_to(root).parts
    if not parts or TABLE_NAME.fullmatch(parts[0]):
        raise error
    foreign.append(f"{'/'.join(parts)}/")


def _leads_back(folder: Path) -> bool:
    """Whether a folder is a link to one that it is in."""
    return folder.is_symlink() and folder.resolve() in [each.resolve() for each in folder.parents]


def write_new(path: Path, content: bytes) -> None:
    """Write a new file, durable when this returns; FileExistsError when there is one.

    A reader sees the whole file or none, whenever this process is killed.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_PART}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with os.fdopen(opener(str(part), flags), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # unlike a rename, it refuses a name that is taken
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
