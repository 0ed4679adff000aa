"""Records in DynamoDB, as retention needs them. Only a user's erasure or export may scan a table,
and only one that no index opens by user."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator, Sequence

from django.utils import timezone

from dbcore.attributes import Item
from dbcore.dynamo.leases import Lease
from dbcore.dynamo.reading import Request, pages, read_items
from dbcore.items import DUE_DAY_INDEX, ItemLayout
from dbcore.retention.keepers.dynamo_due import Finder
from dbcore.retention.keepers.dynamo_expiry import HeldExpiry
from dbcore.retention.keepers.dynamo_holds import enforce
from dbcore.retention.keepers.dynamo_removal import Removing
from dbcore.retention.keepers.dynamo_return import Returning
from dbcore.retention.keepers.interface import HoldKey, Removal, Returned, Window
from dbcore.retention.records import key_text, owner_of
from dbcore.retention.rules import Rule
from dbcore.schema import target_name
from dbcore.stores.dynamo.available import available
from dbcore.tables import GlobalIndex
from dbcore.wire import Wire, get_wire


class DynamoKeeper:
    """The keeper's interface on DynamoDB."""

    name = "dynamodb"

    def __init__(self, clock: Callable[[], dt.datetime] = timezone.now) -> None:
        self.unreadable: dict[tuple[str, str], str] = {}
        self._clock = clock

    @property
    def wire(self) -> Wire:
        """Today's wire: the endpoint is a setting."""
        return get_wire()

    @property
    def target(self) -> str:
        return target_name()

    def lease(self, name: str, owner: str) -> Lease:
        return Lease(self.wire, name, owner)

    def count_due(self, rule: Rule, window: Window) -> int:
        with available():
            return self._finder(rule, window).count()

    def due(self, rule: Rule, window: Window) -> Iterator[list[Item]]:
        with available():
            yield from self._finder(rule, window).pages()

    def _finder(self, rule: Rule, window: Window) -> Finder:
        def note(item: Item, why: str) -> None:
            self.unreadable[rule.layout.table.name, key_text(rule.layout, item)] = why

        return Finder(self.wire, rule, window, note)

    def has_more_than(self, layout: ItemLayout, records: int) -> bool:
        name = layout.table_name
        with available():
            # Free, but up to six hours old: that is no reason to say no.
            table = self.wire.call("DescribeTable", {"TableName": name})["Table"]
            return table.get("ItemCount", 0) > records or self._counts_more(layout, records)

    def _counts_more(self, layout: ItemLayout, records: int) -> bool:
        """By the index that finds what is due: the table itself is not scanned."""
        day_index = layout.table.day_index
        request: Request = {
            "TableName": layout.table_name,
            "Select": "COUNT",
            # The due days' entries are keys alone.
            "IndexName": DUE_DAY_INDEX if day_index is None else day_index.name,
        }
        left = records + 1
        for answer in pages(self.wire, "Scan", {**request, "Limit": left}):
            left -= answer["Count"]
            if left <= 0:
                return True
        return False

    def lives(self, rule: Rule, window: Window) -> bool:
        # What is found on the day of its own sign of life, as if it were kept for no time.
        at_once = dataclasses.replace(rule, days=0)
        with available():
            return self._finder(at_once, window).finds_any()

    def remove(self, rule: Rule, items: Sequence[Item]) -> list[Removal]:
        now = max(rule.now, self._clock())
        with available():
            return Removing(self.wire, self.name, rule, now).remove(items)

    def put_back(
        self, layout: ItemLayout, items: Sequence[Item], *, overwrite: bool
    ) -> list[Returned]:
        with available():
            returning = Returning(self.wire, self.name, layout)
            return returning.put_back(items, overwrite=overwrite)

    def read(self, layout: ItemLayout, keys: Sequence[Item]) -> list[Item | None]:
        with available():
            wanted = [layout.key_of_item(key) for key in keys]
            return read_items(self.wire, layout.table_name, wanted)

    def owned_by(self, layout: ItemLayout, owner: str) -> Iterator[Item]:
        with available():
            yield from self._owned(layout, owner)

    def _owned(self, layout: ItemLayout, owner: str) -> Iterator[Item]:
        if layout.table.owner is not None:
            yield from self._owned_by(layout, layout.table.owner, owner)

    def _owned_by(self, layout: ItemLayout, field: str, owner: str) -> Iterator[Item]:
        """Through the table's own key or an index on the owner, else by a scan. What an index finds
        is read again: it lags behind."""
        request: Request = {
            "TableName": layout.table_name,
            "ExpressionAttributeNames": {"#owner": layout.by_name[field].attribute},
            "ExpressionAttributeValues": {":owner": {"S": owner}},
            "ReturnConsumedCapacity": "TOTAL",
        }
        index = _index_on(layout, field)
        if field == layout.table.hash_key:
            asked = {"KeyConditionExpression": "#owner = :owner", "ConsistentRead": True}
            operation = "Query"
        elif index is not None:
            asked = {"KeyConditionExpression": "#owner = :owner", "IndexName": index}
            operation = "Query"
        else:
            asked = {"FilterExpression": "#owner = :owner", "ConsistentRead": True}
            operation = "Scan"
        for answer in pages(self.wire, operation, request | asked):
            page = answer["Items"]
            if "IndexName" in asked:
                keys = [layout.key_of_item(item) for item in page]
                page = [item for item in read_items(self.wire, layout.table_name, keys) if item]
            yield from (item for item in page if owner_of(layout, item) == owner)

    def replace(self, layout: ItemLayout, old: Item, new: Item) -> bool:
        with available():
            return Returning(self.wire, self.name, layout).replace(old, new)

    def enforce_holds(
        self,
        holds: Sequence[tuple[HoldKey, dt.datetime | None]],
        *,
        again: bool = False,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        with available():
            expiry = HeldExpiry(self.wire, self._owned, keep)
            enforce(self.wire, holds, expiry, again=again)


def _index_on(layout: ItemLayout, field: str) -> str | None:
    """A global index on this field in which no record with a value is missing."""
    for index in layout.table.indexes:
        if isinstance(index, GlobalIndex) and index.hash_key == field:
            ordered = index.range_key is None or not layout.by_name[index.range_key].nullable
            if ordered:
                return index.name
    return None
