"""The calls that services make: one request, its retries, its answer."""

from __future__ import annotations

import base64
import collections
import math
import os
import random
import ssl
import threading
import time
import weakref
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import botocore
import orjson
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from dbcore.addresses import Endpoint
from dbcore.wire.answers import (
    CLOCK,
    EXPIRED,
    Verdict,
    check_body,
    client_error,
    error_code,
    may_pass,
    parse_body,
    transport_error,
    verdict_on,
)
from dbcore.wire.calls import RETRIED, Call, Hook, rows_of, tables_of
from dbcore.wire.connection import CLOSED, Answer, Connection, Transport, open_connection
from dbcore.wire.endpoint import resolve_endpoint
from dbcore.wire.signing import Signer

BASE_DELAY = 0.05  # seconds; the n-th retry waits a random part of BASE_DELAY * 2**n
MAX_DELAY = 5.0
IDLE_CHECK = 0.5  # seconds of idleness after which a pooled connection is looked at before use
MIN_TIMEOUT = 0.05  # seconds that each step of a try has, however near the deadline
CLOCK_TOLERANCE = 60.0  # seconds by which the server's Date must differ to count as skew
# Called with every finished call of every wire, in order, in the calling thread.
HOOKS: list[Hook] = []
USER_AGENT = f"daylight-dbcore botocore/{botocore.__version__}"


def backoff(attempt: int) -> float:
    """Seconds to wait before retry number `attempt` (from 0): full jitter."""
    return random.uniform(0, min(MAX_DELAY, BASE_DELAY * 2**attempt))


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):  # DynamoDB's JSON carries binary as base64
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} is not JSON")


def encode_payload(payload: Mapping[str, Any]) -> bytes:
    """A request's body."""
    return orjson.dumps(payload, default=_as_text)


def _at_most(timeout: float, until: float) -> float:
    return max(MIN_TIMEOUT, min(timeout, until - time.monotonic()))


class Wire:
    """Calls to one endpoint. Thread-safe, and safe after fork (a child opens its own connections).

    A call whose answer was lost is sent again, as every AWS SDK does: make an update that is not
    idempotent safe with a condition or a ClientRequestToken.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        region: str,
        *,
        connect_timeout: float = 5.0,
        read_timeout: float = 15.0,
        deadline: float = 30.0,
        pool_size: int = 32,
        transport: Transport = open_connection,
    ) -> None:
        self.endpoint = endpoint
        self._transport = transport
        self.region = region
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self.deadline = deadline
        self.hooks = HOOKS
        self.signer = Signer(region, endpoint.host_header, USER_AGENT, loopback=endpoint.loopback)
        self._tls = ssl.create_default_context() if endpoint.scheme == "https" else None
        self._pool_size = pool_size
        self._idle: collections.deque[Connection] = collections.deque()
        self._opened: weakref.WeakSet[Connection] = weakref.WeakSet()
        _wires.add(self)

    def call(
        self, operation: str, payload: Mapping[str, Any], *, deadline: float | None = None
    ) -> dict[str, Any]:
        """DynamoDB's answer to one operation, as its JSON.

        Throttling, 5xx and broken connections are retried with full jitter until `deadline`
        seconds have passed. Raises botocore's ClientError, or a BotoCoreError for the transport.
        """
        seconds = self.deadline if deadline is None else deadline
        return _Attempts(self, operation, payload, seconds).run()

    def exchange(self, operation: str, body: bytes, until: float) -> Answer:
        """Send one signed request and return its checked answer, whatever its status.

        All of it ends by `until`, in monotonic seconds.
        """
        request = self.signer.head(operation, body) + body
        connection, fresh = self.connect(until)
        try:
            return self._exchange_on(connection, request, until)
        except CLOSED:
            if fresh:
                raise
        # The peer had closed an idle connection: that says nothing about this request.
        answer = self._exchange_on(self._open(until), request, until)
        answer.resent = True
        return answer

    def _exchange_on(self, connection: Connection, request: bytes, until: float) -> Answer:
        try:
            connection.send(request, _at_most(self.read_timeout, until))
            answer = connection.receive(_at_most(self.read_timeout, until))
            check_body(answer)
        except BaseException:
            connection.close()
            raise
        self.release(connection)
        return answer

    def _open(self, until: float) -> Connection:
        opened = self._transport(self.endpoint, self._tls, _at_most(self.connect_timeout, until))
        with _lock:
            self._opened.add(opened)
        return opened

    def connect(self, until: float = math.inf) -> tuple[Connection, bool]:
        """A connection, and whether it is new. Give it back with `release`, or close it."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._open(until), True
            if time.monotonic() - connection.idle_since < IDLE_CHECK or not connection.is_stale():
                return connection, False
            connection.close()

    def release(self, connection: Connection) -> None:
        """Keep a connection for the next call, if it may be used again and there is room."""
        if not connection.reusable:
            connection.close()
            return
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        if len(self._idle) > self._pool_size:
            self._close_oldest()

    def learn(self, error: ClientError, answer: Answer) -> bool:
        """Correct the clock or the credentials after `error`; whether that is worth a retry."""
        code = error_code(error)
        if code in CLOCK:
            return self._correct_clock(answer)
        if code in EXPIRED:
            self.signer.forget_credentials()
            return True
        return False

    def _correct_clock(self, answer: Answer) -> bool:
        try:
            server = parsedate_to_datetime(answer.header("date") or "").timestamp()
        except ValueError:
            return False
        offset = server - time.time()
        if abs(offset - self.signer.clock_offset) < CLOCK_TOLERANCE:
            # Right by now. It may have been put right after this request was signed: calls that
            # were under way together all fail for the clock that the first of them corrects.
            return self.signer.clock_offset != 0.0
        self.signer.clock_offset = offset
        return True

    def report(self, call: Call) -> None:
        """Tell every hook of a finished call."""
        for hook in self.hooks:
            hook(call)

    def close(self) -> None:
        """Close the idle connections. The wire may be used again."""
        while self._idle:
            self._close_oldest()

    def _close_oldest(self) -> None:
        try:
            self._idle.popleft().close()
        except IndexError:
            pass  # another thread has taken it


class _Attempts:
    """One call: its tries, and what becomes of it."""

    def __init__(
        self, wire: Wire, operation: str, payload: Mapping[str, Any], deadline: float
    ) -> None:
        self.wire = wire
        self.operation = operation
        self.table = tables_of(payload)
        self.index = payload.get("IndexName", "")
        self.body = encode_payload(payload)
        self.started = time.perf_counter()
        self.until = time.monotonic() + deadline
        self.retries = 0
        self.throttles = 0
        self.corrected = False

    def run(self) -> dict[str, Any]:
        while True:
            try:
                answer = self.wire.exchange(self.operation, self.body, self.until)
                result = parse_body(answer) if answer.status == 200 else None
            except (OSError, BotoCoreError, ClientError) as error:
                failure: Exception = transport_error(error, self.wire.endpoint.url)
                if not may_pass(error):
                    self._report(failure, None)
                    raise failure from None
            else:
                if result is not None:
                    self._report(None, result)
                    return result
                failure = self._failure(answer)
            if not self._wait(failure):
                self._report(failure, None)
                raise failure

    def _failure(self, answer: Answer) -> ClientError:
        """The error to raise if no try is left; raises at once what no retry can mend."""
        error = client_error(self.operation, answer, self.retries)
        verdict = verdict_on(error)
        if verdict is Verdict.THROTTLED:
            self.throttles += 1
        elif verdict is Verdict.FAILED:
            if self.corrected or not self.wire.learn(error, answer):
                self._report(error, None)
                raise error
            self.corrected = True
        return error

    def _wait(self, failure: Exception) -> bool:
        """Wait for the next try; False when the deadline would pass first."""
        delay = backoff(self.retries)
        if time.monotonic() + delay >= self.until:
            return False
        time.sleep(delay)
        self.retries += 1
        RETRIED.log(operation=self.operation, tables=self.table, retry=self.retries, error=failure)
        return True

    def _report(self, failure: Exception | None, answer: Mapping[str, Any] | None) -> None:
        if self.wire.hooks:
            seconds = time.perf_counter() - self.started
            capacity = rows = None
            if answer is not None:
                capacity, rows = answer.get("ConsumedCapacity"), rows_of(answer)
                if rows is None and self.operation == "GetItem":
                    rows = 0  # the answer that there is none is empty
            self.wire.report(
                Call(
                    self.operation,
                    self.table,
                    seconds,
                    self.retries,
                    self.throttles,
                    capacity,
                    None if failure is None else error_code(failure),
                    rows,
                    self.index,
                    failure,
                )
            )


_wires: weakref.WeakSet[Wire] = weakref.WeakSet()
_shared: dict[tuple[Any, ...], Wire] = {}
_lock = threading.Lock()


def get_wire() -> Wire:
    """The process's wire for the endpoint that the settings name."""
    wanted = (
        settings.DYNAMODB_ENDPOINT,
        settings.DYNAMODB_REGION,
        settings.DYNAMODB_CONNECT_TIMEOUT,
        settings.DYNAMODB_READ_TIMEOUT,
        settings.DYNAMODB_DEADLINE,
        settings.DYNAMODB_POOL_SIZE,
    )
    wire = _shared.get(wanted)
    if wire is None:
        with _lock:
            wire = _shared.get(wanted) or _shared.setdefault(wanted, _new_wire(*wanted))
    return wire


def _new_wire(
    endpoint: str, region: str, connect: float, read: float, deadline: float, pool_size: int
) -> Wire:
    return Wire(
        resolve_endpoint(endpoint, region),
        region,
        connect_timeout=connect,
        read_timeout=read,
        deadline=deadline,
        pool_size=pool_size,
    )


def open_connections() -> tuple[int, int]:
    """Connections of this process to DynamoDB: how many are open, and how many of them idle."""
    with _lock:
        opened = [each for wire in _wires for each in wire._opened]
        idle = sum(len(wire._idle) for wire in _wires)
    return sum(each.fileno() >= 0 for each in opened), idle


def close_wires() -> None:
    """Close every connection and forget the shared wires: at shutdown, and after a fork."""
    for wire in list(_wires):
        wire.close()
    _shared.clear()


def _after_fork() -> None:
    # The parent's sockets are shared with the child: closing the copies here leaves the parent's
    # alone, and using them would mix two processes' answers. A lock may be held by a thread that
    # does not exist in the child.
    global _lock
    _lock = threading.Lock()
    for wire in list(_wires):
        wire._opened.clear()
    close_wires()


os.register_at_fork(after_in_child=_after_fork)
