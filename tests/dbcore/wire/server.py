"""A server on this machine whose every answer a test decides, byte for byte.

It counts what a client cannot hide: the connections that were opened, and how many requests were
under way at once.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, Self, cast

import orjson

from tests.support.wire import Message

PATIENCE = 30.0  # seconds until something that should happen is given up

Answering = Callable[[Message], bytes | None]


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once something is so; a test fails when it never is."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it never came to be"
        time.sleep(0.005)


def http(body: bytes, *headers: str, status: int = 200, length: bool = True) -> bytes:
    """An HTTP answer with just these headers, and its length unless that is left out."""
    lines = [f"HTTP/1.1 {status} Whatever", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def dynamodb(payload: Any, *headers: str, status: int = 200) -> bytes:
    """An answer as DynamoDB gives it, with a checksum."""
    body = orjson.dumps(payload)
    return http(body, f"x-amz-crc32: {zlib.crc32(body)}", *headers, status=status)


def echo(request: Message) -> bytes:
    """The request's payload as its answer."""
    return dynamodb(orjson.loads(request.body))


class Server:
    """``with Server(answering) as server: server.endpoint``.

    ``answering`` has a request's answer, or None to close the connection without one. It may wait
    for ``server.ending``, so that no answer comes for as long as the test lasts.
    """

    def __init__(self, answering: Answering = echo, tls: ssl.SSLContext | None = None) -> None:
        self.answering = answering
        self.ending = threading.Event()
        self.closes = True  # a connection, when it has said that it will
        self.connections = 0  # that were ever opened
        self.requests: list[Message] = []
        self.most_in_flight = 0
        self._in_flight = 0
        self._tls = tls
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.endpoint = (
            f"http://127.0.0.1:{self.port}" if tls is None else f"https://localhost:{self.port}"
        )
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self.close_connections()
        wait_until(lambda: self.open_now == 0)

    @property
    def open_now(self) -> int:
        """The connections that neither side has closed."""
        with self._lock:
            return len(self._open)

    def close_connections(self, *, rudely: bool = False) -> None:
        """Close every connection, as a server does that finds them idle for too long; rudely:
        with a reset."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    if rudely:
                        linger = struct.pack("ii", 1, 0)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                        connection.shutdown(socket.SHUT_RD)  # wakes its thread, which closes it
                    else:
                        connection.shutdown(socket.SHUT_RDWR)
        if rudely:
            wait_until(lambda: self.open_now == 0)

    def _accept(self) -> None:
        while not self.ending.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        talk = connection
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                talk = self._tls.wrap_socket(connection, server_side=True)
                with self._lock:
                    self._open.discard(connection)
                    self._open.add(talk)
            with talk.makefile("rb") as stream:
                while self._serve_one(talk, cast("BinaryIO", stream)):
                    pass
        except OSError:
            pass  # the client has gone
        finally:
            talk.close()
            with self._lock:
                self._open.discard(connection)
                self._open.discard(talk)

    def _serve_one(self, talk: socket.socket, stream: BinaryIO) -> bool:
        request = Message.read(stream)
        if request is None:
            return False
        with self._lock:
            self.requests.append(request)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            answer = self.answering(request)
        finally:
            with self._lock:
                self._in_flight -= 1
        if answer is None:
            return False
        talk.sendall(answer)
        head = answer.partition(b"\r\n\r\n")[0].lower()
        framed = b"\r\ncontent-length:" in head or b"chunked" in head
        said = self.closes and re.search(rb"\r\nconnection: *close", head)
        return framed and not said


def in_turn(*answers: bytes | None) -> Answering:
    """These answers one after the other; the last one for good."""
    left = list(answers)
    lock = threading.Lock()

    def answering(_: Message) -> bytes | None:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return answering
