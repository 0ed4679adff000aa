"""Writes records to SQL again: where there is none, or over one that was read in the same
transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import models, transaction
from django.db.utils import DataError, IntegrityError

from dbcore import append_only
from dbcore.attributes import Item
from dbcore.errors import InvalidValue
from dbcore.finality import final_kept, undone_by
from dbcore.items import ItemLayout
from dbcore.letters import shown_text
from dbcore.retention.keepers.interface import Return, Returned
from dbcore.retention.keepers.rows import Unfit, item_of, row_from, rows_of, still_is
from dbcore.stores.errors import Conflict

# What a database, or its driver, raises of a value that it does not take.
_REFUSED = (DataError, IntegrityError, ValueError, OverflowError)


class Returning:
    """Puts a table's records back into one database."""

    def __init__(self, alias: str, layout: ItemLayout) -> None:
        self._alias = alias
        self._layout = layout

    def put_some(self, items: Sequence[Item], *, overwrite: bool) -> list[Returned]:
        """What became of each, in order. Within a transaction."""
        made = [self._made(item) for item in items]
        found = self._locked(row.pk for row in made if isinstance(row, models.Model))
        new = [row for row in made if isinstance(row, models.Model) and row.pk not in found]
        added = self._add_at_once(new)
        ends = []
        for item, row in zip(items, made, strict=True):
            if isinstance(row, Returned):
                ends.append(row)
            elif row.pk not in found:
                ends.append(Returned(Return.RESTORED) if added else self._write(row))
            elif still_is(self._layout, found[row.pk], self._whole(row, item)):
                ends.append(Returned(Return.PRESENT))
            else:
                ends.append(self._over(found[row.pk], row) if overwrite else Returned(Return.NEWER))
        return ends

    def _over(self, standing: models.Model, row: models.Model) -> Returned:
        """Write a row over another, unless that has become what it is for good."""
        if undone_by(self._layout, standing.__dict__, row.__dict__):
            return Returned(Return.NEWER, final_kept(self._layout))
        row._state.adding = False
        return self._write(row)

    def replace(self, old: Item, new: Item) -> bool:
        """Put `new` for `old`, within a transaction; False where the row is another by now."""
        try:
            row = row_from(self._layout, new)
        except Unfit as error:
            raise InvalidValue(f"{self._layout.table.name}: the record {error}") from error
        standing = self._locked([row.pk]).get(row.pk)
        if standing is None or not still_is(self._layout, standing, old):
            return False
        row._state.adding = False
        end = self._write(row)
        if end.outcome is not Return.RESTORED:
            raise Conflict(f"{self._layout.table.name}: the record cannot be replaced: {end.why}")
        return True

    def _made(self, item: Item) -> models.Model | Returned:
        try:
            return row_from(self._layout, item)
        except Unfit as error:
            return Returned(Return.UNFIT, str(error))

    def _whole(self, row: models.Model, item: Item) -> Item:
        """The item with the defaults of fields that are younger than it."""
        return {**item_of(self._layout, row), **item}

    def _locked(self, keys: Iterable[Any]) -> dict[Any, models.Model]:
        rows = rows_of(self._layout, self._alias).select_for_update()
        return {row.pk: row for row in rows.filter(pk__in=list(keys))}

    def _add_at_once(self, rows: list[models.Model]) -> bool:
        """Whether all of them could be added in one go; if not, none is."""
        try:
            with transaction.atomic(using=self._alias):
                self._layout.model._base_manager.using(self._alias).bulk_create(rows)
        except _REFUSED:
            return False
        return True

    def _write(self, row: models.Model) -> Returned:
        """Insert or update one row."""
        adding = row._state.adding
        try:
            with transaction.atomic(using=self._alias), append_only.lifted():
                row.save(using=self._alias, force_insert=adding, force_update=not adding)
        except _REFUSED as error:
            taken = self._taken(row)
            if taken:
                return Returned(Return.TAKEN, f"{taken} belongs to another record")
            if adding and self._locked([row.pk]):
                return Returned(Return.NEWER, "it was written meanwhile")
            secrets = (getattr(row, name) for name in self._layout.table.secret)
            why = f"the database refuses it: {shown_text(str(error), secrets)}"
            return Returned(Return.UNFIT, why)
        return Returned(Return.RESTORED)

    def _taken(self, row: models.Model) -> str | None:
        others = rows_of(self._layout, self._alias).exclude(pk=row.pk)
        for unique in self._layout.unique:
            value = getattr(row, unique.name)
            if value is None:
                continue
            name = f"{unique.name}__lower" if unique.ignores_case else unique.name
            if others.filter(**{name: unique.folded(value)}).exists():
                return unique.name
        return None
