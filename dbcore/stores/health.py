"""Whether something that may be down is worth asking: after a failure it is left alone for a while,
then one caller finds out. Nothing here asks anything, and nothing here waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from logging import INFO, WARNING

from dbcore.logs import Event

REPLICA_LEFT = Event(
    "dbcore.stores.replicas", (WARNING,), "replica left alone", ("replica", "error"),
    "a replica (region, or alias in DATABASES) did not answer; reads go elsewhere for a while",
)  # fmt: skip
REPLICA_BACK = Event(
    "dbcore.stores.replicas", (INFO,), "replica answers again", ("replica",), "reads go to it again"
)
CACHE_DOWN = Event(
    "dbcore.stores.cache", (WARNING,), "the cache is down", ("error",),
    "the cache of records did not answer and is done without",
)  # fmt: skip
CACHE_REFUSED = Event(
    "dbcore.stores.cache", (WARNING,), "a cache entry was refused", (),
    "an entry of the cache of records was not kept there for that record: somebody else writes "
    "there; said once a minute at most, and counted as `refused`",
)  # fmt: skip
CACHE_BACK = Event(
    "dbcore.stores.cache", (INFO,), "the cache is back", (), "the cache of records answers again"
)


class Health:
    """What the last answers of one peer say. Without a lock, so that a fork cannot leave one
    locked: two threads at once may both ask, or both hear that a failure is news."""

    def __init__(self, rest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rest = rest  # seconds to leave it alone after a failure
        self._clock = clock
        self._ask_again: float | None = None  # None: it is well

    def may_ask(self) -> bool:
        """Whether to ask it now. Of those that come after its rest, the first finds out."""
        ask_again = self._ask_again
        if ask_again is None:
            return True
        if self._clock() < ask_again:
            return False
        self._ask_again = self._clock() + self._rest
        return True

    def failed(self) -> bool:
        """It did not answer. Whether that is news."""
        news = self._ask_again is None
        self._ask_again = self._clock() + self._rest
        return news

    def answered(self) -> bool:
        """It answered. Whether that is news."""
        news = self._ask_again is not None
        self._ask_again = None
        return news
