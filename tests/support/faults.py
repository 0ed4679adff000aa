"""The faults a FaultProxy can inject, each named for what the client sees.

A fault must never draw lots itself: whether it is due is the proxy's seeded draw, so that a
failing test fails again with the same seed.
"""

import json
import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar, Protocol

from tests.support.wire import Answer, Message, make_answer, make_error

SERVICE = "com.amazonaws.dynamodb.v20120810#"
CORAL = "com.amazon.coral.service#"
AVAILABILITY = "com.amazon.coral.availability#"
SKEW_ALLOWED = timedelta(minutes=5)
AMZ_DATE = "%Y%m%dT%H%M%SZ"


class Call(Protocol):
    """One request on its way; ``proceed`` asks the faults further on and then the engine."""

    request: Message
    fired: list[str]

    def proceed(self, request: Message | None = None) -> Answer: ...


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What all faults share: at most ``times`` often, only on ``operations`` (empty: on all),
    not on the first ``skip`` requests it applies to."""

    p = 1.0
    times: int | None = None
    operations: tuple[str, ...] = ()
    skip: int = 0

    @property
    def name(self) -> str:
        return type(self).__name__

    def applies(self, request: Message) -> bool:
        return not self.operations or request.operation in self.operations

    @abstractmethod
    def act(self, call: Call) -> Answer: ...


@dataclass(frozen=True)
class Custom(Fault):
    """A callable as a fault: it answers, or returns None and the call goes on untouched."""

    function: Callable[[Call], Answer | None]

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", "Custom")

    def act(self, call: Call) -> Answer:
        answer = self.function(call)
        if answer is None:
            call.fired.remove(self.name)
        return answer or call.proceed()


@dataclass(frozen=True)
class Chance(Fault):
    """A fault that happens with probability ``p``."""

    p: float = 1.0


class Refusal(Chance):
    """An error in the service's own words; the request is not carried out."""

    status: ClassVar[int] = 400
    kind: ClassVar[str]
    text: ClassVar[str]

    def act(self, call: Call) -> Answer:
        return make_error(self.status, self.kind, self.text)


class Throttle(Refusal):
    kind = SERVICE + "ProvisionedThroughputExceededException"
    text = "The level of configured provisioned throughput for the table was exceeded."


class ThrottlingException(Refusal):
    kind = AVAILABILITY + "ThrottlingException"
    text = "Rate of requests exceeds the allowed throughput."


class InternalServerError(Refusal):
    status = 500
    kind = SERVICE + "InternalServerError"
    text = "Internal server error"


@dataclass(frozen=True)
class ExpiredToken(Refusal):
    """The session's credentials ran out, as many times as said; then they are accepted."""

    times: int | None = 1
    kind = CORAL + "ExpiredTokenException"
    text = "The security token included in the request is expired"


class ServiceUnavailable(Chance):
    """A 503 from something in front of the service: HTML, no checksum, no request id."""

    def act(self, call: Call) -> Answer:
        page = b"<html><body><b>Http/1.1 Service Unavailable</b></body> </html>"
        return make_answer(503, page, {"Content-Type": "text/html"})


@dataclass(frozen=True)
class ClockSkew(Fault):
    """A server whose clock is ``seconds`` ahead of ours: it refuses what is signed more than
    five minutes from its own time, tells its time in Date, and lets the rest pass."""

    seconds: float

    def _now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.seconds)

    def applies(self, request: Message) -> bool:
        signed = request.header("x-amz-date")
        skewed = signed and abs(self._now() - _parse_date(signed)) > SKEW_ALLOWED
        return bool(skewed) and super().applies(request)

    def act(self, call: Call) -> Answer:
        now, signed = self._now(), call.request.header("x-amz-date")
        if _parse_date(signed) < now:
            verdict, sign, edge = "expired: {} is now earlier", "-", now - SKEW_ALLOWED
        else:
            verdict, sign, edge = "not yet current: {} is still later", "+", now + SKEW_ALLOWED
        text = f"Signature {verdict.format(signed)} than {edge:{AMZ_DATE}}"
        text += f" ({now:{AMZ_DATE}} {sign} 5 min.)"
        date = {"Date": format_datetime(now, usegmt=True)}
        return make_error(400, CORAL + "InvalidSignatureException", text, date)


def _parse_date(stamp: str) -> datetime:
    return datetime.strptime(stamp, AMZ_DATE).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Delay(Fault):
    """A slow network: the request waits, and then goes its way."""

    seconds: float
    p: float = 1.0

    def act(self, call: Call) -> Answer:
        time.sleep(self.seconds)
        return call.proceed()


class DropBefore(Chance):
    """The connection is lost, and the request was not carried out."""

    def act(self, call: Call) -> Answer:
        return Answer(None, close=True)


class DropAfter(Chance):
    """The connection is lost, and the request was carried out."""

    def act(self, call: Call) -> Answer:
        call.proceed()
        return Answer(None, close=True)


class Truncate(Chance):
    """The connection is lost in the middle of the answer's body."""

    def act(self, call: Call) -> Answer:
        message = call.proceed().message
        half = message and replace(message, body=message.body[: len(message.body) // 2])
        return Answer(half, close=True)


class CorruptBody(Chance):
    """One bit of the answer is wrong. It falls on a digit where there is one, so that the body
    still parses and only the checksum tells."""

    def act(self, call: Call) -> Answer:
        answer = call.proceed()
        if answer.message is None or not answer.message.body:
            return answer
        body = bytearray(answer.message.body)
        at = next((i for i, byte in enumerate(body) if 48 <= byte <= 57), len(body) // 2)
        body[at] ^= 1
        return replace(answer, message=replace(answer.message, body=bytes(body)))


class HalfUnprocessed(Chance):
    """The service does every other entry of a batch and hands the rest back undone."""

    def applies(self, request: Message) -> bool:
        batch = request.operation in ("BatchWriteItem", "BatchGetItem")
        return batch and super().applies(request) and len(_entries(request)) > 1

    def act(self, call: Call) -> Answer:
        payload, entries = json.loads(call.request.body), _entries(call.request)
        tables = payload["RequestItems"]
        payload["RequestItems"] = _gathered(tables, entries[::2])
        message = call.proceed(call.request.with_json(payload)).message
        if message is None or message.status != 200:
            return Answer(message)
        answer = json.loads(message.body)
        writes = call.request.operation == "BatchWriteItem"
        undone = answer.setdefault("UnprocessedItems" if writes else "UnprocessedKeys", {})
        for table, left in _gathered(tables, entries[1::2]).items():
            undone[table] = _joined(undone.get(table), left)
        return Answer(message.with_json(answer))


def _entries(request: Message) -> list[tuple[str, Any]]:
    """The writes or keys of a batch, each with its table, in the order of the request."""
    tables = json.loads(request.body)["RequestItems"]
    return [
        (table, entry)
        for table, asked in tables.items()
        for entry in (asked if isinstance(asked, list) else asked["Keys"])
    ]


def _gathered(tables: dict[str, Any], entries: list[tuple[str, Any]]) -> dict[str, Any]:
    """RequestItems for some of the entries, a table's other settings (ConsistentRead…) kept."""
    found: dict[str, list[Any]] = {}
    for table, entry in entries:
        found.setdefault(table, []).append(entry)
    return {
        table: left if isinstance(tables[table], list) else tables[table] | {"Keys": left}
        for table, left in found.items()
    }


def _joined(undone: Any, left: Any) -> Any:
    """What the engine itself left undone in a table, and what the fault did."""
    if not undone:
        return left
    if isinstance(left, list):
        return undone + left
    return left | {"Keys": undone["Keys"] + left["Keys"]}
