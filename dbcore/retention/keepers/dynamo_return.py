"""Writes records to DynamoDB again: where there is none, or over just the one that was read, and
with their unique values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from dbcore.attributes import Item
from dbcore.dynamo.comparing import same_item
from dbcore.dynamo.expressions import absent, unchanged
from dbcore.dynamo.guards import Guard, guards_of_item
from dbcore.dynamo.reading import Request, completed, get_item
from dbcore.dynamo.refusals import Meaning, refusal_of
from dbcore.dynamo.writing import transaction
from dbcore.finality import final_kept, is_undone_by
from dbcore.items import ItemLayout
from dbcore.patience import WORKING
from dbcore.retention.keepers.caches import voided
from dbcore.retention.keepers.interface import Return, Returned
from dbcore.retention.keepers.pages import NOT_READABLE, unreadable_because
from dbcore.stores.errors import Conflict
from dbcore.wire import Wire

AT_ONCE = 200  # records that are written in one go
WIDTH = 16  # requests in flight


@dataclass(frozen=True, slots=True)
class _Hindrance:
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
        return "TransactWriteItems", transaction(
            [
                {"Put": put},
                *(guard.put_action() for guard in self.take),
                *(guard.delete_action() for guard in self.give_up),
            ]
        )

    def hindrance(self, error: Exception | None) -> _Hindrance:
        """What an error means; raises it where it is not about this record."""
        guards = [*self.take, *self.give_up]
        refusal = refusal_of(error, 1 + len(guards))
        first = refusal.first
        if first.meaning is Meaning.UNFIT:
            return _Hindrance(unfit=first.words)
        if refusal.has(Meaning.UNFIT):
            assert error is not None
            raise error
        if first.meaning is Meaning.UNTRUE:
            return _Hindrance(found=first.found, resent=refusal.resent)
        for guard, reason in zip(guards, refusal.reasons[1:], strict=True):
            if reason.meaning is Meaning.UNTRUE:
                is_foreign = guard in self.give_up
                if is_foreign:
                    return _Hindrance(foreign=guard)
                return _Hindrance(taken=guard.field.name)
        return _Hindrance()


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
            else self._settled(write, write.hindrance(end.error), overwrite)
            for write, end in zip(writes, done, strict=True)
        ]

    def _settled(self, write: _Write, hindered: _Hindrance, overwrite: bool) -> Returned:
        """The end of a write that was refused, after as many more tries as it takes."""
        for turn in range(WORKING.tries):
            if hindered.unfit:
                return Returned(Return.UNFIT, hindered.unfit)
            if hindered.taken:
                return Returned(Return.TAKEN, f"{hindered.taken} belongs to another record")
            found = hindered.found
            if found is not None and same_item(found, write.item):
                return Returned(Return.RESTORED if hindered.resent else Return.PRESENT)
            if found is not None and not overwrite:
                return Returned(Return.NEWER)
            if found is not None and is_undone_by(self._layout, found, write.item):
                return Returned(Return.NEWER, final_kept(self._layout))
            write = self._next(write, hindered)
            WORKING.pause(turn)
            again = self._send(write)
            if again is None:
                return Returned(Return.RESTORED)
            hindered = again
        raise self._conflict()

    def replace(self, old: Item, new: Item) -> bool:
        """Put `new` for `old`; False where the record is another by now.

        Conflict where a unique value of the new one is another record's.
        """
        with voided(self._store, self._layout, [old]):
            write = self._replacing(old, new)
            for _ in WORKING:
                hindered = self._send(write)
                if hindered is None:
                    return True
                if hindered.unfit or hindered.taken:
                    raise Conflict(hindered.unfit or f"{hindered.taken} belongs to another record")
                if hindered.foreign is not None:
                    write.give_up.remove(hindered.foreign)
                elif hindered.found is not None:
                    return hindered.resent and same_item(hindered.found, new)
                elif self._is_gone(old):
                    return False
        raise self._conflict()

    def _send(self, write: _Write) -> _Hindrance | None:
        operation, request = write.call()
        try:
            self._wire.call(operation, request)
        except ClientError as error:
            return write.hindrance(error)
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

    def _next(self, write: _Write, hindered: _Hindrance) -> _Write:
        """What to try after a hindered: over the record that was found, if there is one."""
        if hindered.foreign is not None:
            write.give_up.remove(hindered.foreign)
            return write
        if hindered.found is not None:
            return self._replacing(hindered.found, write.item)
        return self._adding(write.item)

    def _is_gone(self, item: Item) -> bool:
        layout = self._layout
        return get_item(self._wire, layout.table_name, layout.key_of_item(item)) is None

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
