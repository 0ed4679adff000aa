"""A store, its keeper, and the records that the keepers' tests put into it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models

from daylight.models import ErrorLog, Plan, UsageAnalytics, User, UserProfile, UserSession
from dbcore.attributes import Item
from dbcore.items import ItemLayout, layout_of
from dbcore.models import LegalHold
from dbcore.retention.keepers.dynamo import DynamoKeeper
from dbcore.retention.keepers.interface import HoldKey, Removal, Return, Window
from dbcore.retention.keepers.orm import OrmKeeper
from dbcore.retention.policy import declared_days
from dbcore.retention.rules import Rule
from dbcore.stores.interface import Store

NOW = dt.datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
MICROSECOND = dt.timedelta(microseconds=1)
MONTH = Window(NOW.date() - 30 * DAY, NOW.date())


@dataclass(frozen=True, slots=True)
class Kept:
    """A store and its keeper."""

    keeper: OrmKeeper | DynamoKeeper
    store: Store

    @property
    def is_dynamodb(self) -> bool:
        return self.keeper.name == "dynamodb"

    def put(self, *records: models.Model) -> list[Item]:
        """Write records; their items."""
        items = [item_of(record) for record in records]
        layout = layout_of(type(records[0]))
        ends = self.keeper.put_back(layout, items, overwrite=False)
        assert {each.outcome for each in ends} == {Return.RESTORED}, ends
        return items

    def due(self, rule: Rule, window: Window = MONTH) -> list[Item]:
        """Every record that is due."""
        return [item for page in self.keeper.due(rule, window) for item in page]

    def remove(self, model: type[models.Model], *items: Item, **given: Any) -> list[Removal]:
        return self.keeper.remove(rule_of(model, **given), items)

    def there(self, model: type[models.Model], *items: Item) -> list[bool]:
        """Whether each record is there still."""
        layout = layout_of(model)
        keys = [layout.key_of_item(item) for item in items]
        return [found is not None for found in self.keeper.read(layout, keys)]

    def hold(self, *holds: tuple[HoldKey, dt.datetime | None]) -> None:
        """Make these the holds in force, in the books and in the store."""
        LegalHold.objects.all().delete()
        for key, until in holds:
            hold_row(key, until)
        self.keeper.enforce_holds(holds)


def hold_row(key: HoldKey, until: dt.datetime | None = None) -> LegalHold:
    return LegalHold.objects.create(
        scope=key.scope,
        table=key.table,
        subject=key.subject,
        until=until,
        reason="a lawsuit",
        placed_by="legal",
    )


def rule_of(model: type[models.Model], *, days: int | None = None, now: dt.datetime = NOW) -> Rule:
    """The rule of a model's table; `days` where others are in force than are declared."""
    layout = layout_of(model)
    return Rule(layout, declared_days(layout) if days is None else days, now)


def item_of(record: models.Model) -> Item:
    layout: ItemLayout = layout_of(type(record))
    return layout.to_item({each.name: getattr(record, each.name) for each in layout.columns})


def ids(items: Sequence[Item]) -> list[str]:
    return [item["id"]["S"] for item in items]


def error_log(id: str, age: dt.timedelta = 100 * DAY, **given: Any) -> ErrorLog:
    """90 days, found by the due day."""
    return ErrorLog(id=id, name="Oops", timestamp=NOW - age, **given)


def event(id: str, age: dt.timedelta = 366 * DAY, **given: Any) -> UsageAnalytics:
    """365 days, found by the day itself."""
    return UsageAnalytics(
        **{"id": id, "user_id": "ana", "event_type": "tap", "timestamp": NOW - age, **given}
    )


def plan(id: str, age: dt.timedelta = 366 * DAY, **given: Any) -> Plan:
    """365 days, from the later of two instants."""
    times = {"created_at": NOW - age, "updated_at": NOW - age}
    return Plan(**{"id": id, "user_id": "ana", "title": "Lake", **times, **given})


def user(id: str, age: dt.timedelta = 2556 * DAY, **given: Any) -> User:
    """2555 days, from the last sign of life; with two unique values."""
    times = {"created_at": NOW - age, "updated_at": NOW - age, "last_login_at": None}
    names = {"email": f"{id}@Example.org", "username": id, "password_hash": "x"}
    return User(**{"id": id, **names, **times, **given})


def profile(user_id: str, age: dt.timedelta = 2556 * DAY) -> UserProfile:
    return UserProfile(user_id=user_id, created_at=NOW - age, updated_at=NOW - age)


def session(id: str, age: dt.timedelta, left: dt.timedelta) -> UserSession:
    """Expires at an instant of its own, or 30 days after it was made."""
    return UserSession(session_id=id, user_id="ana", created_at=NOW - age, expires_at=NOW + left)
