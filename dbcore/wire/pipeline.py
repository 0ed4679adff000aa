"""Many calls in flight from one thread: what a bulk copy or a bulk read needs.

Every request that is submitted completes exactly once, with an answer or an error; its retries
are done here and do not hold up the others.
"""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from dbcore.wire.answers import (
    Verdict,
    check_body,
    client_error,
    error_code,
    may_pass,
    parse_body,
    transport_error,
    verdict_on,
)
from dbcore.wire.calls import RETRIED, Call, rows_of
from dbcore.wire.client import Wire, backoff
from dbcore.wire.connection import Answer, BrokenAnswer, Connection

BULK_DEADLINE = 300.0  # seconds that one bulk request may fail before the caller is told


@dataclass(slots=True)
class Completion:
    """The end of one request: either `result` or `error` is set."""

    tag: Any
    result: dict[str, Any] | None
    error: Exception | None


@dataclass(slots=True)
class _Request:
    operation: str
    table: str
    body: bytes
    tag: Any
    started: float
    sent: float = 0.0
    retries: int = 0
    throttles: int = 0
    corrected: bool = False


class Pipeline:
    """Up to `width` requests at once, a connection each. Not thread-safe.

    `on_throttle` is called at each throttled answer, before its retry is due.
    """

    def __init__(
        self,
        wire: Wire,
        width: int,
        *,
        deadline: float = BULK_DEADLINE,
        on_throttle: Callable[[], None] | None = None,
    ) -> None:
        self.wire = wire
        self.width = width
        self._deadline = deadline
        self._on_throttle = on_throttle
        self._poller = select.poll()
        self._idle: list[Connection] = []
        self._flying: dict[int, tuple[Connection, _Request]] = {}
        self._waiting: list[tuple[float, int, _Request]] = []
        self._order = itertools.count()
        self._done: list[Completion] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def load(self) -> int:
        """Requests submitted and not yet completed."""
        return len(self._flying) + len(self._waiting)

    @property
    def has_room(self) -> bool:
        """Whether another request may be submitted."""
        return len(self._flying) + len(self._waiting) < self.width

    def submit(
        self, operation: str, table: str, body: bytes, tag: Any, *, delay: float = 0.0
    ) -> None:
        """Send a request, after `delay` seconds; its completion will carry `tag`."""
        now = time.monotonic()
        request = _Request(operation, table, body, tag, now)
        if delay:
            heapq.heappush(self._waiting, (now + delay, next(self._order), request))
        else:
            self._send(request)

    def gather(self, timeout: float = 0.0) -> list[Completion]:
        """The requests that have completed; waits up to `timeout` seconds for the first."""
        until = time.monotonic() + timeout
        while True:
            self._resend_due()
            self._receive(self._pause(until))
            if self._done or time.monotonic() >= until or not self.load:
                done, self._done = self._done, []
                return done

    def close(self) -> None:
        """Give the connections back; requests in flight are abandoned."""
        for connection in self._idle:
            self.wire.release(connection)
        for connection, _ in self._flying.values():
            connection.close()
        self._idle.clear()
        self._flying.clear()
        self._waiting.clear()

    def _pause(self, until: float) -> float:
        now = time.monotonic()
        until = max(until, now)
        if self._done or not self.load:
            return 0.0
        if self._waiting:
            until = min(until, max(now, self._waiting[0][0]))
        # Wake up now and then to see whether an answer is overdue.
        return min(until - now, 0.5)

    def _resend_due(self) -> None:
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            self._send(heapq.heappop(self._waiting)[2])

    def _send(self, request: _Request) -> None:
        connection: Connection | None = None
        try:
            head = self.wire.signer.head(request.operation, request.body)
            connection = self._connection()
            request.sent = time.monotonic()
            connection.send(head + request.body, self.wire.read_timeout)
        except (OSError, BotoCoreError, ClientError) as error:
            if connection is not None:
                self._discard(connection.fileno(), connection)
            self._failed(request, error)
            return
        self._flying[connection.fileno()] = (connection, request)

    def _connection(self) -> Connection:
        if self._idle:
            return self._idle.pop()
        connection, _ = self.wire.connect()
        self._poller.register(connection.fileno(), select.POLLIN)
        return connection

    def _receive(self, timeout: float) -> None:
        for descriptor, _ in self._poller.poll(timeout * 1000):
            found = self._flying.pop(descriptor, None)
            if found is None:
                self._drop_idle(descriptor)
                continue
            connection, request = found
            try:
                answer = connection.receive(self.wire.read_timeout)
                check_body(answer)
            except (OSError, BotoCoreError) as error:
                self._discard(descriptor, connection)
                self._failed(request, error)
                continue
            if connection.reusable:
                self._idle.append(connection)
            else:
                self._discard(descriptor, connection)
            self._answered(request, answer)
        self._drop_overdue()

    def _drop_idle(self, descriptor: int) -> None:
        for connection in self._idle:
            if connection.fileno() == descriptor:
                self._idle.remove(connection)
                self._discard(descriptor, connection)
                return

    def _drop_overdue(self) -> None:
        if not self._flying:
            return
        oldest = time.monotonic() - self.wire.read_timeout
        late = [fd for fd, (_, request) in self._flying.items() if request.sent < oldest]
        for descriptor in late:
            connection, request = self._flying.pop(descriptor)
            self._discard(descriptor, connection)
            self._failed(request, TimeoutError("no answer"))

    def _discard(self, descriptor: int, connection: Connection) -> None:
        self._poller.unregister(descriptor)
        connection.close()

    def _answered(self, request: _Request, answer: Answer) -> None:
        if answer.status == 200:
            try:
                result = parse_body(answer)
            except BrokenAnswer as broken:
                self._failed(request, broken)
            else:
                self._complete(request, result, None)
            return
        error = client_error(request.operation, answer, request.retries)
        verdict = verdict_on(error)
        if verdict is Verdict.FAILED:
            if request.corrected or not self.wire.learn(error, answer):
                self._complete(request, None, error)
                return
            request.corrected = True
        elif verdict is Verdict.THROTTLED:
            request.throttles += 1
            if self._on_throttle is not None:
                self._on_throttle()
        self._fail_or_retry(request, error)

    def _failed(self, request: _Request, error: OSError | BotoCoreError | ClientError) -> None:
        failure = transport_error(error, self.wire.endpoint.url)
        if may_pass(error):
            self._fail_or_retry(request, failure)
        else:
            self._complete(request, None, failure)

    def _fail_or_retry(self, request: _Request, error: Exception) -> None:
        now = time.monotonic()
        due = now + backoff(request.retries)
        if due - request.started > self._deadline:
            self._complete(request, None, error)
            return
        request.retries += 1
        RETRIED.log(
            operation=request.operation, tables=request.table, retry=request.retries, error=error
        )
        heapq.heappush(self._waiting, (due, next(self._order), request))

    def _complete(
        self, request: _Request, result: dict[str, Any] | None, error: Exception | None
    ) -> None:
        if self.wire.hooks:
            self.wire.report(
                Call(
                    request.operation,
                    request.table,
                    time.monotonic() - request.started,
                    request.retries,
                    request.throttles,
                    None if result is None else result.get("ConsumedCapacity"),
                    None if error is None else error_code(error),
                    None if result is None else rows_of(result),
                    failure=error,
                )
            )
        self._done.append(Completion(request.tag, result, error))
