"""SQL records that never change, whoever asks: an append-only table's model refuses through Django
what the stores refuse. The one way past is named, and for retention alone: `lifted()`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from django.db import models

from dbcore.errors import DbcoreError

Each = TypeVar("Each", bound=models.Model, covariant=True)

_lifted: ContextVar[bool] = ContextVar("append_only_lifted", default=False)


class AppendOnlyError(DbcoreError):
    """Records that are there were to be changed or removed, and they never are."""


@contextmanager
def lifted() -> Iterator[None]:
    """Within it, in this thread or task, records may be removed and changed: for the retention
    sweep, an erasure, and sample data."""
    before = _lifted.set(True)
    try:
        yield
    finally:
        _lifted.reset(before)


def _check(model: type[models.Model]) -> None:
    if not _lifted.get():
        raise AppendOnlyError(
            f"{model._meta.db_table} is append-only: its records never change, and retention "
            "alone removes them"
        )


class AppendOnlyQuerySet(models.QuerySet[Each, Each]):
    """Adds and reads. What else there is raises AppendOnlyError."""

    def bulk_create(
        self,
        objs: Iterable[Each],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        *fields: Any,
        **given: Any,
    ) -> list[Each]:
        if update_conflicts:
            _check(self.model)
        return super().bulk_create(
            objs, batch_size, ignore_conflicts, update_conflicts, *fields, **given
        )

    def bulk_update(
        self, objs: Iterable[Each], fields: Iterable[str], batch_size: int | None = None
    ) -> int:
        _check(self.model)
        return super().bulk_update(objs, fields, batch_size)

    def update(self, **changes: Any) -> int:
        _check(self.model)
        return super().update(**changes)

    def delete(self) -> tuple[int, dict[str, int]]:
        _check(self.model)
        return super().delete()

    def _update(self, values: Any) -> int:
        """What `save` does first of a record that may be there; `loaddata` does it of each."""
        if self.exists():
            _check(self.model)
        return super()._update(values)  # type: ignore[misc,no-any-return]

    def _raw_delete(self, using: str | None) -> int:
        _check(self.model)
        return super()._raw_delete(using)


class AppendOnly(models.Model):
    """The base of a model whose `storage` is append-only."""

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True
        base_manager_name = "objects"  # what save(), delete() and the layer itself go through

    def delete(self, *args: Any, **given: Any) -> tuple[int, dict[str, int]]:
        _check(type(self))
        return super().delete(*args, **given)
