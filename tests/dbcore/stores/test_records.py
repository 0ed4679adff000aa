"""One record: added, read, changed, removed, with the same answers from either store."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from daylight.models import AuditLog, LocationHistory, Plan, RateLimit, User, WeatherCache
from dbcore.items import layout_of
from dbcore.stores.errors import (
    AlreadyExists,
    Conflict,
    InvalidRecord,
    RecordNotFound,
    UniqueViolation,
)
from dbcore.stores.interface import Add, Delete, Query, Store, Update

pytestmark = pytest.mark.django_db(transaction=True)
NOW = dt.datetime(2026, 9, 23, 12, 0, 0, 5, tzinfo=dt.UTC)


def make_user(**given: Any) -> User:
    return User(**{"email": "ana@example.org", "password_hash": "x", **given})


def make_plan(**given: Any) -> Plan:
    return Plan(**{"user_id": "u1", "title": "Lake", **given})


def values(record: Any) -> dict[str, Any]:
    return {column.name: getattr(record, column.name) for column in layout_of(type(record)).columns}


def test_a_record_comes_back_as_it_was_added(store: Store) -> None:
    plan = store.add(make_plan(location={"lat": 46.05, "tags": [1, None, "ö"]}, end_time=NOW))
    found = store.get(Plan, {"user_id": "u1", "id": plan.id})
    assert found is not None and values(found) == values(plan)
    assert found == plan and found.pk == plan.pk
    assert store.get(Plan, {"user_id": "u2", "id": plan.id}) is None


def test_a_key_is_taken_once_for_each_owner(store: Store) -> None:
    store.add(make_plan(id="p"))
    with pytest.raises(AlreadyExists):
        store.add(make_plan(id="p", title="Other"))
    store.add(make_plan(id="p", user_id="u2"))
    assert store.get(Plan, {"user_id": "u1", "id": "p"}).title == "Lake"


def test_an_update_changes_what_it_names_and_nothing_else(store: Store) -> None:
    plan = store.add(make_plan(description="d", updated_at=NOW, created_at=NOW))
    key = {"user_id": "u1", "id": plan.id}
    changed = store.update(Plan, key, {"title": "Sea", "end_time": NOW})
    assert (changed.title, changed.description, changed.end_time) == ("Sea", "d", NOW)
    assert changed.updated_at > NOW and changed.created_at == NOW
    assert values(store.get(Plan, key)) == values(changed)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"id": "other"}, "id"),
        ({"title": 5}, "title"),
        ({"title": None}, "title"),
        ({"title": "x" * 256}, "title"),
        ({"status": "lost"}, "status"),
        ({"end_time": dt.datetime(2026, 1, 1)}, "end_time"),  # noqa: DTZ001
        ({"preferences": {"x": float("nan")}}, "preferences"),
        ({"preferences": {"x": "y" * 500_000}}, "item"),
    ],
)
def test_a_bad_change_is_refused_by_its_field(
    store: Store, changes: dict[str, Any], field: str
) -> None:
    plan = store.add(make_plan())
    with pytest.raises(InvalidRecord) as refused:
        store.update(Plan, {"user_id": "u1", "id": plan.id}, changes)
    assert refused.value.field == field
    assert values(store.get(Plan, {"user_id": "u1", "id": plan.id})) == values(plan)


def test_a_record_that_is_not_there_cannot_be_changed_or_removed(store: Store) -> None:
    key = {"user_id": "u1", "id": "nothing"}
    with pytest.raises(RecordNotFound):
        store.update(Plan, key, {"title": "x"})
    with pytest.raises(RecordNotFound):
        store.delete(Plan, key)


def test_expectations_are_held(store: Store) -> None:
    plan = store.add(make_plan())
    key = {"user_id": "u1", "id": plan.id}
    with pytest.raises(Conflict):
        store.update(Plan, key, {"title": "x"}, expect={"status": "completed"})
    store.update(Plan, key, {"status": "completed"}, expect={"status": "active"})
    with pytest.raises(Conflict):
        store.delete(Plan, key, expect={"status": "active"})
    store.delete(Plan, key, expect={"status": "completed"})
    assert store.get(Plan, key) is None


def test_a_unique_value_has_one_owner_case_aside_and_is_free_again(store: Store) -> None:
    ana = store.add(make_user(id="ana", username="ana"))
    with pytest.raises(UniqueViolation) as taken:
        store.add(make_user(email="ANA@Example.org"))
    assert taken.value.field == "email"
    bea = store.add(make_user(id="bea", email="bea@example.org"))
    with pytest.raises(UniqueViolation):
        store.update(User, {"id": "bea"}, {"username": "ana"})
    store.update(User, {"id": "ana"}, {"email": "Ana@example.org"})
    assert store.get_by_unique(User, "email", "aNa@example.ORG") == ana
    store.update(User, {"id": "ana"}, {"email": "new@example.org"})
    assert store.get_by_unique(User, "email", "ana@example.org") is None
    store.update(User, {"id": "bea"}, {"email": "ana@example.org"})
    assert store.get_by_unique(User, "email", "ana@example.org") == bea
    store.delete(User, {"id": "bea"})
    store.add(make_user(id="cat"))


def test_what_is_append_only_stays(store: Store) -> None:
    entry = AuditLog(event_type="e", resource="r", action="a", outcome="success", source="s")
    store.add(entry)
    with pytest.raises(InvalidRecord):
        store.update(AuditLog, {"id": entry.id}, {"action": "b"})
    with pytest.raises(InvalidRecord):
        store.delete(AuditLog, {"id": entry.id})
    with pytest.raises(InvalidRecord):
        store.put(entry)


def test_put_writes_over_and_expiry_hides(store: Store) -> None:
    later = NOW + dt.timedelta(hours=1)
    store.put(WeatherCache(location_key="k", data={"t": 1}, expires_at=NOW))
    store.put(WeatherCache(location_key="k", data={"t": 2}, expires_at=later))
    assert store.get(WeatherCache, {"location_key": "k"}, live_at=NOW).data == {"t": 2}
    assert store.get(WeatherCache, {"location_key": "k"}, live_at=later) is None


def test_a_counter_stops_at_its_limit(store: Store) -> None:
    def hit() -> RateLimit | None:
        initial = RateLimit(
            identifier="ip", window_start=NOW, limit=3, window_seconds=60, expires_at=NOW
        )
        return store.increment(initial, "count", below=3)

    counts = [found.count if found else None for found in (hit() for _ in range(5))]
    assert counts == [1, 2, 3, None, None]


def test_a_list_goes_on_where_it_ended_newest_first_ties_by_key(store: Store) -> None:
    for at in range(7):
        time = NOW + dt.timedelta(seconds=at // 3)
        store.add(LocationHistory(user_id="u", id=f"h{at}", location={"a": 1}, timestamp=time))
    store.add(LocationHistory(user_id="v", id="other", location={}, timestamp=NOW))

    def page(after: Any) -> Any:
        return store.query(
            Query(LocationHistory, "user_id", "u", "timestamp", limit=2, after=after)
        )

    seen, after = [], None
    while True:
        records, after = page(after)
        seen.append([record.id for record in records])
        if after is None:
            break
    assert seen == [["h6", "h5"], ["h4", "h3"], ["h2", "h1"], ["h0"]]
    bounded = Query(LocationHistory, "user_id", "u", "timestamp", 50, low=NOW, high=NOW)
    assert [record.id for record in store.query(bounded)[0]] == ["h2", "h1", "h0"]


def test_a_day_is_listed_over_its_shards(store: Store) -> None:
    for at in range(20):
        time = dt.datetime(2026, 9, 22, at, tzinfo=dt.UTC)
        store.add(AuditLog(id=f"a{at:02}", event_type="e", resource="r", action="a",
                           outcome="success", source="s", timestamp=time))  # fmt: skip
    store.add(AuditLog(id="next", event_type="e", resource="r", action="a", outcome="success",
                       source="s", timestamp=NOW))  # fmt: skip
    query = Query(AuditLog, "day", dt.date(2026, 9, 22), "timestamp", limit=15)
    records, after = store.query(query)
    assert [record.id for record in records] == [f"a{at:02}" for at in range(19, 4, -1)]
    assert after is not None


def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    store.add(make_plan(id="p1"))
    with pytest.raises(AlreadyExists):
        store.transact([Add(make_plan(id="p2")), Add(make_plan(id="p1"))])
    assert store.get(Plan, {"user_id": "u1", "id": "p2"}) is None
    store.transact(
        [
            Add(make_plan(id="p2")),
            Update(Plan, {"user_id": "u1", "id": "p1"}, {"title": "New"}),
        ]
    )
    store.transact([Delete(Plan, {"user_id": "u1", "id": "p2"})])
    assert store.get(Plan, {"user_id": "u1", "id": "p1"}).title == "New"
    assert store.get(Plan, {"user_id": "u1", "id": "p2"}) is None
