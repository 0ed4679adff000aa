"""Writes records to DynamoDB again: where there is none, or over just the one that was read, and
with their unique values."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from dbcore.attributes import Item
from dbcore.finality import final_kept, is_undone_by
from dbcore.guards import Guard
from dbcore.items import ItemLayout
from dbcore.retention.keepers.caches import voided
from dbcore.retention.keepers.compare import same_item
from dbcore.retention.keepers.dynamo_calls import Request, completed
from dbcore.retention.keepers.dynamo_conditions import (
    CANCELLED,
    CONDITION,
    absent,
    guards_of_item,
    reasons_of,
    unchanged,
)
from dbcore.retention.keepers.interface import Return, Returned
from dbcore.retention.keepers.pages import NOT_READABLE, unreadable_because
from dbcore.stores.errors import Conflict
from dbcore.wire import Wire
from dbcore.wire.answers import error_code
from dbcore.wire.client import backoff

AT_ONCE = 200  # records that are written in one go
WIDTH = 16  # requests in flight
TRIES = 20  # at a record that others are writing
_FAILED = "ConditionalCheckFailedException"
_BUSY = "TransactionConflictException"
_REFUSED = "ValidationException"


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a write was not done: the record that is there, or a unique value that is another's, or
    neither (another transaction was in the way), or what DynamoDB has against it."""

    found: Item | None = None
    resent: bool = False  # it may be our own work that was found
    taken: str = ""
    foreign: Guard | None = None  # a value to give up that is another record's
    unfit: str = ""


@dataclass(slots=True)
class _Write:
    """One record's write: a single request, or a transaction with its unique values."""

    layout: ItemLayout
    item: Item
    condition: dict[str, Any]
    take: list[Guard]
    give_up: list[Guard]

    def call(self) -> tuple[str, Request]:
        """The operation and its request."""
        put = {"TableName": self.layout.table_name, "Item": self.item, **self.condition}
        if not (self.take or self.give_up):
            return "PutItem", {**put, "ReturnConsumedCapacity": "TOTAL"}
        return "TransactWriteItems", {
            "TransactItems": [
                {"Put": put},
                *(guard.put_action() for guard in self.take),
                *(guard.delete_action() for guard in self.give_up),
            ],
            # Sent again under it, nothing is done twice.
            "ClientRequestToken": str(uuid.uuid4()),
            "ReturnConsumedCapacity": "TOTAL",
        }

    def refusal(self, error: Exception | None) -> _Refusal:
        """What an error means; raises it where it is not about this record."""
        if not isinstance(error, ClientError):
            assert error is not None
            raise error
        response: Any = error.response
        code = error_code(error)
        if code == _FAILED:
            resent = response["ResponseMetadata"]["RetryAttempts"] > 0
            return _Refusal(found=response.get("Item"), resent=resent)
        if code == _BUSY:
            return _Refusal()
        if code == _REFUSED:
            return _Refusal(unfit=response["Error"]["Message"])
        if code == CANCELLED:
            return self._cancelled(error)
        raise error

    def _cancelled(self, error: ClientError) -> _Refusal:
        response: Any = error.response
        first = (response.get("CancellationReasons") or [{}])[0]
        if first.get("Code") == "ValidationError":
            return _Refusal(unfit=str(first.get("Message")))
        guards = [*self.take, *self.give_up]
        reasons = reasons_of(error, 1 + len(guards))
        if first.get("Code") == CONDITION:
            return _Refusal(found=first.get("Item"))
        for guard, reason in zip(guards, reasons[1:], strict=True):
            if reason.get("Code") == CONDITION:
                is_foreign = guard in self.give_up
                return _Refusal(foreign=guard) if is_foreign else _Refusal(taken=guard.field.name)
        return _Refusal()


class Returning:
    """Puts a table's records back."""

    def __init__(self, wire: Wire, store: str, layout: ItemLayout) -> None:
        self._wire = wire
        self._store = store
        self._layout = layout

    def put_back(self, items: Sequence[Item], *, overwrite: bool) -> list[Returned]:
        """What became of each, in order."""
        ends: list[Returned] = []
        for at in range(0, len(items), AT_ONCE):
            part = items[at : at + AT_ONCE]
            flaws = [self._flaw(item) for item in part]
            fit = [item for item, flaw in zip(part, flaws, strict=True) if not flaw]
            with voided(self._store, self._layout, fit):
                written = iter(self._put_some(fit, overwrite))
            ends += [Returned(Return.UNFIT, flaw) if flaw else next(written) for flaw in flaws]
        return ends

    def _put_some(self, items: Sequence[Item], overwrite: bool) -> list[Returned]:
        writes = [self._adding(item) for item in items]
        calls = [write.call() for write in writes]
        done = completed(self._wire, self._layout.table_name, calls, WIDTH)
        return [
            Returned(Return.RESTORED)
            if end.result is not None
            else self._settled(write, write.refusal(end.error), overwrite)
            for write, end in zip(writes, done, strict=True)
        ]

    def _settled(self, write: _Write, refusal: _Refusal, overwrite: bool) -> Returned:
        """The end of a write that was refused, after as many more tries as it takes."""
        for attempt in range(TRIES):
            if refusal.unfit:
                return Returned(Return.UNFIT, refusal.unfit)
            if refusal.taken:
                return Returned(Return.TAKEN, f"{refusal.taken} belongs to another record")
            found = refusal.found
            if found is not None and same_item(found, write.item):
                return Returned(Return.RESTORED if refusal.resent else Return.PRESENT)
            if found is not None and not overwrite:
                return Returned(Return.NEWER)
            if found is not None and is_undone_by(self._layout, found, write.item):
                return Returned(Return.NEWER, final_kept(self._layout))
            write = self._next(write, refusal)
            time.sleep(backoff(min(attempt, 5)))
            again = self._send(write)
            if again is None:
                return Returned(Return.RESTORED)
            refusal = again
        raise self._conflict()

    def replace(self, old: Item, new: Item) -> bool:
        """Put `new` for `old`; False where the record is another by now.

        Conflict where a unique value of the new one is another record's.
        """
        with voided(self._store, self._layout, [old]):
            write = self._replacing(old, new)
            for attempt in range(TRIES):
                refusal = self._send(write)
                if refusal is None:
                    return True
                if refusal.unfit or refusal.taken:
                    raise Conflict(refusal.unfit or f"{refusal.taken} belongs to another record")
                if refusal.foreign is not None:
                    write.give_up.remove(refusal.foreign)
                elif refusal.found is not None:
                    return refusal.resent and same_item(refusal.found, new)
                elif self._is_gone(old):
                    return False
                time.sleep(backoff(min(attempt, 5)))
        raise self._conflict()

    def _send(self, write: _Write) -> _Refusal | None:
        operation, request = write.call()
        try:
            self._wire.call(operation, request)
        except ClientError as error:
            return write.refusal(error)
        return None

    def _adding(self, item: Item) -> _Write:
        layout = self._layout
        return _Write(layout, item, absent(layout), guards_of_item(layout, item), [])

    def _replacing(self, old: Item, new: Item) -> _Write:
        layout = self._layout
        take = guards_of_item(layout, new)
        kept = {guard.key for guard in take}
        give_up = [guard for guard in guards_of_item(layout, old) if guard.key not in kept]
        return _Write(layout, new, unchanged(layout, old), take, give_up)

    def _next(self, write: _Write, refusal: _Refusal) -> _Write:
        """What to try after a refusal: over the record that was found, if there is one."""
        if refusal.foreign is not None:
            write.give_up.remove(refusal.foreign)
            return write
        if refusal.found is not None:
            return self._replacing(refusal.found, write.item)
        return self._adding(write.item)

    def _is_gone(self, item: Item) -> bool:
        request = {
            "TableName": self._layout.table_name,
            "Key": self._layout.key_of_item(item),
            "ConsistentRead": True,
        }
        return "Item" not in self._wire.call("GetItem", request)

    def _flaw(self, item: Item) -> str:
        """Why an item is no record of this table, if it is none."""
        try:
            values = self._layout.from_item(item)
        except NOT_READABLE as error:
            return unreadable_because(self._layout, item, error)
        missing = [each.name for each in self._layout.key if values[each.name] is None]
        return f"has no {', '.join(missing)}, which is its key" if missing else ""

    def _conflict(self) -> Conflict:
        return Conflict(f"a record of {self._layout.table.name} is being written all the time")
