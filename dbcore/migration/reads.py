"""Items read back by key, consistently, beside the rows that should be them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from dbcore.attributes import Item
from dbcore.guards import GUARD_KEY, OWNER, Guard, guard_table, guards_of
from dbcore.items import ItemLayout
from dbcore.migration.encoding import Values
from dbcore.migration.errors import MigrationError
from dbcore.migration.flow import Flow
from dbcore.migration.plan import Row
from dbcore.rights import in_words
from dbcore.wire import Completion

GET_KEYS = 100  # DynamoDB's limit for one BatchGetItem


@dataclass(slots=True)
class Expected:
    """A row, the item it should be, and what was found in DynamoDB."""

    row: Row
    values: Values
    item: Item
    guards: list[Guard]
    actual: Item | None = None
    owners: dict[str, str] = field(default_factory=dict)  # guard key -> who has it

    @property
    def lost_guards(self) -> list[Guard]:
        """Guards that are not there, or another record's."""
        return [guard for guard in self.guards if self.owners.get(guard.key) != guard.owner]


Found = Callable[[list[Expected]], None]


def expect(layout: ItemLayout, row: Row, values: Values, item: Item) -> Expected:
    """What a row should be in DynamoDB."""
    return Expected(row, values, item, guards_of(layout, values) if layout.unique else [])


class Reader:
    """Reads the items of rows by BatchGetItem."""

    def __init__(self, flow: Flow, layout: ItemLayout) -> None:
        self._flow = flow
        self._layout = layout
        self._table = layout.table_name
        self._guards = guard_table()
        self.rows_a_request = GET_KEYS // (1 + len(layout.unique))

    def read(self, rows: Sequence[Expected], found: Found) -> None:
        """Read these rows' items (at most `rows_a_request`), then call `found` with the rows."""
        keys = [self._layout.key_of_item(each.item) for each in rows]
        request = {self._table: _consistent(_distinct(keys))}
        guards = [guard.key for each in rows for guard in each.guards]
        if guards:
            wanted = [{GUARD_KEY: {"S": key}} for key in dict.fromkeys(guards)]
            request[self._guards] = _consistent(wanted)
        items: dict[bytes, Item] = {}
        owners: dict[str, str] = {}
        handler = functools.partial(self._answered, list(rows), found, items, owners, 0)
        self._flow.submit("BatchGetItem", self._table, _body(request), handler)

    def _answered(
        self,
        rows: list[Expected],
        found: Found,
        items: dict[bytes, Item],
        owners: dict[str, str],
        attempt: int,
        completion: Completion,
    ) -> None:
        if completion.result is None:
            raise MigrationError(
                f"{self._table} cannot be read: {in_words(completion.error)}"
            ) from completion.error
        responses = completion.result["Responses"]
        for item in responses.get(self._table, ()):
            items[_key(self._layout.key_of_item(item))] = item
        for item in responses.get(self._guards, ()):
            owners[item[GUARD_KEY]["S"]] = item[OWNER]["S"]
        left = completion.result.get("UnprocessedKeys")
        if left:
            handler = functools.partial(self._answered, rows, found, items, owners, attempt + 1)
            self._flow.retry(attempt, "BatchGetItem", self._table, _body(left), handler)
            return
        for each in rows:
            each.actual = items.get(_key(self._layout.key_of_item(each.item)))
            each.owners = owners
        found(rows)


def _key(key: Item) -> bytes:
    return orjson.dumps(key, option=orjson.OPT_SORT_KEYS)


def _distinct(keys: list[Item]) -> list[Item]:
    """BatchGetItem refuses a key that is named twice."""
    return list({_key(key): key for key in keys}.values())


def _consistent(keys: list[Any]) -> dict[str, Any]:
    return {"Keys": keys, "ConsistentRead": True}


def _body(request: Any) -> bytes:
    return orjson.dumps({"RequestItems": request, "ReturnConsumedCapacity": "TOTAL"})
