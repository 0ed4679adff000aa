"""Many items are read field by field: each record, and each refusal, is as if it had been alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import signals
from hypothesis import given, settings
from hypothesis import strategies as st

from daylight import models
from dbcore.attributes import Item
from dbcore.items import ItemLayout, layout_of
from dbcore.stores.validation import record_from, records_from
from tests import strategies

MODELS = [getattr(models, name) for name in models.__all__]
NUMBERS = ("", "5", "1.0", "-0.5", "1.5e3", "1.e", ".5", "1e400", "nan", "e.5", "a.5", 1.5, None)
# What no attribute of ours looks like, or not in its field's place.
DAMAGED: list[Any] = [
    None, "text", 5, [], {}, {"S": None}, {"S": 5}, {"S": ""}, {"S": "2026-11-22"}, {"S": "a/b%"},
    {"NULL": True}, {"BOOL": "yes"}, {"B": "AAAA"}, {"S": "a", "N": "1"}, {"M": None}, {"M": []},
    {"M": {"a": None}}, {"M": {"a": {}}}, {"M": {"a": {"S": "x", "N": "1.5"}}}, {"M": {"a": "N"}},
    {"M": {"a": {"N": "1"}}, "L": []}, {"L": [{"SS": ["x"]}]}, {"L": {}},
    *({"N": number} for number in NUMBERS),
    *({"M": {"a": {"N": number}, "b": {"S": number}}} for number in NUMBERS),
]  # fmt: skip

MOMENT = {"S": "2026-11-22T08:00:00.000000Z"}
GOOD: Item = {
    "userId": {"S": "x"}, "id": {"S": "y"}, "activity": {"S": ""}, "timestamp": MOMENT,
    "createdAt": MOMENT, "updatedAt": MOMENT, "location": {"M": {"lat": {"N": "45.5"}}},
    "metadata": {"M": {}},
}  # fmt: skip


def one_by_one(layout: ItemLayout, items: list[Item]) -> list[Any]:
    return [record_from(layout, layout.from_item(item)) for item in items]


def outcome(read: Callable[..., list[Any]], layout: ItemLayout, items: list[Item]) -> str:
    """All that can be told of the records, or of the error."""
    try:
        found = read(layout, items)
    except Exception as error:
        return repr(error)
    return repr([(type(each), vars(each) | {"_state": vars(each._state)}) for each in found])


@st.composite
def pages(draw: st.DrawFn, layout: ItemLayout) -> list[Item]:
    """Items of one model, some of which lack an attribute or have a damaged one."""
    records = st.lists(strategies.records(layout.model), max_size=3)
    items = [layout.to_item(values) for values in draw(records)]
    attributes = st.sampled_from([column.attribute for column in layout.columns])
    for item in items:
        for name in draw(st.lists(attributes, max_size=1)):
            item.pop(name, None)
        item.update(draw(st.dictionaries(attributes, st.sampled_from(DAMAGED), max_size=1)))
    return items


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_many_items_are_read_as_each_of_them_alone(model: Any) -> None:
    layout = layout_of(model)

    @settings(max_examples=20, deadline=None)
    @given(pages(layout))
    def holds(items: list[Item]) -> None:
        given_items = copy.deepcopy(items)
        assert outcome(records_from, layout, items) == outcome(one_by_one, layout, items)
        assert items == given_items

    holds()


@pytest.mark.parametrize("damaged", DAMAGED, ids=repr)
def test_a_damaged_object_is_read_or_refused_as_alone(damaged: Any) -> None:
    layout = layout_of(models.LocationHistory)
    items = [GOOD, {**GOOD, "metadata": damaged}, {**GOOD, "location": damaged}]
    assert outcome(records_from, layout, items[:1]).startswith("[(")
    assert outcome(records_from, layout, items) == outcome(one_by_one, layout, items)


def test_the_first_damaged_item_is_the_one_that_is_told_of() -> None:
    # Field by field, the second item's time would come before the first item's object.
    layout = layout_of(models.LocationHistory)
    values = {"userId": {"S": "u"}, "location": {"B": "AAAA"}, "createdAt": {"S": "never"}}
    with pytest.raises(Exception, match="an attribute of type B is not JSON"):
        records_from(layout, [{"location": values["location"]}, values])


def test_whoever_listens_for_instances_hears_of_each_record() -> None:
    layout, heard = layout_of(models.LocationHistory), []

    def hear(instance: Any, **_: Any) -> None:
        heard.append(instance)

    items = [{**GOOD, "id": {"S": name}} for name in ("one", "two/3")]
    signals.post_init.connect(hear, sender=models.LocationHistory)
    try:
        found = records_from(layout, items)
    finally:
        signals.post_init.disconnect(hear, sender=models.LocationHistory)
    assert [id(each) for each in heard] == [id(each) for each in found]
    # Where nobody listens they are made in another way, and are no different.
    for one, other in zip(found, records_from(layout, items), strict=True):
        assert one.pk.startswith("x/") and one == other
        assert (one._state.adding, one._state.db) == (other._state.adding, other._state.db)
        fields = [field.attname for field in layout.model._meta.concrete_fields]
        assert [getattr(one, each) for each in fields] == [getattr(other, each) for each in fields]
    assert len(heard) == len(items)
