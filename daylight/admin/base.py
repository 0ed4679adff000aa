"""What the admin pages of all records share. A form must never change what nobody changed in it,
nor what is for good, nor save a record that DynamoDB could not keep; a secret never reaches a page.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db import connections, models, router
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest
from django.utils import timezone

from daylight.admin.lists import BoundedPaginator, ExpiryFilter, is_live
from dbcore.admin import ReadableAdmin, json_text
from dbcore.attributes import MAX_NESTING
from dbcore.errors import InvalidValue
from dbcore.fields import RecordKeyField
from dbcore.items import ItemLayout, layout_of
from dbcore.json_numbers import is_too_deep
from dbcore.stores.errors import InvalidRecord
from dbcore.stores.validation import check_fields, check_item, values_of

STAMPS = ("created_at", "updated_at")


def _in_transaction(model: type[models.Model]) -> bool:
    return connections[router.db_for_write(model)].in_atomic_block


@functools.cache
def masked(name: str) -> Any:
    """A read-only column that says whether the secret field `name` is set, and nothing of it."""

    def display(record: models.Model) -> str:
        return "set (never shown)" if getattr(record, name) else "not set"

    display.__name__ = f"masked_{name}"
    return admin.display(description=name.replace("_", " "))(display)


class PlainText(forms.CharField):
    """Text with the line breaks that it had: browsers send CRLF for every LF."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "strip": False})

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return text.replace("\r\n", "\n") if isinstance(text, str) else text

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.to_python(initial), data)


class IndentedJson(forms.JSONField):
    """A JSON object or list, indented. Left empty it is the model's default, not null."""

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
        except InvalidValue as error:
            raise forms.ValidationError(f"This {error}.", code="invalid") from None
        if is_too_deep(found):
            raise forms.ValidationError(
                f"This is nested deeper than {MAX_NESTING} levels.", code="invalid"
            )
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            found = super().bound_data(data, initial)
        except InvalidValue:
            return InvalidJSONInput(data)
        return InvalidJSONInput(data) if is_too_deep(found) else found  # as it was typed

    def prepare_value(self, value: Any) -> Any:
        if value is None or isinstance(value, InvalidJSONInput):
            return value
        return json_text(value, indent=2, encoder=self.encoder)


class RecordForm(forms.ModelForm):  # type: ignore[type-arg]
    """A record's form: as strict as DynamoDB, and without effect on fields left alone."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        adding = self.instance._state.adding
        for name, value in list(cleaned.items()):
            field = self.instance._meta.get_field(name)
            if not adding and name not in self.changed_data:
                # What a widget cannot carry (microseconds, null or empty text) stays as it is.
                cleaned[name] = getattr(self.instance, name)
            elif value is None and not field.null:
                cleaned[name] = field.get_default()  # a JSON field that was emptied
            elif value == "" and field.null and not field.empty_strings_allowed:
                cleaned[name] = None  # as it is saved
        if adding and not self.errors:
            self._check_key_is_free(cleaned)
        return cleaned

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        record: models.Model = self.instance
        layout, values = layout_of(type(record)), values_of(record)
        try:
            # What nobody touched may be what would be refused today.
            check_fields(layout, values, [each for each in self.changed_data if each in values])
            check_item(layout, values)
        except InvalidRecord as error:
            self.add_error(None, f"DynamoDB could not keep this record: {error}.")

    def _check_key_is_free(self, cleaned: dict[str, Any]) -> None:
        """Django checks a primary key only when it is in the form, and this one never is: saving
        would overwrite the other record."""
        model = self._meta.model
        key = model._meta.pk
        if not isinstance(key, RecordKeyField):
            return
        value = key.value_of([cleaned[name] for name in key.of])
        if model._default_manager.filter(pk=value).exists():
            self.add_error(key.of[-1], f"There is a record with this {' and '.join(key.of)}.")


class RecordAdmin(ReadableAdmin):
    """One table's pages. Its key, expiry, secrets and whether it may change come from `storage`."""

    form = RecordForm
    formfield_overrides: ClassVar[Any] = {
        models.TextField: {"form_class": PlainText},
        models.JSONField: {
            "form_class": IndentedJson,
            "widget": AdminTextareaWidget(
                attrs={"rows": 8, "spellcheck": "false", "class": "vLargeTextField db-json"}
            ),
        },
    }

    @property
    def layout(self) -> ItemLayout:
        """How the model is kept in DynamoDB."""
        model: type[models.Model] = self.model
        return layout_of(model)

    @property
    def secret(self) -> tuple[str, ...]:
        """The fields whose values are never on a page: it says only whether they are set."""
        return self.layout.table.secret

    def _told(self, name: Any) -> Any:
        """A column or field as a page has it."""
        if isinstance(name, (tuple, list)):
            return tuple(map(self._told, name))
        return masked(name) if name in self.secret else name

    def _public(self, names: Any) -> tuple[Any, ...]:
        """Those by which somebody may search, filter or sort: by a secret it could be guessed."""
        return tuple(each for each in names if not self._is_secret(each))

    def _is_secret(self, lookup: Any) -> bool:
        field = lookup[0] if isinstance(lookup, (tuple, list)) else lookup
        return isinstance(field, str) and field.lstrip("-^=@").split("__")[0] in self.secret

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = tuple(map(self._told, super().get_list_display(request)))
        return (*shown, "live") if self.layout.table.expires else shown

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = self._public(super().get_list_filter(request))
        return (ExpiryFilter, *filters) if self.layout.table.expires else filters

    def get_search_fields(self, request: HttpRequest) -> Any:
        return self._public(super().get_search_fields(request))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [
            (title, {**options, "fields": self._told(options["fields"])})
            for title, options in super().get_fieldsets(request, obj)
        ]

    @admin.display(boolean=True, description="live")
    def live(self, record: models.Model) -> bool:
        """Whether the record has not expired yet, by the `ttl` it has in DynamoDB."""
        return is_live(record, timezone.now())

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """The record, held while it is saved: what others change meanwhile is seen first."""
        found: Any = super().get_object(request, object_id, from_field)
        if found is None or request.method != "POST" or not _in_transaction(self.model):
            return found
        return self.model._base_manager.select_for_update().filter(pk=found.pk).first()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        names = {field.name for field in self.opts.concrete_fields}
        stamps = tuple(name for name in STAMPS if name in names)
        # A key that changed would be another record, and leave this one behind.
        keys = self.layout.table.key_fields if obj is not None else ()
        final = self.layout.table.final
        is_final = obj is not None and final and getattr(obj, final.field) == final.value
        for_good = (final.field,) if final and is_final else ()
        hidden = tuple(masked(name) for name in self.secret)
        given = super().get_readonly_fields(request, obj)
        return (*keys, *for_good, *given, *hidden, *stamps)

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*(super().get_exclude(request, obj) or ()), *self.secret)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Not by a secret either: ?key_hash__startswith= would tell it letter by letter."""
        if self._is_secret(lookup):
            return False
        return super().lookup_allowed(lookup, value, request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The key first, the stamps last, everything else as the model orders it."""
        fields = list(super().get_fields(request, obj))
        first = [name for name in self.layout.table.key_fields if name in fields]
        last = [name for name in STAMPS if name in fields]
        return [*first, *(name for name in fields if name not in (*first, *last)), *last]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return not self.layout.table.append_only and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not self.layout.table.append_only and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not self.layout.table.append_only and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change and form.changed_data and hasattr(obj, "updated_at"):
            obj.updated_at = timezone.now()
        obj.save(force_insert=not change)


class SessionAdmin(RecordAdmin):
    """Sessions are looked at here, and ended by deleting them. None is begun or given to another:
    whoever could do that would be signed in as anybody."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LargeTableAdmin(RecordAdmin):
    """A table of many rows: no page may read or count all of it, and no click may empty it.

    So no date hierarchy (it reads every row) but a filter by time; searches are whole ids, which
    an index finds; retention deletes, not "delete selected" over a count that is capped.
    """

    paginator = BoundedPaginator
    actions = None
    show_facets = admin.ShowFacets.NEVER
