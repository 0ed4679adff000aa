"""An HTTP proxy that connects to where it is asked (CONNECT), or refuses to."""

from __future__ import annotations

import selectors
import socket
import socketserver
import threading
from contextlib import suppress
from functools import partial
from typing import BinaryIO, Self, cast

from tests.support.wire import Message


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        proxy = cast(_Server, self.server).proxy
        with suppress(OSError, ConnectionError):
            request = Message.read(cast("BinaryIO", self.rfile))
            if request is None:
                return
            proxy.asked.append(request.head.split(b" ")[1].decode())
            proxy.accounts.append(request.header("proxy-authorization"))
            if proxy.refusal:
                self.wfile.write(f"HTTP/1.1 {proxy.refusal}\r\n\r\n".encode())
                return
            assert proxy.to is not None
            with socket.create_connection(proxy.to) as other:
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _join(self.connection, other)


def _join(one: socket.socket, other: socket.socket) -> None:
    """What either says goes to the other, until one of them ends."""
    to = {one: other, other: one}
    with selectors.DefaultSelector() as selector:
        for each in to:
            selector.register(each, selectors.EVENT_READ)
        while True:
            for ready, _ in selector.select():
                said = cast(socket.socket, ready.fileobj).recv(65536)
                if not said:
                    return
                to[cast(socket.socket, ready.fileobj)].sendall(said)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    proxy: ConnectProxy


class ConnectProxy:
    """``with ConnectProxy(to=("127.0.0.1", port)) as proxy: proxy.url``. `asked`: the hosts and
    ports that it was asked to connect to, all of which are at `to`; `accounts`: the
    Proxy-Authorization of each. `refusal`: a status and reason that it answers instead."""

    def __init__(self, to: tuple[str, int] | None = None, refusal: str = "") -> None:
        self.to = to
        self.refusal = refusal
        self.asked: list[str] = []
        self.accounts: list[str] = []

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        serve = partial(self._server.serve_forever, poll_interval=0.01)
        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
