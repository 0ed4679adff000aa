"""Values come back as they were given, the same from every store, or are refused by every store;
whatever kind of number, text or time they are of."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

import pytest

from daylight.models import ApiUsage, Plan, RateLimit
from dbcore.stores.errors import InvalidRecord
from dbcore.stores.interface import Query, Store

pytestmark = pytest.mark.django_db(transaction=True)
NOW = dt.datetime(2026, 9, 23, 12, tzinfo=dt.UTC)
KEY = {"user_id": "u", "id": "p"}


class Answer(int, enum.Enum):
    YES = 1


class Colour(str, enum.Enum):  # noqa: UP042  (its own text is "Colour.RED", which no StrEnum's is)
    RED = "red"


class Share(float):
    """As numpy's: its repr is no number."""

    def __repr__(self) -> str:
        return f"Share({float(self)})"


class Nowhere(dt.tzinfo):
    """A time zone that does not know how far it is from UTC."""

    def utcoffset(self, when: dt.datetime | None) -> None:
        return None


def make_usage(**given: Any) -> ApiUsage:
    values = {"endpoint": "/", "method": "GET", "status_code": 200, "response_time_ms": 1.5}
    return ApiUsage(**{"api_key_id": "k", "id": "u", "user_id": "u", "timestamp": NOW, **values,
                       **given})  # fmt: skip


def refused(field: str, store: Store, record: Any) -> None:
    with pytest.raises(InvalidRecord) as caught:
        store.add(record)
    assert caught.value.field == field


NUMBERS = [
    2.0**53, 12345678901234567168.0, 1e22, 1e23, -1.2345e25, 9.9e37, 1e38, -1e38, 1e100, 1.7e125,
    10**23, 10**38 - 1, 2**53 + 1, 0.1, 1e-7, -5.0,
]  # fmt: skip


def test_a_number_in_json_stays_the_number_that_it_is(store: Store) -> None:
    numbers = {"lat": NUMBERS, **{str(number): number for number in NUMBERS}}
    plan = store.add(Plan(**KEY, title="Lake", location=numbers))
    assert plan.location == numbers
    assert store.get(Plan, KEY).location == plan.location
    # What is read must be such that it can be written: or the record could never change again.
    changed = store.update(Plan, KEY, {"title": "Sea"})
    assert changed.location == plan.location
    again = store.update(Plan, KEY, {"location": changed.location}, expect={"title": "Sea"})
    assert again.location == store.get(Plan, KEY).location == plan.location


def test_what_only_looks_like_a_plain_value_is_kept_as_one(store: Store) -> None:
    given = {Colour.RED: [Answer.YES, Share(0.5), Share(1e23)], "b": {"c": Colour.RED}}
    kept = {"red": [1, 0.5, 1e23], "b": {"c": "red"}}
    plan = store.add(Plan(**KEY, title=Colour.RED, preferences=given))
    usage = store.add(make_usage(status_code=Answer.YES, response_time_ms=Share(2.5)))
    for found in (plan, store.get(Plan, KEY)):
        assert found.preferences == kept and found.title == "red"
        (name, _), values = found.preferences, found.preferences["red"]
        assert [type(name), type(found.title)] == [str, str]
        assert not {type(each) for each in values} - {int, float}
    for record in (usage, store.get(ApiUsage, {"api_key_id": "k", "id": "u"})):
        assert (record.status_code, record.response_time_ms) == (1, 2.5)
        assert type(record.status_code) is int and type(record.response_time_ms) is float
    changed = store.update(Plan, KEY, {"preferences": {"x": Answer.YES}, "title": Colour.RED})
    assert changed.preferences == {"x": 1} and type(changed.preferences["x"]) is int


def test_a_record_does_not_share_its_json_with_who_gave_it(store: Store) -> None:
    given = {"tags": ["a"]}
    plan = store.add(Plan(**KEY, title="Lake", preferences=given))
    given["tags"].append("b")
    assert plan.preferences == {"tags": ["a"]} == store.get(Plan, KEY).preferences


def test_a_whole_number_has_one_range_whichever_store_is_asked(store: Store) -> None:
    for number in (-1, 32_768, 70_000, 2**31, 2**63, 10**400):
        refused("status_code", store, make_usage(status_code=number))
    store.add(make_usage(status_code=32_767))
    window = {"identifier": "ip", "window_start": NOW, "limit": 2**63 - 1, "expires_at": NOW}
    for number in (2**31, 2**63):
        refused("window_seconds", store, RateLimit(**window, window_seconds=number))
    refused("count", store, RateLimit(**window, window_seconds=1, count=2**63))
    assert store.add(RateLimit(**window, window_seconds=2**31 - 1)).limit == 2**63 - 1


def test_a_whole_number_that_no_double_is_is_refused(store: Store) -> None:
    for number in (10**400, 10**5000, 2**53 + 1):
        refused("response_time_ms", store, make_usage(response_time_ms=number))
    usage = store.add(make_usage(response_time_ms=2**53))
    assert type(usage.response_time_ms) is float and usage.response_time_ms == 2**53


def test_a_time_whose_zone_knows_no_offset_is_refused(store: Store) -> None:
    nowhere = dt.datetime(2026, 9, 23, tzinfo=Nowhere())
    refused("start_time", store, Plan(**KEY, title="Lake", start_time=nowhere))


def test_a_key_may_be_of_nothing_but_what_is_escaped_in_it(store: Store) -> None:
    for identifier in ("/" * 255, "%" * 255, "😀" * 255):
        window = RateLimit(
            identifier=identifier, window_start=NOW, limit=3, window_seconds=60, expires_at=NOW
        )
        assert store.increment(window, "count", below=3).count == 1
        key = {"identifier": identifier, "window_start": NOW}
        assert store.get(RateLimit, key).identifier == identifier


def test_a_subclass_of_text_finds_what_its_text_does(store: Store) -> None:
    store.add(Plan(user_id="red", id="p", title="Lake", created_at=NOW))
    assert store.get(Plan, {"user_id": Colour.RED, "id": "p"}).title == "Lake"
    found, _ = store.query(Query(Plan, "user_id", Colour.RED, "created_at", 5))
    assert [plan.id for plan in found] == ["p"]
