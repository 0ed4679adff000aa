"""Leases on a real engine, with holders that are real processes and really die."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

import dbcore.dynamo.leases
from dbcore.addresses import parse_endpoint
from dbcore.dynamo.leases import (
    LEASE_SECONDS,
    Lease,
    LeaseHeld,
    LeaseLost,
    lease_table,
    process_birth,
    process_place,
)
from dbcore.local_engine import LocalEngine
from dbcore.table_sync import sync_tables
from dbcore.wire import HOOKS, Call, Wire, get_wire
from tests.dbcore.wire.server import PATIENCE, wait_until
from tests.support.proxy import DropAfter, FaultProxy

ROOT = Path(__file__).parents[3]
JOB = "a job"

needs_proc = pytest.mark.skipif(
    not process_place(), reason="this system does not tell processes apart for good"
)


@pytest.fixture
def wire(dynamodb: LocalEngine) -> Wire:
    """The wire to an engine that has a table for leases."""
    sync_tables(tables=[lease_table()])
    return get_wire()


@pytest.fixture
def keep_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call of `keep` renews."""
    monkeypatch.setattr(dbcore.dynamo.leases, "RENEW_SECONDS", 0.0)


def write(wire: Wire, owner: str, **other: Any) -> None:
    """A lease as another process would have written it; it has half a lease's time to go."""
    item = {
        "name": {"S": JOB},
        "owner": {"S": owner},
        "host": {"S": "elsewhere.example"},
        "pid": {"N": "4711"},
        "birth": {"S": "1"},
        "place": {"S": "another boot"},
        "since": {"S": "2026-01-01T00:00:00Z"},
        "expires": {"N": str(time.time() + LEASE_SECONDS / 2)},
    }
    wire.call("PutItem", {"TableName": lease_table(), "Item": {**item, **other}})


def expired() -> dict[str, str]:
    return {"N": str(time.time() - 1)}


def owner_of(wire: Wire) -> str | None:
    holder = Lease(wire, JOB, "a spectator").holder()
    return None if holder is None else holder.owner


def test_a_second_owner_is_refused_and_told_who_the_first_is(wire: Wire) -> None:
    with Lease(wire, JOB, "first"):
        with pytest.raises(LeaseHeld) as caught:
            Lease(wire, JOB, "second").acquire()
        message = str(caught.value)
        assert f"another {JOB} is running: first on {platform.node()}" in message
        assert f"process {os.getpid()}, since 20" in message
        assert "seconds" in message
        assert owner_of(wire) == "first"


def test_leases_on_two_jobs_do_not_get_in_each_other_s_way(wire: Wire) -> None:
    with Lease(wire, JOB, "first"), Lease(wire, "another job", "second"):
        assert owner_of(wire) == "first"


def test_a_lease_that_is_given_up_may_be_taken(wire: Wire) -> None:
    with Lease(wire, JOB, "first"):
        pass
    assert owner_of(wire) is None
    with Lease(wire, JOB, "second"):
        assert owner_of(wire) == "second"


def test_a_lease_is_given_up_when_the_work_fails(wire: Wire) -> None:
    with pytest.raises(ZeroDivisionError), Lease(wire, JOB, "first"):
        raise ZeroDivisionError
    assert owner_of(wire) is None


def test_a_lease_that_was_refused_is_not_given_up_for_its_holder(wire: Wire) -> None:
    write(wire, "first")
    with pytest.raises(LeaseHeld), Lease(wire, JOB, "second"):
        pytest.fail("two hold the lease")
    assert owner_of(wire) == "first"


def test_a_lease_that_has_run_out_is_taken_over(wire: Wire) -> None:
    write(wire, "first", expires=expired())
    with Lease(wire, JOB, "second"):
        assert owner_of(wire) == "second"


def test_an_owner_that_asks_again_has_it_still(wire: Wire) -> None:
    with Lease(wire, JOB, "first"):
        Lease(wire, JOB, "first").acquire()
        assert owner_of(wire) == "first"


@pytest.mark.parametrize(
    "state", ["free", "run out", pytest.param("of a dead process", marks=needs_proc)]
)
def test_of_many_that_want_a_lease_at_once_one_gets_it(state: str, wire: Wire) -> None:
    together = threading.Barrier(8)

    def try_it(n: int) -> str:
        together.wait(PATIENCE)
        try:
            Lease(wire, JOB, f"owner {n}").acquire()
        except LeaseHeld as error:
            return str(error)
        return "mine"

    if state == "run out":
        write(wire, "first", expires=expired())
    elif state == "of a dead process":
        write(wire, "first", pid={"N": str(os.getpid())}, place={"S": process_place()})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(try_it, range(8)))
    assert answers.count("mine") == 1
    winner = f"owner {answers.index('mine')}"
    assert owner_of(wire) == winner
    assert all(winner in each for each in answers if each != "mine")


def test_an_answer_that_was_lost_does_not_cost_the_lease(wire: Wire, dynamodb: LocalEngine) -> None:
    with FaultProxy(dynamodb.endpoint) as proxy:
        through = Wire(parse_endpoint(proxy.endpoint), "eu-central-1")
        proxy.set_faults(DropAfter(times=1))
        lease = Lease(through, JOB, "first")
        lease.acquire()
        assert owner_of(wire) == "first"
        proxy.set_faults(DropAfter(times=1))
        lease.release()
        assert owner_of(wire) is None
        through.close()


# --- Holders that die -----------------------------------------------------------------------------

# A process that takes the lease, says so, and holds it until its input ends.
HOLDER = """
import sys
from django.conf import settings
settings.configure(DYNAMODB_TABLE_PREFIX=sys.argv[2])
from dbcore.dynamo.leases import Lease
from dbcore.wire import Wire
from dbcore.addresses import parse_endpoint
wire = Wire(parse_endpoint(sys.argv[1]), "eu-central-1")
with Lease(wire, sys.argv[3], "the other process"):
    print("it is mine", flush=True)
    sys.stdin.read()
wire.close()
"""


@pytest.fixture
def other_process(wire: Wire, dynamodb: LocalEngine) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lease."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLDER,
            dynamodb.endpoint,
            django_settings.DYNAMODB_TABLE_PREFIX,
            JOB,
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "it is mine\n"
        yield process
        process.kill()


def test_a_process_that_ends_in_order_leaves_no_lease(
    wire: Wire, other_process: subprocess.Popen[str]
) -> None:
    with pytest.raises(LeaseHeld, match=f"the other process on .*, process {other_process.pid},"):
        Lease(wire, JOB, "ours").acquire()
    other_process.communicate()
    assert other_process.returncode == 0
    assert owner_of(wire) is None


@needs_proc
@pytest.mark.parametrize("buried", [True, False], ids=["and is gone", "and is a zombie still"])
def test_the_lease_of_a_process_that_was_killed_is_taken_over_at_once(
    buried: bool, wire: Wire, other_process: subprocess.Popen[str]
) -> None:
    assert process_birth(other_process.pid)
    with pytest.raises(LeaseHeld):
        Lease(wire, JOB, "ours").acquire()
    other_process.kill()
    if buried:
        other_process.wait()
    else:
        wait_until(lambda: not process_birth(other_process.pid))
    holder = Lease(wire, JOB, "a spectator").holder()
    assert holder is not None
    assert holder.is_dead
    assert holder.expires > time.time()
    with Lease(wire, JOB, "ours"):
        assert owner_of(wire) == "ours"


@needs_proc
def test_a_process_that_has_a_dead_one_s_number_is_not_that_one(wire: Wire) -> None:
    ours = {"pid": {"N": str(os.getpid())}, "place": {"S": process_place()}}
    write(wire, "first", **ours, birth={"S": process_birth(os.getpid())})
    with pytest.raises(LeaseHeld):
        Lease(wire, JOB, "second").acquire()
    write(wire, "first", **ours, birth={"S": "12345"})
    with Lease(wire, JOB, "second"):
        assert owner_of(wire) == "second"


@pytest.mark.parametrize("place", ["another boot", ""], ids=["elsewhere", "nobody knows where"])
def test_a_holder_elsewhere_is_not_taken_for_dead_before_its_lease_runs_out(
    place: str, wire: Wire
) -> None:
    # There is no such process here, but that says nothing of there.
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        gone = str(process.pid)
    write(wire, "first", pid={"N": gone}, place={"S": place})
    with pytest.raises(LeaseHeld, match=f"first on elsewhere.example, process {gone},"):
        Lease(wire, JOB, "second").acquire()
    write(wire, "first", pid={"N": gone}, place={"S": place}, expires=expired())
    with Lease(wire, JOB, "second"):
        assert owner_of(wire) == "second"


def test_where_processes_cannot_be_told_apart_a_dead_holder_s_lease_must_run_out(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbcore.dynamo.leases, "process_place", lambda: "")
    write(wire, "first", place={"S": ""})
    with pytest.raises(LeaseHeld):
        Lease(wire, JOB, "second").acquire()


# --- Keeping and losing it ------------------------------------------------------------------------


def test_keeping_a_lease_renews_it_but_not_at_every_call(wire: Wire) -> None:
    calls: list[Call] = []
    with Lease(wire, JOB, "first") as lease:
        HOOKS.append(calls.append)
        for _ in range(100):
            lease.keep()
        assert calls == []


def test_keeping_a_lease_puts_off_its_end(wire: Wire, keep_at_once: None) -> None:
    with Lease(wire, JOB, "first") as lease:
        write(wire, "first", expires={"N": "1"})
        lease.keep()
        holder = lease.holder()
        assert holder is not None
        assert holder.expires > time.time()
        with pytest.raises(LeaseHeld):
            Lease(wire, JOB, "second").acquire()


def test_a_holder_that_slept_keeps_its_lease_if_nobody_wanted_it(
    wire: Wire, keep_at_once: None
) -> None:
    lease = Lease(wire, JOB, "first")
    lease.acquire()
    write(wire, "first", expires=expired())
    lease.keep()
    with pytest.raises(LeaseHeld):
        Lease(wire, JOB, "second").acquire()


def test_a_holder_that_slept_is_told_who_has_taken_its_lease(
    wire: Wire, keep_at_once: None
) -> None:
    lease = Lease(wire, JOB, "first")
    lease.acquire()
    write(wire, "first", expires=expired())
    with Lease(wire, JOB, "second"):
        with pytest.raises(LeaseLost, match=f"the lease on {JOB} .* now held by second on "):
            lease.keep()
        lease.release()
        assert owner_of(wire) == "second"  # what is no longer ours is not ours to give up
    with pytest.raises(LeaseLost, match="now held by nobody"):
        lease.keep()
    assert owner_of(wire) is None


def test_a_lease_is_tidied_up_long_after_it_ran_out(wire: Wire) -> None:
    with Lease(wire, JOB, "first"):
        key = {"name": {"S": JOB}}
        item = wire.call("GetItem", {"TableName": lease_table(), "Key": key})["Item"]
    assert float(item["ttl"]["N"]) > float(item["expires"]["N"]) + 3600
