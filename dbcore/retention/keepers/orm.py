"""Records in a SQL database, as retention needs them: any database that Django knows.

A delete reads the legal holds in the same transaction, which no placing of a hold can enter.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.models import Q
from django.db.utils import DatabaseError, InterfaceError
from django.utils import timezone

from dbcore import append_only
from dbcore.attributes import Item
from dbcore.items import ItemLayout
from dbcore.job_leases import SqlLease
from dbcore.models import LegalHold
from dbcore.retention.keepers.caches import voided
from dbcore.retention.keepers.gate import hold_gate
from dbcore.retention.keepers.interface import HoldKey, Removal, Returned, Window
from dbcore.retention.keepers.orm_due import Finder
from dbcore.retention.keepers.orm_return import Returning
from dbcore.retention.keepers.rows import (
    named_item_of,
    primary_key,
    row_key,
    rows_of,
    still_is,
)
from dbcore.retention.records import hold_keys
from dbcore.retention.rules import Rule
from dbcore.rights import in_words
from dbcore.stores.errors import StoreUnavailable
from dbcore.stores.sql_pools import full_pool

AT_ONCE = 500  # records in one transaction


class OrmKeeper:
    """The keeper's interface on one Django database alias."""

    name = "orm"

    def __init__(
        self, alias: str = DEFAULT_DB_ALIAS, clock: Callable[[], dt.datetime] = timezone.now
    ) -> None:
        self.alias = alias
        self.unreadable: dict[tuple[str, str], str] = {}
        self._clock = clock

    @property
    def target(self) -> str:
        """The database as books and people know it, without its user and password."""
        given = connections[self.alias].settings_dict
        place = ":".join(str(given[each]) for each in ("HOST", "PORT") if given.get(each))
        return " ".join(filter(None, (connections[self.alias].vendor, place, str(given["NAME"]))))

    def lease(self, name: str, owner: str) -> SqlLease:
        return SqlLease(name, owner, self.alias)

    def count_due(self, rule: Rule, window: Window) -> int:
        with self._available():
            return self._finder(rule).count()

    def due(self, rule: Rule, window: Window) -> Iterator[list[Item]]:
        with self._available():
            yield from self._finder(rule).pages()

    def _finder(self, rule: Rule) -> Finder:
        def note(row: models.Model, why: str) -> None:
            self.unreadable[rule.layout.table.name, row_key(row)] = why

        return Finder(self.alias, rule, note)

    def has_more_than(self, layout: ItemLayout, records: int) -> bool:
        with self._available():
            some = rows_of(layout, self.alias).values("pk")[: records + 1]
            return some.count() > records

    def lives(self, rule: Rule, window: Window) -> bool:
        with self._available():
            return self._finder(rule).lives(window)

    def remove(self, rule: Rule, items: Sequence[Item]) -> list[Removal]:
        ends: list[Removal] = []
        for at in range(0, len(items), AT_ONCE):
            part = items[at : at + AT_ONCE]
            with (
                self._available(),
                voided(self.name, rule.layout, part, self.alias),
                hold_gate(),  # on Django's own database, which may be another than this one
                transaction.atomic(using=self.alias),
            ):
                ends += self._remove_some(rule, part)
        return ends

    def _remove_some(self, rule: Rule, items: Sequence[Item]) -> list[Removal]:
        layout = rule.layout
        found = self._locked(layout, items)
        held = self._held(layout, items, max(rule.now, self._clock()))
        kept = self._kept(rule, items)
        ends: list[Removal] = []
        go: dict[Any, None] = {}
        for item in items:
            key = primary_key(layout, item)
            if key not in found or key in go:
                ends.append(Removal.GONE)
            elif not held.isdisjoint(hold_keys(layout, item)):
                ends.append(Removal.HELD)
            elif _kept_key(rule, item) in kept:
                ends.append(Removal.KEPT)
            elif not still_is(layout, found[key], item):
                ends.append(Removal.CHANGED)
            else:
                ends.append(Removal.DELETED)
                go[key] = None
        with append_only.lifted():
            rows_of(layout, self.alias).filter(pk__in=list(go)).delete()
        return ends

    def _locked(self, layout: ItemLayout, keys: Iterable[Item]) -> dict[Any, models.Model]:
        """The rows of these items, held until the transaction ends."""
        wanted = [primary_key(layout, key) for key in keys]
        rows = rows_of(layout, self.alias).select_for_update().order_by("pk")
        return {row.pk: row for row in rows.filter(pk__in=wanted)}

    def _held(self, layout: ItemLayout, items: Sequence[Item], now: dt.datetime) -> set[HoldKey]:
        """The holds in force on any of these records."""
        wanted = {key for item in items for key in hold_keys(layout, item)}
        active = LegalHold.objects.using(DEFAULT_DB_ALIAS).filter(
            Q(until=None) | Q(until__gt=now), lifted_at=None
        )
        found: set[HoldKey] = set()
        for scope, table in {(key.scope, key.table) for key in wanted}:
            subjects = {key.subject for key in wanted if (key.scope, key.table) == (scope, table)}
            rows = active.filter(scope=scope, table=table, subject__in=subjects)
            found |= {
                HoldKey(scope, table, each) for each in rows.values_list("subject", flat=True)
            }
        return found

    def _kept(self, rule: Rule, items: Sequence[Item]) -> set[Any]:
        """The keys of records that are there and keep one of these."""
        keeper = rule.kept_by
        if keeper is None:
            return set()
        wanted = [_kept_key(rule, item) for item in items]
        return set(rows_of(keeper, self.alias).filter(pk__in=wanted).values_list("pk", flat=True))

    def put_back(
        self, layout: ItemLayout, items: Sequence[Item], *, overwrite: bool
    ) -> list[Returned]:
        ends: list[Returned] = []
        returning = Returning(self.alias, layout)
        for at in range(0, len(items), AT_ONCE):
            part = items[at : at + AT_ONCE]
            with self._writing(layout, part):
                ends += returning.put_some(part, overwrite=overwrite)
        return ends

    def read(self, layout: ItemLayout, keys: Sequence[Item]) -> list[Item | None]:
        found: dict[Any, models.Model] = {}
        wanted = [primary_key(layout, key) for key in keys]
        with self._available():
            for at in range(0, len(wanted), AT_ONCE):
                rows = rows_of(layout, self.alias).filter(pk__in=wanted[at : at + AT_ONCE])
                found |= {row.pk: row for row in rows}
        return [None if key not in found else named_item_of(layout, found[key]) for key in wanted]

    def owned_by(self, layout: ItemLayout, owner: str) -> Iterator[Item]:
        if layout.table.owner is None:
            return
        rows = rows_of(layout, self.alias)
        with self._available():
            # Keys first: rows in the order of their keys would be sorted anew for each page.
            keys = list(rows.filter(**{layout.table.owner: owner}).values_list("pk", flat=True))
            for at in range(0, len(keys), AT_ONCE):
                for row in rows.filter(pk__in=keys[at : at + AT_ONCE]):
                    yield named_item_of(layout, row)

    def replace(self, layout: ItemLayout, old: Item, new: Item) -> bool:
        with self._writing(layout, [old]):
            return Returning(self.alias, layout).replace(old, new)

    def enforce_holds(
        self,
        holds: Sequence[tuple[HoldKey, dt.datetime | None]],
        *,
        again: bool = False,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        """Holds are read from their rows by each delete: all that is to do is to wait for one that
        had read them before the newest was committed."""
        with self._available(), hold_gate():
            pass

    @contextmanager
    def _writing(self, layout: ItemLayout, items: Sequence[Item]) -> Iterator[None]:
        """A transaction that writes these records."""
        with (
            self._available(),
            voided(self.name, layout, items, self.alias),
            transaction.atomic(using=self.alias),
        ):
            yield

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            yield
        except (DatabaseError, InterfaceError) as error:
            raise StoreUnavailable(
                f"database {self.alias}: {full_pool(error) or in_words(error)}"
            ) from error


def _kept_key(rule: Rule, item: Item) -> Any:
    """The key of the record that keeps this one, if one can."""
    policy = rule.policy
    if policy is None or policy.while_kept is None:
        return None
    column = rule.layout.by_name[policy.while_kept]
    return column.codec.from_attribute(item[column.attribute])
