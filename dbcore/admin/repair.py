"""The page on which a row that cannot be read is shown as the database has it, and repaired. Only
what cannot be read is shown and written here; a secret never is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, models, router, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from dbcore.admin.unreadable import UnreadableRow, hold_row, raw_texts, read_row, update_row
from dbcore.fields import RecordKeyField
from dbcore.items import layout_of
from dbcore.printable import printable_lines, shortened
from dbcore.secrecy import is_secret_name, mask_text
from dbcore.stores.errors import InvalidRecord
from dbcore.stores.validation import check_fields, check_item, values_of

if TYPE_CHECKING:
    from dbcore.admin.guarded import GuardedAdmin

SEEN = "seen"  # the form's word for what the row held when it was shown
SHOWN = 10_000  # characters of a value
REPAIRED = "The record can be read again."
READABLE = "The record can be read: there is nothing to repair."
CHANGED = "The row has changed since it was shown: open this page anew."
TAKEN = "Another record has this key, or another value that only one may have."
NOTHING = "There is nothing that can be repaired on this page."


class _NotSaved(Exception):
    """The row would not be a record after this; the message says why."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that cannot be read, as the page shows it. `raw`: None where it is a secret."""

    name: str
    why: str
    raw: str | None
    field: forms.BoundField | None


def page(model_admin: GuardedAdmin, request: HttpRequest, place: str) -> HttpResponse:
    """The row at `place`, and the form that repairs it for who may change records."""
    if not model_admin.has_view_or_change_permission(request):
        raise PermissionDenied
    if request.method != "POST":
        return _page(model_admin, request, place)
    if not model_admin.has_change_permission(request):
        raise PermissionDenied
    with transaction.atomic(using=router.db_for_write(model_admin.model)):
        return _page(model_admin, request, place)


def _page(model_admin: GuardedAdmin, request: HttpRequest, place: str) -> HttpResponse:
    rows = model_admin.get_queryset(request)
    if request.method == "POST":
        hold_row(rows, place)
    row = read_row(rows, place)
    if row is None:
        raise Http404
    if not isinstance(row, UnreadableRow):
        messages.info(request, READABLE)
        return HttpResponseRedirect(_change_url(model_admin, row))
    raw = raw_texts(rows, place, row.why)
    form = _form(model_admin, request, row, raw)
    if form.is_valid() and (saved := _saved(model_admin, request, row, form)):
        return saved
    return _drawn(model_admin, request, row, raw, form)


def _drawn(
    model_admin: GuardedAdmin,
    request: HttpRequest,
    row: UnreadableRow,
    raw: Mapping[str, str | None],
    form: forms.Form,
) -> TemplateResponse:
    columns = [
        Column(
            name,
            why,
            None if _is_secret(model_admin, name) else _shown(raw[name] or ""),
            form[name] if name in form.fields else None,
        )
        for name, why in row.why.items()
    ]
    request.current_app = model_admin.admin_site.name
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"Repair {model_admin.opts.verbose_name}",
        "opts": model_admin.opts,
        "original": row.record,  # what the page is about, as on all others
        "key": row.key,
        "columns": columns,
        "form": form,
        "can_repair": any(each.field for each in columns),
        "media": model_admin.media + form.media,
    }
    return TemplateResponse(request, "dbcore/repair.html", context)


def _shown(raw: str) -> str:
    return printable_lines(mask_text(shortened(raw, SHOWN)))


def _form(
    model_admin: GuardedAdmin,
    request: HttpRequest,
    row: UnreadableRow,
    raw: Mapping[str, str | None],
) -> forms.Form:
    """A field for each column that may be repaired here, and what the row held when it was read."""
    seen = salted_hmac(__name__, repr(sorted(raw.items()))).hexdigest()

    def clean_seen(self: forms.Form) -> str:
        given = str(self.cleaned_data[SEEN])
        if not constant_time_compare(given, seen):
            raise forms.ValidationError(CHANGED)
        return given

    inputs = {name: _input(model_admin, request, name) for name in row.why}
    fields = {name: each for name, each in inputs.items() if each is not None}
    hidden = forms.CharField(widget=forms.HiddenInput)
    kind = type("RepairForm", (forms.Form,), {**fields, SEEN: hidden, "clean_seen": clean_seen})
    found: forms.Form = kind(request.POST or None, initial={SEEN: seen})
    return found


def _input(model_admin: GuardedAdmin, request: HttpRequest, name: str) -> Any:
    """The form field of a column; None where it is not to be repaired here."""
    field: Any = model_admin.opts.get_field(name)
    may_change = field.editable and model_admin.has_change_permission(request)
    if not may_change or _is_secret(model_admin, name):
        return None
    found = model_admin.formfield_for_dbfield(field, request)
    if found is not None:
        found.initial = None  # a default would pass for what the row was meant to hold
    return found


def _is_secret(model_admin: GuardedAdmin, name: str) -> bool:
    table = getattr(model_admin.model, "storage", None)
    secret = (*model_admin.never_raw, *(table.secret if table else ()))
    return name in secret or is_secret_name(name)


def _saved(
    model_admin: GuardedAdmin, request: HttpRequest, row: UnreadableRow, form: forms.Form
) -> HttpResponse | None:
    """Where to go after the repair; None where it could not be done, as the form's errors say."""
    rows = model_admin.get_queryset(request)
    values = {name: value for name, value in form.cleaned_data.items() if name != SEEN}
    try:
        with transaction.atomic(using=rows.db):
            found = _write(rows, row, values)
            record = found if isinstance(found, models.Model) else row.record
            model_admin.log_change(request, record, [{"changed": {"fields": sorted(values)}}])
    except _NotSaved as error:
        form.add_error(None, str(error))
        return None
    except IntegrityError:
        form.add_error(None, TAKEN)
        return None
    if not isinstance(found, models.Model):
        return HttpResponseRedirect(request.path)
    messages.success(request, REPAIRED)
    return HttpResponseRedirect(_change_url(model_admin, found))


def _write(rows: Any, row: UnreadableRow, values: dict[str, Any]) -> models.Model | UnreadableRow:
    """The row as it is after these values have been written; _NotSaved where that is no record."""
    is_record = hasattr(rows.model, "storage")
    if is_record:
        layout = layout_of(rows.model)
        _judge(lambda: check_fields(layout, values, values))
        if values and "updated_at" in layout.by_name and "updated_at" not in row.why:
            values = {**values, "updated_at": timezone.now()}
    if not values or not update_row(rows, row.place, values):
        raise _NotSaved(NOTHING)
    found = read_row(rows, row.place)
    if found is None:
        raise _NotSaved(NOTHING)
    if is_record and isinstance(found, models.Model):
        _judge(lambda: check_item(layout, values_of(found)))
        _bring_key_up_to_date(rows, row.place, found)
    return found


def _judge(check: Callable[[], None]) -> None:
    try:
        check()
    except InvalidRecord as error:
        raise _NotSaved(f"The record could not be kept: {error}.") from None


def _bring_key_up_to_date(rows: Any, place: str, record: models.Model) -> None:
    """Django's key of a record is made of fields, of which one may have been repaired."""
    key = record._meta.pk
    if isinstance(key, RecordKeyField) and (wanted := key.value_for(record)) != record.pk:
        update_row(rows, place, {key.name: wanted})
        record.pk = wanted


def _change_url(model_admin: GuardedAdmin, record: models.Model) -> str:
    opts = model_admin.opts
    name = f"{model_admin.admin_site.name}:{opts.app_label}_{opts.model_name}_change"
    return reverse(name, args=[quote(record.pk)])
