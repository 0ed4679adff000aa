"""Rows that Django cannot read: SQLite checks no types, so a column may hold anything, and
PostgreSQL keeps dates that Python has not. Such a row is found and named, never guessed at, and it
must not hide the rows beside it.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connections, models
from django.db.models.expressions import RawSQL

from dbcore.attributes import MAX_NESTING
from dbcore.items import layout_of
from dbcore.json_numbers import is_too_deep
from dbcore.printable import printable
from dbcore.schema import has_storage

# What Django and the drivers raise of a value that they cannot make anything of.
READING_ERRORS = (
    ValueError, TypeError, AttributeError, ArithmeticError, RecursionError, DatabaseError,
)  # fmt: skip
PLACE = "row_place"
_ROW_NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)
# What a field's values are; the first that fits counts. SQLite gives back whatever is there.
_KINDS: tuple[tuple[type[models.Field[Any, Any]], type | tuple[type, ...], str], ...] = (
    (models.DateTimeField, dt.datetime, "a date"),
    (models.DateField, dt.date, "a date"),
    (models.BooleanField, bool, "true or false"),
    (models.IntegerField, int, "a whole number"),
    (models.FloatField, (float, int), "a number"),
    (models.DecimalField, Decimal, "a decimal number"),
    (models.JSONField, object, "JSON that can be read"),
    (models.CharField, str, "text"),
    (models.TextField, str, "text"),
    (models.GenericIPAddressField, str, "text"),
)
Rows = models.QuerySet[Any, Any]


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row, of which some columns cannot be read.

    `place`: where it is in its table, as a URL can say it; `key`: its primary key, as it can be
    shown; `why`: by the name of each field that cannot be read what is wrong with it; `record`: its
    key and whose it is, and nothing else of it.
    """

    place: str
    key: str
    why: Mapping[str, str]
    record: models.Model


def misfits(record: models.Model) -> dict[str, str]:
    """The fields of a record that hold what none of theirs can be, and what is wrong with each."""
    fields = record._meta.concrete_fields
    found = ((each.name, misfit(each, record.__dict__.get(each.attname))) for each in fields)
    return {name: why for name, why in found if why}


def misfit(field: models.Field[Any, Any], value: Any) -> str:
    """What is wrong with a value that was read of a field; "": nothing is."""
    if isinstance(field, models.JSONField):
        return _json_misfit(value) if hasattr(field.model, "storage") else ""
    if value is None:
        return "" if field.null else "is missing"
    accepted, kind = _kind(field)
    fits = isinstance(value, accepted)
    if fits and isinstance(value, (float, Decimal)):
        fits = math.isfinite(value)
    return "" if fits else f"is not {kind}"


def _json_misfit(value: Any) -> str:
    """Of a record's JSON, which is an object or a list."""
    if isinstance(value, str):  # what Django makes of a text that is not JSON
        return "is not a JSON object or list"
    return f"is nested deeper than {MAX_NESTING} levels" if is_too_deep(value) else ""


def _kind(field: models.Field[Any, Any]) -> tuple[type | tuple[type, ...], str]:
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    fits = (found for kind, *found in _KINDS if isinstance(field, kind))
    accepted, words = next(fits, (object, "a value of its field"))
    return accepted, words  # type: ignore[return-value]


def could_be(field: models.Field[Any, Any], value: Any) -> bool:
    """Whether a field may have this value: one that may not is never asked of a database."""
    try:
        field.run_validators(field.to_python(value))
    except (ValidationError, *READING_ERRORS):
        return False
    return "\0" not in str(value)


def read_page(page: Rows, rows: Rows) -> tuple[list[models.Model], list[UnreadableRow]]:
    """The records of a page of rows, and its rows that cannot be read. `rows`: where each of them
    is found again."""
    try:
        found = list(page)
    except READING_ERRORS:
        pass
    else:
        if not any(map(misfits, found)):
            return found, []
    each = [read_row(rows, place) for place in places(page)]
    readable = [row for row in each if isinstance(row, models.Model)]
    return readable, [row for row in each if isinstance(row, UnreadableRow)]


def read_row(rows: Rows, place: str) -> models.Model | UnreadableRow | None:
    """The record at a place, or why it cannot be read; None where there is no row, or no more."""
    if not _is_sqlite(rows) and not could_be(rows.model._meta.pk, unquote(place)):
        return None
    there = _at(rows, place)
    try:
        record: models.Model | None = there.first()
    except READING_ERRORS as error:
        why = _by_column(there, error)
    else:
        if record is None:
            return None
        why = misfits(record)
        if not why:
            return record
    return _unreadable(rows, place, why)


def _unreadable(rows: Rows, place: str, why: Mapping[str, str]) -> UnreadableRow:
    model: type[models.Model] = rows.model
    key, owner = (
        model._meta.pk.attname,
        layout_of(model).table.owner if has_storage(model) else None,
    )
    raw = raw_texts(rows, place, filter(None, (key, owner)))
    record = model(**({owner: raw[owner]} if owner and owner not in why else {}))
    record.pk = printable(raw[key] or "")
    return UnreadableRow(place, raw[key] or "", why, record)


def read_one(rows: Rows) -> models.Model | UnreadableRow | None:
    """The first record of some rows, or why it cannot be read; None where there is none."""
    try:
        record: models.Model | None = rows.first()
    except READING_ERRORS:
        pass
    else:
        if record is None or not misfits(record):
            return record
    found = places(rows[:1])
    return read_row(rows, found[0]) if found else None


def is_readable(rows: Rows) -> bool:
    """Whether each of these rows can be read."""
    try:
        return not any(map(misfits, rows))
    except READING_ERRORS:
        return False


def places(rows: Rows) -> list[str]:
    """Where rows are, whatever is in them: in SQLite by row number, since a key, too, may be
    anything there."""
    found: Iterable[Any] = _with_place(rows).values_list(PLACE, flat=True)
    return [str(each) if _is_sqlite(rows) else quote(each) for each in found]


def raw_texts(rows: Rows, place: str, names: Iterable[str]) -> dict[str, str | None]:
    """What the database has in these columns, as text that can be shown; None: null."""
    columns = list(names)
    raw = [_Raw(models.F(name)) for name in columns]
    found = _at(_plain(rows), place).values_list(*raw).first() or [None] * len(raw)
    return dict(zip(columns, map(_shown, found), strict=True))


def hold_row(rows: Rows, place: str) -> None:
    """Keep others from changing the row until the transaction ends; SQLite has one writer."""
    there = _at(_plain(rows), place).order_by().select_for_update()
    list(there.values_list(models.Value(1)))


def update_row(rows: Rows, place: str, values: Mapping[str, Any]) -> int:
    """Write these fields of the row at a place; how many rows that were."""
    return _at(_plain(rows), place).order_by().update(**values)


def _by_column(there: Rows, error: Exception) -> dict[str, str]:
    """Which columns of a row cannot be read; raises `error` where it is not for their sake."""
    fields = there.model._meta.concrete_fields
    why = {}
    for field in fields:
        try:
            value = there.order_by().values_list(field.attname, flat=True).first()
        except READING_ERRORS:
            why[field.name] = f"is not {_kind(field)[1]}"
        else:
            if wrong := misfit(field, value):
                why[field.name] = wrong
    if not why or len(why) == len(fields):
        raise error
    return why


def _plain(rows: Rows) -> Rows:
    found: Rows = rows.model._base_manager.using(rows.db)
    return found


def _is_sqlite(rows: Rows) -> bool:
    return connections[rows.db].vendor == "sqlite"


def _with_place(rows: Rows) -> Rows:
    at: Any = models.F("pk")
    if _is_sqlite(rows):
        table = connections[rows.db].ops.quote_name(rows.model._meta.db_table)
        at = RawSQL(f"{table}.rowid", (), output_field=models.BigIntegerField())
    placed: Rows = rows.annotate(**{PLACE: at})
    return placed


def _at(rows: Rows, place: str) -> Rows:
    at: Any = unquote(place)
    if _is_sqlite(rows):
        at = int(place) if _ROW_NUMBER.fullmatch(place) else -1
    there: Rows = _with_place(rows).filter(**{PLACE: at})
    return there


class _Raw(models.Func):
    """A column's value, before anybody makes something of it: the database's own text."""

    template = "CAST(%(expressions)s AS text)"
    output_field = models.TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """As bytes, which may be no text."""
        return self.as_sql(compiler, connection, template="CAST(%(expressions)s AS BLOB)", **extra)


def _shown(raw: Any) -> str | None:
    if raw is None:
        return None
    return raw.decode(errors="backslashreplace") if isinstance(raw, bytes) else str(raw)
