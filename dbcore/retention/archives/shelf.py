"""Where archives stand: written once, read back and proven, opened, wrapped anew.

No record is given out here unless seal, digests, authentication tag, count and keys are those that
its manifest was sealed with; whatever differs is `NotProven`, and says where and what.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import orjson
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from dbcore.attributes import Item
from dbcore.errors import hinted
from dbcore.items import ItemLayout
from dbcore.retention.archives import content, markers, sealing
from dbcore.retention.archives.files import write_new
from dbcore.retention.archives.keyring import KeyRing
from dbcore.retention.archives.listing import Listed, listed
from dbcore.retention.archives.manifest import (
    OBJECT_SUFFIX,
    TABLE_NAME,
    Draft,
    Manifest,
    manifest_name,
    manifest_text,
    same_archive,
)
from dbcore.retention.archives.storage import ArchiveStorage, Facts, Frozen
from dbcore.retention.errors import NotProven, NotThawed, RetentionError, StorageFailed
from dbcore.tables import Tier

DEEP_ARCHIVE_DAYS = 2555  # what is kept that long is hardly ever asked for again
_ID = re.compile(r"[A-Za-z0-9-]{1,36}")


def get_shelf() -> Shelf:
    """The shelf that the settings name; ConfigurationError when they name none that can be."""
    storage = cast("ArchiveStorage", storages["archives"])
    return Shelf(storage, KeyRing(settings.ARCHIVE_ENCRYPTION_KEYS))


def storage_class(manifest: Manifest) -> str:
    """S3's class of storage for an archive that has been proven."""
    if manifest.tier is Tier.COLD:
        return "DEEP_ARCHIVE" if manifest.policy["days"] >= DEEP_ARCHIVE_DAYS else "GLACIER"
    return "STANDARD_IA"


class Shelf:
    """Archives in a storage. RetentionError when the storage fails, whichever it is."""

    def __init__(self, storage: ArchiveStorage, keys: KeyRing) -> None:
        self.keys = keys
        self._storage = storage

    def check(self) -> None:
        """ConfigurationError unless archives can be written here; changes nothing."""
        self.keys.check()
        self._storage.check()

    def object_name(self, draft: Draft) -> str:
        """Where an archive will stand: known before it is written."""
        if not _ID.fullmatch(draft.id) or not TABLE_NAME.fullmatch(draft.table):
            raise RetentionError(f"{draft.table!r} {draft.id!r} cannot name an archive")
        day = draft.created_at.astimezone(dt.UTC).date()
        return f"{draft.table}/{day.isoformat()}/{draft.id}{OBJECT_SUFFIX}"

    def write(self, draft: Draft, layout: ItemLayout, items: Sequence[Item]) -> Manifest:
        """Write the object, then its manifest beside it; neither over an existing one.

        The records are of one table, one or more, and no two have the same key.
        """
        _check_table(draft, layout)
        name = self.object_name(draft)
        manifest, body = sealing.seal_archive(self.keys, draft, name, layout, items)
        self._save(name, body)
        self._save(manifest.manifest_name, manifest_text(manifest))
        return manifest

    def prove(
        self, manifest: Manifest, layout: ItemLayout, items: Sequence[Item] | None = None
    ) -> list[Item]:
        """Read manifest and object back; the records, in order.

        NotProven unless the manifest beside is this one, the object is whole and, where `items` are
        given, holds exactly these; NotThawed.
        """
        with _of(manifest.manifest_name):
            if self._read(manifest.manifest_name) != manifest_text(manifest):
                raise NotProven("it is not the manifest that was written")
        found = self.open(manifest, layout)
        if items is not None and content.to_lines(found) != content.to_lines(items):
            raise NotProven(f"{manifest.object_name}: its records are not those that were given")
        return found

    def open(self, manifest: Manifest, layout: ItemLayout) -> list[Item]:
        """The records of an archive, in the order in which they were written.

        NotProven (torn, tampered with, another key), NotThawed (thawing has been asked for).
        """
        _check_table(manifest, layout)
        self.check_seal(manifest)
        with _of(manifest.object_name):
            body = self._read(manifest.object_name)
            return sealing.open_archive(self.keys, manifest, layout, body)

    def export(self, manifest: Manifest, layout: ItemLayout, path: Path) -> None:
        """Write the records as gzip-compressed DynamoDB JSON lines, which ImportTable reads.

        The file is not encrypted, and its owner's alone. Never over an existing one.
        """
        lines = content.to_lines(self.open(manifest, layout))
        with _storing(str(path)):
            write_new(path, content.compress(lines))

    def facts(self, manifest: Manifest) -> Facts:
        """What the storage knows of the object; NotProven when it is missing or differs."""
        with _of(manifest.object_name):
            with _storing(manifest.object_name), _there():
                facts = self._storage.facts(manifest.object_name)
            sealing.check_body(manifest, facts.bytes, facts.sha256)
            return facts

    def settle(self, manifest: Manifest) -> None:
        """Have the storage move a proven object to the class that its policy asks for.

        NotProven unless the storage's own checksum is the manifest's before and after, or where it
        has none. May be called again.
        """
        self._compare(manifest)
        with _storing(manifest.object_name):
            self._storage.settle(manifest.object_name, storage_class(manifest))
        self._compare(manifest)

    def _compare(self, manifest: Manifest) -> None:
        if self.facts(manifest).sha256 is None:
            raise NotProven(f"{manifest.object_name}: the storage has no SHA-256 to compare with")

    def standing(self, object_name: str) -> Listed:
        """What stands under an object's name; neither object nor manifest where nothing does."""
        with _storing(object_name):
            for found in listed(self._storage.names(object_name)):
                if found.object_name == object_name:
                    return found
        return Listed(object_name, has_object=False, versions=())

    def discard(self, object_name: str) -> None:
        """Remove an archive that was never proven, and what a killed write has left of it."""
        with _storing(object_name):
            for name in reversed(list(self._storage.names(object_name))):  # manifests first
                self._storage.delete(name)
            self._storage.sweep_parts(object_name)

    def listed(self) -> Iterator[Listed]:
        """What stands on the shelf, an archive at a time, unread."""
        with _storing("the shelf"):
            names = self._storage.names()
            yield from listed(name for name in names if not name.startswith(markers.FOLDER))

    @property
    def markers(self) -> markers.Markers:
        """The markers of erasures beside the archives."""
        return markers.Markers(self.keys, self._storage)

    def manifests(self) -> Iterator[Manifest]:
        """The manifests as they stand beside their objects, highest version of each; NotProven."""
        for found in self.listed():
            if found.versions:
                yield self.manifest_of(found)

    def manifest_of(self, found: Listed) -> Manifest:
        """The manifest beside an object, in its highest version; NotProven, Locked."""
        name = manifest_name(found.object_name, found.versions[-1])
        with _of(name):
            text = self._read(name)
            try:
                manifest = Manifest.from_json(orjson.loads(text))
            except orjson.JSONDecodeError:
                raise NotProven("it is not JSON") from None
            if manifest_text(manifest) != text:
                raise NotProven("it is not in the form in which manifests are written")
            if (manifest.object_name, manifest.manifest_name) != (found.object_name, name):
                raise NotProven(f"it is the manifest {manifest.manifest_name}")
            sealing.data_key(self.keys, manifest)
            return manifest

    def check_seal(self, manifest: Manifest) -> None:
        """Locked unless the manifest is as it was sealed, and by a key of the settings."""
        with _of(manifest.object_name):
            sealing.data_key(self.keys, manifest)

    def put_back(self, manifest: Manifest) -> None:
        """Write a manifest beside its object again, where it is missing; NotProven."""
        self.check_seal(manifest)
        self._save(manifest.manifest_name, manifest_text(manifest))

    def rewrap(self, manifest: Manifest) -> Manifest:
        """Wrap the archive's data key by the first key; the manifest as it then stands.

        The new version is written and read back before older ones are removed, and may be there
        already: a call that was killed is finished by the next. NotProven, MissingKey.
        """
        current = self.manifest_of(self.beside(manifest.object_name))
        if not same_archive(current, manifest):
            raise NotProven(f"{current.manifest_name}: it is the manifest of another archive")
        if current.encryption.key_id != self.keys.first:
            current = self.write_rewrapped(current)
        self.retire_older(current)
        return current

    def write_rewrapped(self, current: Manifest) -> Manifest:
        """Write the next version of a manifest, its data key wrapped by the first, and read it."""
        with _of(current.manifest_name):
            new = sealing.rewrapped(self.keys, current)
        self._save(new.manifest_name, manifest_text(new))
        with _of(new.manifest_name):
            if self._read(new.manifest_name) != manifest_text(new):
                with _storing(new.manifest_name):
                    self._storage.delete(new.manifest_name)
                raise NotProven("it was not read back as written; the version before it stands")
        return new

    def retire_older(self, manifest: Manifest) -> None:
        """Remove the versions of a manifest before this one, and what killed writes have left."""
        name = manifest.object_name
        versions = self.beside(name).versions
        with _storing(name):
            for version in versions:
                if version < manifest.manifest_version:
                    self._storage.delete(manifest_name(name, version))
            self._storage.sweep_parts(name)

    def beside(self, object_name: str) -> Listed:
        """What stands under an object's name; NotProven when no manifest does."""
        found = self.standing(object_name)
        if not found.versions:
            raise NotProven(
                f"{object_name}: no manifest is beside it; reconcile_archives writes it again"
            )
        return found

    def _save(self, name: str, data: bytes) -> None:
        with _storing(name):
            self._storage.save(name, ContentFile(data))

    def _read(self, name: str) -> bytes:
        with _storing(name), _there():
            try:
                return self._storage.read(name)
            except Frozen:
                told = self._storage.thaw(name)
        raise NotThawed(f"{name} is in a Glacier class: {told}. Run the same command again then.")


def _check_table(draft: Draft, layout: ItemLayout) -> None:
    if draft.table != layout.table.name:
        raise RetentionError(f"archive {draft.id} is of {draft.table}, not {layout.table.name}")


@contextlib.contextmanager
def _of(name: str) -> Iterator[None]:
    """What is not proven inside is not proven of this."""
    try:
        yield
    except NotProven as error:
        raise type(error)(f"{name}: {error}") from error.__cause__


@contextlib.contextmanager
def _there() -> Iterator[None]:
    """What is missing is not proven."""
    try:
        yield
    except FileNotFoundError:
        raise NotProven("it is missing") from None


@contextlib.contextmanager
def _storing(name: str) -> Iterator[None]:
    """A storage's errors as ours."""
    try:
        yield
    except FileExistsError:
        raise RetentionError(f"{name} exists already, and is not written over") from None
    except (OSError, BotoCoreError, ClientError) as error:
        raise StorageFailed(f"{name}: the storage failed: {hinted(error)}") from error
