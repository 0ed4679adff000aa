"""Sends prepared writes: one that may go alone by itself, at half the cost, others in transactions.

The wire sends again what got no answer, so that a write may meet what it has itself written: that
must never be taken for another's. DynamoDB knows a transaction by its token; a write that goes
alone knows itself by what it finds. That is less exact in one case: where an answer is lost and
somebody else adds the same record in all its fields, or deletes the same one, before the request is
sent again, both are told that they did it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from dbcore.attributes import Item
from dbcore.dynamo.comparing import same_item
from dbcore.dynamo.refusals import Meaning, Refusal, refusal_of
from dbcore.dynamo.writing import transaction
from dbcore.patience import ASKED
from dbcore.stores.dynamo.writes import Overtaken, Prepared, error_of
from dbcore.stores.errors import AlreadyExists, Conflict
from dbcore.wire import Wire

Answer = TypeVar("Answer")


def send(wire: Wire, prepared: Prepared) -> None:
    """Do an add or a delete; AlreadyExists, UniqueViolation, Conflict, Overtaken."""
    if not prepared.alone:
        send_together(wire, [prepared])
        return
    refusal = _send_alone(wire, prepared.action)[1]
    if refusal is None or (refusal.resent and _is_own(prepared, refusal.first.found)):
        return
    raise AlreadyExists("a record has this key") if prepared.adds else Overtaken


def send_update(wire: Wire, prepared: Prepared) -> Item:
    """Do an update that may go alone; the item as it is then. Conflict, Overtaken."""
    answer, refusal = _send_alone(wire, prepared.action)
    if refusal is not None:
        # Not by itself: to do it twice is to do it once.
        raise Overtaken
    found: Item = answer["Attributes"]
    return found


def send_together(wire: Wire, prepared: Sequence[Prepared]) -> None:
    """Do all of these writes or none; AlreadyExists, UniqueViolation, Overtaken."""
    actions = [action for each in prepared for action in each.actions()]
    try:
        wire.call("TransactWriteItems", transaction(actions))
    except ClientError as error:
        meant = error_of(prepared, error)
        if meant is error:
            raise
        raise meant from error


def retried(attempt: Callable[[], Answer]) -> Answer:
    """Try again what another write has overtaken; Conflict when that goes on and on."""
    for _ in ASKED:
        with suppress(Overtaken):
            return attempt()
    raise Conflict("the record changes faster than it can be written")


def _send_alone(wire: Wire, action: Mapping[str, Any]) -> tuple[dict[str, Any], Refusal | None]:
    """DynamoDB's answer to a transaction's action that is done without one, or why it was not. What
    another's transaction was in the way of is tried again."""
    ((kind, expression),) = action.items()
    request = {**expression, "ReturnConsumedCapacity": "INDEXES"}
    if kind == "Update":
        request["ReturnValues"] = "ALL_NEW"
    resent = False

    def attempt() -> tuple[dict[str, Any], Refusal | None]:
        nonlocal resent
        try:
            return wire.call(f"{kind}Item", request), None
        except ClientError as error:
            refusal = refusal_of(error)
            resent = resent or refusal.resent
            if refusal.has(Meaning.BUSY):
                raise Overtaken from error
            if refusal.has(Meaning.UNFIT):
                raise
            return {}, replace(refusal, resent=resent)

    return retried(attempt)


def _is_own(prepared: Prepared, found: Item | None) -> bool:
    """Whether a write that was sent more than once finds its own work."""
    if not prepared.adds:
        return found is None
    return found is not None and same_item(found, prepared.action["Put"]["Item"])
