"""One table's rows as items: the exact way for every row, the fast way for the common ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models

from dbcore.attributes import MAX_HASH_KEY_BYTES, Item
from dbcore.dynamo.guards import guards_of
from dbcore.errors import InvalidValue
from dbcore.items import Column
from dbcore.migration.fragments import TakeTheExactWay, derived_fragments, fragment_of
from dbcore.migration.plan import Computed, Constant, Row, TablePlan
from dbcore.migration.readings import reading_for
from dbcore.migration.sources.base import Source

Values = dict[str, Any]


class RowEncoder:
    """The rows of one plan as values and items. Not thread-safe: it keeps shapes it has seen."""

    def __init__(self, plan: TablePlan, source: Source) -> None:
        self.plan = plan
        self.layout = plan.layout
        self._source = source
        self._readers = [(column, self._reader(column)) for column in plan.layout.columns]
        self._duplicates = source.duplicates(plan)
        self._owners: dict[tuple[str, ...], Any] = {}
        self._rival_encoders: dict[str, RowEncoder] = {}
        self._rivals = [(rival, rival.constants) for rival in plan.rivals]
        self.fast: Callable[[Row], str] | None = self._fast()

    def item(self, row: Row) -> tuple[Values, Item]:
        """A row's values and item; InvalidValue says why it cannot be one."""
        values = self.values(row)
        item = self.layout.to_item(values)
        if self.layout.unique:
            self._check_guards(values)
        self._check_key_is_free(row, values)
        return values, item

    def values(self, row: Row) -> Values:
        """A row's values by field name; InvalidValue calls a field what the source calls it."""
        found: Values = {}
        for column, read in self._readers:
            try:
                value = read(row)
            except InvalidValue as error:
                raise InvalidValue(f"{self.plan.label(column.name)} {error}") from None
            if value is None and not column.nullable:
                raise InvalidValue(f"{self.plan.label(column.name)} is missing")
            found[column.name] = value
        return found

    def _reader(self, column: Column) -> Callable[[Row], Any]:
        source = self.plan.fields.get(column.name)
        at = self.plan.at
        if isinstance(source, Constant):
            return lambda row: source.value
        if isinstance(source, Computed):
            places = [at[name] for name in source.columns]
            return lambda row: source.make(*[row[place] for place in places])
        # What Daylight's earlier backend meant by a NULL in a JSON column.
        is_json = isinstance(column.field, models.JSONField) and not column.nullable
        null: Callable[[], Any] = dict if is_json else lambda: None
        if source is None:
            return lambda row: null()
        place, reading = at[source], reading_for(column.field)

        def read(row: Row) -> Any:
            value = row[place]
            return null() if value is None else reading(value)

        return read

    def _check_guards(self, values: Values) -> None:
        """Raise InvalidValue when a unique value is too long for the key of its guard."""
        for guard in guards_of(self.layout, values):
            if len(guard.key.encode()) > MAX_HASH_KEY_BYTES:
                raise InvalidValue(f"{guard.field.name} is too long to be kept unique")

    def _check_key_is_free(self, row: Row, values: Values) -> None:
        """Raise InvalidValue when an earlier good row has this key: it must not be overwritten."""
        if self._duplicates:
            key = tuple(str(values[name]) for name in self.layout.table.key_fields)
            first = self._duplicates.get(key)
            owner = row[0] if first is None else self._owner(key, values, row, first)
            if owner != row[0]:
                raise InvalidValue(f"key belongs to another row (row {owner})")
        for rival, constants in self._rivals:
            if all(values[name] == value for name, value in constants.items()):
                self._check_rival(rival, values)

    def _owner(self, key: tuple[str, ...], values: Values, row: Row, first: Any) -> Any:
        """The place of the first row that has this key and can be an item."""
        if key not in self._owners:
            columns = self.plan.locate(self._key(values))
            found = [] if columns is None else self._source.find(self.plan, columns)
            rows = [row, *found, self._source.at(self.plan, first)]
            places = [each[0] for each in rows if each is not None and self.is_item_of(each, key)]
            self._owners[key] = min(places, default=row[0])
        return self._owners[key]

    def is_item_of(self, row: Row, key: tuple[str, ...]) -> bool:
        """Whether a row can be the item with this key, whoever else could."""
        try:
            values = self.values(row)
            self.layout.to_item(values)
        except InvalidValue:
            return False
        return tuple(str(values[name]) for name in self.layout.table.key_fields) == key

    def _key(self, values: Values) -> Values:
        return {name: values[name] for name in self.layout.table.key_fields}

    def _check_rival(self, rival: TablePlan, values: Values) -> None:
        columns = rival.locate(self._key(values))
        if columns is None:
            return
        name = rival.source_table
        if name not in self._rival_encoders:
            self._rival_encoders[name] = RowEncoder(rival, self._source)
        encoder = self._rival_encoders[name]
        key = tuple(str(values[name]) for name in self.layout.table.key_fields)
        if any(encoder.is_item_of(row, key) for row in self._source.find(rival, columns)):
            raise InvalidValue(f"key belongs to a row of {rival.source_table}")

    def _fast(self) -> Callable[[Row], str] | None:
        """Row -> its put request's JSON text, or None where every row needs the exact way."""
        plan, layout = self.plan, self.layout
        if self._duplicates or layout.unique:
            return None
        columns: list[tuple[int, Callable[[Any], str]]] = []
        for column in layout.columns:
            source = plan.fields.get(column.name)
            if not isinstance(source, str):
                return None
            columns.append((plan.at[source], fragment_of(column, layout)))
        at = {name: plan.at[str(source)] for name, source in plan.fields.items()}
        derived = derived_fragments(layout, at)
        taken = {at[name]: value for _, fixed in self._rivals for name, value in fixed.items()}

        def fast(row: Row) -> str:
            text = "".join([fragment(row[place]) for place, fragment in columns])
            for of_row in derived:
                text += of_row(row)
            for place, value in taken.items():
                if row[place] == value:
                    raise TakeTheExactWay  # the key may be one of the other table's
            return '{"PutRequest":{"Item":{' + text[1:] + "}}}"

        return fast
