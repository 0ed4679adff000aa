"""How Django's other values are put on Redis: as JSON.

Never by pickle, Django's default: whoever can write to that Redis could then run code here.
"""

from __future__ import annotations

import json
from logging import WARNING
from typing import Any

from dbcore.logs import Event

FOREIGN = Event(
    "dbcore.stores.cache", (WARNING,), "a cache value was refused", (),
    "a value of Django's cache is not JSON: a release that pickled, or somebody else, has put it "
    "there, and it is taken for None",
)  # fmt: skip


class PlainJson:
    """A serializer for Django's Redis cache that knows what JSON gives back as it was."""

    def dumps(self, value: Any) -> bytes:
        """The text to store; TypeError for what would come back as something else. A whole number
        is its digits, by which Redis counts on."""
        text = json.dumps(value, allow_nan=False)
        if json.loads(text) != value:
            raise TypeError(
                f"{type(value).__name__} with a tuple, or a key that is not text, in it"
            )
        return text.encode()

    def loads(self, data: bytes) -> Any:
        """The value that was stored; None for what is no JSON."""
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            FOREIGN.log()
            return None
