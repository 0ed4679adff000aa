"""What was measured outlives its process, on each store, and writing it down is not measured."""

from __future__ import annotations

import datetime as dt
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from daylight.models import PerformanceMetric
from daylight.services.planning import planning_service
from dbcore.monitoring import history, metrics, reporter
from dbcore.monitoring.labels import DYNAMODB
from dbcore.monitoring.records import (
    LIST,
    POOLS,
    PoolPeak,
    RecordWriter,
    Window,
    key_of,
    series_name,
)
from dbcore.monitoring.reporter import KEPT_WINDOWS, Reporter
from dbcore.monitoring.specs import DURATION, FAILURES
from dbcore.monitoring.switch import unmeasured
from dbcore.monitoring.totals import Totals
from dbcore.stores.choice import primary_store
from dbcore.stores.interface import Query
from dbcore.table_sync import sync_tables
from dbcore.wire import get_wire
from tests.dbcore.monitoring.conftest import samples

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
ROOT = Path(__file__).resolve().parents[3]


def minute(at: float) -> dt.datetime:
    return NOW + dt.timedelta(minutes=at)


def records(series: str) -> list[Any]:
    query = Query(PerformanceMetric, "series", series, order="window", limit=100)
    return list(primary_store().query(query)[0])


@pytest.fixture
def quiet(primary: str, measured: None) -> str:
    """Nothing has been measured yet."""
    metrics.renew()
    return primary


def test_a_window_is_written_and_read_back_as_it_was(quiet: str) -> None:
    reports = Reporter(NOW)
    for at in range(4):
        planning_service.create_plan("u", {"id": f"p{at}", "title": "Lake"})
    operation = "PutItem" if quiet == "dynamodb" else "INSERT"
    system = DYNAMODB if quiet == "dynamodb" else quiet
    before = metrics.current().look()[system, "plans", operation]
    reports.report(minute(1))
    (record,) = records(series_name((system, "plans", operation)))
    assert record.window.startswith("2026-11-23T12:00:00.000000Z#")
    assert record.window.endswith(f"-{os.getpid()}")
    assert (record.started_at, record.window_seconds, record.count) == (NOW, 60, 4)
    found = history.recent(5, minute(2))["plans", operation]
    assert (found.count, found.errors, found.rows) == (4, 0, before.rows)
    assert found.capacity == pytest.approx(before.capacity)
    assert found.p99 == pytest.approx(before.p99, abs=1e-5)
    assert found.buckets == before.buckets


def test_no_traffic_no_records_however_long_it_goes_on(quiet: str) -> None:
    reports = Reporter(NOW)
    planning_service.create_plan("u", {"title": "Lake"})
    reports.report(minute(1))
    calls = samples(DURATION, "_count")
    counted = len(list(_all_records()))
    for at in range(2, 30):
        reports.look()
        reports.report(minute(at))
        history.recent(60, minute(at))
    assert len(list(_all_records())) == counted
    assert metrics.current().look() == {}
    assert samples(DURATION, "_count") == calls


def _all_records() -> list[Any]:
    """Each record of every series, read unmeasured."""
    with unmeasured():
        series = [record.window for record in records(LIST)]
        return [each for name in (LIST, POOLS, *series) for each in records(name)]


def test_windows_of_several_minutes_and_hosts_add_up_and_old_ones_do_not_count(
    quiet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = (DYNAMODB, "plans", "GetItem")
    ten = Totals(count=10, errors=1, rows=9, capacity=5.5, throttles=2, seconds=0.1,
                 least=0.005, worst=0.02, buckets={0.01: 9, 0.02: 1})  # fmt: skip
    for host in ("one-1", "two-1"):
        monkeypatch.setattr("dbcore.monitoring.records.source", lambda host=host: host)
        writer = RecordWriter()
        for at in range(12):
            peak = {"dynamodb": PoolPeak("dynamodb", at, 0, 10)}
            writer.write(Window(minute(at), minute(at + 1), {key: ten}, peak))
    now = minute(12)
    found = history.recent(5, now)["plans", "GetItem"]
    assert (found.count, found.errors, found.throttles, found.capacity) == (100, 10, 20, 55.0)
    assert (found.least, found.worst) == (0.005, 0.02)
    assert found.p50 <= 0.01 < found.p99
    assert history.recent(5, minute(60)) == {}
    assert history.recent(60, NOW)["plans", "GetItem"].count == 20  # what begins later is not there
    peaks = history.recent_pools(5, now)
    assert [(each.source, each.peak.used, each.peak.share) for each in peaks] == [
        ("one-1", 11, 1.1), ("two-1", 11, 1.1),
    ]  # fmt: skip


def test_more_windows_than_a_page_are_all_read(quiet: str) -> None:
    key, one = (DYNAMODB, "plans", "GetItem"), Totals(count=1, buckets={0.01: 1}, least=0.01)
    writer = RecordWriter()
    for at in range(130):
        writer.write(Window(minute(at), minute(at + 1), {key: one}))
    assert history.recent(200, minute(130))["plans", "GetItem"].count == 130


def test_a_series_is_named_by_what_it_counts() -> None:
    for key in ((DYNAMODB, "plans", "GetItem"), ("postgresql", "other", "SELECT")):
        assert key_of(series_name(key)) == key
    assert series_name((DYNAMODB, "plans", "GetItem")) == "plans#GetItem"


@pytest.mark.usefixtures("dynamodb", "measured")
def test_what_cannot_be_written_waits_is_said_once_and_comes_in_the_end(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DATABASE_PRIMARY = "dynamodb"  # which has no tables yet
    metrics.renew()
    reports = Reporter(NOW)
    with caplog.at_level(logging.WARNING, "dbcore.monitoring"):
        for at in range(3):
            get_wire().call("ListTables", {})
            reports.report(minute(at + 1))
    said = [each for each in caplog.records if "cannot be written" in each.getMessage()]
    assert [each.fields["part"] for each in said] == ["records"]  # type: ignore[attr-defined]
    assert samples(FAILURES) == {("records",): 3}
    sync_tables()
    metrics.current().take()
    reports.report(minute(4))
    assert [each.window[:16] for each in records("other#ListTables")] == [
        "2026-11-23T12:02", "2026-11-23T12:01", "2026-11-23T12:00",
    ]  # fmt: skip


@pytest.mark.usefixtures("dynamodb", "measured")
def test_an_outage_fills_no_memory(settings: Any) -> None:
    settings.DATABASE_PRIMARY = "dynamodb"
    metrics.renew()
    reports = Reporter(NOW)
    for at in range(KEPT_WINDOWS + 10):
        get_wire().call("ListTables", {})
        reports.report(minute(at + 1))
    assert len(reports._records) == KEPT_WINDOWS
    assert samples(FAILURES)["dropped",] == 10


PROGRAM = """
import datetime, os, sys, threading, time
os.environ["DJANGO_SETTINGS_MODULE"] = "settings.development"
import django; django.setup()
from django.core.management import call_command
from django.conf import settings
if sys.argv[1] == "migrate":
    call_command("migrate", verbosity=0)
    sys.exit()
from dbcore.monitoring import metrics, reporter
from daylight.models import Plan
if sys.argv[1] == "command":
    list(Plan.objects.all())
    sys.exit()
reporter.report_from_here()
def alive():
    return "dbcore-reporter" in [each.name for each in threading.enumerate()]
assert not alive(), "nothing is measured yet"
list(Plan.objects.all())
assert alive()
if sys.argv[1] == "fork":
    child = os.fork()
    if child == 0:
        assert not alive() and metrics.current().look() == {}
        list(Plan.objects.all()); list(Plan.objects.all())
        assert alive()
        reporter.stop(10)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
elif sys.argv[1] == "intervals":
    while metrics.current().look():  # until it has been reported
        time.sleep(0.05)
    list(Plan.objects.all())
elif sys.argv[1] == "set back":
    from django.utils import timezone
    usual, ahead = timezone.now, [9000.0]
    timezone.now = lambda: usual() + datetime.timedelta(seconds=ahead[0])
    reported = reporter.Reporter.report
    def report(self, now):
        ahead[0] = 0.0
        reported(self, now)
    reporter.Reporter.report = report
    for _ in range(2):  # before the clock is set back, and after
        list(Plan.objects.all())
        while metrics.current().look():
            time.sleep(0.05)
elif sys.argv[1] == "shutdown":
    from daylight.database import shutdown_database
    shutdown_database()
    assert not alive()
    list(Plan.objects.all())
    assert alive()
"""


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables."""
    file = tmp_path_factory.mktemp("migrated") / "d.sqlite3"
    run_program("migrate", file)
    return file


@pytest.fixture
def program(migrated: Path, tmp_path: Path) -> Any:
    """Runs PROGRAM on a database of its own; how many calls each of its windows has."""
    file = tmp_path / "d.sqlite3"
    shutil.copy(migrated, file)

    def run(what: str, interval: str = "60") -> list[int]:
        run_program(what, file, interval)
        found = sqlite3.connect(file)
        rows = found.execute(
            "SELECT count FROM performance_metrics WHERE series = 'plans#SELECT#sqlite' "
            'ORDER BY "window"'
        ).fetchall()
        found.close()
        return [count for (count,) in rows]

    return run


def run_program(what: str, file: Path, interval: str = "60") -> None:
    environment = {
        **os.environ, "DAYLIGHT_ENV_FILE": os.devnull, "DATABASE_URL": f"sqlite:///{file}",
        "DB_METRICS_INTERVAL": interval,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, what], cwd=ROOT, env=environment,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_a_process_that_ends_writes_its_last_window(program: Any) -> None:
    assert program("end") == [1]


def test_a_process_that_runs_on_writes_one_window_after_the_other(program: Any) -> None:
    assert program("intervals", "0.4") == [1, 1]


def test_a_clock_that_is_set_back_holds_up_no_window(program: Any) -> None:
    assert sum(program("set back", "0.2")) == 3


def test_a_forked_child_counts_its_own_and_both_report(program: Any) -> None:
    assert sorted(program("fork")) == [1, 2]


def test_after_a_shutdown_the_next_call_is_reported_too(program: Any) -> None:
    assert program("shutdown") == [1, 1]


def test_a_command_writes_nothing_to_the_tables_that_it_may_be_comparing(program: Any) -> None:
    assert program("command") == []


def test_metrics_that_are_switched_off_start_no_thread(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DB_METRICS_ENABLED = False
    monkeypatch.setattr(reporter, "_wanted", True)
    metrics.renew()
    metrics.on_new_series[0]()
    assert reporter._reporter is None
