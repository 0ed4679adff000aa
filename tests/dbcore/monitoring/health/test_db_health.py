"""`db_health` as a person, a cron job or a program calls it; and the front door's health check."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from daylight.database import perform_database_health_check
from daylight.models import Plan
from daylight.services.accounts import user_service
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.monitoring.health import CHECKS
from dbcore.wire import get_wire
from tests.dbcore.monitoring.health.asked import silent_until
from tests.dbcore.monitoring.health.conftest import swept
from tests.support.proxy import FaultProxy

ROOT = Path(__file__).resolve().parents[4]


def db_health(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("db_health", *arguments, stdout=out)
    except SystemExit as ended:
        assert isinstance(ended.code, int)
        return ended.code, out.getvalue()
    return 0, out.getvalue()


def test_the_exit_status_is_that_of_the_worst_check(site: LocalEngine) -> None:
    code, out = db_health()
    assert code == 0
    assert out.startswith("healthy at ")
    assert all(name in out for name in CHECKS)
    swept("failed", 0.5)
    assert db_health("--check", "last_sweep", "tables")[0] == 1
    get_wire().call("DeleteTable", {"TableName": layout_of(Plan).table_name})
    code, out = db_health()
    assert code == 2 and out.startswith("critical at ")
    assert db_health("--check", "last_sweep")[0] == 1, "the others were not asked"


def test_json_is_that_of_the_front_door(site: LocalEngine) -> None:
    swept("failed", 0.5)
    code, out = db_health("--format", "json")
    printed, called = json.loads(out), perform_database_health_check()
    assert code == 1
    assert json.loads(json.dumps(called)) == called
    for each in (printed, called):
        assert set(each) == {"status", "at", "checks"}
        assert each["status"] == "warning"
        assert [check["name"] for check in each["checks"]] == list(CHECKS)
        assert set(each["checks"][0]) == {"name", "status", "sentence", "seconds", "host"}


def test_nothing_of_a_record_is_in_what_is_told(site: LocalEngine) -> None:
    user, _ = user_service.create_user(
        {"id": "user-4711", "email": "ana@example.org", "password_hash": "x"}
    )
    swept("failed", 0.5)
    told = db_health("--metrics")[1] + db_health("--format", "json", "--metrics")[1]
    assert user.id not in told and "ana@" not in told


def test_a_check_that_is_none_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(CommandError, match=r"no check clocks; there are: primary_store, .*clock"):
        db_health("--check", "clock", "clocks")


def test_metrics_are_those_of_all_processes_and_where_they_cannot_be_read_it_says_so(
    site: LocalEngine, settings: Any
) -> None:
    code, out = db_health("--check", "disk", "--metrics")
    assert (code, "the last 15 minutes" in out) == (0, True)
    settings.DB_HEALTH_DEADLINE = 1.0
    release = threading.Event()
    with FaultProxy(settings.DYNAMODB_ENDPOINT, [silent_until(release)]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        code, out = db_health("--check", "disk", "--metrics")
        assert (code, "cannot be read" in out) == (0, True)
        out = db_health("--check", "disk", "--metrics", "--format", "json")[1]
        assert json.loads(out)["metrics"] is None
        release.set()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A process's own, whose databases are files that are not there yet."""
    return {
        **os.environ, "DAYLIGHT_ENV": "development", "DAYLIGHT_ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": "settings.development", "DYNAMODB_ENDPOINT": "",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'd.sqlite3'}",
    }  # fmt: skip


def test_it_watches_until_a_signal_and_ends_with_the_last_status(
    environment: dict[str, str],
) -> None:
    command = [sys.executable, "manage.py", "db_health", "--watch", "0.1", "--format", "json",
               "--check", "primary_store", "tables"]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        looks = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 2
        process.stdout.close()
    finally:
        process.kill()
        process.wait()
    assert [each["status"] for each in looks] == ["critical"] * 3, "there is no table"
    assert len({each["at"] for each in looks}) == 3


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_reader_that_has_seen_enough_ends_it_quietly(
    environment: dict[str, str], form: str
) -> None:
    command = [sys.executable, "manage.py", "db_health", "--watch", "0.1", "--format", form,
               "--check", "disk"]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout is not None and process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None and process.stderr.read() == b""
        assert process.wait(60) == 1
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--check", "nope"], "no check nope"), (["--watch", "soon"], "not a number of seconds")],
)
def test_a_wrong_argument_ends_with_1(
    environment: dict[str, str], arguments: list[str], words: str
) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "db_health", *arguments], cwd=ROOT, env=environment,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1 and words in done.stderr
