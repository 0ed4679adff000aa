"""Records in a SQL database, through Django's ORM. Any database that Django knows will do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections, models, transaction
from django.db.models.functions import Collate
from django.db.models.lookups import LessThan
from django.db.utils import DatabaseError, InterfaceError
from django.utils import timezone

from dbcore.items import ItemLayout, UniqueField, layout_of
from dbcore.patience import ASKED
from dbcore.rights import in_words
from dbcore.stores import validation
from dbcore.stores.errors import (
    AlreadyExists,
    Conflict,
    RecordNotFound,
    StoreError,
    StoreUnavailable,
    UniqueViolation,
)
from dbcore.stores.interface import Add, Delete, Key, Position, Query, Record, Update, Write
from dbcore.stores.lookups import by_key, by_value, conditions, live
from dbcore.stores.router import read_lagging
from dbcore.stores.sql_pools import full_pool

Rows = models.QuerySet[models.Model, models.Model]
Answer = TypeVar("Answer")

_CHOSEN = ("40001", "40P01")  # the database has ended this transaction, for another's sake


class _Overtaken(Conflict):
    """Another write came between: do this one anew."""


class OrmStore:
    """The store interface on one Django database alias."""

    name = "orm"
    thread_bound = True

    def __init__(self, alias: str = DEFAULT_DB_ALIAS) -> None:
        self.alias = alias

    def get(
        self,
        model: type[Record],
        key: Key,
        *,
        live_at: dt.datetime | None = None,
        consistent: bool = True,
    ) -> Record | None:
        layout = layout_of(model)
        validation.check_key(layout, key)
        with self._available():
            where = by_key(layout, key)
            record = self._read(model, consistent, lambda rows: rows.filter(**where).first())
        if record is None or live_at is None:
            return record
        return None if layout.has_expired(validation.values_of(record), live_at) else record

    def get_by_unique(
        self, model: type[Record], field: str, value: str, *, consistent: bool = True
    ) -> Record | None:
        layout = layout_of(model)
        unique = next(each for each in layout.unique if each.name == field)
        validation.check_fields(layout, {field: value}, [field])
        with self._available():
            where = by_value(unique, value)
            return self._read(model, consistent, lambda rows: rows.filter(**where).first())

    def add(self, record: Record) -> Record:
        validation.prepared(record)
        self._written(lambda: self._add(record))
        return record

    def put(self, record: Record) -> Record:
        layout = layout_of(type(record))
        validation.check_replaceable(layout)
        validation.prepared(record)
        primary = layout.model._meta.pk
        record.pk = primary.get_pk_value_on_save(record) if record.pk is None else record.pk
        names = [column.name for column in layout.columns if not column.field.primary_key]
        self._written(
            lambda: self._rows(type(record)).bulk_create(
                [record], update_conflicts=True, unique_fields=[primary.name], update_fields=names
            )
        )
        return record

    def update(
        self,
        model: type[Record],
        key: Key,
        changes: Mapping[str, Any],
        *,
        expect: Mapping[str, Any] | None = None,
    ) -> Record:
        wanted = validation.checked(Update(model, key, changes, expect or {}))
        return self._written(lambda: self._update(wanted))  # type: ignore[return-value]

    def delete(
        self, model: type[models.Model], key: Key, *, expect: Mapping[str, Any] | None = None
    ) -> None:
        wanted = validation.checked(Delete(model, key, expect or {}))
        self._written(lambda: self._delete(wanted))

    def increment(self, initial: Record, field: str, *, below: int) -> Record | None:
        layout = layout_of(type(initial))
        validation.check_writable(layout)
        values, _ = validation.prepared(initial)
        key = {name: values[name] for name in layout.table.key_fields}
        rows = self._rows(type(initial)).filter(**by_key(layout, key))
        return self._written(lambda: self._count(rows, initial, field, below))

    def query(self, query: Query) -> tuple[list[models.Model], Position | None]:
        layout = layout_of(query.model)
        validation.check_query(layout, query)
        key = layout.table.key_fields[-1]
        with self._available():
            found = self._read(query.model, query.consistent, lambda rows: self._page(rows, query))
        if len(found) <= query.limit:
            return found, None
        last = found[query.limit - 1]
        return found[: query.limit], Position(getattr(last, query.order), (getattr(last, key),))

    def _page(self, rows: Rows, query: Query) -> list[models.Model]:
        """The records that the query asks for, and one more where there are more."""
        layout = layout_of(query.model)
        key = layout.table.key_fields[-1]
        rows = rows.filter(conditions(query))
        if query.live_at is not None:
            rows = rows.filter(live(layout, query.live_at))
        if query.after is not None:
            same = models.Q(**{query.order: query.after.order})
            lower = LessThan(self._by_code_point(key), query.after.key[-1])
            older = models.Q(**{f"{query.order}__lt": query.after.order})
            rows = rows.filter(older | (same & models.Q(lower)))
        rows = rows.order_by(f"-{query.order}", self._by_code_point(key).desc())
        return list(rows[: query.limit + 1])

    def transact(self, writes: Sequence[Write]) -> None:
        checked = [validation.checked(each) for each in writes]

        def attempt() -> None:
            for each in checked:
                self._do(each)

        self._written(attempt)

    def _written(self, attempt: Callable[[], Answer]) -> Answer:
        """What an attempt comes to, in one transaction; again where another's write came between,
        and Conflict when that goes on and on."""
        for _ in ASKED:
            try:
                with self._available(), transaction.atomic(using=self.alias):
                    return attempt()
            except _Overtaken as error:
                overtaken = error
        raise Conflict("the record changes faster than it can be written") from overtaken

    def _rows(self, model: type[Record]) -> models.QuerySet[Record, Record]:
        return model._base_manager.using(self.alias)

    def _read(
        self,
        model: type[Record],
        consistent: bool,
        read: Callable[[models.QuerySet[Record, Record]], Answer],
    ) -> Answer:
        """What `read` makes of the records, on a replica where that will do."""
        with validation.readable(layout_of(model)):
            if consistent or self.alias != DEFAULT_DB_ALIAS:
                return read(self._rows(model))
            return read_lagging(model, read)

    def _by_code_point(self, name: str) -> models.F | Collate:
        """A text field as DynamoDB and SQLite compare it; PostgreSQL has its database's language,
        unless it is told otherwise."""
        postgresql = connections[self.alias].vendor == "postgresql"
        return Collate(models.F(name), "C") if postgresql else models.F(name)

    def _do(self, write: Write) -> None:
        if isinstance(write, Add):
            self._add(write.record)
        elif isinstance(write, Update):
            self._update(write)
        else:
            self._delete(write)

    def _add(self, record: models.Model) -> None:
        layout = layout_of(type(record))
        try:
            with transaction.atomic(using=self.alias):
                record.save(using=self.alias, force_insert=True)
        except IntegrityError as error:
            record._state.adding = True
            raise self._clash(layout, validation.values_of(record)) from error

    def _clash(self, layout: ItemLayout, values: Mapping[str, Any]) -> StoreError:
        """Why a record could not be written beside those that are there."""
        key = {name: values[name] for name in layout.table.key_fields}
        if self._rows(layout.model).filter(**by_key(layout, key)).exists():
            return AlreadyExists("a record has this key")
        taken = self._taken(layout, values, layout.unique, key)
        return UniqueViolation(taken) if taken else _Overtaken("what was in its way is gone")

    def _taken(
        self, layout: ItemLayout, values: Mapping[str, Any], unique: Sequence[UniqueField], key: Key
    ) -> str | None:
        others = self._rows(layout.model).exclude(**by_key(layout, key))
        for field in unique:
            value = values.get(field.name)
            if value is not None and others.filter(**by_value(field, value)).exists():
                return field.name
        return None

    def _update(self, write: Update) -> models.Model:
        layout, changes = layout_of(write.model), write.changes
        record = self._locked(layout, write.key, write.expect)
        if "updated_at" in layout.by_name:
            changes = {"updated_at": timezone.now(), **changes}
        standing = validation.values_of(record)
        validation.check_final(layout, standing, changes)
        validation.check_item(layout, {**standing, **changes})
        for name, value in changes.items():
            setattr(record, name, value)
        try:
            with transaction.atomic(using=self.alias):
                record.save(using=self.alias, force_update=True, update_fields=list(changes))
        except IntegrityError as error:
            taken = self._taken(layout, changes, layout.unique, write.key)
            if taken is None:
                raise _Overtaken("what was in its way is gone") from error
            raise UniqueViolation(taken) from error
        return record

    def _count(self, rows: Any, initial: Record, field: str, below: int) -> Record | None:
        """Add one to the counter of the only record in `rows`, or to `initial` where it is none."""
        if rows.filter(**{f"{field}__lt": below}).update(**{field: models.F(field) + 1}):
            with validation.readable(layout_of(rows.model)):
                return rows.get()  # type: ignore[no-any-return]
        # Not `exists()`: another may have made the record since, with room for this one.
        if below < 1 or rows.filter(**{f"{field}__gte": below}).exists():
            return None
        setattr(initial, field, 1)
        try:
            with transaction.atomic(using=self.alias):
                initial.save(using=self.alias, force_insert=True)
        except IntegrityError as error:
            raise _Overtaken("another process was first: count on its record") from error
        return initial

    def _delete(self, write: Delete) -> None:
        layout = layout_of(write.model)
        self._locked(layout, write.key, write.expect).delete(using=self.alias)

    def _locked(self, layout: ItemLayout, key: Key, expect: Mapping[str, Any]) -> models.Model:
        """The record to write to, held until the transaction ends."""
        rows = self._rows(layout.model).select_for_update()
        with validation.readable(layout):
            record = rows.filter(**by_key(layout, key)).first()
        if record is None:
            raise RecordNotFound(f"{layout.table.name} has no record with this key")
        if any(getattr(record, name) != value for name, value in expect.items()):
            raise Conflict(f"the record of {layout.table.name} is not as expected")
        return record

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            yield
        except (DatabaseError, InterfaceError) as error:
            if getattr(error.__cause__, "sqlstate", None) in _CHOSEN:
                raise _Overtaken(str(error)) from error
            # Django looks for a lost connection between requests, and not everything is one.
            connections[self.alias].close_if_unusable_or_obsolete()
            raise StoreUnavailable(
                f"database {self.alias}: {full_pool(error) or in_words(error)}"
            ) from error
