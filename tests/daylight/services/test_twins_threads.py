"""In which threads twins run: beside one another on DynamoDB, in one thread with an SQL store."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from daylight.database import planning_service, shutdown_database, user_service
from daylight.models import User
from daylight.services.base import Service
from daylight.services.twins import end_threads, twin
from dbcore.local_engine import LocalEngine
from dbcore.stores.choice import primary_store
from dbcore.wire import HOOKS
from tests.support.proxy import Answer, Custom, FaultProxy

ROOT = Path(__file__).resolve().parents[3]
LONG = 30.0  # seconds; a wait that takes it has failed
REQUEST: ContextVar[int] = ContextVar("REQUEST")


class Where(Service):
    """Tells where its call runs."""

    def tell(self) -> tuple[int, int]:
        return REQUEST.get(), threading.get_ident()

    atell = twin(tell)


@pytest.fixture
def proxy(dynamodb_tables: None, settings: Any) -> Iterator[FaultProxy]:
    """On the way to DynamoDB, which is primary. No test here may use Django's database, which
    pytest-django sees to."""
    settings.DATABASE_PRIMARY = "dynamodb"
    end_threads()  # those of other tests
    with FaultProxy(settings.DYNAMODB_ENDPOINT) as between:
        settings.DYNAMODB_ENDPOINT = between.endpoint
        yield between


def add_users(count: int) -> list[str]:
    store = primary_store(cached=False)
    names = [f"u{at}" for at in range(count)]
    for name in names:
        store.add(User(id=name, email=f"{name}@example.org", password_hash="x"))
    return names


def read_together(names: list[str]) -> list[str]:
    """The ids of these users, each read by a twin with a request id of its own."""

    async def read(at: int, name: str) -> User:
        REQUEST.set(at)
        return await user_service.aget_user_by_id(name)

    async def gather() -> list[User]:
        return await asyncio.gather(*(read(at, name) for at, name in enumerate(names)))

    return [user.id for user in async_to_sync(gather)()]


def together(count: int) -> Custom:
    """Lets reads through once so many of them are here at the same time."""
    barrier = threading.Barrier(count)

    def meet(call: Any) -> Answer | None:
        barrier.wait(LONG)
        return None

    return Custom(meet, operations=("GetItem",))


@pytest.mark.parametrize("cached", [False, True])
def test_ten_gathered_reads_are_under_way_at_once_each_in_its_request_s_context(
    proxy: FaultProxy, settings: Any, cached: bool
) -> None:
    settings.APP_CACHE_ENABLED = cached
    names = add_users(10)
    proxy.set_faults(together(10))
    seen: list[tuple[int, int]] = []
    HOOKS.append(lambda call: seen.append((REQUEST.get(), threading.get_ident())))
    assert read_together(names) == names
    assert sorted(at for at, _ in seen) == list(range(10))
    assert len({thread for _, thread in seen}) == 10


def test_no_more_reads_are_under_way_than_the_wire_has_connections(
    proxy: FaultProxy, settings: Any
) -> None:
    settings.DYNAMODB_POOL_SIZE = 3
    names = add_users(12)
    proxy.set_faults(together(3))
    threads = set()
    HOOKS.append(lambda call: threads.add(threading.get_ident()))
    assert read_together(names) == names
    assert len(threads) == 3


@pytest.mark.django_db(transaction=True)
def test_twins_leave_their_thread_only_where_the_store_allows_it(primary: str) -> None:
    async def ask(at: int) -> tuple[int, int]:
        REQUEST.set(at)
        return await Where().atell()

    async def gather() -> list[tuple[int, int]]:
        return await asyncio.gather(*(ask(at) for at in range(5)))

    told = async_to_sync(gather)()
    assert [at for at, _ in told] == list(range(5))
    here = {threading.get_ident()}
    threads = {thread for _, thread in told}
    assert threads.isdisjoint(here) if primary == "dynamodb" else threads == here


@pytest.mark.django_db(transaction=True)
def test_a_twin_whose_await_is_cancelled_is_done_to_its_end_or_never_begun(
    primary: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DYNAMODB_POOL_SIZE = 1
    end_threads()
    reached, go_on, store = threading.Event(), threading.Event(), type(primary_store())
    transact = store.transact

    def held(own: Any, writes: Any) -> None:
        reached.set()
        assert go_on.wait(LONG)
        transact(own, writes)

    async def visit() -> None:
        ana = {"id": "ana", "email": "ana@example.org", "password_hash": "x"}
        begun = asyncio.create_task(user_service.acreate_user(ana))
        assert await asyncio.to_thread(reached.wait, LONG)
        waiting = asyncio.create_task(planning_service.acreate_plan("ana", {"title": "Lake"}))
        await asyncio.sleep(0)
        for task in (begun, waiting):
            task.cancel()
        await asyncio.wait({begun, waiting}, timeout=LONG)
        assert begun.cancelled() and waiting.cancelled()  # who awaits them is told at once
        go_on.set()
        user = await user_service.aget_user_by_id("ana")  # and threads and connections are as ever
        assert (await user_service.aget_user_profile("ana")).user_id == user.id
        assert list(await planning_service.aget_user_plans("ana")) == []

    monkeypatch.setattr(store, "transact", held)
    async_to_sync(visit)()


@pytest.mark.parametrize(
    ("primary", "backend", "bound"),
    [
        ("dynamodb", "django.core.cache.backends.locmem.LocMemCache", False),
        ("dynamodb", "django.core.cache.backends.redis.RedisCache", False),
        ("dynamodb", "django.core.cache.backends.db.DatabaseCache", True),
        ("sqlite", "django.core.cache.backends.locmem.LocMemCache", True),
    ],
)
def test_a_cache_that_threads_may_not_share_keeps_calls_in_one(
    settings: Any, primary: str, backend: str, bound: bool
) -> None:
    settings.DATABASE_PRIMARY = primary
    settings.APP_CACHE_ENABLED = True
    settings.CACHES = {"records": {"BACKEND": backend, "LOCATION": "x"}}
    assert primary_store().thread_bound is bound
    assert primary_store(cached=False).thread_bound is (primary == "sqlite")


def test_calls_that_are_under_way_at_a_shutdown_are_done_and_later_ones_too(
    proxy: FaultProxy, settings: Any
) -> None:
    settings.DYNAMODB_POOL_SIZE = 1
    names = add_users(3)
    reached, go_on = threading.Event(), threading.Event()

    def hold(call: Any) -> Answer | None:
        reached.set()
        assert go_on.wait(LONG)
        return None

    proxy.set_faults(Custom(hold, times=1, operations=("GetItem",)))
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.extend(read_together(names)))
    reader.start()
    assert reached.wait(LONG)
    pool = [each for each in threading.enumerate() if each.name.startswith("daylight-twins")]
    end_threads()
    go_on.set()
    reader.join(LONG)
    assert found == names and len(pool) == 1
    pool[0].join(LONG)
    assert not pool[0].is_alive()
    assert read_together(names) == names
    shutdown_database()
    assert read_together(names) == names


FORKED = """
import asyncio, os, signal
import django
django.setup()
from daylight.database import planning_service as plans
from dbcore.table_sync import sync_tables

sync_tables()

async def add(*names):
    await asyncio.gather(*(plans.acreate_plan("u", {"id": each, "title": "x"}) for each in names))

asyncio.run(add("a", "b", "c", "d"))
pid = os.fork()
if pid == 0:
    signal.alarm(20)  # waiting for threads that only its parent has
    asyncio.run(add("child"))
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
asyncio.run(add("e"))
"""


def test_a_forked_child_has_threads_of_its_own(
    dynamodb: LocalEngine, settings: Any, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "settings.development",
        "DAYLIGHT_ENV_FILE": os.devnull,
        "DATABASE_PRIMARY": "dynamodb",
        "DYNAMODB_ENDPOINT": dynamodb.endpoint,
        "DYNAMODB_TABLE_PREFIX": settings.DYNAMODB_TABLE_PREFIX,
    }
    program = [sys.executable, "-W", "ignore", "-c", FORKED]
    subprocess.run(program, cwd=ROOT, env=environment, check=True, timeout=4 * LONG)
    settings.DATABASE_PRIMARY = "dynamodb"
    found = {plan.id for plan in planning_service.get_user_plans("u")}
    assert found == {"a", "b", "c", "d", "child", "e"}
