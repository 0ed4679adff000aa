"""Leases in SQL databases, with holders that are real processes and really die; they mean what
DynamoDB's mean (test_leases.py)."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.utils import timezone
from pytest_django import DjangoDbBlocker

import dbcore.job_leases
from dbcore.dynamo.leases import LeaseHeld, LeaseLost, process_birth, process_place
from dbcore.job_leases import SqlLease
from dbcore.models import JobLease
from tests.dbcore.wire.server import PATIENCE
from tests.support.databases import default_database

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parents[2]
JOB = "a job"
needs_proc = pytest.mark.skipif(
    not process_place(), reason="this system does not tell processes apart for good"
)


@pytest.fixture
def sqlite_file(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Path]:
    """Django's default database is a file, as in production: for threads and other processes."""
    given = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(tmp_path / "leases.sqlite3"),
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 60,
        },
    }
    with django_db_blocker.unblock(), default_database(given):
        call_command("migrate", "dbcore", verbosity=0, interactive=False)
        yield tmp_path / "leases.sqlite3"


@pytest.fixture(params=["sqlite", "postgresql"], autouse=True)
def database(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("sqlite_file" if request.param == "sqlite" else "postgresql_tables")


def write(owner: str, **other: Any) -> None:
    """A lease as another process would have written it."""
    now = timezone.now()
    row = {
        "owner": owner, "host": "elsewhere.example", "pid": 4711, "birth": "1",
        "place": "another boot", "since": now, "expires_at": now + dt.timedelta(seconds=15),
    }  # fmt: skip
    JobLease.objects.update_or_create(name=JOB, defaults={**row, **other})


def run_out() -> dt.datetime:
    return timezone.now() - dt.timedelta(seconds=1)


def owner() -> str | None:
    holder = SqlLease(JOB, "a spectator").holder()
    return None if holder is None else holder.owner


def test_a_second_owner_is_refused_and_told_who_the_first_is() -> None:
    with SqlLease(JOB, "first"):
        with pytest.raises(LeaseHeld) as caught:
            SqlLease(JOB, "second").acquire()
        message = str(caught.value)
        assert f"another {JOB} is running: first on {platform.node()}" in message
        assert f"process {os.getpid()}, since 20" in message and "seconds" in message
        assert owner() == "first"
        with SqlLease("another job", "second"):
            assert owner() == "first"
        SqlLease(JOB, "first").acquire()  # it is theirs
    assert owner() is None


def test_a_lease_is_given_up_when_the_work_fails() -> None:
    with pytest.raises(ZeroDivisionError), SqlLease(JOB, "first"):
        raise ZeroDivisionError
    assert owner() is None


def test_a_lease_that_was_refused_is_not_given_up_for_its_holder() -> None:
    write("first")
    with pytest.raises(LeaseHeld), SqlLease(JOB, "second"):
        pytest.fail("two hold the lease")
    assert owner() == "first"


def test_a_lease_that_has_run_out_is_taken_over() -> None:
    write("first", expires_at=run_out())
    with SqlLease(JOB, "second"):
        assert owner() == "second"


@needs_proc
def test_a_dead_holder_is_told_from_one_that_lives_and_from_one_elsewhere() -> None:
    ours = {"pid": os.getpid(), "place": process_place()}
    write("first", **ours, birth=process_birth(os.getpid()))
    with pytest.raises(LeaseHeld):
        SqlLease(JOB, "second").acquire()
    write("first", pid=os.getpid(), place="another boot", birth="12345")
    with pytest.raises(LeaseHeld):
        SqlLease(JOB, "second").acquire()
    write("first", **ours, birth="12345")
    with SqlLease(JOB, "second"):
        assert owner() == "second"


@pytest.mark.parametrize("state", ["free", "run out", pytest.param("dead", marks=needs_proc)])
def test_of_many_that_want_a_lease_at_once_one_gets_it(state: str) -> None:
    together = threading.Barrier(6)

    def try_it(n: int) -> str:
        try:
            together.wait(PATIENCE)
            SqlLease(JOB, f"owner {n}").acquire()
        except LeaseHeld as error:
            return str(error)
        finally:
            connections.close_all()
        return "mine"

    if state == "run out":
        write("first", expires_at=run_out())
    elif state == "dead":
        write("first", pid=os.getpid(), place=process_place())
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(try_it, range(6)))
    assert answers.count("mine") == 1
    winner = f"owner {answers.index('mine')}"
    assert owner() == winner
    assert all(winner in each for each in answers if each != "mine")


# A process that takes the lease, says so, and holds it until its input ends.
HOLDER = """
import sys
import django
django.setup()
from dbcore.job_leases import SqlLease
with SqlLease(sys.argv[1], "the other process"):
    print("it is mine", flush=True)
    sys.stdin.read()
"""


@needs_proc
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_lease_of_a_process_that_was_killed_is_taken_over_at_once(sqlite_file: Path) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "settings.test",
        "DAYLIGHT_ENV": "test",
        "DATABASE_URL": f"sqlite:///{sqlite_file}",
    }
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, JOB], cwd=ROOT, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "it is mine\n"
        with pytest.raises(LeaseHeld, match=f"the other process on .*, process {process.pid},"):
            SqlLease(JOB, "ours").acquire()
        process.kill()
    holder = SqlLease(JOB, "a spectator").holder()
    assert holder is not None and holder.is_dead
    with SqlLease(JOB, "ours"):
        assert owner() == "ours"


def test_keeping_a_lease_renews_it_when_it_is_time_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with SqlLease(JOB, "first") as lease:
        write("first", expires_at=run_out())
        lease.keep()  # not yet
        assert JobLease.objects.get(name=JOB).expires_at < timezone.now()
        monkeypatch.setattr(dbcore.job_leases, "RENEW_SECONDS", 0.0)
        lease.keep()
        assert JobLease.objects.get(name=JOB).expires_at > timezone.now()


def test_a_holder_that_slept_is_told_who_has_taken_its_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dbcore.job_leases, "RENEW_SECONDS", 0.0)
    lease = SqlLease(JOB, "first")
    lease.acquire()
    write("first", expires_at=run_out())
    with SqlLease(JOB, "second"):
        with pytest.raises(LeaseLost, match=f"the lease on {JOB} .* now held by second on "):
            lease.keep()
        lease.release()
        assert owner() == "second"  # what is no longer ours is not ours to give up
    with pytest.raises(LeaseLost, match="now held by nobody"):
        lease.keep()
