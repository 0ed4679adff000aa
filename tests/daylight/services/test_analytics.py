"""What users did, told alike by each store."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from daylight.models import UsageAnalytics
from daylight.services.analytics import analytics_service
from dbcore.bearers import hash_of
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import InvalidRecord

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("primary")]
NOON = dt.datetime(2026, 9, 22, 12, tzinfo=dt.UTC)


def seen(at: dt.datetime, event_id: str, user_id: str = "ana") -> None:
    """An event of an earlier time, which the service itself would not write."""
    event = UsageAnalytics(user_id=user_id, id=event_id, event_type="search", timestamp=at)
    primary_store().add(event)


def ids(page: Any) -> list[str]:
    return [event.id for event in page]


def test_an_event_is_read_back_by_its_user_at_once_and_by_nobody_else() -> None:
    event = analytics_service.record_usage_event(
        "ana", "search", {"text": "lake", "hits": [1, None]}, "s1", "Daylight/4.2.0"
    )
    (found,) = analytics_service.get_user_analytics("ana")
    assert found == event and found.event_data == {"text": "lake", "hits": [1, None]}
    assert (found.session_id, found.user_agent) == (hash_of("s1"), "Daylight/4.2.0")
    assert list(analytics_service.get_user_analytics("bea")) == []


def test_an_event_needs_no_data() -> None:
    assert analytics_service.record_usage_event("ana", "app_opened").event_data == {}


def test_only_the_last_days_are_listed() -> None:
    now = timezone.now()
    seen(now - dt.timedelta(days=6, hours=23), "in")
    seen(now - dt.timedelta(days=7, hours=1), "out")
    assert ids(analytics_service.get_user_analytics("ana", days=7)) == ["in"]
    assert ids(analytics_service.get_user_analytics("ana", days=8)) == ["in", "out"]


def test_a_cursor_is_good_though_the_days_move_on_with_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = timezone.now()
    for at in range(5):
        seen(now - dt.timedelta(days=at, hours=1), f"e{at}")
    first = analytics_service.get_user_analytics("ana", days=5, limit=2)
    assert ids(first) == ["e0", "e1"]
    monkeypatch.setattr(timezone, "now", lambda: now + dt.timedelta(hours=23, minutes=30))
    second = analytics_service.get_user_analytics("ana", 5, 2, first.next_cursor)
    assert ids(second) == ["e2", "e3"] and second.next_cursor is None
    monkeypatch.setattr(timezone, "now", lambda: now + dt.timedelta(days=30))
    assert ids(analytics_service.get_user_analytics("ana", 5, 2, first.next_cursor)) == []


def test_a_day_is_the_utc_date_of_all_users() -> None:
    seen(dt.datetime(2026, 9, 21, 23, 59, 59, 999999, tzinfo=dt.UTC), "before")
    seen(dt.datetime(2026, 9, 22, tzinfo=dt.UTC), "first", "bea")
    seen(dt.datetime(2026, 9, 23, 1, 30, tzinfo=dt.timezone(dt.timedelta(hours=2))), "last")
    seen(dt.datetime(2026, 9, 23, tzinfo=dt.UTC), "after")
    assert ids(analytics_service.get_daily_analytics(dt.date(2026, 9, 22))) == ["last", "first"]


@pytest.mark.parametrize("date", [dt.date.min, dt.date.max])
def test_the_first_and_the_last_day_of_the_calendar_can_be_asked_for(date: dt.date) -> None:
    assert list(analytics_service.get_daily_analytics(date)) == []


def test_a_day_is_read_page_by_page_while_events_are_added() -> None:
    for at in range(12):
        seen(NOON + dt.timedelta(minutes=at), f"e{at:02}", f"user{at % 3}")
    first = analytics_service.get_daily_analytics(NOON.date(), limit=5)
    seen(NOON + dt.timedelta(hours=1), "newer")
    seen(NOON + dt.timedelta(minutes=3, seconds=1), "between")
    rest = analytics_service.get_daily_analytics(NOON.date(), 100, first.next_cursor)
    assert ids(first) == ["e11", "e10", "e09", "e08", "e07"]
    assert ids(rest) == ["e06", "e05", "e04", "between", "e03", "e02", "e01", "e00"]


def test_a_cursor_of_another_list_is_refused() -> None:
    for at in range(3):
        seen(timezone.now(), f"e{at}")
    cursor = analytics_service.get_user_analytics("ana", limit=1).next_cursor
    for user_id, days in (("bea", 30), ("ana", 31)):
        with pytest.raises(InvalidRecord) as refused:
            analytics_service.get_user_analytics(user_id, days, 1, cursor)
        assert refused.value.field == "cursor"
    with pytest.raises(InvalidRecord):
        analytics_service.get_daily_analytics(timezone.now().date(), 1, cursor)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"user_id": ""}, "user_id"),
        ({"user_id": None}, "user_id"),
        ({"user_id": "x" * 65}, "user_id"),
        ({"user_id": "\ud800"}, "user_id"),
        ({"event_type": ""}, "event_type"),
        ({"event_type": 5}, "event_type"),
        ({"event_type": "x" * 65}, "event_type"),
        ({"event_data": "text"}, "event_data"),
        ({"event_data": {"at": NOON}}, "event_data"),
        ({"event_data": {"x": float("nan")}}, "event_data"),
        ({"event_data": {"x": "y" * 500_000}}, "item"),
        ({"session_id": ""}, "session_id"),
        ({"user_agent": 7}, "user_agent"),
    ],
)
def test_a_bad_event_is_refused_by_its_field_and_nothing_is_written(
    given: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRecord) as refused:
        analytics_service.record_usage_event(**{"user_id": "ana", "event_type": "search", **given})
    assert refused.value.field == field
    assert list(analytics_service.get_daily_analytics(timezone.now().date())) == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"user_id": ""}, "user_id"),
        ({"user_id": 5}, "user_id"),
        ({"user_id": "x" * 3000}, "user_id"),
        ({"user_id": "\ud800"}, "user_id"),
        ({"days": 0}, "days"),
        ({"days": 10**9}, "days"),
        ({"days": 1.5}, "days"),
        ({"days": True}, "days"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "10"}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "\ud800:x:y"}, "cursor"),
        ({"cursor": 5}, "cursor"),
    ],
)
def test_a_bad_question_about_a_user_is_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        analytics_service.get_user_analytics(**{"user_id": "ana", **given})
    assert refused.value.field == field


@pytest.mark.parametrize("date", [NOON, "2026-09-22", None, 20260922])
def test_a_day_must_be_a_date_and_no_point_in_time(date: Any) -> None:
    with pytest.raises(InvalidRecord) as refused:
        analytics_service.get_daily_analytics(date)
    assert refused.value.field == "date"


def test_every_call_has_an_async_twin() -> None:
    event = async_to_sync(analytics_service.arecord_usage_event)("ana", "search")
    page = async_to_sync(analytics_service.aget_user_analytics)("ana")
    assert list(page) == [event]
