"""Records to an object's bytes and back: JSON lines, gzip, AES-256-GCM.

The lines are those that DynamoDB's own import reads. Nothing is decompressed, let alone parsed,
before its authentication tag has been checked.
"""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Sequence
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dbcore.attributes import Item
from dbcore.retention.errors import NotProven

NONCE_BYTES = 12
TAG_BYTES = 16
_LEVEL = 6
_LINE = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def to_lines(items: Sequence[Item]) -> bytes:
    """The items as DynamoDB JSON, one a line: the same items, the same bytes."""
    return b"".join(to_line(item) for item in items)


def to_line(item: Item) -> bytes:
    """One item as a line of DynamoDB JSON."""
    return orjson.dumps({"Item": item}, option=_LINE, default=_binary)


def _binary(value: Any) -> str:
    if isinstance(value, bytes):  # DynamoDB's JSON carries binary as base64
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} is not DynamoDB JSON")


def from_lines(lines: bytes) -> list[Item]:
    """The items again; NotProven when these are not lines of items."""
    try:
        return [orjson.loads(line)["Item"] for line in lines.split(b"\n")[:-1]]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise NotProven("its content is not DynamoDB JSON lines") from None


def compress(lines: bytes) -> bytes:
    """gzip without a time: the same lines, the same bytes."""
    return gzip.compress(lines, _LEVEL, mtime=0)


def decompress(content: bytes) -> bytes:
    """The lines again; NotProven."""
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        raise NotProven("its content is not gzip") from None


def encrypt(secret: bytes, nonce: bytes, content: bytes, bound: bytes) -> bytes:
    """The content, encrypted, with the tag behind it, bound to `bound`."""
    return AESGCM(secret).encrypt(nonce, content, bound)


def decrypt(secret: bytes, nonce: bytes, content: bytes, bound: bytes) -> bytes:
    """The content again; NotProven unless content, key, nonce and `bound` are what they were."""
    try:
        return AESGCM(secret).decrypt(nonce, content, bound)
    except (InvalidTag, ValueError):
        raise NotProven(
            "its authentication tag does not fit: the object, its key or the manifest is another"
        ) from None
