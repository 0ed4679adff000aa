"""The keys of ARCHIVE_ENCRYPTION_KEYS: the first wraps, all unwrap.

A key never leaves this module, nor shows in an error. Locals that hold one are called `secret`: the
error tracker leaves that name out of what it reports.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from dbcore.errors import ConfigurationError
from dbcore.retention.errors import NotProven

KEY_BYTES = 32
_HOW_TO_MAKE = (
    'make one with: python -c "import base64, secrets; '
    'print(base64.b64encode(secrets.token_bytes(32)).decode())"'
)


class Locked(NotProven):
    """The keys of the settings do not open it: one is missing or is another, or the manifest was
    edited. Nothing is known of the archive itself."""


class MissingKey(Locked):
    """An archive names a key that the settings do not have."""


class KeyRing:
    """Keys by id, the one that wraps first. Each gives two: one wraps data keys, one seals."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, in order."""
        return tuple(self._keys)

    @property
    def first(self) -> str:
        """The id of the key that wraps; ConfigurationError when there is none."""
        self.check()
        return self.ids[0]

    def check(self) -> None:
        """ConfigurationError when there is no key, or one that is none."""
        if not self._keys:
            raise ConfigurationError(
                "ARCHIVE_ENCRYPTION_KEYS is empty: nothing can be archived without a key. Set it "
                f"to ID:KEY, a key of {KEY_BYTES} bytes in base64; {_HOW_TO_MAKE}"
            )
        for key_id, secret in self._keys.items():
            if not isinstance(secret, bytes) or len(secret) != KEY_BYTES:
                raise ConfigurationError(
                    f"ARCHIVE_ENCRYPTION_KEYS: key {key_id!r} is not {KEY_BYTES} bytes; "
                    f"{_HOW_TO_MAKE}"
                )

    def wrap(self, key_id: str, secret: bytes) -> str:
        """A data key, wrapped by RFC 3394, in base64."""
        return base64.b64encode(aes_key_wrap(self._derived(key_id, "wrap"), secret)).decode()

    def unwrap(self, key_id: str, wrapped: str) -> bytes:
        """The data key again; MissingKey, or Locked when it was wrapped by another."""
        try:
            return aes_key_unwrap(self._derived(key_id, "wrap"), base64.b64decode(wrapped))
        except (InvalidUnwrap, ValueError):
            raise Locked(f"key {key_id!r} is not the one that wrapped its data key") from None

    def seal(self, key_id: str, text: bytes) -> str:
        """A keyed digest of a text, in base64; MissingKey."""
        digest = hmac.digest(self._derived(key_id, "seal"), text, "sha256")
        return base64.b64encode(digest).decode()

    def _derived(self, key_id: str, purpose: str) -> bytes:
        """A key for one purpose, so that none serves two."""
        try:
            secret = self._keys[key_id]
        except KeyError:
            raise MissingKey(
                f"its key {key_id!r} is not in ARCHIVE_ENCRYPTION_KEYS; add it there, behind the "
                "first"
            ) from None
        info = f"dbcore archives, version 1: {purpose}".encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)
