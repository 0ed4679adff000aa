"""A command that fails at night is told once, with the call it failed at; what is between it and
whoever typed it is not told."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError

from daylight.models import Plan, User
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.management.tool import ToolCommand
from dbcore.migration.report import Report
from dbcore.monitoring.labels import DYNAMODB
from dbcore.monitoring.sentry.commands import ended
from dbcore.table_sync import sync_tables
from dbcore.wire import get_wire
from tests.dbcore.migration.legacy_file import build
from tests.dbcore.monitoring.sentry.conftest import Told
from tests.dbcore.monitoring.sentry.pages import EMAIL, NEW_USER, PASSWORD, PLACE, USER
from tests.dbcore.monitoring.sentry.server import SentryServer
from tests.support.faults import SERVICE, Refusal
from tests.support.proxy import FaultProxy

ROOT = Path(__file__).resolve().parents[4]


def run(command: str, *arguments: str) -> int:
    """Its exit status."""
    with pytest.raises(SystemExit) as end:
        call_command(command, *arguments, stdout=io.StringIO(), stderr=io.StringIO())
    assert isinstance(end.value.code, int)
    return end.value.code


def told_of(event: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in event["tags"].items() if not name.endswith("_id")}


def test_a_migration_whose_target_is_away(
    sentry: Told, stopped: None, transactional_db: None
) -> None:
    User.objects.create(**NEW_USER)
    assert run("migrate_to_dynamo", "--quiet") == 1
    assert told_of(sentry.event) == {
        "command": "migrate_to_dynamo", "exit_status": "1", "db.system.name": DYNAMODB,
        "db.operation.name": "DescribeTable", "db.collection.name": "api_keys",
        "error.type": "EndpointConnectionError",
    }  # fmt: skip
    sentry.assert_no_secret()


class Forbidden(Refusal):
    kind = SERVICE + "AccessDeniedException"
    text = f"{EMAIL} may not write {USER}"


def test_a_migration_that_may_not_write(
    sentry: Told, dynamodb: LocalEngine, transactional_db: None, settings: Any
) -> None:
    User.objects.create(**NEW_USER)
    writes = ("BatchWriteItem", "TransactWriteItems")
    with FaultProxy(dynamodb.endpoint, [Forbidden(operations=writes)]) as between:
        settings.DYNAMODB_ENDPOINT = between.endpoint
        assert run("migrate_to_dynamo", "--quiet", "--table", "users") == 1
    tags = told_of(sentry.event)
    assert tags.pop("db.operation.name") in writes
    assert tags == {
        "command": "migrate_to_dynamo", "exit_status": "1", "db.system.name": DYNAMODB,
        "db.collection.name": "users", "error.type": "AccessDeniedException",
    }  # fmt: skip
    sentry.assert_no_secret()


def test_a_migration_that_finds_differences(
    sentry: Told, dynamodb: LocalEngine, transactional_db: None
) -> None:
    User.objects.create(**NEW_USER)
    assert run("migrate_to_dynamo", "--quiet") == 0
    key = {"id": {"S": USER}}
    get_wire().call("DeleteItem", {"TableName": layout_of(User).table_name, "Key": key})
    assert sentry.events == []
    assert run("migrate_to_dynamo", "--verify-only", "--quiet") == 2
    assert sentry.event["logentry"] == {"message": "migrate_to_dynamo ended with 2: failed"}
    assert told_of(sentry.event) == {"command": "migrate_to_dynamo", "exit_status": "2"}
    sentry.assert_no_secret()


def test_a_sweep_that_cannot_read_its_tables(
    sentry: Told, dynamodb: LocalEngine, transactional_db: None, archive_dir: Path, settings: Any
) -> None:
    settings.DATABASE_PRIMARY = "dynamodb"
    settings.RETENTION_LOOKBACK_DAYS = 5
    sync_tables()
    get_wire().call("DeleteTable", {"TableName": layout_of(Plan).table_name})
    assert run("enforce_retention", "--quiet") == 1
    tags = told_of(sentry.event)
    assert tags.pop("db.operation.name") in ("Query", "Scan", "DescribeTable")
    assert tags == {
        "command": "enforce_retention", "exit_status": "1", "db.system.name": DYNAMODB,
        "db.collection.name": "plans", "error.type": "ResourceNotFoundException",
    }  # fmt: skip
    sentry.assert_no_secret()


def test_a_sentence_with_a_databases_failure_behind_it(
    sentry: Told, stopped: None, transactional_db: None, archive_dir: Path
) -> None:
    with pytest.raises(CommandError):
        call_command("erase_user", USER, "--who", EMAIL, "--why", PLACE, "--accept-erasure")
    missing, failed = sentry.events  # the audit trail's entry, and the command
    assert missing["logentry"] == {"message": "audit trail lacks an entry"}
    assert told_of(failed)["command"] == "erase_user"
    assert told_of(failed)["error.type"] == "EndpointConnectionError"
    sentry.assert_no_secret()


def test_what_is_between_a_command_and_its_user_is_not_told(
    sentry: Told, transactional_db: None
) -> None:
    with pytest.raises(CommandError, match="no dead letter"):
        call_command("dead_letters", "show", "77")
    stopped = Report(run="r", source="s", target="t", status="interrupted", error="stopped")
    ended("migrate_to_dynamo", stopped)
    assert sentry.events == []


class Command(ToolCommand):
    def handle(self, *args: Any, **given: Any) -> None:
        list(User.objects.raw(f"SELECT id FROM nowhere WHERE email = '{EMAIL}'"))


class Refused(ToolCommand):
    def handle(self, *args: Any, **given: Any) -> None:
        User.objects.create(**NEW_USER)
        try:
            User.objects.create(**NEW_USER)
        except IntegrityError as error:
            raise CommandError(f"{EMAIL} is taken") from error


def test_a_value_that_is_taken_is_an_answer(sentry: Told, db: None) -> None:
    with pytest.raises(CommandError, match="is taken"):
        call_command(Refused())
    assert sentry.events == []


def test_a_file_that_is_not_there(
    sentry: Told, dynamodb: LocalEngine, transactional_db: None, tmp_path: Path
) -> None:
    missing = tmp_path / f"{PASSWORD}.sqlite3"
    assert run("migrate_to_dynamo", "--quiet", "--source", str(missing)) == 1
    (value,) = sentry.event["exception"]["values"]
    assert value["type"] == "SourceError" and value["value"].startswith("***")
    sentry.assert_no_secret(str(tmp_path))


def test_what_nobody_foresaw_is_told_with_the_command(sentry: Told, db: None) -> None:
    with pytest.raises(Exception, match="no such table"):
        call_command(Command())
    assert told_of(sentry.event) == {
        "command": "test_sentry_commands", "error.type": "OperationalError",
        "db.system.name": "sqlite", "db.collection.name": "other", "db.operation.name": "SELECT",
    }  # fmt: skip
    sentry.assert_no_secret()


def test_a_real_process_at_night(sentry_server: SentryServer, tmp_path: Path) -> None:
    """Its log says so, too, and yet it is told once. No argument of its command line is."""
    legacy = build(tmp_path / f"{PASSWORD}.sqlite3", history=2, places=2, users=2, profiles=2,
                   sessions=2, bad=False)  # fmt: skip
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate_to_dynamo", "--source", str(legacy.path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "DAYLIGHT_ENV_FILE": os.devnull,
             "DJANGO_SETTINGS_MODULE": "settings.development",
             "DATABASE_URL": f"sqlite:///{tmp_path / 'books.sqlite3'}",
             "DYNAMODB_ENDPOINT": "http://127.0.0.1:9", "DYNAMODB_DEADLINE": "0.2",
             "SENTRY_DSN": sentry_server.dsn, "SENTRY_ENVIRONMENT": "staging"},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    (event,) = sentry_server.of_type("event")
    assert event["environment"] == "staging"
    assert told_of(event)["command"] == "migrate_to_dynamo"
    assert told_of(event)["error.type"] == "EndpointConnectionError"
    assert "argv" not in str(event)
    assert PASSWORD.encode() not in sentry_server.everything


def try_sentry() -> str:
    out = io.StringIO()
    call_command("send_test_alert", "--sentry", stdout=out)
    return out.getvalue()


def test_an_operator_sees_that_sentry_takes_events(sentry: Told) -> None:
    said = try_sentry()
    assert sentry.event["level"] == "info"
    assert said == f"Sentry: 127.0.0.1 took event {sentry.event['event_id']}, of environment test\n"


def test_an_operator_sees_that_sentry_does_not(
    sentry_server: SentryServer, sentry: Told, settings: Any
) -> None:
    sentry_server.answer = 403, 0
    with pytest.raises(CommandError, match=r"127\.0\.0\.1 did not take it: 403"):
        try_sentry()
    settings.SENTRY_DSN = ""
    with pytest.raises(CommandError, match="SENTRY_DSN is not set"):
        try_sentry()
