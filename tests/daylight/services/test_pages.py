"""Cursors: a list goes on where it ended, whatever happens meanwhile; a cursor that was not given
for this list, or too long ago, is refused."""

from __future__ import annotations

import datetime as dt
import itertools
import string
import time
from typing import Any

import pytest
from django.core import signing

from daylight.models import Plan
from daylight.services.location_history import location_history_service
from daylight.services.planning import planning_service
from dbcore.local_engine import LocalEngine
from dbcore.stores.interface import Store
from dbcore.stores.pages import CURSOR_DAYS, Page
from dbcore.table_sync import sync_tables
from tests.daylight.services.conftest import refused

pytestmark = pytest.mark.django_db(transaction=True)
NOON = dt.datetime(2026, 9, 23, 12, tzinfo=dt.UTC)


def make(at: int, plan_id: str = "", user_id: str = "ana") -> Plan:
    """A plan made `at` minutes after noon."""
    created = NOON + dt.timedelta(minutes=at)
    data = {"id": plan_id or f"p{at}", "title": "Lake", "created_at": created}
    return planning_service.create_plan(user_id, data)


def page(limit: int = 2, cursor: str | None = None) -> Page[Plan]:
    return planning_service.get_user_plans("ana", limit, cursor)


def ids(found: Page[Plan]) -> list[str]:
    return [plan.id for plan in found]


@pytest.mark.usefixtures("primary")
def test_a_list_is_read_to_its_end_and_the_last_page_says_so() -> None:
    for at in range(6):
        make(at)
    pages = [page()]
    while pages[-1].next_cursor:
        pages.append(page(cursor=pages[-1].next_cursor))
    assert [ids(each) for each in pages] == [["p5", "p4"], ["p3", "p2"], ["p1", "p0"]]
    assert ids(page(6)) == ids(page(1000)) and page(6).next_cursor is None
    assert page(5).next_cursor is not None


@pytest.mark.usefixtures("primary")
def test_what_is_inserted_before_the_cursor_moves_nothing_behind_it() -> None:
    for at in range(4):
        make(at)
    first = page()
    make(9)
    make(3, "q")  # a tie of the first record
    assert ids(page(cursor=first.next_cursor)) == ["p1", "p0"]
    make(1, "q1")
    assert ids(page(9, first.next_cursor)) == ["q1", "p1", "p0"]


@pytest.mark.usefixtures("primary")
def test_a_list_goes_on_although_the_record_it_ended_at_is_gone() -> None:
    for at in range(4):
        make(at)
    first = page()
    planning_service.delete_plan("p2", "ana")
    assert ids(page(cursor=first.next_cursor)) == ["p1", "p0"]


@pytest.mark.usefixtures("primary")
def test_another_limit_may_be_asked_for_on_the_way() -> None:
    for at in range(4):
        make(at)
    assert ids(page(3, page(1).next_cursor)) == ["p2", "p1", "p0"]


@pytest.mark.usefixtures("primary")
@pytest.mark.parametrize("bad", [0, -1, 1001, 1.0, True, None, "20"])
def test_a_limit_out_of_range_is_refused(bad: Any) -> None:
    refused("limit", page, bad)


@pytest.mark.usefixtures("primary")
@pytest.mark.parametrize("bad", ["", "x", "a:b:c", "é:é:é", "\ud800:x:y", "\0", 5, b"x", ["x"]])
def test_a_cursor_that_no_page_gave_is_refused(bad: Any) -> None:
    refused("cursor", page, 2, bad)


@pytest.mark.usefixtures("primary")
def test_a_cursor_with_any_character_changed_is_refused() -> None:
    for at in range(3):
        make(at)
    cursor = page().next_cursor
    assert cursor
    others = itertools.cycle(string.ascii_letters)
    for at, letter in enumerate(cursor):
        other = next(each for each in others if each != letter)
        refused("cursor", page, 2, cursor[:at] + other + cursor[at + 1 :])
    refused("cursor", page, 2, cursor + "x")
    refused("cursor", page, 2, cursor[:-1])


@pytest.mark.usefixtures("primary")
def test_a_text_that_was_signed_for_something_else_is_refused() -> None:
    place = {"l": "x", "o": "2026-09-23T12:00:00.000000Z", "k": ["p1"]}
    refused("cursor", page, 2, signing.dumps(place))


@pytest.mark.usefixtures("primary")
def test_a_cursor_of_another_list_is_refused() -> None:
    for at, user in itertools.product(range(3), ("ana", "bea")):
        make(at, user_id=user)
    for at in range(3):
        location_history_service.add_location_history("ana", {"at": at}, "walk")
    hers = planning_service.get_user_plans("bea", 2).next_cursor
    elsewhere = location_history_service.get_user_location_history("ana", 2).next_cursor
    assert hers and elsewhere
    refused("cursor", page, 2, hers)
    refused("cursor", page, 2, elsewhere)
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    ranged = location_history_service.get_location_history_by_date_range
    mine = ranged("ana", now - day, now + day, 2).next_cursor
    assert mine
    refused("cursor", location_history_service.get_user_location_history, "ana", 2, mine)
    refused("cursor", ranged, "ana", now - day, now + 2 * day, 2, mine)


@pytest.mark.usefixtures("primary")
def test_a_cursor_grows_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(3):
        make(at)
    cursor = page().next_cursor
    real = time.time
    week = CURSOR_DAYS * 86400
    monkeypatch.setattr(signing.time, "time", lambda: real() + week - 60)
    assert ids(page(cursor=cursor)) == ["p0"]
    monkeypatch.setattr(signing.time, "time", lambda: real() + week + 60)
    refused("cursor", page, 2, cursor)


def test_a_cursor_is_as_good_after_a_switch_of_the_store(
    dynamodb: LocalEngine, settings: Any
) -> None:
    assert dynamodb.endpoint
    sync_tables()
    settings.APP_CACHE_ENABLED = False
    cursors = {}
    for name in ("sqlite", "dynamodb"):
        settings.DATABASE_PRIMARY = name
        for at in range(4):
            make(at // 2, f"p{at}")
        cursors[name] = page().next_cursor
    assert ids(page(cursor=cursors["sqlite"])) == ["p1", "p0"]
    settings.DATABASE_PRIMARY = "sqlite"
    assert ids(page(cursor=cursors["dynamodb"])) == ["p1", "p0"]


def test_a_page_is_a_sequence(store: Store) -> None:
    for at in range(3):
        make(at)
    found = page()
    assert len(found) == 2 and found[0].id == "p2" and ids(found[1:]) == ["p1"]
    assert repr(found) == "<Page of 2 records, and more>"
    assert repr(page(3)) == "<Page of 3 records>"
