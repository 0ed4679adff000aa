"""A run that is asked to stop stops in good order and is gone on with; and one run at a time works
on a target, whoever starts a second."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from dbcore.local_engine import LocalEngine
from dbcore.models import MigrationRun
from dbcore.wire import HOOKS
from dbcore.wire.calls import Call
from tests.dbcore.migration.conftest import Migrate
from tests.dbcore.migration.legacy_file import Legacy, build
from tests.dbcore.migration.runs import Outcome, Project, Tables, assert_closes, ended, finish
from tests.support.proxy import Delay, FaultProxy

DATA = ("BatchWriteItem", "BatchGetItem", "TransactWriteItems", "Scan")
OPTIONS = ("--concurrency", "2")


@pytest.fixture
def legacy(tmp_path: Path) -> Legacy:
    return build(
        tmp_path / "legacy.sqlite3",
        history=300, places=600, users=60, profiles=60, sessions=60,
    )  # fmt: skip


class Slow:
    """A project behind a slow proxy."""

    def __init__(self, project: Project, proxy: FaultProxy, file: Legacy) -> None:
        self.project, self.proxy, self.file = project, proxy, file
        project.endpoint = proxy.endpoint

    def start(self) -> subprocess.Popen[str]:
        return self.project.start_migration(self.file.path, *OPTIONS)

    def wait_for_requests(self, count: int, operations: tuple[str, ...] = DATA) -> None:
        until = time.monotonic() + 60
        while sum(operation in operations for operation, _ in self.proxy.requests) < count:
            assert time.monotonic() < until, "the run sends nothing"
            time.sleep(0.005)

    def run(self) -> Outcome:
        return self.project.migrate(self.file.path, *OPTIONS)


@pytest.fixture
def slow(project: Project, dynamodb_engine: LocalEngine, legacy: Legacy) -> Any:
    with FaultProxy(dynamodb_engine.endpoint, [Delay(0.06, operations=DATA)]) as proxy:
        yield Slow(project, proxy, legacy)


def assert_complete(project: Project, legacy: Legacy, done: Outcome) -> None:
    assert done.code == 3, (done.report["error"], done.err)
    assert_closes(done.report)
    for each in done.report["tables"]:
        assert each["read"] == legacy.count(each["source"])
        assert each["dead_lettered"] == each["read"] - len(legacy.good[each["source"]])
        assert each["skipped"] == 0
    assert len(project.tables.scan("location_history")) == 300 + 600
    reasons = sorted((table, reason) for table, _, reason in project.letters())
    assert reasons == legacy.reasons()


@pytest.mark.parametrize(
    ("number", "after"), [(signal.SIGTERM, 12), (signal.SIGINT, 26), (signal.SIGTERM, 60)]
)
def test_a_signal_stops_a_run_in_good_order_and_the_next_goes_on(
    slow: Slow, legacy: Legacy, number: signal.Signals, after: int
) -> None:
    with ended(slow.start()) as process:
        slow.wait_for_requests(after)
        process.send_signal(number)
        stopped = finish(process)
    assert stopped.code == 1
    report = stopped.report
    assert report["status"] == "interrupted"
    assert "run the same command to go on" in report["error"]
    assert report["error"] in stopped.err
    assert_closes(report)
    assert report["tables"]
    settled = {each["source"]: each["read"] for each in report["tables"]}
    assert 0 < sum(settled.values()) < legacy.total() or after == 60
    checkpoints = {row["source_table"]: row for row in slow.project.rows("checkpoint")}
    for row in checkpoints.values():
        behind = row["acknowledged"] + row["skipped"] + row["dead_lettered"]
        assert behind <= settled[row["source_table"]]
    (record,) = slow.project.rows("migrationrun")
    assert record["status"] == "interrupted"
    done = slow.run()
    assert done.report["resumed"] or after == 60
    assert_complete(slow.project, legacy, done)


def test_two_signals_end_a_run_at_once_and_the_next_goes_on(slow: Slow, legacy: Legacy) -> None:
    slow.proxy.set_faults(Delay(3, operations=("BatchWriteItem",)))
    with ended(slow.start()) as process:
        slow.wait_for_requests(1, ("Scan",))
        time.sleep(0.3)
        for _ in range(40):
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)
            if process.poll() is not None:
                break
        stopped = finish(process)
    assert stopped.code in (1, -signal.SIGINT)
    slow.proxy.set_faults()
    if stopped.code == 1:
        assert stopped.report["status"] == "interrupted"
        assert {row["status"] for row in slow.project.rows("migrationrun")} <= {"interrupted"}
    assert_complete(slow.project, legacy, slow.run())


def test_a_dry_run_stops_for_a_signal_too(project: Project, tmp_path: Path) -> None:
    large = build(tmp_path / "large.sqlite3", history=40_000, places=0, users=0, bad=False)
    with ended(project.start_migration(large.path, "--dry-run")) as process:
        assert process.stderr is not None
        while "Reading" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        stopped = finish(process)
    assert (stopped.code, stopped.report["status"]) == (1, "interrupted")


def test_a_second_run_is_refused_and_told_who_is_at_work(slow: Slow, legacy: Legacy) -> None:
    with ended(slow.start()) as first:
        slow.wait_for_requests(8)
        second = slow.run()
        assert second.code == 1
        assert second.report["status"] == "failed"
        assert second.report["tables"] == []
        (running,) = slow.project.rows("migrationrun")
        for part in (running["id"], os.uname().nodename, f"process {first.pid}"):
            assert part in second.report["error"], second.report["error"]
            assert part in second.err
        done = finish(first)
    assert_complete(slow.project, legacy, done)


def test_the_run_after_one_that_was_killed_starts_at_once(slow: Slow, legacy: Legacy) -> None:
    with ended(slow.start()) as first:
        slow.wait_for_requests(12)
        first.kill()
    assert slow.project.tables.scan("leases")
    assert_complete(slow.project, legacy, slow.run())
    assert slow.project.tables.scan("leases") == []


def lease_item(**changes: Any) -> dict[str, Any]:
    return {
        "name": {"S": "migrate_to_dynamo"},
        "owner": {"S": "run-of-another"},
        "host": {"S": "another-host"},
        "pid": {"N": "4711"},
        "birth": {"S": "1"},
        "place": {"S": "another-boot/pid:[1]"},
        "since": {"S": "2026-11-23T08:00:00Z"},
        "expires": {"N": str(time.time() + 25)},
        **changes,
    }


def test_the_lease_of_another_host_holds_until_it_runs_out(
    run: Migrate, tables: Tables, good: Legacy
) -> None:
    assert run(good)["exit"] == 0
    tables.put("leases", lease_item())
    good.execute("UPDATE user_sessions SET data = '{}'")
    before = tables.everything("user_sessions", "leases")
    report = run(good)
    assert (report["exit"], report["status"]) == (1, "failed")
    for part in ("run-of-another", "another-host", "4711", "2026-11-23T08:00:00Z"):
        assert part in report["error"]
    assert tables.everything("user_sessions", "leases") == before
    tables.put("leases", lease_item(expires={"N": str(time.time() - 1)}))
    assert run(good)["exit"] == 0
    assert tables.scan("leases") == []


def test_a_verification_needs_no_lease(run: Migrate, tables: Tables, good: Legacy) -> None:
    run(good)
    tables.put("leases", lease_item())
    assert run(good, verify_only=True)["exit"] == 0
    assert run(good, verify_only=True, repair=True)["exit"] == 1


def test_a_run_whose_lease_another_has_taken_stops(
    run: Migrate, tables: Tables, good: Legacy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbcore.dynamo.leases.RENEW_SECONDS", 0)

    def steal(call: Call) -> None:
        if call.operation == "BatchWriteItem":
            HOOKS.clear()
            tables.put("leases", lease_item())

    HOOKS.append(steal)
    report = run(good)
    assert (report["exit"], report["status"]) == (1, "failed")
    assert "run-of-another" in report["error"]
    assert_closes(report)
    assert MigrationRun.objects.get().status == "failed"
    # It leaves the thief's lease alone.
    (lease,) = tables.scan("leases")
    assert lease["owner"] == {"S": "run-of-another"}
