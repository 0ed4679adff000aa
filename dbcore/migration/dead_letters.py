"""Rows that cannot be items: kept whole, with the reason, until they are repaired and replayed."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from dbcore.migration.plan import Row, TablePlan
from dbcore.migration.readings import UndecodableText
from dbcore.models import DeadLetter

FLUSH_LETTERS = 200


def storable(value: Any) -> Any:
    """A stored value in a form that JSON can carry, and from which it can be had back."""
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, UndecodableText):
        return {"$text": base64.b64encode(value.raw).decode()}
    if isinstance(value, dt.datetime):
        return {"$time": value.isoformat()}
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$real": repr(value)}
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raw = value.encode("utf-8", "surrogatepass")
            return {"$text": base64.b64encode(raw).decode()}
        # PostgreSQL's JSON has no NUL.
        return {"$bytes": base64.b64encode(value.encode()).decode()} if "\0" in value else value
    if isinstance(value, (dict, list)):
        # A JSON column read through the ORM; NaN and the like are in its text.
        return {"$json": json.dumps(value)}
    return value


def place_text(place: Any) -> str:
    """A row's place as text."""
    return json.dumps(place, cls=DjangoJSONEncoder)


class DeadLetterBox:
    """Dead letters of one pass over one source table, written in groups.

    A letter is one row's: finding the row again, in this or a later run, updates it.
    """

    def __init__(
        self, plan: TablePlan, *, source: str, target: str, copy_pass: str, run_id: str | None
    ) -> None:
        self.plan = plan
        self.source = source
        self.target = target
        self.copy_pass = copy_pass
        self._run_id = run_id
        self._waiting: list[DeadLetter] = []

    def add(self, row: Row, reason: str) -> None:
        """Keep a row."""
        self._waiting.append(self.letter(row, reason))
        if len(self._waiting) >= FLUSH_LETTERS:
            self.flush()

    def letter(self, row: Row, reason: str) -> DeadLetter:
        """The letter of a row, unsaved."""
        return DeadLetter(
            source=self.source,
            target=self.target,
            source_table=self.plan.source_table,
            table=self.plan.layout.table.name,
            row_ref=place_text(row[0]),
            key=self.plan.row_key(row),
            reason=self.plan.told(row, reason),
            row=_raw(self.plan.raw(row)),
            copy_pass=self.copy_pass,
            run_id=self._run_id,
        )

    def flush(self) -> None:
        """Write what is waiting."""
        if not self._waiting:
            return
        DeadLetter.objects.bulk_create(
            self._waiting,
            update_conflicts=True,
            unique_fields=["source", "target", "source_table", "row_ref"],
            update_fields=["key", "reason", "row", "copy_pass", "run", "resolved_at"],
        )
        self._waiting.clear()

    def kept(self, limit: int) -> list[tuple[str, ...]]:
        """This pass's open letters, the first ones: source table, table, key, reason."""
        found = DeadLetter.objects.filter(
            source=self.source,
            target=self.target,
            source_table=self.plan.source_table,
            copy_pass=self.copy_pass,
            resolved_at=None,
        )
        return list(found.values_list("source_table", "table", "key", "reason")[:limit])

    def resolve_others(self) -> int:
        """After a whole pass: letters that it did not find again are of rows that are good now, or
        gone."""
        return (
            DeadLetter.objects.filter(
                source=self.source,
                target=self.target,
                source_table=self.plan.source_table,
                resolved_at=None,
            )
            .exclude(copy_pass=self.copy_pass)
            .update(resolved_at=timezone.now())
        )


def _raw(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name: storable(value) for name, value in columns.items()}
