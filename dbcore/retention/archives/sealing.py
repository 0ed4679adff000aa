"""Records to an archive's manifest and body, and back: everything that needs a key, and no storage.

A key that opens an archive is given out only after the manifest's seal has been checked.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import replace

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dbcore.attributes import Item
from dbcore.items import ItemLayout
from dbcore.retention.archives import content
from dbcore.retention.archives.keyring import KEY_BYTES, KeyRing, Locked
from dbcore.retention.archives.manifest import (
    ALGORITHM,
    COMPRESSION,
    FORMAT_VERSION,
    WRAPPING,
    Draft,
    Encryption,
    Manifest,
    bound_text,
    digests,
    manifest_name,
    sealed_text,
)
from dbcore.retention.errors import NotProven, RetentionError
from dbcore.retention.records import key_text, owner_of


def sha256(data: bytes) -> str:
    """The digest as manifests have it."""
    return hashlib.sha256(data).hexdigest()


def seal_archive(
    keys: KeyRing, draft: Draft, object_name: str, layout: ItemLayout, items: Sequence[Item]
) -> tuple[Manifest, bytes]:
    """The manifest and the body of a new archive, under a data key of its own."""
    texts = [key_text(layout, item) for item in items]
    if not texts or len(set(texts)) < len(texts):
        raise RetentionError(f"{object_name}: an archive holds one record or more, each key once")
    secret = AESGCM.generate_key(KEY_BYTES * 8)
    nonce = os.urandom(content.NONCE_BYTES)
    lines = content.to_lines(items)
    manifest = _unsealed(
        draft, object_name, _encryption(keys, secret, nonce),
        count=len(items), bytes=len(lines), sha256=sha256(lines),
        keys=digests(draft.id, texts), owners=_owners(draft.id, layout, items),
    )  # fmt: skip
    body = content.encrypt(secret, nonce, content.compress(lines), bound_text(manifest))
    manifest = replace(manifest, object_bytes=len(body), object_sha256=sha256(body))
    return _sealed(keys, manifest), body


def _encryption(keys: KeyRing, secret: bytes, nonce: bytes) -> Encryption:
    wrapped = keys.wrap(keys.first, secret)
    return Encryption(ALGORITHM, WRAPPING, keys.first, wrapped, base64.b64encode(nonce).decode())


def _unsealed(
    draft: Draft,
    object_name: str,
    encryption: Encryption,
    *,
    count: int,
    bytes: int,
    sha256: str,
    keys: str,
    owners: str,
) -> Manifest:
    """A manifest that lacks what only the encrypted body decides."""
    facts = {field.name: getattr(draft, field.name) for field in dataclasses.fields(Draft)}
    # As it will be read: JSON knows no tuples.
    facts["policy"] = orjson.loads(orjson.dumps(dict(draft.policy)))
    return Manifest(
        **facts, encryption=encryption, count=count, bytes=bytes, sha256=sha256, keys=keys,
        owners=owners, object_bytes=0, object_sha256="", object_name=object_name,
        manifest_name=manifest_name(object_name, 1), manifest_version=1, compression=COMPRESSION,
        format_version=FORMAT_VERSION, seal="",
    )  # fmt: skip


def _owners(archive: str, layout: ItemLayout, items: Sequence[Item]) -> str:
    owners = (owner_of(layout, item) for item in items)
    return digests(archive, (owner for owner in owners if owner is not None))


def _sealed(keys: KeyRing, manifest: Manifest) -> Manifest:
    return replace(manifest, seal=keys.seal(manifest.encryption.key_id, sealed_text(manifest)))


def data_key(keys: KeyRing, manifest: Manifest) -> bytes:
    """The archive's data key; Locked unless the manifest is as it was sealed by this key."""
    key_id = manifest.encryption.key_id
    seal = keys.seal(key_id, sealed_text(manifest))
    if not hmac.compare_digest(seal.encode(), manifest.seal.encode()):
        raise Locked(
            f"its manifest was edited, or key {key_id!r} of ARCHIVE_ENCRYPTION_KEYS is not the one "
            "that sealed it"
        )
    return keys.unwrap(key_id, manifest.encryption.wrapped_key)


def rewrapped(keys: KeyRing, manifest: Manifest) -> Manifest:
    """The next version of a manifest: the same data key, wrapped by the first key."""
    secret = data_key(keys, manifest)
    nonce = base64.b64decode(manifest.encryption.nonce)
    version = manifest.manifest_version + 1
    new = replace(
        manifest,
        encryption=_encryption(keys, secret, nonce),
        manifest_version=version,
        manifest_name=manifest_name(manifest.object_name, version),
    )
    new = _sealed(keys, new)
    if data_key(keys, new) != secret:
        raise NotProven("its data key was not wrapped as it was")
    return new


def open_archive(keys: KeyRing, manifest: Manifest, layout: ItemLayout, body: bytes) -> list[Item]:
    """The records in an archive's body, in order; NotProven says what differs."""
    secret = data_key(keys, manifest)
    check_body(manifest, len(body), sha256(body))
    nonce = base64.b64decode(manifest.encryption.nonce)
    lines = content.decompress(content.decrypt(secret, nonce, body, bound_text(manifest)))
    if len(lines) != manifest.bytes or sha256(lines) != manifest.sha256:
        raise NotProven("the SHA-256 of its content is not the one in its manifest")
    items = content.from_lines(lines)
    if len(items) != manifest.count:
        raise NotProven(f"it has {len(items)} records, and its manifest says {manifest.count}")
    if digests(manifest.id, (key_text(layout, item) for item in items)) != manifest.keys:
        raise NotProven("the keys of its records are not those in its manifest")
    return items


def check_body(manifest: Manifest, length: int, digest: str | None) -> None:
    """NotProven unless an object of this length and SHA-256 (None: unknown) is the manifest's."""
    if length != manifest.object_bytes:
        raise NotProven(f"it has {length} bytes, and its manifest says {manifest.object_bytes}")
    if digest is not None and digest != manifest.object_sha256:
        raise NotProven("its SHA-256 is not the one in its manifest")
