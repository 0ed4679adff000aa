"""Lists: what can be asked for, in which order, and where a page goes on. The same from each
store."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from daylight.models import ApiKey, AuditLog, ErrorLog, LocationHistory, UserSession
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.errors import InvalidRecord
from dbcore.stores.interface import Position, Query, Store
from dbcore.stores.pages import read_page, read_page_of_all
from dbcore.stores.validation import values_of
from dbcore.table_sync import sync_tables
from dbcore.wire import HOOKS, get_wire
from dbcore.wire.calls import Call

pytestmark = pytest.mark.django_db(transaction=True)
NOW = dt.datetime(2026, 9, 23, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def add_keys(store: Store, count: int, user_id: str = "u", size: int = 1) -> list[str]:
    """Write keys, three at each moment, whose ids have another order than their moments; the ids in
    the order of a list."""
    made = []
    for at in range(count):
        key_id, moment = f"{user_id}{at * 7 % 11:02}", NOW + (at // 3) * SECOND
        made.append((moment, key_id))
        store.add(
            ApiKey(id=key_id, name="n", key_hash=key_id, key_preview="p", user_id=user_id,
                   created_at=moment, description="x" * size)
        )  # fmt: skip
    return [key_id for _, key_id in sorted(made, reverse=True)]


def keys_of(user_id: str, limit: int, **given: Any) -> Query:
    return Query(ApiKey, "user_id", user_id, "created_at", limit, **given)


def ids(found: Any) -> list[str]:
    return [record.id for record in found]


def walk(store: Store, query: Query) -> list[list[str]]:
    """All pages of a list."""
    pages, cursor = [], None
    while True:
        page = read_page(store, query, cursor)
        pages.append(ids(page))
        cursor = page.next_cursor
        if cursor is None:
            return pages


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 10, 11])
def test_an_index_without_a_range_key_is_listed_in_order_all_the_same(
    store: Store, limit: int
) -> None:
    made = add_keys(store, 10)
    add_keys(store, 2, "v")
    pages = walk(store, keys_of("u", limit))
    assert [each for page in pages for each in page] == made
    assert all(len(page) == limit for page in pages[:-1]) and pages[-1]


def test_bounds_hold_where_the_index_has_no_range_key(store: Store) -> None:
    _, *inside, _, _, _ = add_keys(store, 10)
    within = keys_of("u", 50, low=NOW + SECOND, high=NOW + 2 * SECOND)
    assert ids(store.query(within)[0]) == inside
    pages = walk(store, keys_of("u", 4, low=NOW + SECOND, high=NOW + 2 * SECOND))
    assert pages == [inside[:4], inside[4:]]


def test_such_an_index_is_read_whole_though_dynamodb_gives_a_megabyte_at_a_time(
    store: Store,
) -> None:
    made = add_keys(store, 9, size=300_000)
    calls: list[Call] = []
    HOOKS.append(calls.append)
    found, end = store.query(keys_of("u", 3))
    assert (ids(found), end is not None) == (made[:3], True)
    assert len([call for call in calls if call.operation == "Query"]) != 1


def seed(records: list[Any]) -> None:
    """Write many records of one model at once."""
    layout = layout_of(type(records[0]))
    puts = [{"PutRequest": {"Item": layout.to_item(values_of(each))}} for each in records]
    for at in range(0, len(puts), 25):
        request = {"RequestItems": {layout.table_name: puts[at : at + 25]}}
        assert not get_wire().call("BatchWriteItem", request).get("UnprocessedItems")


@pytest.mark.parametrize(
    ("model", "key", "order", "given"),
    [
        (LocationHistory, "id", "timestamp", {"location": {}}),
        (UserSession, "session_id", "created_at", {"expires_at": NOW + 9 * SECOND}),
    ],
    ids=["local index", "global index"],
)
def test_each_page_of_fifty_of_a_user_s_five_hundred_records_is_one_query(
    dynamodb: LocalEngine, model: Any, key: str, order: str, given: dict[str, Any]
) -> None:
    assert dynamodb.endpoint
    sync_tables()
    moments = [NOW - at * SECOND for at in range(500)]
    seed([model(user_id="u", **{key: f"r{at}", order: each}, **given)
          for at, each in enumerate(moments)])  # fmt: skip
    calls: list[Call] = []
    HOOKS.append(calls.append)
    query, found, cursor = Query(model, "user_id", "u", order, 50, live_at=NOW), [], None
    for number in range(1, 11):
        page = read_page(DynamoStore(), query, cursor)
        found += [getattr(each, order) for each in page]
        cursor = page.next_cursor
        assert [call.operation for call in calls] == ["Query"] * number
    assert found == moments and cursor is None


def test_a_list_that_begins_before_its_lower_bound_is_empty(store: Store) -> None:
    # A cursor of a list whose lower bound moves on with the clock may come to this.
    store.add(LocationHistory(user_id="u", id="h", location={}, timestamp=NOW))
    after = Position(NOW + SECOND, ("x",))
    query = Query(LocationHistory, "user_id", "u", "timestamp", 5, NOW + 2 * SECOND, after=after)
    assert store.query(query) == ([], None)


@pytest.mark.parametrize(
    ("model", "field", "value", "named"),
    [
        (LocationHistory, "user_id", "", "user_id"),
        (LocationHistory, "user_id", None, "user_id"),
        (LocationHistory, "user_id", 5, "user_id"),
        (LocationHistory, "user_id", "x" * 65, "user_id"),
        (LocationHistory, "user_id", "\ud800", "user_id"),
        (AuditLog, "user_id", None, "user_id"),
        (ErrorLog, "severity", "fatal", "severity"),
        (AuditLog, "day", "2026-09-23", "day"),
        (AuditLog, "day", NOW, "day"),
    ],
)
def test_a_list_that_no_record_can_be_in_is_refused(
    store: Store, model: Any, field: str, value: Any, named: str
) -> None:
    with pytest.raises(InvalidRecord) as refused:
        store.query(Query(model, field, value, "timestamp", 5))
    assert refused.value.field == named


@pytest.mark.parametrize("day", [dt.date.min, dt.date.max])
def test_the_calendar_ends_within_its_last_day(store: Store, day: dt.date) -> None:
    assert store.query(Query(AuditLog, "day", day, "timestamp", 5)) == ([], None)


def test_several_lists_are_read_as_one(store: Store) -> None:
    for at in range(10):
        severity = ("low", "high", "low", "medium")[at % 4]
        time = NOW + (at // 4) * SECOND
        store.add(ErrorLog(id=f"e{at}", name="E", severity=severity, timestamp=time))
    lists = [Query(ErrorLog, "severity", each, "timestamp", 3) for each in ("low", "high")]
    pages, cursor = [], None
    while True:
        page = read_page_of_all(store, lists, cursor)
        pages.append(ids(page))
        cursor = page.next_cursor
        if cursor is None:
            break
    assert pages == [["e9", "e8", "e6"], ["e5", "e4", "e2"], ["e1", "e0"]]


@pytest.mark.parametrize("cursor", ["", "x", "\ud800:x:y", "a:b:c", 5, b"x", "x" * 100_000])
def test_what_no_page_gave_is_no_cursor(store: Store, cursor: Any) -> None:
    with pytest.raises(InvalidRecord) as refused:
        read_page(store, keys_of("u", 3), cursor)
    assert refused.value.field == "cursor"


def test_a_bound_beyond_the_calendar_is_refused_by_its_name(store: Store) -> None:
    beyond = dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=1)))
    with pytest.raises(InvalidRecord) as refused:
        read_page(store, Query(LocationHistory, "user_id", "u", "timestamp", 5, high=beyond))
    assert refused.value.field == "end"
