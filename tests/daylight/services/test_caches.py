"""Cached answers: set over one another, gone when their minutes are over, forgotten on demand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from daylight.services.caches import cache_service
from tests.daylight.services.conftest import refused, values

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("primary")]
KINDS = {"weather": ("location_key", 60), "traffic": ("route_key", 30), "events": ("area_key", 60)}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which cache a test is told about: each in turn."""
    return str(request.param)


def call(name: str, kind: str) -> Callable[..., Any]:
    """A call of the service, such as get_weather_cache."""
    return getattr(cache_service, f"{name}_{kind}_cache")  # type: ignore[no-any-return]


def test_an_answer_is_kept_and_the_next_is_kept_over_it(kind: str) -> None:
    assert call("get", kind)("here") is None
    first = call("set", kind)("here", {"t": 1.0, "list": [None, "ö"]})
    assert values(call("get", kind)("here")) == values(first)
    call("set", kind)("here", [1, 2])
    assert call("get", kind)("here").data == [1, 2]
    assert call("get", kind)("there") is None


def test_an_answer_is_kept_as_long_as_its_kind_is_good(
    kind: str, travel: Callable[[dt.timedelta], None]
) -> None:
    _, minutes = KINDS[kind]
    kept = call("set", kind)("here", {})
    assert kept.expires_at - kept.timestamp == dt.timedelta(minutes=minutes)
    travel(dt.timedelta(minutes=minutes, seconds=-5))
    assert call("get", kind)("here") is not None
    travel(dt.timedelta(minutes=minutes))
    assert call("get", kind)("here") is None
    call("set", kind)("here", {"new": True}, 1)
    assert call("get", kind)("here").data == {"new": True}


def test_what_is_forgotten_is_gone_and_may_be_forgotten_again(kind: str) -> None:
    call("set", kind)("here", {})
    call("set", kind)("there", {})
    call("delete", kind)("here")
    call("delete", kind)("here")
    assert call("get", kind)("here") is None
    assert call("get", kind)("there") is not None


def test_the_three_caches_are_apart() -> None:
    cache_service.set_weather_cache("k", {"of": "weather"})
    cache_service.set_traffic_cache("k", {"of": "traffic"})
    cache_service.delete_events_cache("k")
    cache_service.delete_traffic_cache("k")
    weather = cache_service.get_weather_cache("k")
    assert weather is not None and weather.data == {"of": "weather"}


@pytest.mark.parametrize("bad", ["", None, 5, b"k", "x" * 256, "a\0", "\ud800"])
def test_what_cannot_be_a_key_is_refused_by_every_call(kind: str, bad: Any) -> None:
    field, _ = KINDS[kind]
    refused(field, call("set", kind), bad, {})
    refused(field, call("get", kind), bad)
    refused(field, call("delete", kind), bad)


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, None, "60", 10**9])
def test_minutes_that_make_no_sense_are_refused(kind: str, bad: Any) -> None:
    refused("ttl_minutes", call("set", kind), "here", {}, bad)
    assert call("get", kind)("here") is None


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (None, "data"),
        ("text", "data"),
        (5, "data"),
        ({"x": float("inf")}, "data"),
        ({"x": {1, 2}}, "data"),
        ({"x": ["\0"]}, "data"),
        ({"x": "\udc00"}, "data"),
        ({"x": "y" * 500_000}, "item"),
    ],
)
def test_an_answer_that_cannot_be_kept_leaves_the_last_one(kind: str, bad: Any, field: str) -> None:
    call("set", kind)("here", {"good": 1})
    refused(field, call("set", kind), "here", bad)
    assert call("get", kind)("here").data == {"good": 1}


def test_the_longest_key_of_the_widest_letters_is_kept(kind: str) -> None:
    call("set", kind)("😀" * 255, {"a": 1})
    assert call("get", kind)("😀" * 255).data == {"a": 1}
