"""Changes in the admin, in the audit trail: mixed into the pages of every model. A change whose
entry cannot be written is not made: Django calls what is here within the change's transaction, or
before it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from django.db import router, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from daylight.trail.entries import described, must_tell

KIND = "data_change"


class Audited:
    """A ModelAdmin's pages, of which every change is told."""

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        must_tell(request, kind=KIND, action="add", risk="medium", **described(obj))
        return super().log_addition(request, obj, message)  # type: ignore[misc]

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        told = {"details": {"fields": _fields(message)}, **described(obj)}
        must_tell(request, kind=KIND, action="change", risk="medium", **told)
        return super().log_change(request, obj, message)  # type: ignore[misc]

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Model]) -> Any:
        for each in queryset:
            must_tell(request, kind=KIND, action="delete", risk="high", **described(each))
        return super().log_deletions(request, queryset)  # type: ignore[misc]

    def user_change_password(self, request: HttpRequest, *args: Any, **given: Any) -> Any:
        """Django's page of another's password, which alone saves before it tells."""
        with transaction.atomic(using=router.db_for_write(self.model)):  # type: ignore[attr-defined]
            return super().user_change_password(request, *args, **given)  # type: ignore[misc]

    def get_actions(self, request: HttpRequest) -> Any:
        """Those of a list's menu. Django's own deletion is told of where it deletes."""
        found = super().get_actions(request)  # type: ignore[misc]
        return {
            name: (call if name == "delete_selected" else _told(call, name), name, text)
            for name, (call, _, text) in found.items()
        }


def _told(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(call)
    def wrapped(pages: Any, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for each in queryset:
            must_tell(request, kind=KIND, action=name, risk="medium", **described(each))
        return call(pages, request, queryset)

    return wrapped


def _fields(message: Any) -> list[str]:
    """The fields that a change names, and never what was in them."""
    parts = message if isinstance(message, list) else []
    changed = (each.get("changed", {}) for each in parts if isinstance(each, dict))
    return [str(name) for each in changed for name in each.get("fields", ())]
