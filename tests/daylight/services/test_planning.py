"""A user's plans: kept, listed and changed for their owner alone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from daylight.models import Plan
from daylight.services.planning import planning_service
from dbcore.items import layout_of
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.errors import AlreadyExists, RecordNotFound
from dbcore.stores.interface import Store
from tests.daylight.services.conftest import refused, values

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("primary")]
NOON = dt.datetime(2026, 9, 23, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def make(user_id: str = "ana", **given: Any) -> Plan:
    return planning_service.create_plan(user_id, {"title": "Lake", **given})


def test_a_plan_comes_back_as_it_was_made() -> None:
    plan = make(
        description="with ö and 😀",
        location={"lat": 46.05, "lng": -0.0, "big": 10**30, "tiny": 1e-130, "": [None, True]},
        start_time=NOON.astimezone(dt.timezone(dt.timedelta(hours=2))),
        activities=["swim", {"at": 1.0}],
        status="completed",
    )
    found = planning_service.get_plan_by_id(plan.id, "ana")
    assert values(found) == values(plan) and found.pk == plan.pk
    assert found.start_time == NOON and found.end_time is None


def test_a_plan_is_out_of_reach_through_another_users_id() -> None:
    plan = make()
    for call in (planning_service.get_plan_by_id, planning_service.delete_plan):
        with pytest.raises(RecordNotFound):
            call(plan.id, "bea")
    with pytest.raises(RecordNotFound):
        planning_service.update_plan(plan.id, "bea", {"title": "Sea"})
    data = {"title": "Sea", "user_id": "ana"}
    refused("user_id", planning_service.create_plan, "bea", data)
    refused("user_id", planning_service.update_plan, plan.id, "ana", {"user_id": "bea"})
    assert list(planning_service.get_user_plans("bea")) == []
    assert planning_service.get_plan_by_id(plan.id, "ana").title == "Lake"


def test_an_id_is_taken_once_for_each_user() -> None:
    make(id="p")
    with pytest.raises(AlreadyExists):
        make(id="p", title="Other")
    make("bea", id="p")
    assert planning_service.get_plan_by_id("p", "ana").title == "Lake"


def test_plans_are_listed_newest_first_as_soon_as_they_are_made() -> None:
    plans = [make(title=str(at), created_at=NOON + dt.timedelta(hours=at)) for at in range(3)]
    assert [each.title for each in planning_service.get_user_plans("ana")] == ["2", "1", "0"]
    planning_service.delete_plan(plans[1].id, "ana")
    assert [each.title for each in planning_service.get_user_plans("ana")] == ["2", "0"]
    with pytest.raises(RecordNotFound):
        planning_service.delete_plan(plans[1].id, "ana")


def test_an_update_changes_what_it_names() -> None:
    plan = make(description="d")
    changed = planning_service.update_plan(plan.id, "ana", {"title": "Sea", "location": {"a": 1}})
    assert (changed.title, changed.description, changed.location) == ("Sea", "d", {"a": 1})
    assert changed.updated_at > plan.updated_at
    assert values(planning_service.get_plan_by_id(plan.id, "ana")) == values(changed)
    cleared = planning_service.update_plan(plan.id, "ana", {"location": None})
    assert cleared.location is None


BAD = [
    ({"nonsense": 1}, "nonsense"),
    ({"title": ""}, "title"),
    ({"title": None}, "title"),
    ({"title": 5}, "title"),
    ({"title": "x" * 256}, "title"),
    ({"description": "a\0b"}, "description"),
    ({"status": "lost"}, "status"),
    ({"status": 5}, "status"),
    ({"start_time": dt.datetime(2026, 1, 1)}, "start_time"),  # noqa: DTZ001
    ({"start_time": dt.date(2026, 1, 1)}, "start_time"),
    ({"activities": "swim"}, "activities"),
    ({"activities": ("swim",)}, "activities"),
    ({"preferences": {"x": float("nan")}}, "preferences"),
    ({"preferences": {"x": 10**38}}, "preferences"),
    ({"preferences": {5: "x"}}, "preferences"),
    ({"preferences": {"x": NOON}}, "preferences"),
    ({"preferences": {"x": "\0"}}, "preferences"),
    ({"preferences": {"x": "y" * 500_000}}, "item"),
]


@pytest.mark.parametrize(("given", "field"), BAD)
def test_a_bad_plan_is_refused_by_its_field(given: dict[str, Any], field: str) -> None:
    refused(field, make, **given)
    assert list(planning_service.get_user_plans("ana")) == []


@pytest.mark.parametrize(("given", "field"), BAD)
def test_a_bad_update_is_refused_and_nothing_is_changed(given: dict[str, Any], field: str) -> None:
    plan = make()
    updates = {"end_time": NOON, **given}
    refused(field, planning_service.update_plan, plan.id, "ana", updates)
    assert values(planning_service.get_plan_by_id(plan.id, "ana")) == values(plan)


LATER = NOON + dt.timedelta(microseconds=1)


def test_a_plan_does_not_end_before_it_starts() -> None:
    refused("end_time", make, start_time=LATER, end_time=NOON)
    plan = make(start_time=NOON, end_time=NOON)
    for updates in (
        {"end_time": NOON - HOUR},
        {"start_time": LATER},
        {"start_time": NOON + HOUR, "end_time": LATER},
    ):
        refused("end_time", planning_service.update_plan, plan.id, "ana", updates)
    assert values(planning_service.get_plan_by_id(plan.id, "ana")) == values(plan)
    there = NOON.astimezone(dt.timezone(dt.timedelta(hours=9)))
    moved = planning_service.update_plan(plan.id, "ana", {"start_time": there, "end_time": LATER})
    assert (moved.start_time, moved.end_time) == (NOON, LATER)
    planning_service.update_plan(plan.id, "ana", {"end_time": None})
    assert planning_service.update_plan(plan.id, "ana", {"start_time": LATER}).end_time is None
    with pytest.raises(RecordNotFound):
        planning_service.update_plan("none", "ana", {"start_time": NOON})


def test_nor_does_it_where_another_changes_the_other_time_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make(start_time=NOON, end_time=NOON + HOUR)
    usual, key = type(store).update, {"user_id": "ana", "id": plan.id}
    others = [{"end_time": LATER}]

    def update(own: Any, *args: Any, **given: Any) -> Any:
        if others:
            usual(own, Plan, key, others.pop())
        return usual(own, *args, **given)

    monkeypatch.setattr(type(store), "update", update)
    refused(
        "end_time", planning_service.update_plan, plan.id, "ana", {"start_time": NOON + HOUR / 2}
    )
    planning_service.update_plan(plan.id, "ana", {"end_time": NOON + HOUR})
    others.append({"end_time": NOON + 2 * HOUR})
    changed = planning_service.update_plan(plan.id, "ana", {"start_time": NOON + HOUR / 2})
    assert (changed.start_time, changed.end_time) == (NOON + HOUR / 2, NOON + 2 * HOUR)


def test_a_migrated_plan_that_ends_before_it_starts_can_still_be_changed(store: Store) -> None:
    plan = store.add(Plan(user_id="ana", title="Lake", start_time=LATER, end_time=NOON))
    assert planning_service.update_plan(plan.id, "ana", {"title": "Sea"}).title == "Sea"


def test_arguments_that_make_no_sense_are_refused_by_name() -> None:
    refused("title", planning_service.create_plan, "ana", {})
    refused("data", planning_service.create_plan, "ana", None)
    refused("updates", planning_service.update_plan, make().id, "ana", None)
    for bad in ("", None, 5, "x" * 65, "\0"):
        refused("user_id", planning_service.create_plan, bad, {"title": "Lake"})
        refused("user_id", planning_service.get_user_plans, bad)
        refused("user_id", planning_service.get_plan_by_id, "p", bad)
        refused("plan_id", planning_service.get_plan_by_id, bad, "ana")
        refused("plan_id", planning_service.update_plan, bad, "ana", {})
        refused("plan_id", planning_service.delete_plan, bad, "ana")


def test_a_migrated_plan_that_would_be_refused_today_can_still_be_changed(store: Store) -> None:
    plan = Plan(user_id="ana", id="old", title="", status="lost")
    if isinstance(store, DynamoStore):
        layout = layout_of(Plan)
        item = layout.to_item(values(plan))
        store.wire.call("PutItem", {"TableName": layout.table_name, "Item": item})
    else:
        plan.save(force_insert=True)
    changed = planning_service.update_plan("old", "ana", {"description": "d"})
    assert (changed.title, changed.status, changed.description) == ("", "lost", "d")
    refused("title", planning_service.update_plan, "old", "ana", {"title": ""})
