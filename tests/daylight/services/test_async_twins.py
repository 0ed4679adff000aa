"""Every public call has an async twin that does the same and fails the same."""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from daylight.services.accounts import user_service
from daylight.services.base import Service
from daylight.services.caches import cache_service
from daylight.services.location_history import location_history_service
from daylight.services.planning import planning_service
from daylight.services.sessions import session_service
from dbcore.stores.errors import RecordNotFound, UniqueViolation
from tests.daylight.services.conftest import refused, values

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("primary")]
SERVICES = [
    user_service, session_service, planning_service, cache_service, location_history_service
]  # fmt: skip


def calls(service: Service) -> list[str]:
    """The names of a service's calls, as they were written."""
    written = {name for name, call in vars(type(service)).items() if inspect.isfunction(call)}
    return [name for name in written if not name.startswith("_") and f"a{name}" in written]


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: type(service).__name__)
def test_each_call_has_a_twin_with_its_arguments_and_only_the_twin_is_awaited(
    service: Any,
) -> None:
    names = calls(service)
    public = [name for name in vars(type(service)) if not name.startswith("_")]
    assert len(public) == 2 * len(names) > 0
    for name in names:
        call, twin = getattr(service, name), getattr(service, f"a{name}")
        assert inspect.signature(twin) == inspect.signature(call)
        assert inspect.iscoroutinefunction(twin) and not inspect.iscoroutinefunction(call)
        assert twin.__name__ == f"a{name}" and name in (twin.__doc__ or "")
        assert call.__doc__


def test_what_a_twin_writes_the_call_reads_and_the_other_way_round() -> None:
    data = {"email": "ana@example.org", "password_hash": "hash"}
    user, profile = async_to_sync(user_service.acreate_user)(data)  # type: ignore[attr-defined]
    assert values(user_service.get_user_by_id(user.id)) == values(user)
    assert user_service.get_user_profile(user.id) == profile
    plan = planning_service.create_plan(user.id, {"title": "Lake"})
    page = async_to_sync(planning_service.aget_user_plans)(user.id, limit=1)  # type: ignore[attr-defined]
    assert list(page) == [plan] and page.next_cursor is None


def test_a_twin_fails_as_its_call_does() -> None:
    data = {"email": "ana@example.org", "password_hash": "hash"}
    create = async_to_sync(user_service.acreate_user)  # type: ignore[attr-defined]
    create(data)
    with pytest.raises(UniqueViolation):
        create(data)
    with pytest.raises(RecordNotFound):
        async_to_sync(session_service.aget_user_session)("nothing")  # type: ignore[attr-defined]
    refused("user_id", async_to_sync(planning_service.aget_user_plans), "")  # type: ignore[attr-defined]


def test_twins_run_beside_one_another() -> None:
    async def visit() -> list[Any]:
        add: Any = location_history_service.aadd_location_history  # type: ignore[attr-defined]
        return await asyncio.gather(*(add("ana", {"at": at}, "walk") for at in range(5)))

    added = async_to_sync(visit)()
    found = location_history_service.get_user_location_history("ana")
    assert {each.id for each in found} == {each.id for each in added}


def test_a_session_and_a_cached_answer_live_in_async_code() -> None:
    async def visit() -> tuple[Any, Any]:
        sessions: Any = session_service
        caches: Any = cache_service
        session = await sessions.acreate_user_session("ana", ttl=dt.timedelta(hours=1))
        await sessions.aend_user_session(session.session_id, user_id="ana")
        await caches.aset_weather_cache("here", {"t": 1})
        return session, await caches.aget_weather_cache("here")

    session, cached = async_to_sync(visit)()
    assert cached.data == {"t": 1}
    with pytest.raises(RecordNotFound):
        session_service.get_user_session(session.session_id)
