"""Puts of a batch's items, until DynamoDB has acknowledged or refused each one.

An item of a table with unique fields is put in one transaction with its guards; a unique value
that another record has makes the row a dead letter.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from dbcore.attributes import Item, item_bytes
from dbcore.dynamo.guards import Guard
from dbcore.dynamo.reading import key_text
from dbcore.dynamo.refusals import Meaning, Reason, Refusal, refusal_of
from dbcore.finality import keeping_final
from dbcore.items import ItemLayout
from dbcore.migration.errors import MigrationError
from dbcore.migration.flow import Flow
from dbcore.migration.ledger import Batch, Ledger
from dbcore.migration.plan import Row
from dbcore.migration.rate import UnitModel
from dbcore.rights import in_words
from dbcore.schema import index_count
from dbcore.wire import Completion

BATCH_ITEMS = 25  # DynamoDB's limit for one BatchWriteItem
MAX_BODY = 12_000_000  # bytes of one BatchWriteItem, under its limit of 16 MB
TRANSACTION_ACTIONS = 100  # DynamoDB's limit for one TransactWriteItems
TRANSACTION_BYTES = 3_500_000  # under its limit of 4 MB


def put_text(item: Item) -> str:
    """An item as the JSON text of its put request."""
    return '{"PutRequest":{"Item":' + orjson.dumps(item).decode() + "}}"


def taken_reason(layout: ItemLayout, guard: Guard) -> str:
    """Why a row whose unique value another record has is a dead letter."""
    case = " (case apart)" if guard.field.ignores_case else ""
    return f"{guard.field.name} belongs to another {layout.model._meta.verbose_name}{case}"


class BatchWriter:
    """Puts items by BatchWriteItem. Rows and the texts of their put requests go side by side."""

    def __init__(self, flow: Flow, layout: ItemLayout, ledger: Ledger) -> None:
        self._flow = flow
        self._layout = layout
        self._ledger = ledger
        self._table = layout.table_name
        self._head = f'{{"RequestItems":{{"{self._table}":['
        self._tail = ']},"ReturnConsumedCapacity":"TOTAL"}'
        self._units = UnitModel(index_count(layout))

    def put(self, batch: Batch, rows: Sequence[Row], texts: Sequence[str]) -> None:
        """Put these rows' items, in as few requests as fit."""
        if len(rows) > BATCH_ITEMS or sum(map(len, texts)) > MAX_BODY // 4:
            # A character has up to 4 bytes.
            for start, end in _parts(texts):
                self._put(batch, rows[start:end], texts[start:end])
        elif rows:
            self._put(batch, rows, texts)

    def _put(self, batch: Batch, rows: Sequence[Row], texts: Sequence[str]) -> None:
        body = self._body(texts)
        units = self._units.estimate(len(rows), len(body))
        handler = functools.partial(self._answered, batch, rows, texts, units, 0)
        self._flow.write("BatchWriteItem", self._table, body, handler, units)

    def _body(self, texts: Sequence[str]) -> bytes:
        return (self._head + ",".join(texts) + self._tail).encode()

    def _answered(
        self,
        batch: Batch,
        rows: Sequence[Row],
        texts: Sequence[str],
        units: float,
        attempt: int,
        completion: Completion,
    ) -> None:
        if completion.result is None:
            self._failed(batch, rows, texts, completion.error)
            return
        self._units.settle(self._flow.rate, completion.result, units, sum(map(len, texts)))
        left = completion.result.get("UnprocessedItems")
        if not left:
            self._ledger.written(batch, len(rows))
            return
        again = self._remaining(texts, left[self._table])
        if len(again) < len(rows):
            self._ledger.written(batch, len(rows) - len(again))
        self._again(batch, [rows[at] for at in again], [texts[at] for at in again], attempt + 1)

    def _remaining(self, texts: Sequence[str], left: list[dict[str, Any]]) -> list[int]:
        """Which of the puts an answer names as unprocessed, by their keys."""
        wanted = {self._key(each) for each in left}
        return [at for at, text in enumerate(texts) if self._key(orjson.loads(text)) in wanted]

    def _key(self, request: dict[str, Any]) -> bytes:
        return key_text(self._layout.key_of_item(request["PutRequest"]["Item"]))

    def _again(self, batch: Batch, rows: Sequence[Row], texts: Sequence[str], attempt: int) -> None:
        body = self._body(texts)
        handler = functools.partial(self._answered, batch, rows, texts, 0.0, attempt)
        self._flow.retry(attempt, "BatchWriteItem", self._table, body, handler)

    def _failed(
        self, batch: Batch, rows: Sequence[Row], texts: Sequence[str], error: Exception | None
    ) -> None:
        if _refusal_of(error, self._table).first.meaning is not Meaning.UNFIT:
            raise _not_written(self._table, error)
        if len(rows) == 1:
            self._ledger.dead(batch, rows[0], f"DynamoDB refuses it: {error}")
            return
        # One bad item makes DynamoDB refuse all 25: find it.
        for row, text in zip(rows, texts, strict=True):
            body = self._body([text])
            handler = functools.partial(self._answered, batch, [row], [text], 0.0, 0)
            self._flow.enqueue("BatchWriteItem", self._table, body, handler)


def _parts(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Where to cut a batch so that each part is within DynamoDB's limits: starts and ends."""
    cuts = [0]
    size = 0
    for at, text in enumerate(texts):
        length = len(text.encode())
        if at > cuts[-1] and (at - cuts[-1] == BATCH_ITEMS or size + length > MAX_BODY):
            cuts.append(at)
            size = 0
        size += length
    return list(zip(cuts, [*cuts[1:], len(texts)], strict=True))


def _refusal_of(error: Exception | None, table: str, actions: int = 1) -> Refusal:
    """What DynamoDB has against a write; MigrationError where it is about no item."""
    try:
        return refusal_of(error, actions)
    except (ClientError, BotoCoreError) as other:
        raise _not_written(table, other) from other


def _not_written(table: str, error: Exception | None) -> MigrationError:
    return MigrationError(f"{table} cannot be written: {in_words(error)}")


def _failed(guards: Sequence[Guard], reasons: Sequence[Reason]) -> list[Guard]:
    """The guards whose condition did not hold."""
    pairs = zip(guards, reasons, strict=False)
    return [guard for guard, reason in pairs if reason.meaning is Meaning.UNTRUE]


@dataclass(frozen=True, slots=True)
class GuardedPut:
    """One row's item, its guards, and the guards that the item it replaces had."""

    row: Row
    item: Item
    guards: list[Guard]
    stale: list[Guard]

    @property
    def actions(self) -> int:
        return 1 + len(self.guards) + len(self.stale)


class GuardedWriter:
    """Puts items with their guards or a condition by TransactWriteItems, several rows in one.

    Of two rows with one value the earlier wins, also after a restart: a value that is on its way
    is waited for before the next row that has it is sent.
    """

    def __init__(
        self,
        flow: Flow,
        layout: ItemLayout,
        ledger: Ledger,
        release: Callable[[Guard], bool],
    ) -> None:
        self._flow = flow
        self._layout = layout
        self._ledger = ledger
        self._release = release
        self._table = layout.table_name
        self._flying: set[str] = set()
        self._released: set[str] = set()
        self._units = UnitModel(index_count(layout), transactional=True)

    def put(self, batch: Batch, puts: Sequence[GuardedPut]) -> None:
        """Put these rows' items and guards."""
        group: list[GuardedPut] = []
        actions = size = 0
        taken: set[str] = set()
        for put in puts:
            keys = {guard.key for guard in (*put.guards, *put.stale)}
            length = item_bytes(put.item) + 1024
            full = actions + put.actions > TRANSACTION_ACTIONS or size + length > TRANSACTION_BYTES
            if group and (full or keys & taken):
                self._put(batch, group)
                group, actions, size, taken = [], 0, 0, set()
            if keys & self._flying:
                self._flow.drain()
            group.append(put)
            actions += put.actions
            size += length
            taken |= keys
        if group:
            self._put(batch, group)

    def _put(self, batch: Batch, puts: list[GuardedPut]) -> None:
        keys = {guard.key for put in puts for guard in (*put.guards, *put.stale)}
        self._flying |= keys
        body = self._body(puts)
        units = self._units.estimate(sum(put.actions for put in puts), len(body))
        handler = functools.partial(self._answered, batch, puts, units, 0)
        self._flow.write("TransactWriteItems", self._table, body, handler, units)

    def _body(self, puts: list[GuardedPut]) -> bytes:
        actions: list[dict[str, Any]] = []
        for put in puts:
            kept = keeping_final(self._layout, put.item)
            actions.append({"Put": {"TableName": self._table, "Item": put.item, **kept}})
            actions += [guard.put_action() for guard in put.guards]
            actions += [guard.delete_action() for guard in put.stale]
        return orjson.dumps({"TransactItems": actions, "ReturnConsumedCapacity": "TOTAL"})

    def _answered(
        self,
        batch: Batch,
        puts: list[GuardedPut],
        units: float,
        attempt: int,
        completion: Completion,
    ) -> None:
        if completion.result is not None:
            size = len(self._body(puts)) if self._flow.rate.limit else 0
            self._units.settle(self._flow.rate, completion.result, units, size)
            self._forget(puts)
            self._ledger.written(batch, len(puts))
            return
        error = completion.error
        refusal = _refusal_of(error, self._table, sum(put.actions for put in puts))
        if len(puts) > 1 and all(each.meaning is Meaning.UNFIT for each in refusal.reasons):
            for put in puts:  # nobody says which
                self._send(batch, [put])
        else:
            self._sort_out(batch, puts, attempt, refusal, f"DynamoDB refuses it: {error}")

    def _sort_out(
        self, batch: Batch, puts: list[GuardedPut], attempt: int, refusal: Refusal, words: str
    ) -> None:
        """Tell the rows whose value is taken from those that only shared their transaction."""
        reasons = iter(refusal.reasons)
        mended: list[GuardedPut] = []
        others: list[GuardedPut] = []
        for put in puts:
            of_item, *of_guards = itertools.islice(reasons, put.actions)
            taken = _failed(put.guards, of_guards)
            lost = _failed(put.stale, of_guards[len(put.guards) :])
            if any(each.meaning is Meaning.UNFIT for each in (of_item, *of_guards)):
                self._dead(batch, put, words)
            elif of_item.meaning is Meaning.UNTRUE:
                # What is for good has happened to the item since: it is left, as a newer one is.
                self._forget([put])
                self._ledger.skipped(batch)
            elif taken and not all(self._may_take(guard) for guard in taken):
                self._dead(batch, put, taken_reason(self._layout, taken[0]))
            elif lost:
                # Another record has that value already: there is nothing to give up.
                stale = [guard for guard in put.stale if guard not in lost]
                mended.append(dataclasses.replace(put, stale=stale))
            else:
                (mended if taken else others).append(put)
        if mended or len(others) < len(puts):
            # What was wrong is mended: no reason to wait, or to write slower.
            self._send(batch, [*mended, *others])
        elif others:
            self._again(batch, others, attempt + 1)

    def _may_take(self, guard: Guard) -> bool:
        """Whether a value that was taken is free now: once for each value, so that two rows that
        claim it cannot take it from each other for ever."""
        if guard.key in self._released or not self._release(guard):
            return False
        self._released.add(guard.key)
        return True

    def _send(self, batch: Batch, puts: list[GuardedPut]) -> None:
        if puts:
            handler = functools.partial(self._answered, batch, puts, 0.0, 0)
            self._flow.enqueue("TransactWriteItems", self._table, self._body(puts), handler)

    def _again(self, batch: Batch, puts: list[GuardedPut], attempt: int) -> None:
        handler = functools.partial(self._answered, batch, puts, 0.0, attempt)
        self._flow.retry(attempt, "TransactWriteItems", self._table, self._body(puts), handler)

    def _dead(self, batch: Batch, put: GuardedPut, reason: str) -> None:
        self._forget([put])
        self._ledger.dead(batch, put.row, reason)

    def _forget(self, puts: list[GuardedPut]) -> None:
        for put in puts:
            self._flying -= {guard.key for guard in (*put.guards, *put.stale)}
