"""The keys of archives, as a variable has them."""

from __future__ import annotations

import base64
import binascii
import re

from django.core.exceptions import ImproperlyConfigured


def archive_keys(text: str) -> dict[str, bytes]:
    """Keys by id, in order, from "id:base64,id2:base64"; the message never shows a key."""
    keys: dict[str, bytes] = {}
    for entry in filter(None, (each.strip() for each in text.split(","))):
        key_id, _, encoded = entry.partition(":")
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", key_id):
            raise ImproperlyConfigured(
                "ARCHIVE_ENCRYPTION_KEYS must be ID:KEY,ID:KEY; an id is 1 to 64 of a-z A-Z 0-9 "
                f"_ . -, and that of number {len(keys) + 1} is not."
            )
        if key_id in keys:
            raise ImproperlyConfigured(f"ARCHIVE_ENCRYPTION_KEYS has two keys called {key_id!r}.")
        try:
            keys[key_id] = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            keys[key_id] = b""
        if len(keys[key_id]) != 32:
            raise ImproperlyConfigured(
                f"ARCHIVE_ENCRYPTION_KEYS: key {key_id!r} is not 32 bytes in base64."
            )
    return keys
