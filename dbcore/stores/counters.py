"""How often the cache answered. One process's own numbers: a forked child begins at nought."""

from __future__ import annotations

import threading

from dbcore.stores.forks import renew_after_fork


class CacheCounters:
    """Reads of cached models: answered by the cache, not known to it, met by an entry that was
    refused since it was not written for that record, and made without the cache because it was down
    or the caller was inside a SQL transaction. Thread-safe."""

    def __init__(self) -> None:
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Begin at nought."""
        self._lock = threading.Lock()
        self.hits = self.misses = self.refused = self.bypassed = 0

    def hit(self) -> None:
        """The cache had the record."""
        with self._lock:
            self.hits += 1

    def miss(self) -> None:
        """The cache did not have the record."""
        with self._lock:
            self.misses += 1

    def refuse(self) -> None:
        """What the cache had was forged, copied from elsewhere, or cut off."""
        with self._lock:
            self.refused += 1

    def bypass(self) -> None:
        """The cache could not be asked."""
        with self._lock:
            self.bypassed += 1

    def stats(self) -> dict[str, float]:
        """hits, misses, refused, bypassed, and hit_ratio (0 to 1) of the reads that asked the
        cache."""
        with self._lock:
            asked = self.hits + self.misses + self.refused
            ratio = self.hits / asked if asked else 0.0
            return {
                "hits": self.hits,
                "misses": self.misses,
                "refused": self.refused,
                "bypassed": self.bypassed,
                "hit_ratio": ratio,
            }
