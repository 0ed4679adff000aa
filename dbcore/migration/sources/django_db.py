"""Any Django database as a source, read through the ORM: what is not a SQLite file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import models
from django.db.models.functions import Cast
from django.db.utils import DatabaseError

from dbcore.migration.errors import SourceError
from dbcore.migration.plan import LegacyTable, Row, TablePlan, plan_table
from dbcore.migration.sources.base import PAGE_ROWS
from dbcore.rights import in_words


class DjangoSource:
    """The tables of a Django database alias that models with a `storage` describe."""

    def __init__(self, alias: str, tables: Sequence[LegacyTable], *, name: str) -> None:
        self.alias = alias
        self.name = name
        self.label = name
        self.unknown: list[str] = []
        self.plans = [self._plan(table) for table in tables]

    def _plan(self, table: LegacyTable) -> TablePlan:
        columns = [str(field.column) for field in table.model._meta.concrete_fields]
        return plan_table(table, columns, [str(table.model._meta.pk.column)])

    def fingerprint(self) -> str:
        return ""

    def _rows(self, plan: TablePlan) -> models.QuerySet[Any, Any]:
        meta = plan.layout.model._meta
        field_of = {field.column: field for field in meta.concrete_fields}
        fields = [field_of[column] for column in plan.columns]
        rows = plan.layout.model._base_manager.using(self.alias).order_by("pk")
        # JSON as its text: what Django would make of it has lost digits.
        return rows.values_list(
            "pk",
            *(
                Cast(field.name, models.TextField())
                if isinstance(field, models.JSONField)
                else field.name
                for field in fields
            ),
        )

    def count(self, plan: TablePlan) -> int:
        with _readable(self.alias):
            return plan.layout.model._base_manager.using(self.alias).count()

    def pages(
        self, plan: TablePlan, after: Any = None, size: int = PAGE_ROWS
    ) -> Iterator[list[Row]]:
        while True:
            rows = self._rows(plan)
            if after is not None:
                rows = rows.filter(pk__gt=after)
            with _readable(self.alias):
                page = list(rows[:size])
            if not page:
                return
            after = page[-1][0]
            yield page

    def find(self, plan: TablePlan, columns: Mapping[str, Any]) -> list[Row]:
        with _readable(self.alias):
            return list(self._rows(plan).filter(**columns))

    def at(self, plan: TablePlan, place: Any) -> Row | None:
        with _readable(self.alias):
            return self._rows(plan).filter(pk=place).first()

    def duplicates(self, plan: TablePlan) -> dict[tuple[str, ...], Any]:
        model = plan.layout.model
        names = [column.name for column in plan.layout.key]
        if [model._meta.pk.name] == names:
            return {}
        rows = model._base_manager.using(self.alias).order_by().values_list(*names)
        groups = rows.annotate(rows=models.Count("pk"), first=models.Min("pk")).filter(rows__gt=1)
        with _readable(self.alias):
            return {tuple(map(str, key)): first for *key, _, first in groups}

    def close(self) -> None:
        """Nothing of its own to let go: the connection is Django's."""


class _readable:
    """Turns a database's error into a SourceError that names the database."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, DatabaseError):
            raise SourceError(
                f"database {self.alias!r} cannot be read: {in_words(error)}"
            ) from error
