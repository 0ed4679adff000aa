"""Pages of the admin that no query string, selection or row can break: what makes no sense is left
out and said so, what cannot be read is shown as that. Nothing of an odd value is logged.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import ValidationError
from django.db import DatabaseError, models, transaction
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import path, reverse
from django.urls.resolvers import URLPattern

from dbcore.admin import repair
from dbcore.admin.lists import GuardedList
from dbcore.admin.unreadable import (
    READING_ERRORS,
    UnreadableRow,
    could_be,
    is_readable,
    read_one,
)
from dbcore.logs import Event

View = Callable[..., HttpResponseBase]

# What a value that somebody typed may come to, in Django or in a database.
ODD_VALUE = (ValueError, ArithmeticError, RecursionError, DatabaseError, IncorrectLookupParameters)
NOT_HERE = "The address asked for something that this page does not have: it is shown without it."
NOT_SELECTED = "A record that was selected cannot be read: nothing has been changed."

REFUSED = Event(
    "dbcore.admin", (logging.WARNING,), "odd query refused", ("route", "error"),
    "a query string of the admin made no sense to Django or to the database: the page was shown "
    "without it",
)  # fmt: skip


class CannotBeRead(Exception):
    """A row that somebody asks for cannot be read. `url` is of the page on which it is repaired."""

    def __init__(self, url: str) -> None:
        super().__init__("a row cannot be read")
        self.url = url


class OddQuery(Exception):
    """A list was asked for what it does not offer."""


class KnownChoices(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Several records: a form may name such as no database could look for."""

    def _check_values(self, value: Any) -> Any:
        rows: Any = self.queryset
        if not all(could_be(rows.model._meta.pk, each) for each in value):
            raise ValidationError(self.error_messages["invalid_list"], code="invalid_list")
        return super()._check_values(value)  # type: ignore[misc]


class GuardedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """An admin whose pages stand, whatever is asked of them and whatever their table holds."""

    # Lookups that our own pages link to, beside those of filters and of the date hierarchy.
    linked_lookups: ClassVar[tuple[str, ...]] = ()
    # Fields that are no secret by themselves, and whose raw text may have any in it.
    never_raw: ClassVar[tuple[str, ...]] = ()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(functools.partial(repair.page, self))
        urls = [path("unreadable/<str:place>/", view, name=self._repair_name), *super().get_urls()]
        for each in urls:
            each.callback = guarded(each.callback)
        return urls

    @property
    def _repair_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_unreadable"

    def repair_url(self, row: UnreadableRow) -> str:
        """The page on which an unreadable row is shown and repaired."""
        return reverse(f"{self.admin_site.name}:{self._repair_name}", args=[row.place])

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[GuardedList]:
        return GuardedList

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        try:
            return super().get_changelist_instance(request)
        except ODD_VALUE as error:
            if not _is_asked_for_more(request):
                raise
            raise OddQuery from error

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        # "" is what a browser sends of a field that it was given without a value.
        field: Any = self.opts.get_field(from_field) if from_field else self.opts.pk
        if not could_be(field, object_id):
            return None
        rows = self.get_queryset(request).filter(**{field.name: field.to_python(object_id)})
        found = read_one(rows)
        if isinstance(found, UnreadableRow):
            raise CannotBeRead(self.repair_url(found))
        return found

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the query string fills in, where a field can be that."""
        given = super().get_changeform_initial_data(request)
        fields: dict[str, Any] = {each.name: each for each in self.opts.get_fields()}
        return {name: value for name, value in given.items() if _fits(fields.get(name), value)}

    def formfield_for_manytomany(self, db_field: Any, request: Any, **given: Any) -> Any:
        given.setdefault("form_class", KnownChoices)
        return super().formfield_for_manytomany(db_field, request, **given)

    def response_action(self, request: HttpRequest, queryset: Any, *given: Any) -> Any:
        """An action on all that was selected; on none of it where one cannot be read."""
        selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if all(could_be(self.opts.pk, each) for each in selected):
            try:
                with transaction.atomic(using=queryset.db):
                    return super().response_action(request, queryset, *given)
            except READING_ERRORS:
                if is_readable(queryset):
                    raise
        self.message_user(request, NOT_SELECTED, messages.ERROR)
        return None


def guarded(view: View) -> View:
    """A view of the admin, drawn here: what goes wrong for the sake of its query string sends to
    the page without it, and a row that cannot be read to where it is repaired."""

    @functools.wraps(view)
    def serve(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            answer: Any = view(request, *args, **kwargs)
            return answer.render() if hasattr(answer, "render") else answer  # type: ignore[no-any-return]
        except CannotBeRead as error:
            return HttpResponseRedirect(error.url)
        except OddQuery as error:
            return _without_query(request, error.__cause__ or error)
        except ODD_VALUE as error:
            if request.method not in ("GET", "HEAD") or not _is_asked_for_more(request):
                raise
            return _without_query(request, error)

    return serve


def _without_query(request: HttpRequest, error: BaseException) -> HttpResponseRedirect:
    """To the same page as it is by itself. What Django itself has seen through is no fault of ours:
    of anything else it is logged where it happened."""
    seen_through = isinstance(error, IncorrectLookupParameters)
    REFUSED.log(
        route=getattr(request.resolver_match, "route", None),
        error=type(error).__name__,
        traceback=None if seen_through else error,
    )
    messages.warning(request, NOT_HERE)
    return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")


def _is_asked_for_more(request: HttpRequest) -> bool:
    """Whether there is a query string: without it the page is what it is."""
    return bool(set(request.GET) - {ERROR_FLAG})


def _fits(field: Any, value: Any) -> bool:
    if isinstance(field, models.ManyToManyField):
        return all(could_be(field.related_model._meta.pk, each) for each in value)
    try:
        field.to_python(value)
    except (ValidationError, *READING_ERRORS):  # an AttributeError: there is no such field
        return False
    return True
