"""Where a user has been: listed newest first, by range, for 90 days, for the owner alone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from daylight.models import LocationHistory
from daylight.services.location_history import location_history_service as service
from dbcore.stores.errors import RecordNotFound
from dbcore.stores.interface import Store
from tests.daylight.services.conftest import refused, values

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("primary")]
HERE = {"lat": 46.05, "lng": 14.5}
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def noon() -> dt.datetime:
    """Yesterday's."""
    today = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)
    return today - dt.timedelta(days=1)


def been(store: Store, at: dt.datetime, record_id: str, user_id: str = "ana") -> LocationHistory:
    """Write a record of another time than now."""
    return store.add(LocationHistory(id=record_id, user_id=user_id, location=HERE, timestamp=at))


def ids(page: Any) -> list[str]:
    return [record.id for record in page]


def test_a_record_is_listed_as_soon_as_it_is_written() -> None:
    before = timezone.now()
    record = service.add_location_history("ana", HERE, "walk", {"speed": [1.5, None]})
    (found,) = service.get_user_location_history("ana")
    assert values(found) == values(record)
    assert before <= found.timestamp <= timezone.now()
    assert list(service.get_user_location_history("bea")) == []


def test_metadata_and_activity_may_be_left_empty() -> None:
    one = service.add_location_history("ana", {}, "")
    two = service.add_location_history("ana", {}, "")
    one.metadata["shared"] = True
    assert two.metadata == {}


def test_records_come_newest_first_and_ties_by_code_point(store: Store, noon: dt.datetime) -> None:
    for each in ("a", "B", "ä", "b", "Z", "😀", "\uffff", "-"):
        been(store, noon, each)
    been(store, noon + HOUR, "0")
    expected = ["0", "😀", "\uffff", "ä", "b", "a", "Z", "B", "-"]
    assert ids(service.get_user_location_history("ana")) == expected
    paged: list[str] = []
    cursor = None
    while True:
        page = service.get_user_location_history("ana", 1, cursor)
        paged += ids(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert paged == expected


def test_a_range_includes_both_its_ends(store: Store, noon: dt.datetime) -> None:
    tick = dt.timedelta(microseconds=1)
    for at in range(5):
        been(store, noon + at * HOUR, f"h{at}")
    been(store, noon + HOUR - tick, "just before")
    been(store, noon + 3 * HOUR + tick, "just after")
    been(store, noon + 2 * HOUR, "hers", "bea")

    def between(start: dt.datetime, end: dt.datetime, **given: Any) -> Any:
        return service.get_location_history_by_date_range("ana", start, end, **given)

    assert ids(between(noon + HOUR, noon + 3 * HOUR)) == ["h3", "h2", "h1"]
    zone = dt.timezone(dt.timedelta(hours=5, minutes=30))
    assert ids(between((noon + HOUR).astimezone(zone), noon + HOUR)) == ["h1"]
    first = between(noon, noon + 9 * HOUR, limit=4)
    rest = between(noon, noon + 9 * HOUR, limit=4, cursor=first.next_cursor)
    assert ids(first) + ids(rest) == ["h4", "just after", "h3", "h2", "h1", "just before", "h0"]
    assert list(between(dt.datetime.min.replace(tzinfo=dt.UTC), noon - HOUR)) == []


def test_what_is_over_ninety_days_old_is_not_there(store: Store) -> None:
    now = timezone.now()
    old = been(store, now - dt.timedelta(days=90, seconds=1), "old")
    been(store, now - dt.timedelta(days=89, hours=23), "new")
    assert ids(service.get_user_location_history("ana")) == ["new"]
    start = now - dt.timedelta(days=200)
    assert ids(service.get_location_history_by_date_range("ana", start, now)) == ["new"]
    with pytest.raises(RecordNotFound):
        service.delete_location_history(old.id, "ana")


def test_a_record_is_deleted_by_its_owner_alone_and_once() -> None:
    record = service.add_location_history("ana", HERE, "walk")
    with pytest.raises(RecordNotFound):
        service.delete_location_history(record.id, "bea")
    assert ids(service.get_user_location_history("ana")) == [record.id]
    service.delete_location_history(record.id, "ana")
    assert list(service.get_user_location_history("ana")) == []
    with pytest.raises(RecordNotFound):
        service.delete_location_history(record.id, "ana")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("", HERE, "walk"), "user_id"),
        ((None, HERE, "walk"), "user_id"),
        (("x" * 65, HERE, "walk"), "user_id"),
        (("ana", None, "walk"), "location"),
        (("ana", [1, 2], "walk"), "location"),
        (("ana", "46,14", "walk"), "location"),
        (("ana", {"lat": float("nan")}, "walk"), "location"),
        (("ana", {"lat\0": 1}, "walk"), "location"),
        (("ana", HERE, None), "activity"),
        (("ana", HERE, 5), "activity"),
        (("ana", HERE, "x" * 65), "activity"),
        (("ana", HERE, "a\0b"), "activity"),
        (("ana", HERE, "walk", []), "metadata"),
        (("ana", HERE, "walk", "text"), "metadata"),
        (("ana", HERE, "walk", {"x": "y" * 500_000}), "item"),
    ],
)
def test_a_bad_record_is_refused_by_its_field(arguments: tuple[Any, ...], field: str) -> None:
    refused(field, service.add_location_history, *arguments)
    assert list(service.get_user_location_history("ana")) == []


def test_a_bad_range_is_refused(noon: dt.datetime) -> None:
    naive = noon.replace(tzinfo=None)
    beyond = dt.datetime.max.replace(tzinfo=dt.timezone(-HOUR))
    call = service.get_location_history_by_date_range
    refused("start", call, "ana", naive, noon)
    refused("end", call, "ana", noon, naive)
    refused("start", call, "ana", None, noon)
    refused("end", call, "ana", noon, None)
    refused("start", call, "ana", noon.date(), noon)
    refused("end", call, "ana", noon, beyond)
    refused("start", call, "ana", noon + HOUR, noon)
    refused("user_id", call, "", noon, noon)
    refused("limit", call, "ana", noon, noon, 0)


def test_what_cannot_be_an_id_is_refused() -> None:
    for bad in ("", None, 5, "x" * 65, "\0"):
        refused("history_id", service.delete_location_history, bad, "ana")
        refused("user_id", service.delete_location_history, "h", bad)
        refused("user_id", service.get_user_location_history, bad)
