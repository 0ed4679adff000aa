"""A fault-injecting HTTP/1.1 proxy between a DynamoDB client and a local engine.

It must never change a byte of an exchange for which no fault is due: what a test then sees is
the engine's own answer, and every difference has a name in ``proxy.requests``.
"""

import random
import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import BinaryIO, Self, cast
from urllib.parse import urlsplit

from tests.support.faults import (
    Call,
    ClockSkew,
    CorruptBody,
    Custom,
    Delay,
    DropAfter,
    DropBefore,
    ExpiredToken,
    Fault,
    HalfUnprocessed,
    InternalServerError,
    ServiceUnavailable,
    Throttle,
    ThrottlingException,
    Truncate,
)
from tests.support.wire import Answer, Message, make_answer, make_error

__all__ = [
    "Answer",
    "Call",
    "ClockSkew",
    "CorruptBody",
    "Custom",
    "Delay",
    "DropAfter",
    "DropBefore",
    "ExpiredToken",
    "Fault",
    "FaultProxy",
    "HalfUnprocessed",
    "InternalServerError",
    "Message",
    "ServiceUnavailable",
    "Throttle",
    "ThrottlingException",
    "Truncate",
    "make_answer",
    "make_error",
]

FaultLike = Fault | Callable[[Call], Answer | None]


class _Armed:
    """One fault with its own generator, so that faults do not disturb each other's luck."""

    def __init__(self, fault: FaultLike, seed: object, index: int) -> None:
        self.fault = fault if isinstance(fault, Fault) else Custom(fault)
        self._random = random.Random(f"{seed}/{index}/{self.fault.name}")
        self._lock = threading.Lock()
        self._seen = self._fired = 0

    def is_due(self, request: Message) -> bool:
        fault = self.fault
        if not fault.applies(request):
            return False
        with self._lock:
            self._seen += 1
            spent = fault.times is not None and self._fired >= fault.times
            if self._seen <= fault.skip or spent or self._random.random() >= fault.p:
                return False
            self._fired += 1
            return True


class _Upstream:
    """The engine's end of one client connection, opened when it is first needed."""

    def __init__(self, proxy: "FaultProxy") -> None:
        self._proxy = proxy
        self._socket: socket.socket | None = None
        self._stream: BinaryIO | None = None

    def exchange(self, request: Message) -> Message:
        if self._socket is None or self._stream is None:
            self._socket = socket.create_connection(self._proxy.upstream)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._stream = self._socket.makefile("rb")
            self._proxy.track(self._socket)
        self._socket.sendall(request.head + request.body)
        answer = self._answer(self._stream, request)
        if answer.last:
            self.close()
        return answer

    @staticmethod
    def _answer(stream: BinaryIO, request: Message) -> Message:
        while True:
            answer = Message.read(stream, bodiless=request.method == "HEAD")
            if answer is None:
                raise ConnectionError("the engine closed without an answer")
            if answer.status != 100:  # the body that it asks for has been sent already
                return answer

    def close(self) -> None:
        if self._socket is not None and self._stream is not None:
            self._proxy.untrack(self._socket)
            self._stream.close()
            self._socket.close()
        self._socket = self._stream = None


class _Call:
    """One request on its way through the faults, the first of them nearest to the client."""

    def __init__(self, request: Message, armed: Sequence[_Armed], upstream: _Upstream) -> None:
        self.request = request
        self.fired: list[str] = []
        self._rest, self._upstream = iter(armed), upstream

    def proceed(self, request: Message | None = None) -> Answer:
        self.request = request or self.request
        for armed in self._rest:
            if armed.is_due(self.request):
                self.fired.append(armed.fault.name)
                return armed.fault.act(self)
        return Answer(self._upstream.exchange(self.request))


class _Handler(socketserver.StreamRequestHandler):
    """One client connection: request after request until either side has had enough."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        proxy = cast(_Server, self.server).proxy
        upstream = _Upstream(proxy)
        proxy.track(self.connection)
        try:
            with suppress(OSError):  # a lost connection is what the client is meant to see
                while self._serve_one(proxy, upstream):
                    pass
        finally:
            proxy.untrack(self.connection)
            upstream.close()

    def _ask_for_body(self) -> None:
        self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _serve_one(self, proxy: "FaultProxy", upstream: _Upstream) -> bool:
        request = Message.read(cast("BinaryIO", self.rfile), go_on=self._ask_for_body)
        if request is None:
            return False
        answer = proxy.answer(request, upstream)
        if answer.message is not None:
            self.wfile.write(answer.message.head + answer.message.body)
        return not (answer.close or request.last)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    proxy: "FaultProxy"


class FaultProxy:
    """``with FaultProxy(endpoint, [Throttle(0.1)], seed=7) as proxy: proxy.endpoint``.

    ``requests`` holds (operation, fault or None) in the order in which they were answered,
    several faults on one request joined by "+"; ``counts`` counts each fault, and None for what
    was forwarded untouched. With one connection a seed fixes every draw; with several it fixes
    the sequence of draws, and the order of arrival decides whom each one hits.
    """

    def __init__(self, upstream: str, faults: Sequence[FaultLike] = (), seed: object = 0) -> None:
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.requests: list[tuple[str, str | None]] = []
        self.counts: Counter[str | None] = Counter()
        self._seed = seed
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self.set_faults(*faults)

    def set_faults(self, *faults: FaultLike) -> None:
        """Replaces the faults from the next request on; every count and draw starts anew."""
        self._armed = [_Armed(fault, self._seed, i) for i, fault in enumerate(faults)]

    def answer(self, request: Message, upstream: _Upstream) -> Answer:
        """What the client gets for a request; recorded before it is sent, so that a test that
        has its answer finds the record."""
        call = _Call(request, self._armed, upstream)
        try:
            return call.proceed()
        finally:
            with self._lock:
                self.requests.append((request.operation, "+".join(call.fired) or None))
                for fault in call.fired or (None,):
                    self.counts[fault] += 1

    def track(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.add(connection)

    def untrack(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(connection)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        serve = partial(self._server.serve_forever, poll_interval=0.01)
        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with self._lock:
            open_ones = list(self._sockets)
        for connection in open_ones:
            with suppress(OSError):  # it may have closed since
                connection.shutdown(socket.SHUT_RDWR)
