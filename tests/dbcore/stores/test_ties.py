"""Records of one moment come by their keys, wherever a page ends, from each store."""

from __future__ import annotations

import datetime as dt
import pickle
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daylight.models import LocationHistory
from dbcore.local_engine import LocalEngine
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.dynamo.queries import _first_of_one, _Order
from dbcore.stores.interface import Query, Store
from dbcore.stores.pages import read_page
from dbcore.table_sync import sync_tables
from dbcore.wire import HOOKS
from dbcore.wire.calls import Call

pytestmark = pytest.mark.django_db(transaction=True)
NOW = dt.datetime(2026, 9, 23, 12, tzinfo=dt.UTC)
KEPT = dt.timedelta(days=90)  # of a location record, until it expires
SECOND = dt.timedelta(seconds=1)


def add(store: Store, *groups: int, end: dt.datetime = NOW) -> list[str]:
    """Write groups of records, each a second older than the last; their ids as a list has them."""
    listed = []
    for at, size in enumerate(groups):
        moment = end - at * SECOND
        names = [f"{at}-{number * 5 % 7}" for number in range(size)]
        for name in names:
            store.put(LocationHistory(user_id="u", id=name, location={}, timestamp=moment))
        listed += sorted(names, reverse=True)
    return listed


def query(limit: int, **given: Any) -> Query:
    return Query(LocationHistory, "user_id", "u", "timestamp", limit, **given)


def walk(store: Store, wanted: Query) -> list[list[str]]:
    """The ids of all pages of a list."""
    pages, cursor = [], None
    while True:
        page = read_page(store, wanted, cursor)
        pages.append([each.id for each in page])
        # As of a page that has been kept somewhere.
        cursor = pickle.loads(pickle.dumps(page)).next_cursor
        assert cursor == page.next_cursor
        if cursor is None:
            return pages


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 11, 12, 13])
def test_ties_are_whole_and_in_order_wherever_a_page_ends(store: Store, limit: int) -> None:
    made = add(store, 1, 5, 1, 1, 4)
    pages = walk(store, query(limit))
    assert pages == [made[at : at + limit] for at in range(0, len(made), limit)]


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6])
def test_what_has_expired_is_neither_listed_nor_said_to_follow(store: Store, limit: int) -> None:
    made = add(store, 2, 1, 2, 3, 1, end=NOW - KEPT + 3 * SECOND)[:5]
    pages = walk(store, query(limit, live_at=NOW))
    assert pages == [made[at : at + limit] for at in range(0, 5, limit)]


PLACES = st.lists(st.tuples(st.sampled_from("123"), st.sampled_from("abcdef")), unique=True)


@given(PLACES, st.lists(st.integers(1, 4)), st.integers(1, 5))
def test_ties_may_come_in_any_order_and_parted_anyhow(
    places: list[tuple[str, str]], sizes: list[int], limit: int
) -> None:
    # An engine that gives ties in another order than ours does is a DynamoDB as well.
    items = [{"at": {"S": at}, "key": {"S": key}} for at, key in places]
    items.sort(key=lambda item: item["at"]["S"], reverse=True)
    rest = iter(items)
    pages = [list(islice(rest, size)) for size in sizes] + [list(rest)]
    order = _Order("at", "key")
    found = [order.place(item) for item in _first_of_one(iter(pages), order, limit)]
    assert found[:limit] == sorted(places, reverse=True)[:limit]
    assert (len(found) > limit) == (len(places) > limit)


def test_a_page_is_one_request_unless_ties_go_on_behind_it(dynamodb: LocalEngine) -> None:
    assert dynamodb.endpoint
    sync_tables()
    store = DynamoStore()
    made = add(store, 1, 1, 3, 1, 1)
    calls: list[Call] = []
    HOOKS.append(calls.append)
    asked = []
    for limit in range(1, 8):
        calls.clear()
        assert [each.id for each in read_page(store, query(limit))] == made[:limit]
        asked.append(len(calls))
    # Pages of three and four end amid the three ties: a greater key may be among those not read.
    assert asked == [1, 1, 2, 2, 1, 1, 1]


def test_a_cursor_is_of_the_page_as_it_was_read(store: Store) -> None:
    made = add(store, 1, 1, 1)
    page = read_page(store, query(1))
    page[0].timestamp, page[0].id = NOW - 9 * SECOND, "changed"
    rest = read_page(store, query(5), page.next_cursor)
    assert [each.id for each in rest] == made[1:]
