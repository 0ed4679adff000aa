"""One loader for a key at a time in this process. Who comes second waits a little, never long, and
never takes the first one's answer: it may be older than the second one's own last write.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dbcore.stores.forks import renew_after_fork


class Flights:
    """The keys that are being loaded now."""

    def __init__(self, patience: float) -> None:
        self._patience = patience  # seconds
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Nothing is being loaded."""
        self._lock = threading.Lock()
        self._landings: dict[str, threading.Event] = {}

    @contextmanager
    def turn(self, key: str) -> Iterator[bool]:
        """Whether the caller is first; the others get here when the first is done, or late."""
        with self._lock:
            landing = self._landings.get(key)
            first = landing is None
            if landing is None:
                landing = self._landings[key] = threading.Event()
        if not first:
            landing.wait(self._patience)
        try:
            yield first
        finally:
            if first:
                with self._lock:
                    self._landings.pop(key, None)
                landing.set()
