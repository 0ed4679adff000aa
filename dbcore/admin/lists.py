"""Lists of the admin: they answer what they offer and nothing else, and beside the rows that can be
read they show those that cannot.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.templatetags.admin_list import date_hierarchy
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList, ChangeListSearchForm
from django.db import models
from django.http import HttpRequest
from django.utils.dateparse import parse_datetime
from django.utils.functional import cached_property

from dbcore.admin.unreadable import READING_ERRORS, UnreadableRow, read_page

if TYPE_CHECKING:
    from dbcore.admin.guarded import GuardedAdmin

MAX_SEARCH = 2000  # characters: a key may be as long


class BoundedSearch(ChangeListSearchForm):
    """The search box. Of a text that is too long it says so, and the list is whole."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[SEARCH_VAR] = forms.CharField(
            required=False, strip=False, max_length=MAX_SEARCH
        )


class GuardedList(ChangeList):
    """A list. `unreadable`: the rows of its page that cannot be read, each with the URL of the page
    on which it is repaired."""

    search_form_class = BoundedSearch
    model_admin: GuardedAdmin
    unreadable: list[tuple[UnreadableRow, str]]

    def get_filters(self, request: HttpRequest) -> Any:
        """Raises IncorrectLookupParameters for what no filter of the list offers: a lookup that
        Django knows may be one that the database cannot do, or never comes to an end with."""
        found = super().get_filters(request)
        specs, lookups = found[0], found[2]
        offered = set(self.model_admin.linked_lookups)
        if f"{self.date_hierarchy}__year" in self.filter_params:
            # What Django has made of the date hierarchy's parameters.
            offered |= {f"{self.date_hierarchy}__gte", f"{self.date_hierarchy}__lt"}
        if not offered.issuperset(lookups) or not all(map(_is_offered, specs)):
            raise IncorrectLookupParameters
        return found

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list, unreadable = read_page(self.result_list, self.root_queryset)
        self.unreadable = [(row, self.model_admin.repair_url(row)) for row in unreadable]

    @cached_property
    def dates(self) -> dict[str, Any] | None:
        """The date hierarchy; None where a date cannot be read, of whichever page it is."""
        try:
            return date_hierarchy(self)
        except READING_ERRORS:
            return None


def _is_offered(spec: admin.ListFilter) -> bool:
    """Whether what was chosen of a filter is a choice."""
    if isinstance(spec, admin.SimpleListFilter):
        choices = {str(value) for value, _ in spec.lookup_choices}
        return spec.value() is None or spec.value() in choices
    if isinstance(spec, admin.DateFieldListFilter) and isinstance(spec.field, models.DateTimeField):
        given: Any = spec.used_parameters.items()
        return all(name.endswith("isnull") or _are_instants(values) for name, values in given)
    return True


def _are_instants(values: Iterable[Any]) -> bool:
    """Whether these are datetimes with their zone, as the filter writes them: of others Django
    would warn, and quote them."""
    found = [parse_datetime(str(each)) for each in values]  # a ValueError for a month of 13
    return all(isinstance(each, dt.datetime) and each.utcoffset() is not None for each in found)
