"""What every source can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from dbcore.migration.plan import Row, TablePlan

PAGE_ROWS = 1000


class Source(Protocol):
    """A database whose rows are read in a stable order, page by page."""

    name: str  # identifies it over runs and hosts: its checkpoints hang on it
    label: str  # what people call it
    plans: list[TablePlan]
    unknown: list[str]  # tables, and table.column, that nothing here knows

    def fingerprint(self) -> str:
        """Changes when another database stands at the same place; "" where that cannot be told."""

    def count(self, plan: TablePlan) -> int:
        """How many rows the table has now."""

    def pages(
        self, plan: TablePlan, after: Any = None, size: int = PAGE_ROWS
    ) -> Iterator[list[Row]]:
        """The rows after the place `after`, in order of place, at most `size` a page."""

    def find(self, plan: TablePlan, columns: Mapping[str, Any]) -> list[Row]:
        """The rows whose columns have these values."""

    def at(self, plan: TablePlan, place: Any) -> Row | None:
        """The row at a place."""

    def duplicates(self, plan: TablePlan) -> dict[tuple[str, ...], Any]:
        """Keys (as text, in the order of the table's key fields) that several rows have, each
        with the place of the first. Empty when the source's schema rules them out."""

    def close(self) -> None:
        """Let go of the database."""
