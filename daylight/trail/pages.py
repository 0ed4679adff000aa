"""Pages of the admin that show records, in the audit trail. A page is judged by what it is given to
show, so that none is left out because somebody forgot it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.response import TemplateResponse

from daylight.trail.entries import current, described, described_list, table_of, tell
from dbcore.retention.audit import AuditFailed

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
MAX_NAMES = 20

Answer = HttpResponseBase


class AuditedPages:
    """Middleware: tells of what is shown, and says so where a change could not be told of."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Answer | Awaitable[Answer]]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Answer | Awaitable[Answer]:
        if self._is_async:
            return self._serve_async(request)
        before = current.set(request)
        try:
            return self.get_response(request)
        finally:
            current.reset(before)

    async def _serve_async(self, request: HttpRequest) -> Answer:
        before = current.set(request)
        try:
            return await cast("Awaitable[Answer]", self.get_response(request))
        finally:
            current.reset(before)

    def process_template_response(
        self, request: HttpRequest, response: TemplateResponse
    ) -> TemplateResponse:
        context = response.context_data or {}
        if "opts" in context:  # of Django's admin: what the page is about
            _tell_of(request, context)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, AuditFailed):
            return None
        context = {"title": "Not changed", "sentence": str(exception)}
        answer = render(request, "daylight/not_changed.html", context, status=503)
        answer._has_been_logged = True  # type: ignore[attr-defined]  # the log has it, with the reason
        return answer


def _tell_of(request: HttpRequest, context: dict[str, Any]) -> None:
    model = context["opts"].model
    record: Any = context.get("original") or context.get("object")
    changes, chosen = context.get("cl"), context.get("queryset")
    rows: Any = chosen if changes is None else _listed(changes)
    is_record = isinstance(record, models.Model)
    if not is_record and rows is None:
        return  # a form for a record that is not there yet
    try:
        found = described(record) if is_record else described_list(model, rows, _names(request))
    except Exception as error:  # a row that cannot be read is shown so, and was looked at
        found = {"resource": table_of(model), "details": {"unreadable": type(error).__name__}}
    tell(request, kind="data_view", action="view" if is_record else "list", **found)


def _listed(changes: Any) -> list[models.Model]:
    """The records of a list's page, those too of which it shows but the key."""
    return [*changes.result_list, *(row.record for row, _ in changes.unreadable)]


def _names(request: HttpRequest) -> list[str]:
    """What a list was narrowed by: the names, not the values, which may name a user."""
    return sorted(filter(_NAME.fullmatch, request.GET))[:MAX_NAMES]
