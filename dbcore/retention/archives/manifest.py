"""What is known of an archive without opening it, and its one form as JSON.

A manifest says nothing that its seal or the object's authenticated encryption does not cover.
"""

from __future__ import annotations

import base64
import bisect
import builtins
import dataclasses
import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from dbcore.attributes import timestamp_text
from dbcore.retention.errors import NotProven
from dbcore.tables import Tier

FORMAT_VERSION = 1
COMPRESSION = "gzip"
ALGORITHM = "AES-256-GCM"
WRAPPING = "AES-KW"  # RFC 3394
OBJECT_SUFFIX = ".json.gz.aes"
TABLE_NAME = re.compile(r"\w[\w.-]*", re.ASCII)  # of which an archive can be
_DIGEST_BYTES = 8
_MANIFEST_NAME = re.compile(rf"(?P<object>.+{re.escape(OBJECT_SUFFIX)})\.manifest-(\d{{4,}})\.json")


@dataclass(frozen=True, slots=True)
class Draft:
    """What is known of an archive before it is written.

    `table` is the model's table without a prefix; `policy` has days, since and tier; `oldest` and
    `newest` are the instants from which the records' policy counts; `schema` names the layout that
    the records had.
    """

    id: str
    table: str
    store: str
    target: str
    tier: Tier
    policy: Mapping[str, Any]
    sweep: str
    created_at: dt.datetime
    oldest: dt.datetime | None
    newest: dt.datetime | None
    schema: str


@dataclass(frozen=True, slots=True)
class Encryption:
    """How the object was encrypted. `wrapped_key` and `nonce` are base64."""

    algorithm: str
    wrapping: str
    key_id: str
    wrapped_key: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Manifest(Draft):
    """An archive's draft, and what was written.

    `bytes` and `sha256` are those of the JSON lines, the object's those of the object. `keys` and
    `owners` hold digests (see `digests`); `owners` is "" where records belong to nobody.
    """

    count: int
    bytes: int
    object_bytes: int
    sha256: str
    object_sha256: str
    object_name: str
    manifest_name: str
    manifest_version: int
    compression: str
    encryption: Encryption
    keys: str
    owners: str
    format_version: int
    seal: str

    def as_json(self) -> dict[str, Any]:
        """The manifest as JSON values."""
        return {
            **dataclasses.asdict(self),
            "tier": self.tier.value,
            "policy": dict(self.policy),
            "created_at": timestamp_text(self.created_at),
            "oldest": None if self.oldest is None else timestamp_text(self.oldest),
            "newest": None if self.newest is None else timestamp_text(self.newest),
        }

    @classmethod
    def from_json(cls, value: Any) -> Manifest:
        """The manifest again; NotProven when this is none. Says nothing of its seal."""
        try:
            return cls(
                **{
                    **_exactly(value, cls),
                    "tier": Tier(value["tier"]),
                    "encryption": Encryption(**_exactly(value["encryption"], Encryption)),
                    "created_at": _instant(value["created_at"]),
                    "oldest": None if value["oldest"] is None else _instant(value["oldest"]),
                    "newest": None if value["newest"] is None else _instant(value["newest"]),
                }
            )
        except (TypeError, ValueError) as error:
            raise NotProven(f"is not a manifest of format {FORMAT_VERSION}: {error}") from None

    def may_hold(self, key: str) -> bool:
        """Whether a record with this joined key may be in it: certainly not, or almost surely."""
        return _among(self.keys, _digest(self.id, key))

    def may_hold_owner(self, owner: str) -> bool:
        """Whether a record of this user may be in it: certainly not, or almost surely."""
        return _among(self.owners, _digest(self.id, owner))


_TYPE_OF: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "str": (str,),
    "Tier": (str,),
    "Encryption": (dict,),
    "Mapping[str, Any]": (dict,),
    "dt.datetime": (str,),
    "dt.datetime | None": (str, type(None)),
}


def _exactly(value: Any, kind: type[Manifest | Encryption]) -> dict[str, Any]:
    """`value` if it has exactly the fields of `kind`, with values of their types."""
    fields = {field.name: _TYPE_OF[str(field.type)] for field in dataclasses.fields(kind)}
    if not isinstance(value, dict) or value.keys() != fields.keys():
        raise ValueError("its fields are not those of one")
    for name, types in fields.items():
        if not isinstance(value[name], types) or isinstance(value[name], bool):
            raise ValueError(f"{name} is not of its type")
    if value.get("format_version", FORMAT_VERSION) != FORMAT_VERSION:
        raise ValueError(f"format_version is {value['format_version']}")
    return value


def _instant(text: str) -> dt.datetime:
    """An instant in the one form that a manifest has for it."""
    instant = dt.datetime.fromisoformat(text)
    if instant.tzinfo is None or timestamp_text(instant) != text:
        raise ValueError(f"{text!r} is not an instant")
    return instant


def manifest_text(manifest: Manifest) -> builtins.bytes:
    """The manifest as it stands beside its object: canonical JSON, one line."""
    return _canonical(manifest.as_json()) + b"\n"


def sealed_text(manifest: Manifest) -> builtins.bytes:
    """What the seal is the keyed digest of: all but the seal."""
    value = manifest.as_json()
    del value["seal"]
    return _canonical(value)


# What is not known until the object is encrypted, or changes when its key is wrapped anew.
_UNBOUND = (
    "object_bytes", "object_sha256", "manifest_name", "manifest_version", "encryption", "seal",
)  # fmt: skip


def bound_text(manifest: Manifest) -> builtins.bytes:
    """What the object's encryption binds it to: every fact that never changes."""
    value = manifest.as_json()
    for name in _UNBOUND:
        del value[name]
    return _canonical(value)


def same_archive(one: Manifest, other: Manifest) -> bool:
    """Whether two manifests differ in nothing but how the data key is wrapped."""

    def facts(manifest: Manifest) -> Any:
        return (
            bound_text(manifest), manifest.object_bytes, manifest.object_sha256,
            manifest.encryption.algorithm, manifest.encryption.nonce,
        )  # fmt: skip

    return bool(facts(one) == facts(other))


def _canonical(value: Any) -> builtins.bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def manifest_name(object_name: str, version: int) -> str:
    """The name of a version of the manifest beside an object."""
    return f"{object_name}.manifest-{version:04d}.json"


def split_manifest_name(name: str) -> tuple[str, int] | None:
    """The object's name and the version, if it is a manifest's name."""
    found = _MANIFEST_NAME.fullmatch(name)
    return (found["object"], int(found[2])) if found else None


def digests(archive: str, texts: Iterable[str]) -> str:
    """Sorted 8-byte digests of the texts, each once, joined, in base64.

    Keyed by the archive's id: a table of digests made once fits no archive.
    """
    found = sorted({_digest(archive, text) for text in texts})
    return base64.b64encode(b"".join(found)).decode()


def _digest(archive: str, text: str) -> builtins.bytes:
    key = archive.encode()
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES, key=key).digest()


def _among(joined: str, digest: builtins.bytes) -> bool:
    raw = base64.b64decode(joined)

    def at(place: int) -> builtins.bytes:
        return raw[place * _DIGEST_BYTES : (place + 1) * _DIGEST_BYTES]

    places = range(len(raw) // _DIGEST_BYTES)
    place = bisect.bisect_left(places, digest, key=at)
    return place < len(places) and at(place) == digest
