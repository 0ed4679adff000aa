"""How the admin shows what is kept: JSON, reports, and pages that are there to read. Nothing here
may take a record's text for markup."""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from dbcore.admin.guarded import GuardedAdmin
from dbcore.secrecy import mask_values

EMPTY = "-"
TOO_DEEP = "(nested too deep to be shown)"


def preformatted(text: str) -> SafeString:
    """Text as it is, in a box that scrolls: a row may be hundreds of kilobytes."""
    return format_html('<pre class="db-text">{}</pre>', text)


def json_text(value: Any, *, indent: int | None = None, encoder: Any = None) -> str:
    """A JSON value as a page can show it: a lone surrogate, which is one reason for a dead letter,
    is no text that a page could be sent with, and stays escaped."""
    try:
        text = json.dumps(value, ensure_ascii=False, indent=indent, cls=encoder)
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent, cls=encoder)
    except RecursionError:
        return TOO_DEEP
    return text


def text_of(value: Any) -> str:
    """Any JSON value on one line, as a page can be sent with it."""
    text = value if isinstance(value, str) else json_text(value)
    return text.encode(errors="backslashreplace").decode()


def pretty_json(value: Any) -> SafeString | str:
    """A JSON value, indented."""
    return EMPTY if value is None else preformatted(json_text(value, indent=2))


def link_to(model: type[models.Model], key: str | None) -> SafeString | str:
    """A link to a record's page. The record itself, which may be unreadable, is not looked at."""
    if not key:
        return EMPTY
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    return format_html('<a href="{}">{}</a>', reverse(name, args=[quote(key)]), key)


@functools.cache
def json_display(name: str) -> Any:
    """A read-only admin column for the JSON field `name`, without secrets in it. The same function
    for the same name: Django asks whether it is among `readonly_fields`."""

    def display(record: models.Model) -> SafeString | str:
        return pretty_json(mask_values(getattr(record, name)))

    display.__name__ = f"json_{name}"
    return admin.display(description=name.replace("_", " "))(display)


class ReadableAdmin(GuardedAdmin):
    """An admin whose JSON can be read by who may view and not change."""

    class Media:
        css: ClassVar = {"all": ("dbcore/pages.css",)}

    list_per_page = 50
    show_full_result_count = False
    empty_value_display = EMPTY

    def get_fieldsets(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        return [
            (title, {**options, "fields": [self._shown(name) for name in options["fields"]]})
            for title, options in fieldsets
        ]

    def _shown(self, name: Any) -> Any:
        if isinstance(name, (tuple, list)):
            return tuple(self._shown(each) for each in name)
        kinds = {field.name: field for field in self.opts.concrete_fields}
        return json_display(name) if isinstance(kinds.get(name), models.JSONField) else name


class ViewOnlyAdmin(ReadableAdmin):
    """Nobody adds, changes or deletes here, not even a superuser."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _rows_of(part: Any) -> list[dict[str, Any]] | None:
    """`part` as the rows of a table, when it is a list of objects or an object of objects."""
    if isinstance(part, Mapping) and part and all(isinstance(v, Mapping) for v in part.values()):
        return [{"": name, **row} for name, row in part.items()]
    if isinstance(part, list) and part and all(isinstance(row, Mapping) for row in part):
        return [dict(row) for row in part]
    return None


def _cell(value: Any) -> SafeString:
    if isinstance(value, int) and not isinstance(value, bool):
        return format_html('<td class="db-number">{}</td>', f"{value:,}")
    if value is None:
        return format_html("<td>{}</td>", EMPTY)
    return format_html("<td>{}</td>", text_of(value))


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> SafeString:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    head = format_html_join(
        "", "<th>{}</th>", ((text_of(name).replace("_", " "),) for name in columns)
    )
    body = format_html_join(
        "",
        "<tr>{}</tr>",
        ((format_html_join("", "{}", ((_cell(row.get(c)),) for c in columns)),) for row in rows),
    )
    return format_html(
        "<table><caption>{}</caption><thead><tr>{}</tr></thead><tbody>{}</tbody></table>",
        text_of(title).replace("_", " "),
        head,
        body,
    )


def report_html(report: Any) -> SafeString | str:
    """A run's report: what is tabular as tables, single values as a list, the rest as JSON.

    It goes by the shape and not by names, so that a report of an older version reads as well.
    """
    if not isinstance(report, Mapping) or not report:
        return pretty_json(report) if report else EMPTY
    parts: list[SafeString | str] = []
    single = {key: v for key, v in report.items() if not isinstance(v, (Mapping, list))}
    if single:
        parts.append(_table("summary", [{"": key, "value": v} for key, v in single.items()]))
    for key, value in report.items():
        rows = _rows_of(value)
        if rows is not None:
            parts.append(_table(key, rows))
        elif key not in single and value:
            parts.append(format_html("<p><b>{}</b></p>{}", text_of(key), pretty_json(value)))
    return format_html('<div class="db-report">{}</div>', _joined(parts))


def _joined(parts: Iterable[SafeString | str]) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts))


def took(started: dt.datetime, finished: dt.datetime | None) -> str:
    """How long something took, in whole seconds: "0:01:07" reads better than microseconds."""
    return EMPTY if finished is None else str(finished - started).split(".")[0]
