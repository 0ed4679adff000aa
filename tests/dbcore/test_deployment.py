"""Starts find DynamoDB's tables as they are: made once, by a first deployment, and never anew."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from daylight.database import initialize_database, user_service
from daylight.mirrors import Users
from daylight.models import Plan, User
from dbcore import bookkeeping, deployment, local_engine
from dbcore.errors import ConfigurationError
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.migration.errors import MigrationError
from dbcore.models import Deployment, MigrationRun
from dbcore.monitoring.alerts.monitor import configured_monitor
from dbcore.monitoring.health import Status, run_checks
from dbcore.schema import target_name, wanted_tables
from dbcore.table_sync import TableSyncError, sync_tables
from dbcore.wire import close_wires, get_wire
from tests.dbcore.migration.runs import Project, Tables, ended
from tests.support.iam import ACCOUNT, but
from tests.support.proxy import Call, FaultProxy
from tests.support.tables import (
    create,
    describe,
    drop_tables,
    request_of,
    shapes,
    without_index,
)

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = dt.timedelta(minutes=1)
CHANGES = ("CreateTable", "UpdateTable", "UpdateTimeToLive", "UpdateContinuousBackups")


@pytest.fixture(autouse=True)
def primary(dynamodb: LocalEngine, settings: Any) -> LocalEngine:
    """DynamoDB is the primary store, and has nothing yet."""
    settings.DATABASE_PRIMARY = "dynamodb"
    return dynamodb


def names() -> list[str]:
    return [each.name for each in wanted_tables()]


def there() -> set[str]:
    return set(names()) - set(deployment.missing(names()))


def delete(model: Any) -> str:
    name = layout_of(model).table_name
    get_wire().call("DeleteTable", {"TableName": name})
    return name


def book() -> Deployment:
    return Deployment.objects.get(pk=target_name())


# --- The first deployment -------------------------------------------------------------------------
def test_the_first_start_makes_every_table_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dbcore.deployment")
    standing = initialize_database()
    assert sorted(standing.made) == names() == sorted(there())
    assert (standing.missing, standing.differing) == ((), ())
    assert book().completed_at is not None and book().tables == names()
    assert "first deployment" in caplog.messages
    assert initialize_database() == deployment.Standing()


def test_where_all_is_there_no_start_waits_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    initialize_database()
    monkeypatch.setattr(bookkeeping, "alone", lambda: pytest.fail("it waits"))
    monkeypatch.setattr(bookkeeping, "make_ready", lambda: None)
    assert initialize_database() == deployment.Standing()


def test_a_start_that_is_killed_half_way_is_gone_on_with(
    tmp_path: Path, primary: LocalEngine
) -> None:
    made: list[str] = []

    def hang(call: Call) -> None:
        """Some tables are made; then nothing is answered any more."""
        if call.request.operation != "CreateTable":
            return
        if len(made) >= 5:
            time.sleep(60)
        made.append(json.loads(call.request.body)["TableName"])

    with FaultProxy(primary.endpoint, [hang]) as proxy:
        project = Project(tmp_path, proxy.endpoint, f"k{uuid.uuid4().hex[:8]}-")
        project.env["DATABASE_PRIMARY"] = "dynamodb"
        begin = "from daylight.database import initialize_database as i; print(i().made)"
        with ended(project.start("shell", "-v0", "-c", begin)) as process:
            until = time.monotonic() + 30
            while len(made) < 5:
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.01)
            process.kill()
            process.wait()
        (row,) = project.rows("deployment")
        assert (row["completed_at"], json.loads(row["tables"])) == (None, [])
        proxy.set_faults()
        done = project.run("shell", "-v0", "-c", begin)
        assert done.code == 0, done.err
        tables = Tables(primary.endpoint, project.prefix)
        assert len(tables.names()) == len(names())
        (row,) = project.rows("deployment")
        assert row["completed_at"] and len(json.loads(row["tables"])) == len(names())
        again = project.run("shell", "-v0", "-c", begin)
        assert (again.code, again.out) == (0, "()\n"), again.err
    # What was made before the kill has all that its making is of.
    ttl = tables.client.describe_time_to_live(TableName=f"{project.prefix}user_sessions")
    assert ttl["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"
    drop_tables(primary, project.prefix)


def test_a_start_that_may_make_nothing_leaves_no_trace_and_names_the_right(
    primary: LocalEngine, settings: Any
) -> None:
    with FaultProxy(primary.endpoint, [but("dynamodb:CreateTable")]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        with pytest.raises(TableSyncError) as refused:
            initialize_database()
    assert "lacks the right dynamodb:CreateTable" in str(refused.value)
    assert ACCOUNT not in str(refused.value) and len(str(refused.value)) < 1000
    assert not Deployment.objects.exists()


def test_tables_that_the_books_have_never_heard_of_are_taken_note_of() -> None:
    sync_tables()
    gone = delete(Plan)
    assert initialize_database().missing == (gone,)
    assert book().completed_at is not None and gone not in book().tables
    assert gone not in there()


# --- A table is gone ------------------------------------------------------------------------------
@pytest.fixture
def alerts(settings: Any, archive_dir: Path) -> Callable[[], dict[str, tuple[str, str]]]:
    """Two looks of the monitor, a minute apart: its open alerts by their subject,
    with phase and incident."""
    settings.ALERT_EMAIL, settings.DB_HEALTH_DEADLINE = ["oncall@daylight.example"], 10.0
    settings.ALERT_SLACK_WEBHOOK = settings.ALERT_SNS_TOPIC = settings.ALERT_PAGERDUTY_KEY = ""
    monitor, now = configured_monitor(15.0), timezone.now()

    def look() -> dict[str, tuple[str, str]]:
        nonlocal now
        for _ in range(2):  # what is seen once may pass
            now += MINUTE
            tick = monitor.tick(now)
        return {each.subject: (each.phase, each.incident) for each in tick.open}

    return look


def test_a_deleted_table_is_not_made_anew_by_any_restart_until_a_person_does(
    alerts: Callable[[], dict[str, tuple[str, str]]], caplog: pytest.LogCaptureFixture
) -> None:
    initialize_database()
    alerts()
    ana, _ = user_service.create_user({"email": "ana@example.org", "password_hash": "x"})
    gone = delete(Plan)
    incidents = set()
    for _ in range(3):
        close_wires()
        caplog.clear()
        assert initialize_database().missing == (gone,)
        (line,) = [each for each in caplog.records if each.message == "tables are missing"]
        assert line.levelname == "ERROR" and gone in str(line.fields)  # type: ignore[attr-defined]
        assert gone not in there() and len(there()) == len(names()) - 1
        (check,) = run_checks(["tables"], now=timezone.now())
        assert check.status is Status.CRITICAL and gone in check.sentence
        assert user_service.get_user_by_id(ana.id).email == "ana@example.org"
        phase, incident = alerts()["tables"]
        assert phase == "firing"
        incidents.add(incident)
    assert len(incidents) == 1
    out = io.StringIO()
    call_command("sync_tables", stdout=out)
    assert f"{gone}: done: create the table" in out.getvalue()
    assert initialize_database() == deployment.Standing()
    assert "tables" not in alerts()


def test_a_table_of_a_new_release_is_a_person_s_to_make(monkeypatch: pytest.MonkeyPatch) -> None:
    older = [each for each in wanted_tables() if not each.name.endswith("-plans")]
    with monkeypatch.context() as before:
        before.setattr(deployment, "wanted_tables", lambda: older)
        initialize_database()
    assert initialize_database().missing == (layout_of(Plan).table_name,)
    call_command("sync_tables", stdout=io.StringIO())
    assert initialize_database().missing == ()


def test_all_tables_gone_are_all_missing() -> None:
    initialize_database()
    for name in names():
        get_wire().call("DeleteTable", {"TableName": name})
    assert sorted(initialize_database().missing) == names()
    assert there() == set()


# --- Another target -------------------------------------------------------------------------------
def test_a_typing_error_in_the_prefix_makes_nothing_and_names_both(settings: Any) -> None:
    initialize_database()
    right, meant = target_name(), settings.DYNAMODB_TABLE_PREFIX
    settings.DYNAMODB_TABLE_PREFIX = f"{meant}x-"
    for _ in range(2):
        with pytest.raises(ConfigurationError) as refused:
            initialize_database()
        assert right in str(refused.value) and target_name() in str(refused.value)
        assert "DYNAMODB_TABLE_PREFIX" in str(refused.value)
        assert "manage.py sync_tables" in str(refused.value)
        assert there() == set()
    call_command("sync_tables", stdout=io.StringIO())  # it was no typing error
    assert initialize_database() == deployment.Standing()
    settings.DYNAMODB_TABLE_PREFIX = meant
    assert initialize_database() == deployment.Standing()


# --- Nothing is changed either --------------------------------------------------------------------
def test_a_start_looks_at_tables_that_differ_and_changes_nothing(
    primary: LocalEngine, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    initialize_database()
    name = delete(User)
    create(without_index(request_of(User), "DueDayIndex"))
    before = shapes(describe(name))
    settings.DYNAMODB_DELETION_PROTECTION = True
    with FaultProxy(primary.endpoint) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        Deployment.objects.update(target=target_name())
        standing = initialize_database()
        assert {operation for operation, _ in proxy.requests} == {"DescribeTable"}
        settings.DYNAMODB_ENDPOINT = primary.endpoint
    assert f"{name}: add the global index DueDayIndex" in standing.differing
    assert shapes(describe(name)) == before
    assert caplog.messages.count("tables differ") == 1


def test_a_start_that_migrates_changes_no_table_either(primary: LocalEngine, settings: Any) -> None:
    User.objects.create(id="ana", email="ana@example.org", password_hash="x")
    initialize_database()
    name = delete(User)
    create(without_index(request_of(User), "DueDayIndex"))
    settings.MIGRATE_FROM_SQLITE = True
    with FaultProxy(primary.endpoint) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        Deployment.objects.update(target=target_name())
        initialize_database()
        assert not {operation for operation, _ in proxy.requests} & set(CHANGES)
        assert Users.get("ana").email == "ana@example.org"
        close_wires()
        settings.DYNAMODB_ENDPOINT = primary.endpoint
    assert "GlobalSecondaryIndexes" not in describe(name)


# --- Migrations at a start ------------------------------------------------------------------------
def test_what_was_migrated_and_is_gone_is_not_migrated_again_by_a_start(settings: Any) -> None:
    settings.MIGRATE_FROM_SQLITE = True
    User.objects.create(id="ana", email="ana@example.org", password_hash="x")
    Plan.objects.create(id="p", user_id="ana", title="of ana")
    initialize_database()
    gone = delete(Plan)
    for _ in range(2):
        assert initialize_database().missing == (gone,)
    assert gone not in there() and MigrationRun.objects.count() == 1
    assert Users.get("ana").email == "ana@example.org"


def test_what_was_never_migrated_and_has_no_table_is_no_start(settings: Any) -> None:
    initialize_database()
    gone = delete(Plan)
    settings.MIGRATE_FROM_SQLITE = True
    with pytest.raises(MigrationError, match=rf"lacks {gone}.*manage\.py sync_tables"):
        initialize_database()
    assert gone not in there()


# --- What people make -----------------------------------------------------------------------------
def test_a_person_s_tables_are_booked_and_the_rest_of_a_deployment_is_made_by_the_start() -> None:
    call_command("sync_tables", table=["users"], stdout=io.StringIO())
    assert book().completed_at is None
    deployment.make([layout_of(Plan).table_name])
    assert len(there()) == 2
    assert len(initialize_database().made) == len(names()) - 2
    assert book().completed_at is not None


def test_one_of_a_person_s_tables_that_is_gone_before_the_first_start_is_not_made() -> None:
    call_command("sync_tables", table=["users", "plans"], stdout=io.StringIO())
    gone = delete(Plan)
    with pytest.raises(ConfigurationError, match=f"lacks {gone}"):
        deployment.make([gone])
    assert initialize_database().missing == (gone,)
    assert gone not in there()


def test_books_that_cannot_be_told_do_not_stop_a_person() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE dbcore_deployment RENAME TO elsewhere")
    try:
        out = io.StringIO()
        call_command("sync_tables", stdout=out)
        assert "note: the books were not told of these tables" in out.getvalue()
        assert len(there()) == len(names())
        assert deployment.forget_local() == ""
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO dbcore_deployment")
    assert initialize_database() == deployment.Standing()
    assert book().completed_at is not None


def test_a_dry_run_tells_the_books_nothing() -> None:
    call_command("sync_tables", dry_run=True, stdout=io.StringIO())
    assert not Deployment.objects.exists()


def test_dynamodb_that_does_not_answer_tells_the_books_nothing(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DYNAMODB_ENDPOINT = "http://127.0.0.1:9"
    monkeypatch.setattr(deployment, "PROBE_DEADLINE", 0.1)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        initialize_database()
    assert not Deployment.objects.exists()


# --- The project's own engine ---------------------------------------------------------------------
@pytest.fixture
def own(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """DYNAMODB_ENDPOINT=local, in a file of the test's own."""
    settings.DYNAMODB_ENDPOINT = "local"
    settings.LOCAL_DYNAMODB_PATH = tmp_path / "dynamodb.db"
    yield settings.LOCAL_DYNAMODB_PATH
    stop()


def stop() -> None:
    close_wires()
    local_engine.release()


def test_a_developer_who_resets_the_local_engine_gets_new_tables(own: Path) -> None:
    Deployment.objects.create(target="aws eu-west-1 daylight-*", completed_at=timezone.now())
    call_command("sync_tables", stdout=io.StringIO())
    stop()
    out = io.StringIO()
    call_command("local_dynamodb", reset=True, accept_reset=True, stdout=out)
    assert "Deleted" in out.getvalue()
    assert [each.target for each in Deployment.objects.all()] == ["aws eu-west-1 daylight-*"]
    Deployment.objects.all().delete()
    assert len(initialize_database().made) == len(names())


def test_local_data_that_somebody_removed_by_hand_are_not_taken_for_a_first_deployment(
    own: Path,
) -> None:
    initialize_database()
    stop()
    own.unlink()
    assert sorted(initialize_database().missing) == names()


def test_an_engine_that_keeps_nothing_gets_new_tables_each_time(own: Path) -> None:
    for _ in range(2):
        local_engine.shared_engine().acquire(in_memory=True)
        assert len(initialize_database().made) == len(names())
        assert initialize_database() == deployment.Standing()
        gone = delete(Plan)
        assert initialize_database().missing == (gone,)
        stop()
