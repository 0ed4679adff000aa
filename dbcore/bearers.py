"""What lets in whoever bears it, the id of a session or an API key, is kept as its SHA-256 alone.
Here is how that is made and known; nothing here may keep, log or quote the secret itself.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from django.core.exceptions import ValidationError

HASH_LENGTH = 64  # characters: SHA-256 in lower-case hexadecimal digits
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


def hash_of(secret: str) -> str:
    """The SHA-256 of a secret's UTF-8, in lower-case hexadecimal digits.

    Without salt, so that it can be looked up: for secrets of 128 bits or more, not for passwords.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def looks_hashed(text: str) -> bool:
    """Whether a text has the form of a hash. A secret of the same form cannot be told from it."""
    return _HASH.fullmatch(text) is not None


def check_hashed(value: Any) -> None:
    """A field's validator: no secret gets into the field by mistake, whoever writes it.

    ValidationError, which does not quote the value.
    """
    if not isinstance(value, str) or not looks_hashed(value):
        raise ValidationError(
            "must be the SHA-256 of what is borne, in 64 lower-case hexadecimal digits"
        )
