"""Can archives be written? An object of the check's own is written, read back and removed; no other
is touched.
"""

from __future__ import annotations

import secrets
import time
from typing import cast

import orjson
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages

from dbcore.monitoring.health.verdicts import Context, Verdict, critical, healthy, in_words
from dbcore.retention.archives import get_shelf
from dbcore.retention.archives.storage import ArchiveStorage

# In S3 each object costs, and where versions are kept it stays for good: so it is not written at
# every look. That the bucket answers is asked each time.
PROVEN_FOR = 3600.0  # seconds
FOLDER = "health"
_proven: dict[bytes, float] = {}  # by the storage's settings, on the monotonic clock


def archives(context: Context) -> Verdict:
    """Whether there is a key and a place, and what is written there is read again."""
    if not settings.RETENTION_ENABLED:
        return healthy("not in use: RETENTION_ENABLED is false")
    get_shelf().check()  # its error says what is wrong and what to do
    storage = cast("ArchiveStorage", storages["archives"])
    where = orjson.dumps(settings.STORAGES["archives"], default=str, option=orjson.OPT_SORT_KEYS)
    is_directory = isinstance(storage, FileSystemStorage)
    if not is_directory and time.monotonic() < _proven.get(where, 0.0):
        return healthy("the place of archives answers, and could be written within the last hour")
    try:
        if not _write_and_read(storage):
            return critical(
                "an object was not read back as written: trust no archive to this place"
            )
    except (OSError, BotoCoreError, ClientError) as error:
        return critical(
            f"the place of archives cannot be written and read ({in_words(error)}): check its "
            "permissions and its disk; until then sweeps fail and delete nothing"
        )
    _proven[where] = time.monotonic() + PROVEN_FOR
    return healthy("an object was written, read back and removed")


def _write_and_read(storage: ArchiveStorage) -> bool:
    # In a directory, no list of archives shows what ends so.
    name, body = f"{FOLDER}/.{secrets.token_hex(16)}.part", secrets.token_bytes(64)
    storage.save(name, ContentFile(body))
    try:
        return storage.read(name) == body
    finally:
        storage.delete(name)
