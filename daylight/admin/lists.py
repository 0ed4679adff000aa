"""Filters, paging and expiry for the admin's lists. None of them may read a whole large table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property

from dbcore.admin import READING_ERRORS
from dbcore.items import layout_of
from dbcore.stores.lookups import live

COUNT_LIMIT = 10_000  # rows; beyond it a list says "over 10,000" and asks to be narrowed
RECENT = 2_000  # records whose values a filter offers


def is_live(record: models.Model, now: dt.datetime) -> bool:
    """Whether a record has not expired at `now`. Its other fields need not be readable."""
    layout = layout_of(type(record))
    values = {each.field: getattr(record, each.field) for each in layout.table.expires}
    return not layout.has_expired(values, now)


class ExpiryFilter(admin.SimpleListFilter):
    """Live records, or expired ones that are still there."""

    title = "expiry"
    parameter_name = "expiry"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "Live"), ("expired", "Expired")]

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        model: Any = queryset.model
        is_live = live(layout_of(model), timezone.now())
        if self.value() == "live":
            return queryset.filter(is_live)
        return queryset.exclude(is_live) if self.value() == "expired" else queryset


class RecentValuesFilter(admin.AllValuesFieldListFilter):
    """The values of a field among the latest records, since all values would be a full scan."""

    def __init__(
        self,
        field: models.Field[Any, Any],
        request: HttpRequest,
        params: dict[str, Any],
        model: type[models.Model],
        model_admin: Any,
        field_path: str,
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        latest = model_admin.get_queryset(request).order_by(*model_admin.get_ordering(request))
        try:
            values = set(latest.values_list(field.name, flat=True)[:RECENT])
        except READING_ERRORS:
            values = set()  # one of them cannot be read, as the list says
        values.update(self.lookup_val or ())  # what is chosen stays on offer
        offered: Any = sorted(values, key=lambda value: (value is None, str(value)))
        self.lookup_choices = offered

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or "(empty)"}


class AtLeast(int):
    """A count that stopped at a limit, and says so where it is printed."""

    def __str__(self) -> str:
        return f"over {int(self):,}"


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Pages of a large table, the first `COUNT_LIMIT` rows of it: a full count reads every row."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        seen = rows.order_by().values("pk")[: COUNT_LIMIT + 1].count()
        return AtLeast(COUNT_LIMIT) if seen > COUNT_LIMIT else int(seen)
