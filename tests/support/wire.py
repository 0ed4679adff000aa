"""HTTP/1.1 messages as the fault proxy reads and writes them.

Nothing here may normalise a head it has read: what is forwarded must be the bytes that came.
"""

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, BinaryIO

REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True)
class Message:
    """One request or answer: the head as it came, blank line included, and the body."""

    head: bytes
    body: bytes

    @classmethod
    def read(
        cls,
        stream: BinaryIO,
        *,
        bodiless: bool = False,
        go_on: Callable[[], object] = lambda: None,
    ) -> "Message | None":
        """The next message, or None where the other side closed between two of them.

        An answer to HEAD is `bodiless`, whatever length it tells; `go_on` is called before the body
        of a request that waits to be asked for it (Expect: 100-continue).
        """
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline()
            if not line and not head:
                return None
            if not line:
                raise ConnectionError("closed inside a message head")
            head += line
        told = cls(head, b"")
        if told.header("expect"):
            go_on()
        length = 0 if bodiless else int(told.header("content-length") or 0)
        body = stream.read(length)
        if len(body) < length:
            raise ConnectionError("closed inside a message body")
        return cls(head, body)

    def header(self, name: str) -> str:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.strip().lower() == name:
                return value.strip()
        return ""

    @property
    def operation(self) -> str:
        return self.header("x-amz-target").rpartition(".")[2]

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode("latin-1")

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    @property
    def last(self) -> bool:
        """Whether its sender means to close the connection after it."""
        return self.header("connection").lower() == "close"

    def with_json(self, payload: Any) -> "Message":
        """The same message with another body, its length and (if it has one) checksum made to
        fit; a request's signature no longer fits, and no local engine looks."""
        body = json.dumps(payload, separators=(",", ":")).encode()
        fitting = {b"content-length": len(body), b"x-amz-crc32": zlib.crc32(body)}
        lines = self.head.split(b"\r\n")
        for at, line in enumerate(lines):
            name = line.partition(b":")[0]
            if name.lower() in fitting:
                lines[at] = b"%s: %d" % (name, fitting[name.lower()])
        return Message(b"\r\n".join(lines), body)


@dataclass(frozen=True)
class Answer:
    """What the client gets: a message, or None for nothing; then the connection may close."""

    message: Message | None
    close: bool = False


def make_answer(status: int, body: bytes, headers: dict[str, str]) -> Answer:
    """An answer with a Date and the right length, whatever else it claims."""
    given = {"Date": format_datetime(datetime.now(UTC), usegmt=True)} | headers
    given["Content-Length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    head = f"HTTP/1.1 {status} {REASONS.get(status, 'OK')}\r\n{lines}\r\n"
    return Answer(Message(head.encode("latin-1"), body))


def make_error(status: int, kind: str, text: str, headers: dict[str, str] | None = None) -> Answer:
    """A refusal as DynamoDB words it: request id, and a checksum over the JSON body."""
    body = json.dumps({"__type": kind, "message": text}, separators=(",", ":")).encode()
    given = {"Content-Type": "application/x-amz-json-1.0", "x-amz-crc32": str(zlib.crc32(body))}
    given["x-amzn-RequestId"] = f"{zlib.adler32(body):X}".rjust(52, "F")
    return make_answer(status, body, given | (headers or {}))
