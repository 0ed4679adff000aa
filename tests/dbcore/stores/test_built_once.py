"""A record that is added is encoded once: what was judged is what is sent."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models
from hypothesis import given, settings
from hypothesis import strategies as st

from daylight.models import AuthSession, Plan
from dbcore.attributes import JsonCodec
from dbcore.items import layout_of
from dbcore.schema import storage_models
from dbcore.stores import validation
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.errors import InvalidRecord
from dbcore.stores.interface import Add
from tests.dbcore.retention.making import NOW, values_of_age
from tests.strategies import records
from tests.support.scripted import Script


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The JSON values that were encoded, nested ones left out."""
    found: list[Any] = []
    usual = JsonCodec.to_attribute

    def encode(codec: JsonCodec, value: Any) -> Any:
        found.append(value)
        return usual(codec, value)

    monkeypatch.setattr(JsonCodec, "to_attribute", encode)
    return found


@pytest.mark.parametrize("write", ["add", "transact"])
def test_each_value_is_encoded_once(
    write: str, encoded: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(**values_of_age(Plan, NOW))
    fields = [each for each in layout_of(Plan).columns if isinstance(each.field, models.JSONField)]
    script = Script({})
    with script.wire() as wire:
        monkeypatch.setattr(DynamoStore, "wire", wire)
        if write == "add":
            DynamoStore().add(plan)
        else:
            DynamoStore().transact([Add(plan)])
    assert len(encoded) == len(fields) > 2


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_sent_is_the_item_of_the_record_as_it_is_read_back(data: st.DataObject) -> None:
    model = data.draw(st.sampled_from(storage_models()))
    record = model(**data.draw(records(model)))
    try:
        values, item = validation.prepared(record)
    except InvalidRecord:
        return
    layout = layout_of(model)
    assert values == validation.values_of(record)
    assert item == layout.to_item(values)
    assert list(item) == list(layout.to_item(values))


def test_an_address_is_sent_as_it_is_read_back() -> None:
    given = values_of_age(AuthSession, NOW, id="a" * 64, ip_address="2001:DB8:0::1")
    record = AuthSession(**given)
    values, item = validation.prepared(record)
    assert record.ip_address == values["ip_address"] == item["ipAddress"]["S"] == "2001:db8::1"


def test_a_record_that_is_refused_is_left_as_it_was() -> None:
    given = values_of_age(
        AuthSession, NOW, id="a" * 64, ip_address="2001:DB8:0::1", expires_at=None
    )
    record = AuthSession(**given)
    with pytest.raises(InvalidRecord, match="expires_at"):
        validation.prepared(record)
    assert record.ip_address == "2001:DB8:0::1"
