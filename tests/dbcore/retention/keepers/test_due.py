"""What is due is found, in either store: all of it, nothing else, at the cost of what is due."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from daylight.models import (
    ErrorLog,
    Plan,
    RateLimit,
    UsageAnalytics,
    User,
    UserSession,
    WeatherCache,
)
from dbcore.items import layout_of, shard_of
from dbcore.retention.keepers.interface import PAGE, Removal, Window
from dbcore.retention.keepers.orm_due import Finder, _along
from dbcore.retention.policy import is_swept
from dbcore.schema import storage_models
from dbcore.wire import HOOKS, Call
from tests.dbcore.retention.keepers.kept import (
    DAY,
    MICROSECOND,
    MONTH,
    NOW,
    Kept,
    error_log,
    event,
    ids,
    plan,
    rule_of,
    session,
    user,
)
from tests.support.proxy import FaultProxy, HalfUnprocessed

pytestmark = pytest.mark.django_db(transaction=True)
SWEPT = [model for model in storage_models() if is_swept(layout_of(model))]


@pytest.fixture
def operations() -> Iterator[list[str]]:
    """What has been asked of DynamoDB since."""
    seen: list[str] = []
    HOOKS.append(lambda call: seen.append(call.operation))
    yield seen
    HOOKS.clear()


@pytest.mark.parametrize(
    ("make", "days"), [(error_log, 90), (event, 365), (plan, 365), (user, 2555)]
)
def test_a_record_is_due_at_its_instant_and_not_a_microsecond_sooner(
    kept: Kept, make: Any, days: int
) -> None:
    records = [make("due", days * DAY), make("not-yet", days * DAY - MICROSECOND)]
    items = kept.put(*records)
    rule = rule_of(type(records[0]))
    assert kept.due(rule) == items[:1]
    assert kept.keeper.count_due(rule, MONTH) in (1, 2)  # those of the last day may be counted


def test_the_latest_sign_of_life_counts(kept: Kept) -> None:
    old = 2570 * DAY
    kept.put(
        user("asleep", old),
        user("asleep-since", old, last_login_at=NOW - 2555 * DAY),
        user("signed-in", old, last_login_at=NOW - 2555 * DAY + MICROSECOND),
    )
    kept.put(plan("over", 380 * DAY), plan("ahead", 380 * DAY, end_time=NOW + 9 * DAY))
    assert sorted(ids(kept.due(rule_of(User)))) == ["asleep", "asleep-since"]
    assert ids(kept.due(rule_of(Plan))) == ["over"]
    assert kept.keeper.count_due(rule_of(Plan), MONTH) == 1
    # DynamoDB's index knows the day alone: who is due later today is counted.
    assert kept.keeper.count_due(rule_of(User), MONTH) == (3 if kept.is_dynamodb else 2)


def test_what_has_expired_is_due_to_the_second_and_found_once(kept: Kept) -> None:
    second = dt.timedelta(seconds=1)
    kept.put(
        session("expired", DAY, -DAY),
        session("this-second", DAY, 749_999 * MICROSECOND),
        session("next-second", DAY, 750_000 * MICROSECOND),
        session("old", 30 * DAY, 5 * DAY),
        session("almost-old", 30 * DAY - second, 5 * DAY),
        session("old-and-expired", 31 * DAY, -DAY),
    )
    found = [item["sessionId"]["S"] for item in kept.due(rule_of(UserSession))]
    assert sorted(found) == ["expired", "old", "old-and-expired", "this-second"]


def test_tables_that_only_expire_are_swept_too(kept: Kept) -> None:
    places = {"identifier": "10.0.0.1", "count": 1, "limit": 9, "window_seconds": 60}
    for hours in (1, -1):
        at = NOW - dt.timedelta(hours=hours)
        kept.put(RateLimit(**places, window_start=at, expires_at=at))
        kept.put(WeatherCache(location_key=f"a/{hours}", data={}, timestamp=at, expires_at=at))
    assert len(kept.due(rule_of(RateLimit))) == 1
    assert [each["locationKey"]["S"] for each in kept.due(rule_of(WeatherCache))] == ["a/1"]
    assert rule_of(RateLimit).days is None


def test_pages_are_whole_ordered_and_lose_nothing_to_removals(kept: Kept) -> None:
    """More than a page in one shard of one day, and days with little."""
    hot = (f"h{n}" for n in range(100_000))
    same = [each for each in hot if shard_of(each) == 3][: PAGE + 100]
    records = [error_log(each, 95 * DAY) for each in same]
    records += [error_log(f"e{n}", (91 + n % 20) * DAY) for n in range(150)]
    kept.put(*records)
    rule = rule_of(ErrorLog)
    assert kept.keeper.count_due(rule, MONTH) == len(records)
    seen: list[str] = []
    days: list[str] = []
    for page in kept.keeper.due(rule, MONTH):
        assert len(page) <= PAGE
        seen += ids(page)
        days += [item["timestamp"]["S"][:10] for item in page]
        assert set(kept.remove(ErrorLog, *page)) == {Removal.DELETED}
    assert sorted(seen) == sorted(record.id for record in records)
    assert days == sorted(days)
    assert kept.due(rule) == []


def test_what_is_left_alone_is_seen_once_and_not_again_and_again(kept: Kept) -> None:
    """Nothing is removed between the pages, and all have one instant."""
    records = [event(f"e{n}", user_id=f"u{n % 7}") for n in range(2 * PAGE + 1)]
    kept.put(*records)
    pages = list(kept.keeper.due(rule_of(UsageAnalytics), MONTH))
    found = [each for page in pages for each in ids(page)]
    assert len(found) == len(set(found)) == len(records)
    assert max(map(len, pages)) <= PAGE


def test_large_records_of_one_shard_are_counted_to_their_end(kept: Kept) -> None:
    """More than the megabyte that one answer may have."""
    same = [each for each in (f"e{n}" for n in range(1000)) if shard_of(each) == 5][:30]
    kept.put(*(event(each, user_agent="x" * 60_000) for each in same))
    assert kept.keeper.count_due(rule_of(UsageAnalytics), MONTH) == 30
    assert sorted(ids(kept.due(rule_of(UsageAnalytics)))) == sorted(same)


@pytest.mark.parametrize("make", [plan, event])
@pytest.mark.parametrize("days", [300, 400])
def test_other_days_than_declared_move_the_window_along(kept: Kept, make: Any, days: int) -> None:
    record = make("p", days * DAY)
    kept.put(record)
    today = Window(NOW.date(), NOW.date())
    assert ids(kept.due(rule_of(type(record), days=days), today)) == ["p"]
    assert kept.keeper.count_due(rule_of(type(record), days=days), today) == 1
    assert kept.due(rule_of(type(record), days=days + 1), today) == []


def test_a_window_of_other_days_has_nothing(in_dynamodb: Kept) -> None:
    in_dynamodb.put(error_log("e", 95 * DAY))
    for first, last, found in [(5, 5, 1), (4, 0, 0), (9, 6, 0), (6, 4, 1)]:  # days ago
        window = Window(NOW.date() - first * DAY, NOW.date() - last * DAY)
        assert len(in_dynamodb.due(rule_of(ErrorLog), window)) == found


def test_the_calendar_s_ends_are_no_error(kept: Kept) -> None:
    kept.put(error_log("old", NOW - dt.datetime(1, 1, 2, tzinfo=dt.UTC)))
    window = Window(dt.date.min, dt.date.min + 120 * DAY)
    assert ids(kept.due(rule_of(ErrorLog), window)) == ["old"]
    assert kept.due(rule_of(UsageAnalytics), Window(dt.date.min, dt.date.min)) == []


# --- records that nobody can read -----------------------------------------------------------------


def test_a_row_that_no_item_can_hold_is_told_of_and_stays(in_sqlite: Kept) -> None:
    event("fits").save()
    event("too-far", event_data={"distance": 1e300}).save()
    assert ids(in_sqlite.due(rule_of(UsageAnalytics))) == ["fits"]
    ((where, why),) = in_sqlite.keeper.unreadable.items()
    assert where == ("usage_analytics", "ana/too-far") and "event_data has 1e+300" in why
    assert UsageAnalytics.objects.count() == 2


def test_an_item_that_no_reader_can_read_is_told_of_and_stays(in_dynamodb: Kept) -> None:
    (good,) = in_dynamodb.put(error_log("good"))
    keeper = in_dynamodb.keeper
    bad = {**good, "id": {"S": "a/b"}, "timestamp": {"S": "yesterday"}}
    wide = {**good, "id": {"S": "wide"}} | {f"x{n}": {"N": "1"} for n in range(140)}
    for item in (bad, wide):
        request = {"TableName": layout_of(ErrorLog).table_name, "Item": item}
        keeper.wire.call("PutItem", request)  # type: ignore[union-attr]
    assert in_dynamodb.due(rule_of(ErrorLog)) == [good]
    assert keeper.unreadable.keys() == {("error_logs", "a%2Fb"), ("error_logs", "wide")}
    why = keeper.unreadable["error_logs", "a%2Fb"]
    assert why == "timestamp cannot be read (ValueError)", "no value is quoted"
    assert in_dynamodb.there(ErrorLog, bad, wide) == [True, True]


# --- what it costs --------------------------------------------------------------------------------


def test_empty_days_cost_a_query_a_shard_and_nothing_is_scanned(
    in_dynamodb: Kept, operations: list[str]
) -> None:
    rule = rule_of(ErrorLog)
    assert in_dynamodb.keeper.count_due(rule, MONTH) == 0
    assert operations == ["Query"] * 31 * 8
    operations.clear()
    assert in_dynamodb.due(rule) == []
    assert operations == ["Query"] * 31 * 8
    items = in_dynamodb.put(*(error_log(f"e{n}", (91 + n % 3) * DAY) for n in range(50)))
    operations.clear()
    assert len(in_dynamodb.due(rule)) == 50
    # One more for each shard that has something, and the whole items by their keys.
    assert operations.count("Query") <= 31 * 8 + 3 * 8
    assert operations.count("BatchGetItem") == 1
    in_dynamodb.keeper.count_due(rule, MONTH)
    assert set(in_dynamodb.remove(ErrorLog, *items)) == {Removal.DELETED}
    assert "Scan" not in operations


def test_keys_that_dynamodb_leaves_unread_are_read_in_the_end(
    proxy: FaultProxy, in_dynamodb: Kept
) -> None:
    items = in_dynamodb.put(*(error_log(f"e{n}") for n in range(130)))
    proxy.set_faults(HalfUnprocessed(times=5))
    found = in_dynamodb.due(rule_of(ErrorLog))
    assert sorted(ids(found)) == sorted(ids(items))
    assert proxy.counts["HalfUnprocessed"] == 5


@pytest.mark.parametrize("model", SWEPT, ids=lambda model: model.__name__)
def test_sqlite_finds_what_is_due_along_an_index(
    in_sqlite: Kept, model: type[models.Model]
) -> None:
    """The plan that SQLite makes of every statement: a SEARCH, never a SCAN of the table."""
    finder = Finder("default", rule_of(model), lambda row, why: None)
    with CaptureQueriesContext(connection) as captured:
        finder.count()
        for field, rows in finder.queries():
            list(_along(rows, field))
            beyond = rows.filter(**{f"{field}__gte": NOW}, pk__gt="")
            list(beyond.order_by(field, "pk")[:PAGE])
    statements = [each["sql"] for each in captured if each["sql"].startswith("SELECT")]
    assert len(statements) >= 3
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
            steps = [row[3] for row in cursor.fetchall()]
            assert any(step.startswith("SEARCH") and "USING" in step for step in steps), steps
            assert not any(step.startswith("SCAN") for step in steps), (statement, steps)


def test_a_table_is_counted_no_further_than_it_must_be(kept: Kept) -> None:
    for model in SWEPT:
        assert not kept.keeper.has_more_than(layout_of(model), 0)
    layout = layout_of(ErrorLog)
    kept.put(*(error_log(f"e{n}") for n in range(20)))
    assert kept.keeper.has_more_than(layout, 19)
    assert not kept.keeper.has_more_than(layout, 20)


@pytest.mark.parametrize("make", [error_log, event])
def test_a_table_is_counted_by_its_days_and_not_scanned(in_dynamodb: Kept, make: Any) -> None:
    records = [make(f"e{n}", n * DAY) for n in range(5)]
    in_dynamodb.put(*records)
    seen: list[Call] = []
    HOOKS.append(seen.append)
    try:
        assert in_dynamodb.keeper.has_more_than(layout_of(type(records[0])), 4)
        assert not in_dynamodb.keeper.has_more_than(layout_of(type(records[0])), 5)
    finally:
        HOOKS.remove(seen.append)
    assert [call.index for call in seen if call.operation == "Scan"]
    assert all(call.index for call in seen if call.operation == "Scan"), seen
