"""One HTTP/1.1 connection that sends a request in one piece and reads its answer whole.

An answer is returned only when it is complete; anything else is an `OSError` (or botocore's
ConnectTimeoutError), and the connection is not to be used again.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import ConnectTimeoutError

from dbcore.addresses import Endpoint

_CHUNK = 65536
_MAX_HEAD = 65536


class BrokenAnswer(ConnectionError):
    """The answer ended early or is not HTTP."""


# What it looks like when the peer closes a connection.
CLOSED = (
    BrokenAnswer,
    BrokenPipeError,
    ConnectionAbortedError,
    ConnectionResetError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)


@dataclass(slots=True)
class Answer:
    """An HTTP answer. `head` is its status line and headers, raw. `resent`: the request had been
    sent before, on an idle connection that the peer closed."""

    status: int
    head: bytes
    body: bytes
    resent: bool = False

    def header(self, name: str) -> str | None:
        """A header's value, by its name in lower case."""
        return _header(self.head, name.encode())

    @property
    def headers(self) -> dict[str, str]:
        """All headers by lower-case name."""
        lines = (line.partition(b":") for line in self.head.split(b"\r\n")[1:])
        return {
            name.decode("latin-1").lower(): value.decode("latin-1").strip()
            for name, _, value in lines
            if name
        }


def _header(head: bytes, name: bytes) -> str | None:
    at = head.lower().find(b"\r\n" + name + b":")
    if at < 0:
        return None
    start = at + len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else None].decode("latin-1").strip()


class Connection:
    """A connection to one endpoint. Not thread-safe: one user at a time."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self.idle_since = 0.0
        self.reusable = True

    def fileno(self) -> int:
        """The socket's descriptor, for polling."""
        return self._socket.fileno()

    def send(self, request: bytes, timeout: float) -> None:
        """Send a whole request."""
        self._socket.settimeout(timeout)
        self._socket.sendall(request)

    def receive(self, timeout: float) -> Answer:
        """Read a whole answer; `timeout` is for all of it, in seconds."""
        until = time.monotonic() + timeout
        self._socket.settimeout(timeout)
        data = self._socket.recv(_CHUNK)
        end = data.find(b"\r\n\r\n")
        while end < 0:
            if not data or len(data) > _MAX_HEAD:
                raise BrokenAnswer("the connection was closed before an answer came")
            data += self._more(until)
            end = data.find(b"\r\n\r\n")
        head = data[:end]
        if not head.startswith(b"HTTP/1.") or not head[9:12].isdigit():
            raise BrokenAnswer("the answer is not HTTP")
        try:
            body = self._body(head, data[end + 4 :], until)
        except ValueError:
            raise BrokenAnswer("the answer's length is not a number") from None
        if (_header(head, b"connection") or "").lower() == "close" or head[:8] == b"HTTP/1.0":
            self.reusable = False
        return Answer(int(head[9:12]), head, body)

    def _more(self, until: float) -> bytes:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        data = self._socket.recv(_CHUNK)
        if not data:
            raise BrokenAnswer("the connection was closed in the middle of an answer")
        return data

    def _body(self, head: bytes, start: bytes, until: float) -> bytes:
        length = _header(head, b"content-length")
        if length is not None:
            left = int(length) - len(start)
            parts = [start]
            while left > 0:
                parts.append(self._more(until))
                left -= len(parts[-1])
            if left < 0:
                raise BrokenAnswer("the answer is longer than it says")
            return b"".join(parts)
        if (_header(head, b"transfer-encoding") or "").lower() == "chunked":
            return self._chunked(start, until)
        return self._until_closed(start, until)

    def _chunked(self, data: bytes, until: float) -> bytes:
        body = b""
        while True:
            while (end := data.find(b"\r\n")) < 0:
                data += self._more(until)
            size = int(data[:end].split(b";")[0], 16)
            while len(data) < end + 2 + size + 2:
                data += self._more(until)
            if size == 0:
                if data[end:] != b"\r\n\r\n":  # trailers: not worth reading, not to be left over
                    self.reusable = False
                return body
            body += data[end + 2 : end + 2 + size]
            data = data[end + 2 + size + 2 :]

    def _until_closed(self, data: bytes, until: float) -> bytes:
        self.reusable = False
        while True:
            try:
                data += self._more(until)
            except BrokenAnswer:
                return data

    def is_stale(self) -> bool:
        """Whether the peer has closed (or spoken on) the connection while it was idle."""
        poller = select.poll()
        poller.register(self.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        return bool(poller.poll(0))

    def close(self) -> None:
        """Close it; never raises."""
        try:
            self._socket.close()
        except OSError:
            pass


# What a wire gets its connections from: endpoint, TLS, seconds to connect in.
Transport = Callable[[Endpoint, ssl.SSLContext | None, float], Connection]


def open_connection(
    endpoint: Endpoint, tls: ssl.SSLContext | None, connect_timeout: float
) -> Connection:
    """A connection to the endpoint itself; an OSError, or botocore's ConnectTimeoutError."""
    try:
        raw = socket.create_connection((endpoint.host, endpoint.port), timeout=connect_timeout)
    except TimeoutError as error:
        raise ConnectTimeoutError(endpoint_url=endpoint.url, error=error) from None
    # Without it a request in two segments waits 40 ms for the peer's delayed acknowledgement.
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return Connection(raw if tls is None else tls.wrap_socket(raw, server_hostname=endpoint.host))
