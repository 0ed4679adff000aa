"""DynamoDB's part, played from a script: a transport of the wire without an engine. What it answers
is read as any server's answer is; what it was asked is kept."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dbcore.addresses import parse_endpoint
from dbcore.wire import Wire
from dbcore.wire.connection import Connection

_TARGET = re.compile(rb"(?i)x-amz-target: DynamoDB_20120810\.(\w+)")


@dataclass(frozen=True, slots=True)
class Refused:
    """An error as DynamoDB answers it."""

    code: str
    message: str = "as the script has it"
    body: Mapping[str, Any] = field(default_factory=dict)


class Lost:
    """The request has arrived, and its answer never does: the connection ends."""


LOST = Lost()
Reply = dict[str, Any] | Refused | Lost
Player = Callable[[str, dict[str, Any]], Reply]


def cancelled(*codes: str, items: Mapping[int, Any] | None = None) -> Refused:
    """A transaction that was cancelled, with a reason for each action."""
    reasons: list[dict[str, Any]] = [{"Code": code} for code in codes]
    for at, item in (items or {}).items():
        reasons[at]["Item"] = item
    return Refused("TransactionCanceledException", body={"CancellationReasons": reasons})


class Script:
    """Answers each request by `player`, or by the next of some replies."""

    def __init__(self, *replies: Reply, player: Player | None = None) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._replies = iter(replies)
        self._player = player or (lambda operation, request: next(self._replies))

    @property
    def asked(self) -> list[str]:
        """The operations, in order."""
        return [operation for operation, _ in self.requests]

    @contextmanager
    def wire(self, **given: Any) -> Iterator[Wire]:
        """A wire that speaks to this."""
        made = Wire(
            parse_endpoint("http://127.0.0.1:9"), "eu-central-1",
            transport=lambda *_: _Scripted(self), **given,
        )  # fmt: skip
        try:
            yield made
        finally:
            made.close()

    def reply(self, operation: str, request: dict[str, Any]) -> Reply:
        self.requests.append((operation, request))
        return self._player(operation, request)


class _Scripted(Connection):
    """Ours is one end of a pair of sockets, the script's the other."""

    def __init__(self, script: Script) -> None:
        ours, self._theirs = socket.socketpair()
        super().__init__(ours)
        self._script = script

    def send(self, request: bytes, timeout: float) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        target = _TARGET.search(head)
        assert target is not None
        reply = self._script.reply(target[1].decode(), json.loads(body))
        if isinstance(reply, Lost):
            self._theirs.close()
            return
        status, answer = 200, reply
        if isinstance(reply, Refused):
            status = 400
            answer = {"__type": f"x#{reply.code}", "message": reply.message, **reply.body}
        text = json.dumps(answer).encode()
        self._theirs.sendall(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(text)))
        self._theirs.sendall(text)

    def close(self) -> None:
        super().close()
        self._theirs.close()
