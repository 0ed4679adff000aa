"""Finds what is due in DynamoDB, by the day: through the due-day index or the day index, a query
for each shard of each day. Nothing here scans.

An index lags behind its table: a record that was written a moment ago is found the next time, and
one that has changed or gone since is read again, consistently, before it is taken for due.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dbcore.attributes import Item
from dbcore.dynamo.reading import Request, next_page, read_items, together
from dbcore.items import DAY, DUE_DAY, DUE_DAY_INDEX
from dbcore.retention.keepers.interface import PAGE, Window
from dbcore.retention.keepers.pages import NOT_READABLE, in_pages, unreadable_because
from dbcore.retention.rules import Rule
from dbcore.tables import DAY_SHARDS
from dbcore.wire import Wire

DAYS_AT_ONCE = 32  # days whose shards are asked at once whether they have anything
ITEMS_AT_ONCE = 400  # read by key before they are looked at: four BatchGetItems
# An expression may have 300 operators, and needs two for each attribute.
MAX_ATTRIBUTES = 140

Unreadable = Callable[[Item, str], None]  # is told of an item, or its key, and why


@dataclass(frozen=True, slots=True)
class DayAccess:
    """Which index finds a table's old records by the day, and on which days what is due is."""

    index: str
    attribute: str
    first: dt.date
    last: dt.date

    def days(self) -> Iterator[dt.date]:
        """Each day, oldest first."""
        return map(dt.date.fromordinal, range(self.first.toordinal(), self.last.toordinal() + 1))


@dataclass(slots=True)
class Finder:
    """Looks for what one rule makes due within one window."""

    wire: Wire
    rule: Rule
    window: Window
    unreadable: Unreadable

    def count(self) -> int:
        """How many records the days of the window have: of the last day also those due later."""
        total = 0
        for requests in self._requests_by_days(Select="COUNT"):
            while requests:
                answers = self._ask(requests)
                total += sum(answer["Count"] for answer in answers)
                requests = list(_following(requests, answers))
        return total

    def finds_any(self) -> bool:
        """Whether the days of the window have any record."""
        return next(self._requests_of_full_days(), None) is not None

    def pages(self) -> Iterator[list[Item]]:
        """What is due, oldest day first."""
        return in_pages(self._due_items())

    def _due_items(self) -> Iterator[Item]:
        keys = self._keys()
        while some := list(itertools.islice(keys, ITEMS_AT_ONCE)):
            for item in read_items(self.wire, self.rule.layout.table_name, some):
                if item is not None and self._is_due(item):
                    yield item

    def _is_due(self, item: Item) -> bool:
        try:
            due = self.rule.is_due(self.rule.layout.from_item(item))
        except NOT_READABLE as error:
            self.unreadable(item, unreadable_because(self.rule.layout, item, error))
            return False
        if due and len(item) > MAX_ATTRIBUTES:
            self.unreadable(item, f"has more than {MAX_ATTRIBUTES} attributes")
            return False
        return due

    def _keys(self) -> Iterator[Item]:
        """The keys that the index has, a day's shards at once."""
        names = {f"#k{at}": each.attribute for at, each in enumerate(self.rule.layout.key)}
        for requests in self._requests_of_full_days():
            for request in requests:
                request["ProjectionExpression"] = ", ".join(names)
                request["ExpressionAttributeNames"] = names | request["ExpressionAttributeNames"]
                request["Limit"] = PAGE
            while requests:
                answers = self._ask(requests)
                yield from itertools.chain.from_iterable(each["Items"] for each in answers)
                requests = list(_following(requests, answers))

    def _requests_of_full_days(self) -> Iterator[list[Request]]:
        """Of each day that has anything, the queries of the shards that have."""
        for requests in self._requests_by_days(Select="COUNT", Limit=1):
            answers = self._ask(requests)
            full = [
                request
                for request, answer in zip(requests, answers, strict=True)
                if answer["Count"] or "LastEvaluatedKey" in answer
            ]
            for _, shards in itertools.groupby(full, key=_day_of):
                yield [_without(request, "Select", "Limit") for request in shards]

    def _requests_by_days(self, **given: Any) -> Iterator[list[Request]]:
        """The queries of all shards of some days at once, oldest first."""
        access = day_access(self.rule, self.window)
        if access is None:
            return
        days = access.days()
        while some := list(itertools.islice(days, DAYS_AT_ONCE)):
            yield [
                self._query(access, f"{day.isoformat()}#{shard}") | given
                for day in some
                for shard in range(DAY_SHARDS)
            ]

    def _query(self, access: DayAccess, partition: str) -> Request:
        return {
            "TableName": self.rule.layout.table_name,
            "IndexName": access.index,
            "KeyConditionExpression": "#day = :day",
            "ExpressionAttributeNames": {"#day": access.attribute},
            "ExpressionAttributeValues": {":day": {"S": partition}},
            "ReturnConsumedCapacity": "TOTAL",
        }

    def _ask(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        return together(self.wire, "Query", self.rule.layout.table_name, requests)


def day_access(rule: Rule, window: Window) -> DayAccess | None:
    """Where to look for what is due on the days of the window; None where nothing ever is."""
    table = rule.layout.table
    if table.day_index is not None:
        days = [deadline.days for deadline in table.expires]
        days += [] if rule.days is None else [rule.days]
        if not days:
            return None
        # A record of day D is due so many days later.
        first, last = _moved(window.first, -max(days)), _moved(window.last, -min(days))
        return DayAccess(table.day_index.name, DAY, first, last)
    if not table.needs_due_day:
        return None
    # A due day was written with the days that the code declares; others may be in force.
    policy = rule.policy
    late = 0 if policy is None or rule.days is None else policy.days - rule.days
    early, late = (min(late, 0), max(late, 0)) if table.expires else (late, late)
    return DayAccess(DUE_DAY_INDEX, DUE_DAY, _moved(window.first, early), _moved(window.last, late))


def _moved(day: dt.date, by: int) -> dt.date:
    """So many days later, within the calendar."""
    return dt.date.fromordinal(min(max(day.toordinal() + by, 1), dt.date.max.toordinal()))


def _day_of(request: Request) -> str:
    partition: str = request["ExpressionAttributeValues"][":day"]["S"]
    return partition.partition("#")[0]


def _without(request: Request, *names: str) -> Request:
    return {name: value for name, value in request.items() if name not in names}


def _following(requests: Iterable[Request], answers: Iterable[dict[str, Any]]) -> Iterator[Request]:
    """The next request of each query that has more."""
    for request, answer in zip(requests, answers, strict=True):
        if following := next_page("Query", request, answer):
            yield following
