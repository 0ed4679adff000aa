"""Checks are asked at once; none holds up another, and none tells a secret."""

from __future__ import annotations

import base64
import datetime as dt
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from dbcore.local_engine import LocalEngine
from dbcore.monitoring.health import CHECKS, run_checks
from dbcore.monitoring.health.recent import Recent
from dbcore.monitoring.health.results import CheckResult, Status
from dbcore.monitoring.health.verdicts import Context, Verdict, healthy
from dbcore.monitoring.specs import DURATION
from tests.dbcore.monitoring.conftest import samples
from tests.dbcore.monitoring.health.asked import CRITICAL, HEALTHY, ask

ROOT = Path(__file__).resolve().parents[4]
NOW = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)
Check = Callable[[Context], Verdict]


@pytest.fixture
def only() -> Iterator[Callable[..., None]]:
    """These are all the checks that there are."""
    kept = dict(CHECKS)

    def replace(**checks: Check) -> None:
        CHECKS.clear()
        CHECKS.update(checks)

    yield replace
    replace(**kept)  # in their order


def test_one_that_hangs_is_given_up_and_the_others_have_answered(
    only: Callable[..., None], settings: Any
) -> None:
    settings.DB_HEALTH_DEADLINE = 1.0
    release, ended = threading.Event(), threading.Event()

    def hangs(context: Context) -> Verdict:
        release.wait(60)
        ended.set()
        return healthy("at last")

    only(first=hangs, second=lambda context: healthy("fine"), third=hangs)
    found = run_checks(now=NOW)
    assert not ended.is_set(), "nobody waited for it"
    assert [(each.name, each.status) for each in found] == [
        ("first", CRITICAL), ("second", HEALTHY), ("third", CRITICAL),
    ]  # fmt: skip
    assert found[0].sentence == "did not answer within 1 s"
    release.set()
    assert ended.wait(60)


def test_all_are_asked_at_the_same_time(only: Callable[..., None]) -> None:
    together = threading.Barrier(3)

    def meets_the_others(context: Context) -> Verdict:
        together.wait(30)  # breaks where one is asked after another
        return healthy("met")

    only(a=meets_the_others, b=meets_the_others, c=meets_the_others)
    assert [each.sentence for each in run_checks(now=NOW)] == ["met"] * 3


def test_one_that_raises_is_critical_and_tells_no_secret(
    only: Callable[..., None], settings: Any
) -> None:
    settings.METRICS_TOKEN = "metrics-token-9"
    settings.ARCHIVE_ENCRYPTION_KEYS = {"k": b"for tests only, never a secret!!"}
    key = base64.b64encode(settings.ARCHIVE_ENCRYPTION_KEYS["k"]).decode()
    user = "0198c1f2-aaaa-7bbb-8ccc-123456789abc"
    said = (
        f"user {user} ana@example.org at postgres://u:pw@db/x with AKIAIOSFODNN7EXAMPLE, "
        f"metrics-token-9, {key}, password=hunter2, {settings.SECRET_KEY}"
    )

    def raises(context: Context) -> Verdict:
        raise LookupError(said)

    only(broken=raises, well=lambda context: healthy("fine"))
    broken, well = run_checks(now=NOW)
    assert (broken.status, well.status) == (CRITICAL, HEALTHY)
    assert broken.sentence.startswith("LookupError: user ***")
    secrets = (user, "ana@", "u:pw", "AKIA", "metrics-token-9", key, "hunter2", settings.SECRET_KEY)
    assert [each for each in secrets if each in broken.sentence] == []


def test_a_check_of_this_machine_is_about_it_however_it_fails(
    only: Callable[..., None], settings: Any
) -> None:
    settings.DB_HEALTH_DEADLINE = 0.2
    release = threading.Event()

    def hangs(context: Context) -> Verdict:
        release.wait(60)
        return healthy("at last")

    def raises(context: Context) -> Verdict:
        raise OSError(116, "Stale file handle")

    only(disk=hangs, clock=raises, tables=raises)
    failed = run_checks(now=NOW)
    release.set()
    only(disk=lambda context: healthy("not in use"), clock=lambda context: healthy("room"))
    well = run_checks(now=NOW)
    here = platform.node()
    assert [(each.status, each.host) for each in failed] == [
        (CRITICAL, here), (CRITICAL, here), (CRITICAL, ""),
    ]  # fmt: skip
    assert [(each.status, each.host) for each in well] == [(HEALTHY, here), (HEALTHY, here)]


def test_those_that_are_named_are_asked_in_the_order_of_all(only: Callable[..., None]) -> None:
    asked: list[str] = []

    def check(name: str) -> Check:
        def run(context: Context) -> Verdict:
            asked.append(name)
            return Verdict(Status.WARNING, name, "here")

        return run

    only(a=check("a"), b=check("b"), c=check("c"))
    found = run_checks(["c", "a"], now=NOW)
    assert [each.name for each in found] == ["a", "c"]
    assert sorted(asked) == ["a", "c"]
    assert {(each.at, each.host) for each in found} == {(NOW, "here")}


@pytest.mark.django_db(transaction=True)
def test_what_a_check_opens_in_the_database_is_closed(
    only: Callable[..., None], postgresql_tables: None
) -> None:
    opened: list[Any] = []

    def asks(context: Context) -> Verdict:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
        opened.append(connections["default"].connection)
        return healthy("fine")

    only(asks=asks)
    run_checks(now=NOW)
    for thread in threading.enumerate():
        if thread.name == "monitoring-asks":
            thread.join(30)
    assert [each.closed for each in opened] == [True]


def test_checks_are_not_measured(site: LocalEngine, measured: None) -> None:
    assert ask("tables").status is HEALTHY
    assert ask("pool").status is HEALTHY
    assert samples(DURATION, "_count") == {}


@pytest.mark.slow
def test_a_check_that_hangs_does_not_hold_up_the_end_of_the_process(tmp_path: Path) -> None:
    program = """
import threading, time, django
django.setup()
from django.utils import timezone
from dbcore.monitoring.health import CHECKS, run_checks
CHECKS["hangs"] = lambda context: threading.Event().wait()
print(run_checks(["hangs"], now=timezone.now())[0].status)
"""
    environment = {
        "PATH": "", "DJANGO_SETTINGS_MODULE": "settings.test", "DAYLIGHT_ENV_FILE": "/dev/null",
        "DB_HEALTH_DEADLINE": "0.2",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "critical\n"), done.stderr


def test_each_check_has_its_page_and_its_line_in_the_documents() -> None:
    runbooks = ROOT / "docs" / "runbooks"
    page = (ROOT / "docs" / "health.md").read_text()
    for name in CHECKS:
        assert f"db_health --check {name}" in (runbooks / f"{name}.md").read_text()
        assert f"| [{name}](runbooks/{name}.md) |" in page


# --- Answers that are kept ------------------------------------------------------------------------
def test_a_storm_of_callers_asks_once() -> None:
    asked: list[int] = []
    go = threading.Event()

    def ask_slowly() -> list[CheckResult]:
        asked.append(1)
        go.wait(30)
        return [CheckResult("a", HEALTHY, "fine", 0.0, NOW)]

    recent = Recent(ask_slowly, 60)
    answers: list[Any] = []
    crowd = [threading.Thread(target=lambda: answers.append(recent.results())) for _ in range(8)]
    for each in crowd:
        each.start()
    go.set()
    for each in crowd:
        each.join(30)
    assert len(answers) == 8 and len(asked) == 1


def test_an_answer_grows_old() -> None:
    now = [0.0]
    asked: list[float] = []
    recent = Recent(lambda: asked.append(now[0]) or [], 3.0, clock=lambda: now[0])
    for moment in (0.0, 2.9, 3.0, 4.0, 6.1):
        now[0] = moment
        recent.results()
    assert asked == [0.0, 3.0, 6.1]
    recent.forget()
    recent.results()
    assert len(asked) == 4
