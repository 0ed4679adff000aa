"""Sends prepared writes: one that may go alone by itself, at half the cost, others in transactions.

The wire sends again what got no answer, so that a write may meet what it has itself written: that
must never be taken for another's. DynamoDB knows a transaction by its token; a write that goes
alone knows itself by what it finds. That is less exact in one case: where an answer is lost and
somebody else adds the same record in all its fields, or deletes the same one, before the request is
sent again, both are told that they did it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from dbcore.attributes import Item
from dbcore.stores.dynamo.writes import Overtaken, Prepared, error_of
from dbcore.stores.errors import AlreadyExists, Conflict
from dbcore.wire import Wire
from dbcore.wire.answers import error_code
from dbcore.wire.client import backoff

TRIES = 8  # of a write that is overtaken by others
FAILED = "ConditionalCheckFailedException"
_BUSY = "TransactionConflictException"  # a transaction is writing to the same item
_CANCELLED = "TransactionCanceledException"
_ASKED = {  # of each kind of write, beyond its condition
    "Put": {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"},
    "Delete": {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"},
    "Update": {"ReturnValues": "ALL_NEW"},
}

Answer = TypeVar("Answer")


class _Refused(Exception):
    """A condition does not hold. `found`: the item that is there; `resent`: whether the request
    was sent more than once, so that this may be its own work."""

    def __init__(self, found: Item | None, *, resent: bool) -> None:
        super().__init__()
        self.found = found
        self.resent = resent


def send(wire: Wire, prepared: Prepared) -> None:
    """Do an add or a delete; AlreadyExists, UniqueViolation, Conflict, Overtaken."""
    if not prepared.alone:
        send_together(wire, [prepared])
        return
    try:
        _send_alone(wire, prepared.action)
    except _Refused as refused:
        if not (refused.resent and _is_own(prepared, refused.found)):
            raise AlreadyExists("a record has this key") if prepared.adds else Overtaken from None


def send_update(wire: Wire, prepared: Prepared) -> Item:
    """Do an update that may go alone; the item as it is then. Conflict, Overtaken."""
    try:
        answer = _send_alone(wire, prepared.action)
    except _Refused:
        # Not by itself: to do it twice is to do it once.
        raise Overtaken from None
    found: Item = answer["Attributes"]
    return found


def send_together(wire: Wire, prepared: Sequence[Prepared]) -> None:
    """Do all of these writes or none; AlreadyExists, UniqueViolation, Overtaken."""
    request = {
        "TransactItems": [action for each in prepared for action in each.actions()],
        # For ten minutes, longer than any call is tried, DynamoDB does nothing twice under it.
        "ClientRequestToken": str(uuid.uuid4()),
        "ReturnConsumedCapacity": "INDEXES",
    }
    try:
        wire.call("TransactWriteItems", request)
    except ClientError as error:
        if error_code(error) == _CANCELLED:
            raise error_of(prepared, error) from error
        raise


def retried(attempt: Callable[[], Answer]) -> Answer:
    """Try again what another write has overtaken; Conflict when that goes on and on."""
    for turn in range(TRIES):
        try:
            return attempt()
        except Overtaken:
            time.sleep(backoff(min(turn, 3)))
    raise Conflict("the record changes faster than it can be written")


def _send_alone(wire: Wire, action: Mapping[str, Any]) -> dict[str, Any]:
    """DynamoDB's answer to a transaction's action that is done without one."""
    ((kind, expression),) = action.items()
    request = {**expression, **_ASKED[kind], "ReturnConsumedCapacity": "INDEXES"}
    resent = False

    def attempt() -> dict[str, Any]:
        nonlocal resent
        try:
            return wire.call(f"{kind}Item", request)
        except ClientError as error:
            response: Any = error.response
            resent = resent or response["ResponseMetadata"]["RetryAttempts"] > 0
            if error_code(error) == FAILED:
                raise _Refused(response.get("Item"), resent=resent) from error
            if error_code(error) == _BUSY:
                raise Overtaken from error
            raise

    return retried(attempt)


def _is_own(prepared: Prepared, found: Item | None) -> bool:
    """Whether a write that was sent more than once finds its own work."""
    if not prepared.adds:
        return found is None
    return found is not None and _plain(found) == _plain(prepared.action["Put"]["Item"])


def _plain(item: Item) -> Any:
    return {name: _comparable(value) for name, value in item.items()}


def _comparable(attribute: Mapping[str, Any]) -> Any:
    """An attribute value in a form that is equal however DynamoDB writes its numbers."""
    ((tag, value),) = attribute.items()
    if tag == "N":
        return tag, Decimal(value)
    if tag == "M":
        return tag, _plain(value)
    if tag == "L":
        return tag, [_comparable(each) for each in value]
    return tag, value
