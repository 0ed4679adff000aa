"""A Sentry of the tests' own: it takes real envelopes over HTTP and keeps them, as bytes and
parsed. Nobody else's reading of them is trusted."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fields = dict[str, Any]


class SentryServer:
    """It keeps what it answers with 200. Between `hang` and `release` it answers nobody."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []  # of each request: its headers and its body, decoded
        self.items: list[tuple[str, Fields]] = []  # type and payload of each item of an envelope
        self.headers: list[Fields] = []  # of envelopes
        self.answer = (200, 0)  # a status, and seconds for Retry-After
        self.asked: list[str] = []  # headers of what is asked of it as another service
        self.tries = 0
        self._free = threading.Event()
        self._free.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def dsn(self) -> str:
        return f"http://public@{self.host}/1"

    @property
    def everything(self) -> bytes:
        """All that has arrived."""
        return b"\n".join(self.raw)

    def hang(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def of_type(self, kind: str) -> list[Fields]:
        return [payload for found, payload in self.items if found == kind]

    @contextmanager
    def running(self) -> Iterator[SentryServer]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.release()
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def take(self, path: str, head: str, body: bytes, encoding: str) -> tuple[int, int]:
        """Keep one request; what it is answered."""
        self.tries += 1
        self._free.wait(60)
        if self.answer[0] != 200:
            return self.answer
        assert path == "/api/1/envelope/", path
        assert encoding == "gzip", encoding
        plain = gzip.decompress(body)
        self.raw.append(head.encode() + plain)
        self._parse(plain)
        return 200, 0

    def _parse(self, plain: bytes) -> None:
        head, _, rest = plain.partition(b"\n")
        self.headers.append(json.loads(head))
        while rest.strip():
            line, _, rest = rest.partition(b"\n")
            item = json.loads(line)
            if "length" in item:
                payload, rest = rest[: item["length"]], rest[item["length"] :].lstrip(b"\n")
            else:
                payload, _, rest = rest.partition(b"\n")
            self.items.append((item["type"], json.loads(payload)))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # another service
                server.asked.append(str(self.headers))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                encoding = self.headers.get("Content-Encoding", "")
                status, wait = server.take(self.path, str(self.headers), body, encoding)
                self.send_response(status)
                if wait:
                    self.send_header("Retry-After", str(wait))
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None: ...

        return Handler
