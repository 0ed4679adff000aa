"""Legal holds in DynamoDB: items in a table of the layer's own, by which every delete is checked in
its own transaction. Django's rows are what holds; these are made equal to them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

from dbcore.attributes import Item
from dbcore.dynamo.expressions import condition
from dbcore.dynamo.reading import Request, items_of
from dbcore.dynamo.refusals import Meaning, refusal_of
from dbcore.fields import split_key
from dbcore.patience import WORKING
from dbcore.retention.keepers.dynamo_expiry import HeldExpiry, expiring
from dbcore.retention.keepers.interface import HoldKey
from dbcore.schema import HOLD_KEY, hold_table
from dbcore.wire import Wire

UNTIL = "until"
# Stands on a hold's item until the expiry of what it is on has been taken away.
_PENDING = {"pending": {"BOOL": True}}
Hold = tuple[HoldKey, dt.datetime | None]  # None: until it is lifted
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def epoch_number(instant: dt.datetime) -> dict[str, str]:
    """An instant in epoch seconds, exact to the microsecond."""
    microseconds = (instant - _EPOCH) // dt.timedelta(microseconds=1)
    return {"N": str(Decimal(microseconds).scaleb(-6))}


def not_held(key: str, now: dt.datetime) -> dict[str, Any]:
    """The part of a transaction that fails where a hold with this key is in force."""
    return {
        "ConditionCheck": {
            "TableName": hold_table(),
            "Key": {HOLD_KEY: {"S": key}},
            **condition(
                "attribute_not_exists(#h) OR #u <= :now",
                {"h": HOLD_KEY, "u": UNTIL},
                {"now": epoch_number(now)},
            ),
        }
    }


def enforce(wire: Wire, holds: Sequence[Hold], expiry: HeldExpiry, *, again: bool = False) -> None:
    """Make these the holds that are in force. New ones first: what is held stays held meanwhile.

    Then what they are on does not expire (`again`: of those that stood before, too, since records
    may have been written), and what those that have ended were on does: only then their items go,
    so that who is killed is made good by the next call.
    """
    merged = _merged(holds)
    wanted = {key.text: _item((key, until)) for key, until in merged}
    found = {item[HOLD_KEY]["S"]: item for item in _standing(wire)}
    for key, _ in merged:
        item = wanted[key.text]
        if key.text not in found or not _same_end(found[key.text], item):
            found[key.text] = {**item, **_PENDING} if expiring(key) else item
            _put(wire, found[key.text])
    for key, _ in merged:
        pending = not found[key.text].keys().isdisjoint(_PENDING)
        if pending or again:
            expiry.take(key)
        if pending:
            _put(wire, wanted[key.text])
    held = {key for key, _ in merged}
    for text in found.keys() - wanted.keys():
        expiry.give_back(HoldKey(*split_key(text)), held)
        gone = {HOLD_KEY: {"S": text}}
        _write(wire, "DeleteItem", {"TableName": hold_table(), "Key": gone})


def _put(wire: Wire, item: Item) -> None:
    _write(wire, "PutItem", {"TableName": hold_table(), "Item": item})


def _merged(holds: Sequence[Hold]) -> list[Hold]:
    """One hold for each key: of several on one, the one that lasts longest."""
    ends: dict[HoldKey, dt.datetime | None] = {}
    for key, until in holds:
        other = ends.get(key, until)
        ends[key] = None if until is None or other is None else max(until, other)
    return list(ends.items())


def _item(hold: Hold) -> Item:
    key, until = hold
    item = {HOLD_KEY: {"S": key.text}}
    return item if until is None else {**item, UNTIL: epoch_number(until)}


def _same_end(one: Item, other: Item) -> bool:
    ends = [item.get(UNTIL, {}).get("N") for item in (one, other)]
    return len({end and Decimal(end) for end in ends}) == 1


def _standing(wire: Wire) -> Iterator[Item]:
    # A scan: of this table alone, which has an item for each hold.
    return items_of(wire, "Scan", {"TableName": hold_table(), "ConsistentRead": True})


def _write(wire: Wire, operation: str, request: Request) -> None:
    """What a delete's transaction is just looking at is written when it has looked."""
    for turn in WORKING:
        try:
            wire.call(operation, request)
            return
        except ClientError as error:
            if not refusal_of(error).has(Meaning.BUSY) or turn == WORKING.tries - 1:
                raise
