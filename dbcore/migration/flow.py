"""Requests of one pass over a table: how many are in flight, what follows when one is answered,
and when to stop for a signal or a lost lease.

Nothing is answered twice or forgotten: a request is in the queue, in flight, or handled.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Callable

from dbcore.migration.errors import MigrationError
from dbcore.migration.rate import Rate
from dbcore.wire import Completion, Pipeline, Wire
from dbcore.wire.client import backoff

Handler = Callable[[Completion], None]
MAX_BYTES = 32_000_000  # of writes queued and in flight: memory stays flat with large rows too
MAX_ATTEMPTS = 200  # of one request's items, each up to 5 seconds after the last
_TICK = 0.25  # seconds at most between two looks at the lease and the stop flag


class Flow:
    """The requests of one thread. `tick` is called often; what it raises ends the pass."""

    def __init__(
        self, wire: Wire, width: int, rate: Rate, tick: Callable[[], None] = lambda: None
    ) -> None:
        self.rate = rate
        self._tick = tick
        self._bytes = 0  # of bodies queued or in flight
        self._queue: collections.deque[tuple[str, str, bytes, Handler, float]] = collections.deque()
        self._pipeline = Pipeline(wire, width, on_throttle=rate.throttled)

    @property
    def busy(self) -> bool:
        """Whether any request has yet to be handled."""
        return bool(self._queue) or self._pipeline.load > 0

    def enqueue(
        self, operation: str, table: str, body: bytes, handler: Handler, delay: float = 0.0
    ) -> None:
        """Send when there is room; for handlers, which may not wait."""
        self._bytes += len(body)
        self._queue.append((operation, table, body, handler, delay))

    def submit(self, operation: str, table: str, body: bytes, handler: Handler) -> None:
        """Send, waiting until everything queued is on its way."""
        self.enqueue(operation, table, body, handler)
        self.pump()
        while self._queue:
            self.pump(_TICK)

    def write(
        self, operation: str, table: str, body: bytes, handler: Handler, units: float
    ) -> None:
        """Send a write of about so many units, no sooner than the rate allows."""
        pause = self.rate.wait_for(units)
        until = time.monotonic() + pause
        # An answer that comes in ends a step early, but not the pause.
        while (left := until - time.monotonic()) > 0:
            self.pump(min(left, _TICK), until_timeout=True)
        while self._bytes > MAX_BYTES and self.busy:
            self.pump(_TICK)
        self.submit(operation, table, body, handler)

    def retry(
        self, attempt: int, operation: str, table: str, body: bytes, handler: Handler
    ) -> None:
        """Send again what DynamoDB left undone, after a while."""
        if attempt > MAX_ATTEMPTS:
            raise MigrationError(
                f"{table} did not take a write in {attempt} attempts: is its capacity far too "
                "small, or does something else write the same items all the time?"
            )
        self.rate.throttled()
        self.enqueue(operation, table, body, handler, backoff(attempt))

    def pump(self, timeout: float = 0.0, *, until_timeout: bool = False) -> None:
        """Send what there is room for, and handle what has been answered."""
        self._tick()
        self._send()
        if until_timeout and not self._pipeline.load:
            time.sleep(timeout)
            return
        for completion in self._pipeline.gather(timeout):
            size, handler = completion.tag
            self._bytes -= size
            handler(completion)
        self._send()

    def drain(self) -> None:
        """Wait until every request is handled."""
        while self.busy:
            self.pump(_TICK)

    def close(self) -> None:
        """Let go of the connections."""
        self._pipeline.close()

    def _send(self) -> None:
        while self._queue and self._pipeline.has_room:
            operation, table, body, handler, delay = self._queue.popleft()
            self._pipeline.submit(operation, table, body, (len(body), handler), delay=delay)
