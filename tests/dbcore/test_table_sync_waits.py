"""What takes time, is refused, or is done by two at once: answers of AWS are in part scripted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from daylight.models import Plan, User
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.schema import wanted_tables
from dbcore.table_sync import TableSyncError, sync_tables
from dbcore.wire import get_wire
from tests.support.tables import (
    Recorder,
    Request,
    assert_as_wanted,
    create,
    describe,
    moto_tables,  # noqa: F401  (a fixture)
    refusal,
    refuses,
    report_on,
    request_of,
    shapes,
    without_index,
)

ROOT = Path(__file__).parents[2]


def still_being_made(looks: int) -> Callable[[str, Request], Any]:
    """A script after which a table, once created, is hidden, then busy, for some looks."""
    seen: dict[str, int] = {}

    def script(operation: str, payload: Request) -> Any:
        name = payload.get("TableName", "")
        if operation == "CreateTable":
            seen[name] = 0
        if operation != "DescribeTable" or name not in seen:
            return None
        seen[name] += 1
        if seen[name] == 1:
            return refusal("ResourceNotFoundException")
        return {"Table": {"TableStatus": "CREATING"}} if seen[name] <= looks else None

    return script


def test_what_is_being_made_is_waited_for_before_anything_else_is_done_to_it(
    dynamodb: LocalEngine,
) -> None:
    wire = Recorder(still_being_made(looks=3))
    report = sync_tables(tables=["user_sessions"], wire=wire)
    (table,) = report.tables
    assert table.actions == ("create the table", "let records expire by ttl")
    order = [operation for operation, _ in wire.calls]
    assert order.count("CreateTable") == 1
    before_expiry = order[order.index("CreateTable") : order.index("UpdateTimeToLive")]
    assert before_expiry.count("DescribeTable") == 4


def test_an_index_that_is_being_filled_is_waited_for(dynamodb: LocalEngine) -> None:
    create(request_of(User))
    looks = 0

    def filling(operation: str, _: Request) -> Any:
        nonlocal looks
        if operation != "DescribeTable" or looks == 3:
            return None
        looks += 1
        table = describe(layout_of(User).table_name)
        table["GlobalSecondaryIndexes"][0].update(IndexStatus="CREATING", Backfilling=True)
        return {"Table": table}

    report = sync_tables(tables=["users"], wire=Recorder(filling))
    assert looks == 3
    assert not report.changed


def test_a_wait_ends_with_an_error_that_says_what_for(dynamodb: LocalEngine) -> None:
    wire = Recorder(still_being_made(looks=1_000_000))
    with pytest.raises(
        TableSyncError, match=r"is CREATING, still after 0\.3 s; run again"
    ) as caught:
        sync_tables(tables=["users"], wire=wire, timeout=0.3)
    (table,) = caught.value.report.tables
    assert table.actions == ("create the table",)


def test_an_interrupted_run_does_not_wait_for_its_waits(dynamodb: LocalEngine) -> None:
    never_ready = still_being_made(looks=1_000_000)

    def script(operation: str, payload: Request) -> Any:
        if operation == "CreateTable" and payload["TableName"] == layout_of(Plan).table_name:
            return KeyboardInterrupt()
        return never_ready(operation, payload)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        sync_tables(tables=["plans", "users"], wire=Recorder(script), timeout=60)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("code", ["LimitExceededException", "ResourceInUseException"])
def test_too_many_changes_at_once_are_waited_out(dynamodb: LocalEngine, code: str) -> None:
    wire = Recorder(refuses("CreateTable", code, times=4))
    assert sync_tables(tables=["users", "plans"], wire=wire).changed
    assert wire.writes.count("CreateTable") == 4 + 2


def test_backups_that_are_not_ready_yet_are_waited_for(moto: LocalEngine) -> None:
    script = refuses("UpdateContinuousBackups", "ContinuousBackupsUnavailableException", times=3)
    report = sync_tables(tables=["users"], wire=Recorder(script))
    assert "switch on point-in-time recovery" in report_on(report, User).actions


def test_a_limit_that_never_lifts_is_an_error_in_dynamodbs_words(dynamodb: LocalEngine) -> None:
    wire = Recorder(refuses("CreateTable", "LimitExceededException", times=1_000_000))
    with pytest.raises(TableSyncError, match="create the table: no, still after"):
        sync_tables(tables=["users"], wire=wire, timeout=0.3)


def test_one_table_that_fails_does_not_keep_the_others_from_being_made(
    dynamodb: LocalEngine,
) -> None:
    name = layout_of(User).table_name

    def deny(operation: str, payload: Request) -> Any:
        denied = operation == "CreateTable" and payload["TableName"] == name
        return refusal("AccessDeniedException", "you may not") if denied else None

    with pytest.raises(TableSyncError, match=f"{name}: this process lacks the right") as caught:
        sync_tables(wire=Recorder(deny))
    made = [table for table in caught.value.report.tables if table.actions]
    assert len(made) == len(wanted_tables()) - 1


def test_two_threads_at_once_make_everything_once(dynamodb: LocalEngine) -> None:
    create(without_index(request_of(User), "DueDayIndex"))
    wires = [Recorder(), Recorder()]
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda wire: sync_tables(wire=wire), wires))
    assert_as_wanted()
    assert not any(report.differences for report in reports)
    made = [
        table.name
        for report in reports
        for table in report.tables
        if "create the table" in table.actions
    ]
    assert sorted(made) == [each.name for each in wanted_tables() if each.name.find("-users") < 0]


def test_the_loser_of_a_race_for_an_index_finds_it_made(dynamodb: LocalEngine) -> None:
    request = without_index(request_of(User), "DueDayIndex")
    create(request)

    def another_host_is_first(operation: str, payload: Request) -> Any:
        if operation == "UpdateTable":
            get_wire().call(operation, payload)  # then ours is refused: there is such an index
        return None

    report = sync_tables(tables=["users"], wire=Recorder(another_host_is_first))
    assert report_on(report, User).actions == ()
    assert shapes(describe(request["TableName"])) == shapes(request_of(User))


def test_two_processes_at_once_both_succeed(
    dynamodb: LocalEngine, settings: Settings, tmp_path: Path
) -> None:
    books = tmp_path / "no" / "books.sqlite3"
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "settings.development",
        "DATABASE_URL": f"sqlite:///{books}",
        "DYNAMODB_ENDPOINT": dynamodb.endpoint,
        "DYNAMODB_TABLE_PREFIX": settings.DYNAMODB_TABLE_PREFIX,
    }
    command = [sys.executable, "manage.py", "sync_tables", "--format", "json"]
    both = [
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    outputs = [each.communicate(timeout=120) for each in both]
    assert [each.returncode for each in both] == [0, 0], outputs
    reports = [json.loads(out) for out, _ in outputs]
    made = sum(
        "create the table" in table["actions"] for each in reports for table in each["tables"]
    )
    assert made == len(wanted_tables())
    assert_as_wanted()
    assert all("the books were not told" in str(each["notes"]) for each in reports)
    assert not books.exists(), "a database that nobody asked for"
