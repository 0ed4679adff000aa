"""Files with records in them: whether others on this host may read or replace them. What the layer
makes is its owner's alone; a folder that somebody else made is named here, and left as it is.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages

from dbcore.monitoring.health.verdicts import Context, Verdict, healthy, listed, warning
from dbcore.private_files import FILE_MODE, FOLDER_MODE, OTHERS

_WRITING = 0o022
_BESIDE = ("", "-wal", "-shm", "-journal")  # what SQLite keeps beside a database


def databases() -> Iterator[tuple[str, Path]]:
    """SQLite's files: whose, and which. A database in memory has none."""
    for alias, database in settings.DATABASES.items():
        name = str(database["NAME"])
        if database["ENGINE"].endswith("sqlite3") and "memory" not in name:
            is_url = name.startswith("file:")
            yield f"the database {alias}", Path(unquote(urlsplit(name).path) if is_url else name)


def archive_folder() -> Path | None:
    """Where archives are, unless in S3."""
    archives = storages["archives"]
    return Path(archives.location) if isinstance(archives, FileSystemStorage) else None


def files(context: Context) -> Verdict:
    """Whether others may read, replace or list them."""
    open_to_others = dict.fromkeys(
        said for folder, inside in _places() for said in _exposed(folder, inside)
    )
    if open_to_others:
        said = listed(list(open_to_others))
        return warning(f"others on this host can reach records: {said}", platform.node())
    return healthy("what has records in it is its owner's alone", platform.node())


def _places() -> Iterator[tuple[Path, list[Path]]]:
    """Folders, and what of ours is in each."""
    engine = [("", Path(settings.LOCAL_DYNAMODB_PATH))]
    found = [*databases(), *(engine if settings.DYNAMODB_ENDPOINT == "local" else [])]
    for _, path in found:
        yield path.parent, [Path(f"{path}{ending}") for ending in _BESIDE]
    for folder in (archive_folder(), settings.PROMETHEUS_MULTIPROC_DIR):
        if folder:
            yield Path(folder), []


def _exposed(folder: Path, inside: list[Path]) -> Iterator[str]:
    """What others may do there, and how to end it."""
    mode = _mode(folder)
    if not mode & OTHERS:
        return  # nobody else comes in
    what = "write to" if mode & _WRITING else "look into"
    yield (
        f"they may {what} {folder} (chmod {FOLDER_MODE:o}, or name a folder in it that is not "
        "there yet, which is made so)"
    )
    for path in inside:
        if _mode(path) & OTHERS:
            yield f"they may open {path} (chmod {FILE_MODE:o})"


def _mode(path: Path) -> int:
    return path.stat().st_mode if path.exists() else 0
