"""Every public call has an async twin that does the same and fails the same, and whose types are
known: mypy checks this module."""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
from typing import Any, assert_type

import pytest
from asgiref.sync import async_to_sync

from daylight import database
from daylight.database import (
    cache_service,
    location_history_service,
    planning_service,
    session_service,
    user_service,
)
from daylight.models import Plan, User, WeatherCache
from daylight.services.base import Service
from dbcore.stores.errors import RecordNotFound, UniqueViolation
from dbcore.stores.pages import Page
from tests.daylight.services.conftest import refused, values

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("primary")]
SERVICES = [each for each in vars(database).values() if isinstance(each, Service)]
ANA = {"email": "ana@example.org", "password_hash": "hash"}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: type(service).__name__)
def test_each_call_has_a_twin_with_its_arguments_and_only_the_twin_is_awaited(
    service: Service, primary: str
) -> None:
    public = {name: each for name, each in vars(type(service)).items() if not name.startswith("_")}
    calls = {name: each for name, each in public.items() if not hasattr(each, "__wrapped__")}
    assert sorted(public) == sorted([*calls, *(f"a{name}" for name in calls)]) != []
    for name, call in calls.items():
        twin: Any = public[f"a{name}"]
        assert twin.__wrapped__ is call, "another call's twin"
        assert inspect.signature(twin) == inspect.signature(call)
        assert inspect.iscoroutinefunction(twin) and not inspect.iscoroutinefunction(call)
        assert twin.__name__ == f"a{name}" and name in (twin.__doc__ or "")
        assert call.__doc__


def test_a_twin_s_types_are_its_call_s() -> None:
    async def visit() -> None:
        user, _ = await user_service.acreate_user(ANA)
        user, plans = await asyncio.gather(
            user_service.aget_user_by_id(user.id), planning_service.aget_user_plans(user.id)
        )
        assert_type(user, User)
        assert_type(plans, Page[Plan])
        assert_type(await cache_service.aget_weather_cache("here"), WeatherCache | None)
        with pytest.raises(TypeError):
            await planning_service.aget_user_plans(user.id, most=1)  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            await user_service.aget_user_by_id()  # type: ignore[call-arg]

    async_to_sync(visit)()


def test_what_a_twin_writes_the_call_reads_and_the_other_way_round() -> None:
    user, profile = async_to_sync(user_service.acreate_user)(ANA)
    assert values(user_service.get_user_by_email(ANA["email"])) == values(user)
    assert user_service.get_user_profile(user.id) == profile
    plan = planning_service.create_plan(user.id, {"title": "Lake"})
    page = async_to_sync(planning_service.aget_user_plans)(user.id, limit=1)
    assert list(page) == [plan] and page.next_cursor is None


def test_a_twin_fails_as_its_call_does() -> None:
    create = async_to_sync(user_service.acreate_user)
    create(ANA)
    with pytest.raises(UniqueViolation):
        create(ANA)
    with pytest.raises(RecordNotFound):
        async_to_sync(session_service.aget_user_session)("nothing")
    refused("user_id", async_to_sync(planning_service.aget_user_plans), "")


def test_twins_that_are_gathered_are_all_done_right() -> None:
    async def visit() -> list[Any]:
        add = location_history_service.aadd_location_history
        return await asyncio.gather(*(add("ana", {"at": at}, "walk") for at in range(5)))

    added = async_to_sync(visit)()
    assert [each.location["at"] for each in added] == list(range(5))
    found = location_history_service.get_user_location_history("ana")
    assert {each.id for each in found} == {each.id for each in added}


def test_a_session_and_a_cached_answer_live_in_async_code() -> None:
    async def visit() -> tuple[Any, Any]:
        await user_service.acreate_user({**ANA, "id": "ana"})
        session_id, _ = await session_service.acreate_user_session("ana", ttl=dt.timedelta(hours=1))
        await session_service.aend_user_session(session_id, user_id="ana")
        await cache_service.aset_weather_cache("here", {"t": 1})
        return session_id, await cache_service.aget_weather_cache("here")

    session_id, cached = async_to_sync(visit)()
    assert cached.data == {"t": 1}
    with pytest.raises(RecordNotFound):
        session_service.get_user_session(session_id)
