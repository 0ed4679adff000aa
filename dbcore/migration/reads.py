"""Items read back by key, consistently, beside the rows that should be them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson

from dbcore.attributes import Item
from dbcore.dynamo.guards import GUARD_KEY, OWNER, Guard, guard_table, guards_of
from dbcore.dynamo.reading import GET_KEYS, KeysToRead, key_text
from dbcore.items import ItemLayout
from dbcore.migration.encoding import Values
from dbcore.migration.errors import MigrationError
from dbcore.migration.flow import Flow
from dbcore.migration.plan import Row
from dbcore.rights import in_words
from dbcore.wire import Completion


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
        wanted = {self._table: keys}
        if guards := [{GUARD_KEY: {"S": guard.key}} for each in rows for guard in each.guards]:
            wanted[self._guards] = guards
        asked = KeysToRead(wanted)
        handler = functools.partial(self._answered, list(rows), found, asked, 0)
        self._flow.submit("BatchGetItem", self._table, orjson.dumps(asked.request()), handler)

    def _answered(
        self,
        rows: list[Expected],
        found: Found,
        asked: KeysToRead,
        attempt: int,
        completion: Completion,
    ) -> None:
        if completion.result is None:
            raise MigrationError(
                f"{self._table} cannot be read: {in_words(completion.error)}"
            ) from completion.error
        if not asked.take(completion.result):
            handler = functools.partial(self._answered, rows, found, asked, attempt + 1)
            body = orjson.dumps(asked.request())
            self._flow.retry(attempt, "BatchGetItem", self._table, body, handler)
            return
        key_of = self._layout.key_of_item
        items = {key_text(key_of(item)): item for item in asked.found[self._table]}
        guards = asked.found.get(self._guards, ())
        owners = {item[GUARD_KEY]["S"]: item[OWNER]["S"] for item in guards}
        for each in rows:
            each.actual = items.get(key_text(key_of(each.item)))
            each.owners = owners
        found(rows)
