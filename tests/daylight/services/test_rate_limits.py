"""Limits of calls: counted in windows that begin where the epoch's do. (How they hold under
concurrency is in test_concurrency.py.)"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from daylight.models import RateLimit
from daylight.services.rate_limits import RateLimitResult, rate_limit_service
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import InvalidRecord

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("primary")]
START = dt.datetime(2100, 9, 22, 12, 0, tzinfo=dt.UTC)  # an engine deletes what has expired
SECOND = dt.timedelta(seconds=1)


def hits(count: int, limit: int = 3, at: dt.datetime = START, **given: Any) -> list[bool]:
    arguments = {"identifier": "ip/1", "limit": limit, "window_seconds": 60, "now": at, **given}
    return [rate_limit_service.hit(**arguments).allowed for _ in range(count)]


def windows() -> list[RateLimit]:
    """The window of `hits` as it was kept, if it was."""
    key = {"identifier": "ip/1/60s", "window_start": START}
    found = primary_store().get(RateLimit, key)
    return [] if found is None else [found]


def test_so_many_calls_are_allowed_and_no_more() -> None:
    at = START + 17 * SECOND
    results = [rate_limit_service.hit("ip/1", 3, 60, at) for _ in range(5)]
    reset = START + 60 * SECOND
    assert results == [
        RateLimitResult(True, 2, reset),
        RateLimitResult(True, 1, reset),
        RateLimitResult(True, 0, reset),
        RateLimitResult(False, 0, reset),
        RateLimitResult(False, 0, reset),
    ]


def test_the_next_window_begins_anew_and_not_before() -> None:
    assert hits(4) == [True, True, True, False]
    assert hits(1, at=START + 60 * SECOND - dt.timedelta.resolution) == [False]
    assert hits(1, at=START + 60 * SECOND) == [True]


@pytest.mark.parametrize(
    ("now", "window", "reset"),
    [
        (dt.datetime(2026, 9, 22, 12, 59, 59, tzinfo=dt.UTC), 3600, "2026-09-22T13:00:00+00:00"),
        (dt.datetime(2026, 9, 22, 0, 0, tzinfo=dt.UTC), 86400, "2026-09-23T00:00:00+00:00"),
        # Aligned to the epoch in UTC, whatever the zone of the given time is.
        (
            dt.datetime(2026, 9, 22, 1, 30, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            86400,
            "2026-09-22T00:00:00+00:00",
        ),
        (dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=dt.UTC), 60, "1970-01-01T00:00:00+00:00"),
        (dt.datetime(1970, 1, 1, 0, 0, 8, tzinfo=dt.UTC), 7, "1970-01-01T00:00:14+00:00"),
    ],
)
def test_windows_are_aligned_to_the_epoch(now: dt.datetime, window: int, reset: str) -> None:
    assert rate_limit_service.hit("ip/1", 1, window, now).reset_at.isoformat() == reset


def test_identifiers_do_not_count_for_one_another() -> None:
    assert hits(4) == [True, True, True, False]
    assert hits(1, identifier="ip/2") == [True]
    assert hits(1, identifier="ip/1 ") == [True]


def test_windows_of_two_lengths_that_begin_together_are_counted_apart() -> None:
    assert hits(4) == [True, True, True, False]
    assert hits(4, window_seconds=3600) == [True, True, True, False]


def test_a_raised_limit_goes_on_from_the_count_and_a_lowered_one_refuses() -> None:
    assert hits(3) == [True, True, True]
    assert hits(3, limit=5) == [True, True, False]
    assert hits(1, limit=2) == [False]


def test_a_refused_call_is_not_counted() -> None:
    hits(10)
    assert rate_limit_service.hit("ip/1", 4, 60, START).remaining == 0
    (window,) = windows()
    assert window.count == 4


def test_a_window_is_kept_beyond_its_end_for_hosts_whose_clock_is_behind() -> None:
    hits(1)
    (window,) = windows()
    assert window.expires_at > START + 60 * SECOND
    assert (window.limit, window.window_seconds) == (3, 60)


def test_the_time_is_now_where_it_is_not_given() -> None:
    result = rate_limit_service.hit("ip/1", 1, 366 * 86400)
    assert result.allowed and result.reset_at > dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"identifier": ""}, "identifier"),
        ({"identifier": None}, "identifier"),
        ({"identifier": "x" * 241}, "identifier"),
        ({"identifier": "\ud800"}, "identifier"),
        ({"limit": 0}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": 2.5}, "limit"),
        ({"limit": True}, "limit"),
        ({"limit": 10**30}, "limit"),
        ({"window_seconds": 0}, "window_seconds"),
        ({"window_seconds": 10**9}, "window_seconds"),
        ({"window_seconds": "60"}, "window_seconds"),
        ({"now": dt.datetime(2026, 1, 1)}, "now"),  # noqa: DTZ001
        ({"now": START.date()}, "now"),
        ({"now": 0}, "now"),
        ({"now": dt.datetime.max.replace(tzinfo=dt.UTC)}, "now"),
        ({"now": dt.datetime.min.replace(tzinfo=dt.UTC), "window_seconds": 7}, "now"),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_counted(
    given: dict[str, Any], field: str
) -> None:
    arguments = {"identifier": "ip/1", "limit": 3, "window_seconds": 60, "now": START, **given}
    with pytest.raises(InvalidRecord) as refused:
        rate_limit_service.hit(**arguments)
    assert refused.value.field == field
    assert windows() == []


def test_the_longest_identifier_has_room() -> None:
    assert hits(2, limit=1, identifier="日" * 240, window_seconds=366 * 86400) == [True, False]
