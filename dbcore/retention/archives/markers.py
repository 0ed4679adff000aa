"""Markers of erasures beside the archives: whoever has the archives without Django's database still
knows whom not to bring back. A marker names nobody; it is believed only once its seal is checked.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import ContentFile

from dbcore.attributes import timestamp_text
from dbcore.errors import hinted
from dbcore.retention.archives.keyring import KeyRing
from dbcore.retention.archives.storage import ArchiveStorage, Frozen
from dbcore.retention.errors import NotProven, StorageFailed

FOLDER = "erasures/"
_NAME = re.compile(rf"{FOLDER}(?P<subject>[0-9a-f]{{64}})\.(?P<version>\d{{4,}})\.json")
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Marker:
    """That a user was erased: the erasure's id, the digest by which the books know the user
    (dbcore/retention/erased.py), and since when."""

    erasure: str
    subject: str
    started_at: dt.datetime
    key_id: str = ""
    version: int = 1

    @property
    def name(self) -> str:
        """The object's name."""
        return f"{FOLDER}{self.subject}.{self.version:04d}.json"


@dataclass(frozen=True, slots=True)
class Markers:
    """The markers in a storage. StorageFailed where it fails."""

    keys: KeyRing
    storage: ArchiveStorage

    def names(self) -> dict[str, str]:
        """The names of the markers by their subject, the highest version of each, unread."""
        with _storing(FOLDER):
            matches = [_NAME.fullmatch(name) for name in self.storage.names(FOLDER)]
        found = [each for each in matches if each is not None]
        found.sort(key=lambda each: int(each["version"]))
        return {each["subject"]: each[0] for each in found}

    def write(self, marker: Marker) -> None:
        """Write a marker and read it back; one of the subject that stands already is left."""
        if marker.subject not in self.names():
            self._write(dataclasses.replace(marker, version=1))

    def read(self, name: str) -> Marker:
        """A marker; NotProven unless it is as it was sealed, MissingKey."""
        try:
            with _storing(name):
                text = self.storage.read(name)
            value = orjson.loads(text)
            marker = Marker(
                erasure=value["erasure"], subject=value["subject"], key_id=value["key_id"],
                started_at=dt.datetime.fromisoformat(value["started_at"]),
                version=value["version"],
            )  # fmt: skip
            seal = self._seal(marker)
            if not hmac.compare_digest(seal.encode(), str(value["seal"]).encode()):
                raise NotProven("it was edited, or sealed with another key of that id")
            if marker.name != name or self._text(marker) != text:
                raise NotProven(
                    "it is another marker, or not in the form in which they are written"
                )
        except NotProven as error:
            raise type(error)(f"{name}: the marker of an erasure: {error}") from None
        except FileNotFoundError:
            raise NotProven(f"{name}: the marker of an erasure is missing") from None
        except Frozen:
            told = self.storage.thaw(name)
            raise NotProven(
                f"{name}: the marker of an erasure is in a Glacier class: {told}"
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NotProven(f"{name}: it is not the marker of an erasure: {error}") from None
        return marker

    def reseal(self, marker: Marker) -> Marker:
        """Seal a marker with the first key; older versions go once the new one is read back."""
        if marker.key_id != self.keys.first:
            marker = self._write(dataclasses.replace(marker, version=marker.version + 1))
        with _storing(marker.name):
            for name in list(self.storage.names(f"{FOLDER}{marker.subject}.")):
                found = _NAME.fullmatch(name)
                if found is not None and int(found["version"]) < marker.version:
                    self.storage.delete(name)
        return marker

    def _write(self, marker: Marker) -> Marker:
        sealed = dataclasses.replace(marker, key_id=self.keys.first)
        with _storing(sealed.name), contextlib.suppress(FileExistsError):  # our own, or as good
            self.storage.save(sealed.name, ContentFile(self._text(sealed)))
        with _storing(sealed.name):
            self.storage.sweep_parts(f"{FOLDER}{sealed.subject}.")
        return self.read(sealed.name)

    def _text(self, marker: Marker) -> bytes:
        value = {**_facts(marker), "seal": self._seal(marker)}
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS) + b"\n"

    def _seal(self, marker: Marker) -> str:
        text = orjson.dumps(_facts(marker), option=orjson.OPT_SORT_KEYS)
        return self.keys.seal(marker.key_id, text)


def _facts(marker: Marker) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "kind": "erasure",
        **dataclasses.asdict(marker),
        "started_at": timestamp_text(marker.started_at),
    }


@contextlib.contextmanager
def _storing(name: str) -> Iterator[None]:
    """A storage's errors as ours, but that a file is there or is not."""
    try:
        yield
    except (FileExistsError, FileNotFoundError):
        raise
    except (OSError, BotoCoreError, ClientError) as error:
        raise StorageFailed(f"{name}: the storage failed: {hinted(error)}") from error
