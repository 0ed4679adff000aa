"""The audit trail: appended to, read by user and by day, and never changed by any call."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from daylight.models import AuditLog, Plan
from daylight.services.audit import audit_service
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import AlreadyExists, InvalidRecord
from dbcore.stores.interface import Add, Delete, Update

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("primary")]
NOON = dt.datetime(2026, 9, 22, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def event(**given: Any) -> dict[str, Any]:
    return {
        "event_type": "data_change", "resource": "plans/1", "action": "write",
        "outcome": "success", "source": "api", "user_id": "ana", "timestamp": NOON, **given,
    }  # fmt: skip


def ids(page: Any) -> list[str]:
    return [entry.id for entry in page]


def test_an_entry_is_kept_whole() -> None:
    entry = audit_service.record(
        event(details={"n": [1, {"x": None}]}, changes={"title": {"from": "a", "to": "b"}},
              compliance_labels=["gdpr"], ip_address="2001:db8::1", risk_level="high")
    )  # fmt: skip
    (found,) = audit_service.get_user_events("ana")
    assert found == entry and found.details == {"n": [1, {"x": None}]}
    assert (found.ip_address, found.risk_level) == ("2001:db8::1", "high")


def test_what_daylight_does_by_itself_belongs_to_no_user_and_to_its_day() -> None:
    entry = audit_service.record(event(user_id=None))
    assert list(audit_service.get_events_of_day(NOON.date())) == [entry]
    assert list(audit_service.get_user_events("ana")) == []


def test_an_entry_without_a_time_is_of_now_and_has_an_id() -> None:
    given = event()
    del given["timestamp"]
    entry = audit_service.record(given)
    assert entry.id and list(audit_service.get_events_of_day(entry.timestamp.date())) == [entry]


def test_an_id_is_written_once() -> None:
    audit_service.record(event(id="a"))
    with pytest.raises(AlreadyExists):
        audit_service.record(event(id="a", action="delete"))
    (found,) = audit_service.get_user_events("ana")
    assert found.action == "write"


def test_events_of_a_user_within_bounds_that_are_both_included() -> None:
    for at in range(5):
        audit_service.record(event(id=f"a{at}", timestamp=NOON + at * MINUTE))
    audit_service.record(event(id="other", user_id="bea"))
    inside = audit_service.get_user_events("ana", start=NOON + MINUTE, end=NOON + 3 * MINUTE)
    assert ids(inside) == ["a3", "a2", "a1"]
    assert ids(audit_service.get_user_events("ana", start=NOON + 3 * MINUTE)) == ["a4", "a3"]
    page = audit_service.get_user_events("ana", 2, end=NOON + 3 * MINUTE)
    rest = audit_service.get_user_events("ana", 9, page.next_cursor, end=NOON + 3 * MINUTE)
    assert (ids(page), ids(rest)) == (["a3", "a2"], ["a1", "a0"])
    with pytest.raises(InvalidRecord) as refused:
        audit_service.get_user_events("ana", 2, page.next_cursor)
    assert refused.value.field == "cursor"


def test_a_day_is_read_page_by_page() -> None:
    for at in range(9):
        audit_service.record(event(id=f"a{at}", timestamp=NOON + (at // 2) * MINUTE))
    audit_service.record(event(id="next", timestamp=NOON + dt.timedelta(days=1)))
    first = audit_service.get_events_of_day(NOON.date(), 4)
    rest = audit_service.get_events_of_day(NOON.date(), 9, first.next_cursor)
    assert (ids(first), ids(rest)) == (["a8", "a7", "a6", "a5"], ["a4", "a3", "a2", "a1", "a0"])
    assert rest.next_cursor is None


def test_no_call_of_the_store_changes_or_removes_an_entry() -> None:
    entry = audit_service.record(event(id="a"))
    store, key = primary_store(), {"id": "a"}
    plan = Plan(user_id="ana", id="p", title="Lake")
    forbidden = [
        lambda: store.update(AuditLog, key, {"action": "read"}),
        lambda: store.delete(AuditLog, key),
        lambda: store.put(AuditLog(**{**event(), "id": "a", "action": "read"})),
        lambda: store.put(AuditLog(**event())),
        lambda: store.transact([Add(plan), Update(AuditLog, key, {"action": "read"})]),
        lambda: store.transact([Add(plan), Delete(AuditLog, key)]),
    ]
    for attempt in forbidden:
        with pytest.raises(InvalidRecord, match="append-only"):
            attempt()
    assert list(audit_service.get_user_events("ana")) == [entry]
    assert store.get(AuditLog, key).action == "write"  # type: ignore[union-attr]
    assert store.get(Plan, {"user_id": "ana", "id": "p"}) is None


def test_the_service_has_no_call_that_would() -> None:
    calls = {name for name in dir(audit_service) if not name.startswith("_")}
    assert calls == {
        "store", "record", "arecord", "get_user_events", "aget_user_events", "get_events_of_day",
        "aget_events_of_day",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"event_type": ""}, "event_type"),
        ({"resource": None}, "resource"),
        ({"resource": "x" * 256}, "resource"),
        ({"action": 5}, "action"),
        ({"outcome": "maybe"}, "outcome"),
        ({"source": ""}, "source"),
        ({"id": ""}, "id"),
        ({"user_id": ""}, "user_id"),
        ({"timestamp": dt.datetime(2026, 1, 1)}, "timestamp"),  # noqa: DTZ001
        ({"timestamp": "2026-01-01"}, "timestamp"),
        ({"ip_address": "here"}, "ip_address"),
        ({"details": "text"}, "details"),
        ({"details": {"x": "y" * 500_000}}, "item"),
    ],
)
def test_a_bad_entry_is_refused_by_its_field_and_nothing_is_written(
    given: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRecord) as refused:
        audit_service.record(event(**given))
    assert refused.value.field == field
    assert list(audit_service.get_user_events("ana")) == []


@pytest.mark.parametrize("missing", ["event_type", "resource", "action", "outcome", "source"])
def test_an_entry_says_who_did_what_and_how_it_ended(missing: str) -> None:
    given = event()
    del given[missing]
    with pytest.raises(InvalidRecord) as refused:
        audit_service.record(given)
    assert refused.value.field == missing


def test_an_entry_is_a_mapping() -> None:
    with pytest.raises(InvalidRecord) as refused:
        audit_service.record(["event_type"])  # type: ignore[arg-type]
    assert refused.value.field == "event"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"user_id": ""}, "user_id"),
        ({"start": dt.datetime(2026, 1, 1)}, "start"),  # noqa: DTZ001
        ({"end": NOON.date()}, "end"),
        ({"end": dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=1)))}, "end"),
        ({"start": NOON, "end": NOON - MINUTE}, "start"),
        ({"limit": -1}, "limit"),
        ({"cursor": "x"}, "cursor"),
    ],
)
def test_a_bad_question_about_a_user_is_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        audit_service.get_user_events(**{"user_id": "ana", **given})
    assert refused.value.field == field


@pytest.mark.parametrize("date", [NOON, "2026-09-22", None])
def test_a_day_must_be_a_date_and_no_point_in_time(date: Any) -> None:
    with pytest.raises(InvalidRecord) as refused:
        audit_service.get_events_of_day(date)
    assert refused.value.field == "date"
