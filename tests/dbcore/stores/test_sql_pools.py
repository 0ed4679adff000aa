"""psycopg's pool under the layer: it is not shared with children, not drained by errors, not left
open; where it is full that is said, and a server that restarts is asked again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction

from daylight.database import planning_service, shutdown_database
from daylight.models import Plan
from dbcore.monitoring.pools import pools
from dbcore.stores.errors import StoreUnavailable
from dbcore.stores.sql_pools import sql_pools
from tests.dbcore.monitoring.alerts.receivers import eventually
from tests.support.databases import default_database
from tests.support.postgres import Postgres

pytestmark = pytest.mark.django_db(transaction=True)
SIZE = 3
DATABASE = "pooled"


@pytest.fixture
def pooled(postgres: Postgres, settings: Any) -> Iterator[Postgres]:
    """Django's default database is PostgreSQL through a pool of three."""
    settings.DATABASE_PRIMARY = "postgresql"
    with postgres.as_default(DATABASE):
        pass
    given = postgres.settings(DATABASE) | {
        "ENGINE": "dbcore.postgresql",
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"pool": {"min_size": 1, "max_size": SIZE, "timeout": 0.5}},
    }
    with default_database(given):
        yield postgres
        Plan.objects.all().delete()
        connection.close()
        shutdown_database()


def sessions(postgres: Postgres) -> set[int]:
    """The server's processes for Django's connections."""
    with postgres.connect("postgres") as own:
        found = own.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s", [DATABASE]
        ).fetchall()
    return {pid for (pid,) in found}


def pid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_many_threads_use_few_connections_and_give_them_back(pooled: Postgres) -> None:
    def work(at: int) -> None:
        try:
            planning_service.create_plan("ana", {"title": f"plan {at}"})
        finally:
            connections.close_all()  # as Django does when a request ends

    with ThreadPoolExecutor(SIZE) as threads:
        list(threads.map(work, range(30)))
    assert Plan.objects.count() == 30
    connection.close()
    assert len(sessions(pooled)) <= SIZE
    (seen,) = [each for each in pools() if each.name == "default"]
    assert (seen.used, seen.limit) == (0, SIZE)


def test_a_full_pool_is_named_with_what_to_raise_and_recovers(pooled: Postgres) -> None:
    held, done = threading.Barrier(SIZE + 1), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                pid()
                held.wait()
                done.wait(30)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=hold) for _ in range(SIZE)]
    for each in threads:
        each.start()
    held.wait()
    try:
        with pytest.raises(
            StoreUnavailable, match=r"all 3 connections .* raise DATABASE_POOL_SIZE"
        ):
            planning_service.get_user_plans("ana")
        (seen,) = [each for each in pools() if each.name == "default"]
        assert (seen.used, seen.share) == (SIZE, 1.0)
    finally:
        done.set()
        for each in threads:
            each.join()
    assert not list(planning_service.get_user_plans("ana"))


def test_a_server_that_ended_the_sessions_is_asked_again(pooled: Postgres) -> None:
    planning_service.create_plan("ana", {"title": "before"})
    with pooled.connect("postgres") as own:
        own.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [DATABASE]
        )
    try:
        planning_service.get_user_plans("ana")
    except StoreUnavailable:
        pass  # the one that was in use; no other
    assert [each.title for each in planning_service.get_user_plans("ana")] == ["before"]


def test_a_shutdown_says_goodbye_and_what_comes_later_opens_a_new_pool(pooled: Postgres) -> None:
    planning_service.create_plan("ana", {"title": "before"})
    assert sessions(pooled)
    connection.close()
    shutdown_database()
    assert not sql_pools()
    eventually(lambda: not sessions(pooled), "the end of the server's side")
    assert len(planning_service.get_user_plans("ana")) == 1


def test_a_child_opens_a_pool_of_its_own_and_ends_nobodys_session(pooled: Postgres) -> None:
    of_parent = pid()
    connection.close()  # back in the pool, whose threads are at work
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(writing, "w") as told:
                told.write(str(pid()))
            connection.close()
            shutdown_database()
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with os.fdopen(reading) as told:
        assert int(told.read()) != of_parent
    assert of_parent in sessions(pooled), "the parent's session was ended"
    assert not list(planning_service.get_user_plans("ana"))
