"""Which source table goes to which table, and where in it each field is found.

A plan is made once, before the first row is read; nothing about a source is looked up later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import models

from dbcore.items import ItemLayout, layout_of
from dbcore.letters import secret_columns, shown_text
from dbcore.migration.readings import UndecodableText
from dbcore.secrecy import plain_name

_SHOWN = 1000  # characters of a key that people see: it may be what is wrong with the row

Row = tuple[Any, ...]  # the row's place in its table, then the plan's columns in order
KeyValues = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Computed:
    """A field made of several columns. `make` gets their stored values and gives the Python value,
    or raises InvalidValue."""

    columns: tuple[str, ...]
    make: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Constant:
    """A field that is the same in every row."""

    value: Any


FieldSource = str | Computed | Constant


@dataclass(frozen=True, slots=True)
class LegacyTable:
    """A table of an earlier database file, and the model that its rows go to."""

    name: str
    model: type[models.Model]
    # Field -> where it comes from; None: the columns have the fields' names.
    fields: Mapping[str, FieldSource] | None = None
    # A record's key -> the columns that find its row, or None: no row of this table has that key.
    locate: Callable[[KeyValues], Mapping[str, Any] | None] | None = None
    # Columns that have what lets in whoever bears it. Nobody but the source sees it: it is read as
    # its SHA-256, which is what the field keeps.
    hashed: frozenset[str] = frozenset()


@dataclass(slots=True)
class TablePlan:
    """How the rows of one source table become items."""

    source_table: str
    layout: ItemLayout
    columns: tuple[str, ...]  # what is read, without the row's place
    fields: dict[str, FieldSource | None]  # None: the source lacks the column
    locate: Callable[[KeyValues], Mapping[str, Any] | None]
    key_columns: tuple[str, ...]  # the source's own primary key, for people to find a row by
    hashed: frozenset[str] = frozenset()  # columns that are read as their hashes
    unknown_columns: tuple[str, ...] = ()
    # Plans earlier in the order whose rows might have the same keys.
    rivals: list[TablePlan] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.at = {name: position + 1 for position, name in enumerate(self.columns)}

    at: dict[str, int] = field(init=False)

    @property
    def constants(self) -> dict[str, Any]:
        """Fields that are the same in every row."""
        return {
            name: source.value
            for name, source in self.fields.items()
            if isinstance(source, Constant)
        }

    def row_key(self, row: Row) -> str:
        """The row's key as its source knows it, to show people."""
        parts = [row[self.at[name]] for name in self.key_columns]
        if not parts or any(part is None for part in parts):
            return f"row {row[0]}"
        return "/".join(map(_key_text, parts))

    def told(self, row: Row, reason: str) -> str:
        """Why a row cannot be an item, as people are told it: the words may be a database's, which
        quotes what it refuses."""
        secret = secret_columns(self.layout, self.source_table)
        values = (row[at] for name, at in self.at.items() if plain_name(name) in secret)
        return shown_text(reason, values)

    def label(self, field: str) -> str:
        """What a field is called in the source: its column, where it has one."""
        source = self.fields.get(field)
        return source if isinstance(source, str) else field

    def raw(self, row: Row) -> dict[str, Any]:
        """The row's stored values by column."""
        return dict(zip(self.columns, row[1:], strict=True))


def _key_text(value: Any) -> str:
    """A stored value as part of a key that people see."""
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"[:_SHOWN]  # as SQL writes a BLOB
    if isinstance(value, UndecodableText):
        text = value.raw.decode("utf-8", "backslashreplace")
    else:
        text = str(value).encode("utf-8", "backslashreplace").decode()
    return text.replace("\0", "\\0")[:_SHOWN]


def wanted_columns(legacy: LegacyTable) -> set[str]:
    """The columns that a table's fields are made of."""
    fields = legacy.fields or {
        column.name: column.name for column in layout_of(legacy.model).columns
    }
    return {name for source in fields.values() for name in columns_of(source)}


def plan_table(
    legacy: LegacyTable,
    present: Sequence[str],
    key_columns: Sequence[str],
) -> TablePlan:
    """The plan of a table that has the columns `present`, the primary key among them."""
    layout = layout_of(legacy.model)
    wanted = legacy.fields or {column.name: column.name for column in layout.columns}
    fields: dict[str, FieldSource | None] = {}
    used: list[str] = []
    for name, source in wanted.items():
        needs = columns_of(source)
        complete = all(column in present for column in needs)
        fields[name] = source if complete else None
        used += [column for column in needs if complete and column not in used]
    shown = [column for column in key_columns if column in present]
    used += [column for column in shown if column not in used]
    extra = tuple(column for column in present if column not in used)
    # Unknown columns are read too, so that a dead letter has the whole row.
    return TablePlan(
        source_table=legacy.name,
        layout=layout,
        columns=(*used, *extra),
        fields=fields,
        locate=legacy.locate or _locate_by_fields(layout, fields),
        key_columns=tuple(shown),
        hashed=legacy.hashed,
        unknown_columns=extra,
    )


def columns_of(source: FieldSource) -> tuple[str, ...]:
    """The columns that a field is made of."""
    if isinstance(source, Computed):
        return source.columns
    return () if isinstance(source, Constant) else (source,)


def _locate_by_fields(
    layout: ItemLayout, fields: Mapping[str, FieldSource | None]
) -> Callable[[KeyValues], Mapping[str, Any] | None]:
    def locate(key: KeyValues) -> Mapping[str, Any] | None:
        found: dict[str, Any] = {}
        for column in layout.key:
            source = fields.get(column.name)
            if not isinstance(source, str):
                return None
            found[source] = key[column.name]
        return found

    return locate


def find_rivals(plans: Sequence[TablePlan]) -> None:
    """Tell each plan which earlier ones write to the same table."""
    for position, plan in enumerate(plans):
        plan.rivals = [each for each in plans[:position] if each.layout is plan.layout]
