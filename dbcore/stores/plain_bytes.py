"""How the records' cache puts values on Redis: bytes as they are.

Never by pickle, Django's default: whoever can write to that Redis could then run code here.
"""

from __future__ import annotations


class PlainBytes:
    """A serializer for Django's Redis cache that knows bytes alone."""

    def dumps(self, value: bytes) -> bytes:
        """The bytes to store."""
        if not isinstance(value, bytes):
            raise TypeError(f"{type(value).__name__} is not bytes")
        return value

    def loads(self, data: bytes) -> bytes:
        """The bytes that were stored."""
        return data
