"""What alerts are judged by, read from where it is kept: measurements, the books, the checks."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from dbcore.models import MigrationRun, Sweep, SweepMark
from dbcore.monitoring import health
from dbcore.monitoring.alerts.observe import Observer, error_rate, latency, pool_use, throttles
from dbcore.monitoring.health.results import CheckResult
from dbcore.monitoring.history import SourcePool
from dbcore.monitoring.records import PoolPeak, RecordWriter, Window
from dbcore.monitoring.totals import Totals
from dbcore.retention.keepers.choice import primary_keeper
from tests.dbcore.monitoring.alerts.judged import CRITICAL, OK, START, after, check

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def calls(count: int, seconds: float = 0.01, errors: int = 0, throttled: int = 0) -> Totals:
    return Totals(
        count=count, errors=errors, rows=count, throttles=throttled, seconds=count * seconds,
        least=seconds, worst=seconds, buckets={100.0: count},
    )  # fmt: skip


def test_latency_is_that_of_the_slowest_operation_with_enough_calls() -> None:
    found = latency({
        ("plans", "Query"): calls(100, 0.9),
        ("users", "GetItem"): calls(1000, 0.01),
        ("roles", "Scan"): calls(3, 30.0),
    })  # fmt: skip
    assert 800 < found.value <= 900
    assert "100 calls of Query on plans took up to" in found.sentence


def test_the_share_of_errors_is_of_all_calls_and_the_worst_is_named() -> None:
    found = error_rate({
        ("plans", "Query"): calls(60, errors=3), ("users", "GetItem"): calls(40, errors=7),
    })  # fmt: skip
    assert found.value == 0.1
    assert "10 of 100 calls failed" in found.sentence and "GetItem on users" in found.sentence


def test_a_handful_of_calls_is_not_judged() -> None:
    few = {("plans", "Query"): calls(19, 30.0, errors=19)}
    assert (latency(few).value, error_rate(few).value) == (0.0, 0.0)
    assert (latency({}).value, error_rate({}).value, throttles({}).value) == (0.0, 0.0, 0.0)


def test_a_single_throttle_counts() -> None:
    found = throttles({("plans", "PutItem"): calls(1, throttled=2)})
    assert found.value == 2 and "PutItem on plans" in found.sentence


def test_pool_use_is_that_of_the_process_that_used_most() -> None:
    found = pool_use([
        SourcePool("web1-7", PoolPeak("dynamodb", 10, 0, 32)),
        SourcePool("web2-9", PoolPeak("dynamodb", 30, 4, 32)),
    ])  # fmt: skip
    assert found.value == 30 / 32
    assert "web2-9 used 30 of 32" in found.sentence and "4 calls waited" in found.sentence


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> dict[str, CheckResult | Exception]:
    """What the health checks say: nothing, until the test has them say something."""
    said: dict[str, CheckResult | Exception] = {}

    def run_checks(names: Any = None, *, now: dt.datetime) -> list[CheckResult]:
        for result in said.values():
            if isinstance(result, Exception):
                raise result
        return [each for each in said.values() if isinstance(each, CheckResult)]

    monkeypatch.setattr(health, "run_checks", run_checks)
    return said


def sweep(status: str, hours: float, tables: list[dict[str, Any]] | None = None) -> None:
    ended = START - hours * HOUR
    Sweep.objects.create(
        store="orm", target="here", status=status, as_of=ended, host="h", pid=1,
        started_at=ended, finished_at=ended, report={"tables": tables or []}, error="why",
    )  # fmt: skip


def left(table: str, **counts: int) -> dict[str, Any]:
    names = ("left", "undone", "changed", "held", "in_grace", "kept")
    return {"table": table, "error": "", **dict.fromkeys(names, 0), **counts}


@pytest.mark.django_db(transaction=True)
class TestBooks:
    def test_empty_books_say_nothing_is_wrong(self, checks: dict[str, Any]) -> None:
        seen = Observer().look(START)
        assert seen.sweep_age_hours is None and seen.backlog_days is None
        assert seen.last_sweep is not None and seen.last_sweep.status == ""
        assert seen.last_migration is not None and seen.last_migration.status == ""
        assert seen.latency_p95_ms is not None and seen.latency_p95_ms.value == 0

    def test_the_last_sweep_counts_and_its_age_is_of_the_last_that_worked(
        self, checks: dict[str, Any]
    ) -> None:
        sweep("completed", 40)
        sweep("failed", 2)
        seen = Observer().look(START)
        assert seen.last_sweep is not None and seen.last_sweep.status == "failed"
        assert "why" in seen.last_sweep.sentence
        assert seen.sweep_age_hours is not None and seen.sweep_age_hours.value == 40

    def test_a_sweep_that_is_switched_off_is_not_overdue(
        self, checks: dict[str, Any], settings: Any
    ) -> None:
        settings.RETENTION_ENABLED = False
        sweep("completed", 400)
        SweepMark.objects.create(
            target=primary_keeper().target, table="plans", swept_through=START.date() - 90 * DAY
        )
        seen = Observer().look(START)
        # Not unknown: that would leave an alert open which began before.
        for value in (seen.sweep_age_hours, seen.backlog_days):
            assert value is not None and value.value == 0 and "not in use" in value.sentence

    def test_what_the_books_quote_of_a_record_is_not_told(self, checks: dict[str, Any]) -> None:
        said = "users u-17/x cannot be written: email ana@example.org, password='two words'"
        for model, given in ((MigrationRun, {"source": "a"}), (Sweep, {"as_of": START})):
            model.objects.create(  # type: ignore[attr-defined]
                target="b", host="h", pid=1, status="failed", error=said,
                finished_at=START, **given,
            )  # fmt: skip
        seen = Observer().look(START)
        for run in (seen.last_migration, seen.last_sweep):
            assert run is not None and "cannot be written" in run.sentence
            for secret in ("u-17", "ana", "two words"):
                assert secret not in run.sentence

    def test_the_last_migration_that_ended_counts(self, checks: dict[str, Any]) -> None:
        for status, hours in (("failed", 1), ("completed", 5)):
            MigrationRun.objects.create(
                source="a", target="b", status=status, host="h", pid=1, error="no table",
                finished_at=START - hours * HOUR,
            )  # fmt: skip
        MigrationRun.objects.create(source="a", target="b", host="h", pid=1)  # it runs
        MigrationRun.objects.create(
            source="a", target="b", status="completed", host="h", pid=1, finished_at=START,
            options={"replay": ["users"]},
        )  # fmt: skip  # which says nothing of the migration
        seen = Observer().look(START)
        assert seen.last_migration is not None and seen.last_migration.status == "failed"

    def test_the_backlog_is_of_the_table_that_lags_most_and_not_of_what_must_stay(
        self, checks: dict[str, Any]
    ) -> None:
        target, today = primary_keeper().target, START.date()
        for table, days in (("plans", 11), ("users", 100), ("api_usage", 40), ("fresh", 1)):
            SweepMark.objects.create(target=target, table=table, swept_through=today - days * DAY)
        SweepMark.objects.create(
            target="another store", table="plans", swept_through=today - 900 * DAY
        )
        sweep("completed", 1, [left("users", held=3), left("api_usage", held=1, left=5)])
        seen = Observer().look(START).backlog_days
        assert seen is not None and seen.value == 39
        assert "api_usage has records that have been due for up to 39 days" in seen.sentence

    def test_where_all_that_is_due_must_stay_there_is_no_backlog(
        self, checks: dict[str, Any]
    ) -> None:
        SweepMark.objects.create(
            target=primary_keeper().target, table="users", swept_through=START.date() - 90 * DAY
        )
        sweep("completed", 1, [left("users", held=3)])
        seen = Observer().look(START).backlog_days
        assert seen is not None and seen.value == 0

    def test_what_processes_measured_is_read_back(self, checks: dict[str, Any]) -> None:
        totals = {("aws.dynamodb", "plans", "Query"): calls(100, 0.9, errors=50)}
        RecordWriter().write(Window(after(-60), START, totals))
        seen = Observer().look(after(1))
        assert seen.error_rate is not None and seen.error_rate.value == 0.5
        assert seen.latency_p95_ms is not None and seen.latency_p95_ms.value > 800

    def test_history_is_read_again_when_it_can_have_changed(
        self, checks: dict[str, Any], settings: Any
    ) -> None:
        settings.DB_METRICS_INTERVAL = 60
        observer = Observer()
        observer.look(START)
        totals = {("aws.dynamodb", "plans", "Query"): calls(100, errors=50)}
        RecordWriter().write(Window(START, after(1), totals))
        early, late = observer.look(after(59)), observer.look(after(60))
        assert early.error_rate is not None and early.error_rate.value == 0
        assert late.error_rate is not None and late.error_rate.value == 0.5

    def test_history_is_read_again_after_a_clock_was_set_back(
        self, checks: dict[str, Any], settings: Any
    ) -> None:
        observer = Observer()
        observer.look(after(86400))
        totals = {("aws.dynamodb", "plans", "Query"): calls(100, errors=50)}
        RecordWriter().write(Window(after(-60), START, totals))
        seen = observer.look(START)
        assert seen.error_rate is not None and seen.error_rate.value == 0.5

    def test_a_store_that_takes_no_write_leaves_unknown_what_is_written_there(
        self, checks: dict[str, Any]
    ) -> None:
        checks["primary_store"] = check("primary_store", CRITICAL)
        seen = Observer().look(START)
        assert seen.latency_p95_ms is seen.error_rate is seen.throttles is seen.pool_use is None
        assert seen.last_sweep is not None
        checks["primary_store"] = check("primary_store", OK)
        seen = Observer().look(START)
        assert seen.error_rate is not None and seen.error_rate.value == 0

    def test_checks_are_passed_on_and_their_failure_is_not_a_finding(
        self, checks: dict[str, Any]
    ) -> None:
        checks["disk"] = check("disk", CRITICAL)
        assert [each.name for each in Observer().look(START).checks] == ["disk"]
        checks["disk"] = RuntimeError("a fault of the checks themselves")
        seen = Observer().look(START)
        assert seen.checks == () and seen.last_sweep is not None


@pytest.mark.django_db(transaction=True)
def test_a_store_that_cannot_be_read_leaves_measurements_unknown(
    checks: dict[str, Any], settings: Any
) -> None:
    settings.DATABASE_PRIMARY = "dynamodb"  # at an address where nobody is
    settings.DYNAMODB_DEADLINE = 0.2
    checks["primary_store"] = check("primary_store", OK)
    seen = Observer().look(START)
    assert seen.latency_p95_ms is seen.error_rate is seen.throttles is seen.pool_use is None
    assert seen.last_migration is not None
