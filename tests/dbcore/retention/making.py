"""Records of a given age in any table, written into either store as its keeper writes them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.db import models

from dbcore.attributes import Item
from dbcore.fields import RecordKeyField
from dbcore.items import ItemLayout, layout_of
from dbcore.retention.keepers.interface import Keeper, Return

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
_numbers = itertools.count(10_001)  # of one width: texts are in the order of numbers


def values_of_age(model: type[models.Model], at: dt.datetime, **given: Any) -> dict[str, Any]:
    """The fields of a record whose every instant is `at`; no two records are the same."""
    number = next(_numbers)
    found: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        if not isinstance(field, RecordKeyField):
            found[field.name] = _value(field, number, at)
    return {**found, **given}


def _value(field: models.Field[Any, Any], number: int, at: dt.datetime) -> Any:
    if isinstance(field, models.DateTimeField):
        return at
    if isinstance(field, models.JSONField):
        return {"number": number, "list": [1, "ü", None, {"deep": True}]}
    if isinstance(field, models.BooleanField):
        return bool(number % 2)
    if isinstance(field, models.DecimalField):
        return Decimal("2.5")
    if isinstance(field, models.FloatField):
        return number / 8
    if isinstance(field, models.IntegerField):
        return number % 500
    if isinstance(field, models.GenericIPAddressField):
        return "10.0.0.1"
    if isinstance(field, models.EmailField):
        return f"Person{number}@example.org"
    if field.choices:
        return next(iter(field.choices))[0]
    return f"{field.name}-{number}"[: field.max_length]


def put(keeper: Keeper, model: type[models.Model], at: dt.datetime, **given: Any) -> Item:
    """Write a record of that age; its item, as the store gives it back."""
    return put_all(keeper, model, [values_of_age(model, at, **given)])[0]


def put_all(keeper: Keeper, model: type[models.Model], records: list[dict[str, Any]]) -> list[Item]:
    """Write records; their items, as the store gives them back."""
    layout = layout_of(model)
    items = [layout.to_item(values) for values in records]
    outcomes = keeper.put_back(layout, items, overwrite=False)
    assert {each.outcome for each in outcomes} == {Return.RESTORED}, outcomes
    return [item for item in keeper.read(layout, keys(layout, items)) if item is not None]


def keys(layout: ItemLayout, items: list[Item]) -> list[Item]:
    """The items' keys."""
    return [layout.key_of_item(item) for item in items]


def there(keeper: Keeper, model: type[models.Model], items: list[Item]) -> list[bool]:
    """Of each record, whether it is in the store."""
    layout = layout_of(model)
    return [item is not None for item in keeper.read(layout, keys(layout, items))]


def swept_models() -> Iterator[type[models.Model]]:
    """Every model whose records come due."""
    from dbcore.retention.policy import rules

    for rule in rules(NOW):
        yield rule.layout.model
