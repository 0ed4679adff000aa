"""What a legal hold is on: its item has no `ttl` while it is held (docs/decisions/0009), which is
no difference from its row. Holds are only read here."""

from __future__ import annotations

import datetime as dt

from django.db.models import Q

from dbcore.attributes import Item
from dbcore.fields import joined_key
from dbcore.items import TTL, ItemLayout
from dbcore.models import LegalHold


class Held:
    """The holds in force at `now`, looked up when the first item lacks its ttl."""

    def __init__(self, now: dt.datetime) -> None:
        self._now = now
        self._keys: set[tuple[str, str, str]] | None = None

    def explains(self, layout: ItemLayout, item: Item, differing: list[str]) -> bool:
        """Whether an item differs from its row in nothing but the ttl that a hold has taken."""
        return differing == [TTL] and TTL not in item and self._is_held(layout, item)

    def _is_held(self, layout: ItemLayout, item: Item) -> bool:
        name = layout.table.name
        key = joined_key(str(next(iter(item[each.attribute].values()))) for each in layout.key)
        found = {("table", name, ""), ("record", name, key)}
        if layout.table.owner is not None:
            owner = item.get(layout.by_name[layout.table.owner].attribute, {})
            found.add(("user", "", str(owner.get("S"))))
        return not found.isdisjoint(self._holds())

    def _holds(self) -> set[tuple[str, str, str]]:
        if self._keys is None:
            in_time = Q(until=None) | Q(until__gt=self._now)
            rows = LegalHold.objects.filter(in_time, lifted_at=None)
            self._keys = set(rows.values_list("scope", "table", "subject"))
        return self._keys
