"""A pool of connections to a server that restarts, is away, takes no more; and to threads that end
without a word. What a pool has to do with stores is in stores/test_sql_pools.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection, connections
from pytest_django import DjangoDbBlocker

from daylight.models import User
from dbcore.monitoring.alerts.monitor import bound_database
from dbcore.monitoring.pools import PoolUse, pools
from dbcore.postgresql.base import DatabaseWrapper
from dbcore.postgresql.pool import Pool
from dbcore.stores.errors import StoreUnavailable
from dbcore.stores.orm import OrmStore
from dbcore.stores.sql_pools import close_sql_pools
from tests.dbcore.monitoring.alerts.receivers import eventually
from tests.support.databases import complete, default_database
from tests.support.postgres import Postgres, Stoppable

ROOT = Path(__file__).resolve().parents[3]
SIZE = 3
LONG = 60.0  # seconds that no test waits
ANA = {"id": "ana"}


def pooled(server: Postgres, *, timeout: float = LONG, checks: bool = True) -> dict[str, Any]:
    """A database's settings, with a pool."""
    return {
        **server.settings("postgres"),
        "ENGINE": "dbcore.postgresql",
        "CONN_HEALTH_CHECKS": checks,
        "OPTIONS": {"pool": {"min_size": 0, "max_size": SIZE, "timeout": timeout}},
    }


def pool() -> Pool:
    found = connections["default"].pool  # type: ignore[attr-defined]
    assert isinstance(found, Pool)
    return found


def session() -> int:
    """The server's process for this thread's connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def with_a_connection(work: Callable[[], Any]) -> Any:
    """What comes of work, in a thread that gives its connection back."""
    try:
        return work()
    finally:
        connections.close_all()


@contextmanager
def taken(count: int) -> Iterator[list[int]]:
    """So many connections are in use by threads; their sessions."""
    done, together = threading.Event(), threading.Barrier(count + 1)

    def hold() -> int:
        found = session()
        together.wait(30)
        done.wait(30)
        return found

    with ThreadPoolExecutor(count) as threads:
        held: list[Future[int]] = [threads.submit(with_a_connection, hold) for _ in range(count)]
        together.wait(30)
        sessions: list[int] = []
        try:
            yield sessions
        finally:
            done.set()
            sessions += [each.result() for each in held]


@contextmanager
def default_pool(given: dict[str, Any]) -> Iterator[None]:
    """Django's default database is this, by a pool that nobody has used before or will after."""
    close_sql_pools()
    with default_database(given):
        try:
            yield
        finally:
            connection.close()
            close_sql_pools()


@pytest.fixture(scope="module")
def stoppable() -> Iterator[Stoppable]:
    server = Stoppable()
    yield server
    server.stop()


@pytest.fixture
def database(stoppable: Stoppable, django_db_blocker: DjangoDbBlocker) -> Iterator[Stoppable]:
    """The default database is the server that may be restarted, by a pool."""
    with django_db_blocker.unblock(), default_pool(pooled(stoppable)):
        yield stoppable
        if stoppable.is_away():
            stoppable.come_back()


def test_a_connection_is_used_again_by_whoever_comes_next(database: Stoppable) -> None:
    first = session()
    connections.close_all()
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(with_a_connection, session).result() == first
    assert pool().used == 0 and pool().get_stats()["pool_available"] == 1


def test_after_a_restart_of_the_server_nobody_notices(database: Stoppable) -> None:
    with taken(SIZE) as before:
        pass
    assert pool().get_stats()["pool_available"] == SIZE
    database.go()
    database.come_back()
    assert session()
    assert pool().get_stats()["connections_lost"] == 1, "the other two were not tried"
    connections.close_all()
    with taken(SIZE) as after:
        pass
    assert len({*before, *after}) == 2 * SIZE


def test_without_health_checks_the_first_call_fails_and_no_other(
    stoppable: Stoppable, django_db_blocker: DjangoDbBlocker
) -> None:
    given = pooled(stoppable, checks=False)
    with django_db_blocker.unblock(), default_pool(given):
        with taken(SIZE):
            pass
        stoppable.go()
        stoppable.come_back()
        store = OrmStore()
        with pytest.raises(StoreUnavailable):
            store.get(User, ANA)
        for _ in range(SIZE):
            assert session()
            connections.close_all()


def test_who_waits_for_a_server_that_is_away_is_told_at_once(database: Stoppable) -> None:
    session()
    connections.close_all()
    database.go()
    with ThreadPoolExecutor(2 * SIZE) as threads:
        asked = [threads.submit(with_a_connection, session) for _ in range(2 * SIZE)]
        for each in asked:
            with pytest.raises(OperationalError, match="connection"):
                each.result(LONG / 2)
    assert pool().used == 0
    database.come_back()
    with taken(SIZE):
        pass  # there is room for all of them, however many attempts have failed


def test_who_comes_while_the_last_attempt_fails_is_told_too(
    database: Stoppable, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.go()
    original, told = Pool._tell_waiting, list[str]()
    with ThreadPoolExecutor(1) as threads:
        late: list[Future[int]] = []

        def tell(self: Pool, why: str) -> None:
            original(self, why)
            told.append(why)
            if len(told) == 2:  # the first attempt of a connection is followed by one more
                late.append(threads.submit(with_a_connection, session))
                eventually(lambda: bool(self._waiting), "who comes late")

        monkeypatch.setattr(Pool, "_tell_waiting", tell)
        with pytest.raises(OperationalError):
            session()
        eventually(lambda: bool(late), "the second attempt")
        with pytest.raises(OperationalError):
            late[0].result(LONG / 2)


def test_a_server_that_takes_no_more_connections_is_named_as_such(
    database: Stoppable, django_db_blocker: DjangoDbBlocker
) -> None:
    with default_pool(pooled(database, timeout=0.3)):
        with connection.cursor() as cursor:
            cursor.execute("CREATE ROLE lonely LOGIN CONNECTION LIMIT 1")
        try:
            given = {**pooled(database, timeout=0.3), "USER": "lonely"}
            with default_pool(given), taken(1), pytest.raises(OperationalError) as full:
                session()
            assert "too many connections for role" in str(full.value)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("DROP ROLE lonely")


def test_a_connection_that_a_thread_has_lost_is_counted_no_longer(database: Stoppable) -> None:
    def lose() -> None:
        assert session()  # and end without closing it

    for _ in range(SIZE):
        thread = threading.Thread(target=lose)
        thread.start()
        thread.join()
    gc.collect()
    assert pool().used == 0
    with taken(SIZE):
        pass


def test_a_pool_that_was_never_used_uses_nothing(database: Stoppable) -> None:
    (found,) = (each for each in pools() if each.name == "default")
    assert found == PoolUse("default", 0, 0, 0, SIZE)


def test_connections_that_are_kept_by_age_and_by_a_pool_contradict(postgres: Postgres) -> None:
    wrapper = DatabaseWrapper(complete({**pooled(postgres), "CONN_MAX_AGE": 60}))
    with pytest.raises(ImproperlyConfigured, match="CONN_MAX_AGE must be 0"):
        assert wrapper.pool


def test_the_process_of_a_monitor_bounds_its_calls_by_a_pool_too(database: Stoppable) -> None:
    bound_database()
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("5s",)


FORKED = """
import os, signal, sys, threading
import django
django.setup()
from django.db import connection, connections

def session():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]

def given_back():
    try:
        return session()
    finally:
        connections.close_all()

mine = session()
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(1) as threads:
    given_back_to_it = threads.submit(given_back).result()
pool = connections["default"].pool
idle = pool.get_stats()["pool_available"]
assert (pool.used, idle) == (1, 1), (pool.used, idle)
held = threading.Event()

def hold(*locks):
    for each in locks:
        each.acquire()
    held.set()
    threading.Event().wait()

locks = (pool._sched._lock, pool._tasks.mutex)
threading.Thread(target=hold, args=locks, daemon=True).start()
held.wait()
def in_child():
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # a lock that nobody will ever release
        assert session() not in theirs
        connections.close_all()
        from daylight.database import shutdown_database
        shutdown_database()
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0

theirs = {mine, given_back_to_it}
del pool
in_child()  # one connection is in use, and one is idle
assert session() == mine, "nobody has said goodbye in the parent's name"
connections["default"].close()
in_child()  # both are idle
assert session() in theirs
print("parent", flush=True)
os._exit(0)
"""


def test_a_forked_child_leaves_its_parents_pool_alone(postgres: Postgres, tmp_path: Path) -> None:
    (tmp_path / "forked_settings.py").write_text(
        f"from settings.test import *\nDATABASES = {{'default': {pooled(postgres)!r}}}\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
        env={
            "PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{tmp_path}",
            "DAYLIGHT_ENV_FILE": os.devnull,
            "DAYLIGHT_ENV": "test", "DJANGO_SETTINGS_MODULE": "forked_settings",
        },
    )  # fmt: skip
    assert done.stdout == "parent\n" and not done.stderr, done.stderr
