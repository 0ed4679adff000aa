"""Records of all 19 models through a real engine and back: by the layer's own items, and by the
PynamoDB mirrors.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db import models as django_models
from hypothesis import HealthCheck, given, settings

from daylight import models
from dbcore.attributes import MAX_NESTING
from dbcore.dynamo.comparing import differing_attributes
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.mirrors import mirror_of
from dbcore.schema import create_table_request
from dbcore.wire import get_wire
from tests import strategies

MODELS = [getattr(models, name) for name in models.__all__]
EVERY_MODEL = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
Model = type[django_models.Model]
Values = dict[str, Any]

FEW = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def make_table(model: Model) -> None:
    get_wire().call("CreateTable", create_table_request(layout_of(model)))


def put_and_read(model: Model, values: Values) -> Values:
    """A record after it has been in the engine, by way of its item."""
    layout = layout_of(model)
    item = layout.to_item(values)
    get_wire().call("PutItem", {"TableName": layout.table_name, "Item": item})
    wanted = {
        "TableName": layout.table_name, "Key": layout.key_of(values), "ConsistentRead": True
    }  # fmt: skip
    stored = get_wire().call("GetItem", wanted)["Item"]
    assert differing_attributes(item, stored) == []
    return layout.from_item(stored)


def save_and_get(model: Model, values: Values) -> Values:
    """A record after it has been in the engine, by way of its mirror."""
    layout, mirror = layout_of(model), mirror_of(model)
    mirror.from_record(model(**values)).save()
    key = [values[column.name] for column in layout.key]
    found = mirror.get(*key, consistent_read=True).to_record()
    return {name: getattr(found, name) for name in layout.by_name}


@EVERY_MODEL
def test_records_are_the_same_after_they_have_been_in_dynamodb(
    dynamodb: LocalEngine, model: Model
) -> None:
    make_table(model)

    @FEW
    @given(strategies.records(model))
    def holds(values: Values) -> None:
        assert put_and_read(model, values) == values

    holds()


@EVERY_MODEL
def test_records_are_the_same_after_a_mirror_has_saved_and_got_them(
    dynamodb: LocalEngine, model: Model
) -> None:
    make_table(model)

    @FEW
    @given(strategies.records(model))
    def holds(values: Values) -> None:
        assert save_and_get(model, values) == values

    holds()


FIRST = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
LAST = dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)
EDGES: list[tuple[str, Model, Values]] = [
    ("38 digits", models.RateLimit, {"count": strategies.LARGEST, "limit": -strategies.LARGEST}),
    ("smallest double", models.Location, {"latitude": 1e-130, "longitude": -1e-130}),
    ("largest double", models.Location, {"latitude": 9.99e125, "longitude": -9.99e125}),
    ("long double", models.Location, {"latitude": 0.1 + 0.2, "longitude": -116.39712800000001}),
    ("negative zero", models.Location, {"latitude": -0.0, "longitude": 0.0}),
    ("decimal", models.PerformanceMetric, {"capacity": Decimal("9" * 37 + ".9")}),
    ("empty list and object", models.ApiKey, {"scopes": [], "tags": {}, "allowed_methods": [[]]}),
    ("list for an object", models.UserProfile, {"settings": [1, "two"], "preferences": {}}),
    ("deep lists", models.Plan, {"location": strategies.nested(MAX_NESTING, "list")}),
    ("deep objects", models.Plan, {"location": strategies.nested(MAX_NESTING, "dict", inside=1)}),
    ("big numbers in JSON", models.Plan, {"location": [strategies.LARGEST, -strategies.LARGEST,
                                                      2**100, 1e22, 1e23, 1e37, 1e38, 1e-130]}),
    ("numbers as strings in JSON", models.Plan, {"location": {"S": "5", "N": "5", "M": {}, "": 1}}),
    ("astral text", models.Plan, {"title": "😀\U0010ffff", "activities": [{"😀": "𝒳"}]}),
    ("NUL", models.Plan, {"title": "\0", "id": "a\0b", "activities": ["\0", {"\0": "\0"}]}),
    ("empty text", models.Plan, {"title": "", "description": "", "activities": [""]}),
    ("nulls", models.Plan, {"location": None, "start_time": None, "end_time": None}),
    ("null in JSON", models.Plan, {"location": {"a": None}, "activities": [None]}),
    ("year 1 and year 9999", models.Plan, {"start_time": FIRST, "created_at": LAST,
                                           "updated_at": LAST, "end_time": LAST}),
    ("microseconds as a key", models.RateLimit, {"window_start": LAST}),
    ("an offset", models.RateLimit, {
        "window_start": dt.datetime(2026, 1, 1, tzinfo=dt.timezone(-dt.timedelta(minutes=1439)))}),
]  # fmt: skip


@pytest.mark.parametrize(("model", "changes"), [edge[1:] for edge in EDGES],
                         ids=[edge[0] for edge in EDGES])  # fmt: skip
def test_values_at_the_edges_are_the_same_after_they_have_been_in_dynamodb(
    dynamodb: LocalEngine, model: Model, changes: Values
) -> None:
    make_table(model)
    record = model(**changes)
    values: Values = {}
    for column in layout_of(model).columns:
        value = getattr(record, column.name)
        missing = value is None and not column.nullable
        values[column.name] = _usual(column.field) if missing else value
        if column.name in layout_of(model).key_limits and value == "":
            values[column.name] = "key"
    assert put_and_read(model, values) == values
    assert save_and_get(model, values) == values


def _usual(field: Any) -> Any:
    if isinstance(field, django_models.DateTimeField):
        return dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC)
    return 1.5 if isinstance(field, django_models.FloatField) else 1


def test_dynamodb_itself_refuses_what_the_codecs_refuse(dynamodb: LocalEngine) -> None:
    """The limits are DynamoDB's, not ours: one step further and it says no."""
    from botocore.exceptions import ClientError

    make_table(models.Plan)
    name = layout_of(models.Plan).table_name
    too_deep: Any = {"S": "x"}
    for _ in range(MAX_NESTING + 1):
        too_deep = {"L": [too_deep]}
    for attribute in ({"N": "1" * 39}, {"N": "1E+126"}, {"N": "9E-131"}, too_deep):
        item = {"userId": {"S": "u"}, "id": {"S": "i"}, "location": attribute}
        with pytest.raises(ClientError, match="ValidationException"):
            get_wire().call("PutItem", {"TableName": name, "Item": item})
