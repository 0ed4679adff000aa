"""Lists from DynamoDB, newest first, ties by key, cut where a page ends.

A page does not go on from DynamoDB's own key but from a record's place in the order, so that its
end means the same in either store and stays good when records are inserted or deleted. DynamoDB
says nothing of the order of ties, nor of an index without a range key; here they are read whole and
put in order.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from django.db import models

from dbcore.attributes import Item
from dbcore.dynamo.reading import pages
from dbcore.items import DAY, ItemLayout, layout_of
from dbcore.stores import validation
from dbcore.stores.errors import InvalidRecord
from dbcore.stores.interface import Position, Query
from dbcore.tables import DAY_SHARDS, GlobalIndex, LocalIndex
from dbcore.wire import Wire

# Items read beyond the page. One shows that there are more and, unless it is a tie of the page's
# last, that the page has all of its ties. A list that is merged gives its ties only when it has
# seen what follows them.
_BEYOND = 1
_BEYOND_MERGED = 2
_CONDITION = {  # whether there is a lower and an upper bound -> what the key must be
    (False, False): "",
    (True, False): " AND #o >= :low",
    (False, True): " AND #o <= :high",
    (True, True): " AND #o BETWEEN :low AND :high",
}


def run_query(wire: Wire, query: Query) -> tuple[list[models.Model], Position | None]:
    """A page of records, and where it ended when there are more."""
    layout = layout_of(query.model)
    validation.check_query(layout, query)
    found = _first(wire, layout, query)
    with validation.readable(layout):
        records = validation.records_from(layout, found[: query.limit])
    if len(found) <= query.limit:
        return records, None
    last = records[-1]
    key = getattr(last, layout.table.key_fields[-1])
    return records, Position(getattr(last, query.order), (key,))


@dataclass(frozen=True, slots=True)
class _Order:
    """What puts the items of a list in order: two attributes, of which the second parts ties."""

    by: str
    key: str

    def place(self, item: Item) -> tuple[str, str]:
        """Where an item stands in the list."""
        return item[self.by]["S"], item[self.key]["S"]


def _first(wire: Wire, layout: ItemLayout, query: Query) -> list[Item]:
    """The items that the query asks for, newest first, ties by key: a page of them, and at least
    one more where there are more."""
    key = layout.by_name[layout.table.key_fields[-1]].attribute
    order = _Order(layout.by_name[query.order].attribute, key)
    access = _access(layout, query)
    low, high = _bounds(layout, query)
    if low is not None and high is not None and low > high:
        return []
    asked = (low, high) if access.ordered else (None, None)
    lists = [
        _pages(wire, layout, query, order, _request(layout, query, access, hash_value, *asked))
        for hash_value in _hash_values(layout, query)
    ]
    if not access.ordered:
        items = chain.from_iterable(chain(*lists))
        return sorted(_within(items, order.by, low, high), key=order.place, reverse=True)
    if len(lists) == 1:
        return _first_of_one(lists[0], order, query.limit)
    tied = [_tied(chain.from_iterable(pages), order) for pages in lists]
    return list(islice(heapq.merge(*tied, key=order.place, reverse=True), query.limit + 1))


def _first_of_one(pages: Iterator[list[Item]], order: _Order, limit: int) -> list[Item]:
    """The same of one partition, which comes in order but for its ties."""
    found: list[Item] = []
    for page in pages:
        found += page
        if len(found) > limit and found[limit - 1][order.by] != found[-1][order.by]:
            break
    if len({item[order.by]["S"] for item in found}) < len(found):
        found.sort(key=order.place, reverse=True)
    return found


def _live(layout: ItemLayout, items: list[Item], now: dt.datetime) -> list[Item]:
    with validation.readable(layout):
        return [item for item in items if not layout.item_has_expired(item, now)]


def _tied(items: Iterator[Item], order: _Order) -> Iterator[Item]:
    """The same items, each group of equal order sorted by key."""
    group: list[Item] = []
    for item in items:
        if group and item[order.by]["S"] != group[0][order.by]["S"]:
            if len(group) > 1:
                group.sort(key=order.place, reverse=True)
            yield from group
            group = []
        group.append(item)
    yield from sorted(group, key=order.place, reverse=True)


def _hash_values(layout: ItemLayout, query: Query) -> list[Any]:
    if query.field == DAY:
        return [{"S": f"{query.value.isoformat()}#{shard}"} for shard in range(DAY_SHARDS)]
    return [layout.by_name[query.field].codec.to_attribute(query.value)]


def _within(items: Iterator[Item], order: str, low: str | None, high: str | None) -> Iterator[Item]:
    """The items whose order is within the bounds."""
    for item in items:
        at = item[order]["S"]
        if (low is None or low <= at) and (high is None or at <= high):
            yield item


def _pages(
    wire: Wire, layout: ItemLayout, query: Query, order: _Order, request: dict[str, Any]
) -> Iterator[list[Item]]:
    """One partition's items that the list has, read page by page as they are asked for."""
    behind = _place_of(layout, query)
    for answer in pages(wire, "Query", request):
        items = answer["Items"]
        if behind is not None:
            items = [item for item in items if order.place(item) < behind]
        if query.live_at is not None:
            items = _live(layout, items, query.live_at)
        yield items


def _place_of(layout: ItemLayout, query: Query) -> tuple[str, str] | None:
    """The place after which the page begins, if it is not the first."""
    if query.after is None:
        return None
    order = layout.by_name[query.order].codec.to_attribute(query.after.order)
    return str(order["S"]), query.after.key[-1]


def _bounds(layout: ItemLayout, query: Query) -> tuple[str | None, str | None]:
    """The least and the greatest order that a record of the page may have, as DynamoDB has it."""

    def text(value: Any) -> str | None:
        codec = layout.by_name[query.order].codec
        return None if value is None else str(codec.to_attribute(value)["S"])

    low, high = text(query.low), text(query.high)
    after = None if query.after is None else text(query.after.order)
    if high is None or (after is not None and after < high):
        high = after
    return low, high


@dataclass(frozen=True, slots=True)
class _Access:
    """What is read for a list: the table itself, or one of its indexes."""

    index: str | None
    consistent: bool
    ordered: bool = True  # False: an index without a range key, whose items come in any order


def _request(
    layout: ItemLayout,
    query: Query,
    access: _Access,
    hash_value: Any,
    low: str | None,
    high: str | None,
) -> dict[str, Any]:
    names = {"#h": DAY if query.field == DAY else layout.by_name[query.field].attribute}
    values = {":h": hash_value}
    if low is not None or high is not None:
        names["#o"] = layout.by_name[query.order].attribute
    if low is not None:
        values[":low"] = {"S": low}
    if high is not None:
        values[":high"] = {"S": high}
    request: dict[str, Any] = {
        "TableName": layout.table_name,
        "KeyConditionExpression": "#h = :h" + _CONDITION[low is not None, high is not None],
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
        "ScanIndexForward": False,
        "ConsistentRead": access.consistent and query.consistent,
        "ReturnConsumedCapacity": "TOTAL",
    }
    if access.ordered:
        request["Limit"] = _limit(query)
    if access.index is not None:
        request["IndexName"] = access.index
    return request


def _limit(query: Query) -> int:
    """How many items to ask for at a time."""
    beyond = _BEYOND_MERGED if query.field == DAY else _BEYOND
    # The record that the last page ended at comes once more.
    return query.limit + beyond + (query.after is not None)


def _access(layout: ItemLayout, query: Query) -> _Access:
    """The table or the index that has this list; InvalidRecord where none has."""
    table = layout.table
    if query.field == table.hash_key and query.order == table.range_key:
        return _Access(None, True)
    for index in table.indexes:
        if isinstance(index, LocalIndex):
            if query.field == table.hash_key and query.order == index.range_key:
                return _Access(index.name, True)
        elif isinstance(index, GlobalIndex):
            if query.field == index.hash_key and index.range_key in (query.order, None):
                return _Access(index.name, False, ordered=index.range_key is not None)
        elif (query.field, query.order) == (DAY, index.timestamp):
            return _Access(index.name, False)
    raise InvalidRecord(query.field, f"has no index of {table.name} ordered by {query.order}")
