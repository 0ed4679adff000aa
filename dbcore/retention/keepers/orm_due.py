"""Finds what is due in SQL, each time along an index on an instant that the record has: from one
page to the next by where the last one ended, never by counting rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import Q

from dbcore.attributes import Item
from dbcore.errors import ConfigurationError, InvalidValue
from dbcore.items import ItemLayout
from dbcore.retention.keepers.interface import PAGE, Window
from dbcore.retention.keepers.pages import in_pages
from dbcore.retention.keepers.rows import Rows, item_of, rows_of
from dbcore.retention.rules import Rule, days_before
from dbcore.stores import validation

Unreadable = Callable[[models.Model, str], None]  # is told of a row, and why it is no item


@dataclass(frozen=True, slots=True)
class Pass:
    """One way in which records are due: those whose `field` is at or before `limit`, and for which
    `also` holds."""

    field: str
    limit: dt.datetime
    also: Q = Q()  # noqa: RUF009 - a Q is never changed

    @property
    def where(self) -> Q:
        """What is due in this way."""
        return Q(**{f"{self.field}__lte": self.limit}) & self.also


@dataclass(slots=True)
class Finder:
    """Looks for what one rule makes due in one database."""

    alias: str
    rule: Rule
    unreadable: Unreadable

    def count(self) -> int:
        """How many records are due."""
        return sum(rows.count() for _, rows in self.queries())

    def lives(self, window: Window) -> bool:
        """Whether a record's leading instant is on a day of the window."""
        policy = self.rule.policy
        assert policy is not None
        lead = _leading(self.rule.layout, policy.since)
        first = dt.datetime.combine(window.first, dt.time.min, dt.UTC)
        last = dt.datetime.combine(window.last, dt.time.max, dt.UTC)
        rows = rows_of(self.rule.layout, self.alias)
        return rows.filter(**{f"{lead}__gte": first, f"{lead}__lte": last}).exists()

    def pages(self) -> Iterator[list[Item]]:
        """What is due; of each way of being due the oldest first."""
        return in_pages(self._items())

    def queries(self) -> Iterator[tuple[str, Rows]]:
        """The rows of each pass but those of the passes before it, and the field that orders it."""
        before: list[Pass] = []
        for each in passes_of(self.rule):
            rows = rows_of(self.rule.layout, self.alias).filter(each.where)
            for other in before:
                rows = rows.exclude(other.where)
            before.append(each)
            yield each.field, rows

    def _items(self) -> Iterator[Item]:
        for field, rows in self.queries():
            for row in _along(rows, field):
                try:
                    item = item_of(self.rule.layout, row)
                except InvalidValue as error:
                    self.unreadable(row, str(error))
                    continue
                if self.rule.is_due(validation.values_of(row)):
                    yield item


def _along(rows: Rows, field: str) -> Iterator[models.Model]:
    """The rows by this field, then by key, PAGE at a time."""
    rows = rows.order_by(field, "pk")
    page = list(rows[:PAGE])
    while page:
        yield from page
        if len(page) < PAGE:
            return
        last: Any = getattr(page[-1], field)
        # Not "later, or the same and a higher key": an OR has no index.
        behind = Q(**{f"{field}__gt": last}) | Q(pk__gt=page[-1].pk)
        page = list(rows.filter(behind, **{f"{field}__gte": last})[:PAGE])


def passes_of(rule: Rule) -> list[Pass]:
    """The ways in which the rule makes records due, each led by an index."""
    layout = rule.layout
    found = []
    if rule.policy is not None and rule.cutoff is not None:
        lead = _leading(layout, rule.policy.since)
        others = [name for name in rule.policy.since if name != lead]
        found.append(Pass(lead, rule.cutoff, _none_later(others, rule.cutoff)))
    # An expiry counts in whole seconds: this one has passed to its end.
    now = rule.now.replace(microsecond=999_999)
    for deadline in layout.table.expires:
        found.append(Pass(deadline.field, days_before(now, deadline.days)))
    return [each for each in found if not _is_covered(each, found)]


def _is_covered(one: Pass, passes: list[Pass]) -> bool:
    """Whether another pass finds all that this one finds."""
    return any(
        other is not one and other.field == one.field and not other.also and other.limit > one.limit
        for other in passes
    )


def _none_later(names: list[str], limit: dt.datetime) -> Q:
    found = Q()
    for name in names:
        found &= Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__lte": limit})
    return found


def _leading(layout: ItemLayout, names: tuple[str, ...]) -> str:
    """The first of these fields that every record has and that an index is on."""
    indexed = {index.fields[0] for index in layout.model._meta.indexes if index.fields}
    for name in names:
        field = layout.by_name[name].field
        if not field.null and (getattr(field, "db_index", False) or name in indexed):
            return name
    raise ConfigurationError(
        f"{layout.table.name}: none of {', '.join(names)} is indexed and never null, so that what "
        "is due could only be found by reading the whole table"
    )
