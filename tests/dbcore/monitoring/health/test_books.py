"""What the books, the pools and the channels of alerts say."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
from django.utils import timezone

from dbcore.dynamo.leases import Lease
from dbcore.local_engine import LocalEngine
from dbcore.migration.run import LEASE_NAME
from dbcore.models import DeadLetter, MigrationRun, Sweep
from dbcore.monitoring.health import Status, run_checks
from dbcore.monitoring.records import PoolPeak, RecordWriter, Window
from dbcore.monitoring.totals import Totals
from dbcore.wire import get_wire
from tests.dbcore.monitoring.alerts.receivers import eventually
from tests.dbcore.monitoring.health.asked import (
    CRITICAL,
    HEALTHY,
    WARNING,
    ask,
    ill,
    silent_until,
)
from tests.dbcore.monitoring.health.conftest import swept
from tests.support.proxy import FaultProxy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("status", "hours", "said", "words"),
    [
        ("completed", 1, HEALTHY, "1.0 hours ago"),
        ("completed", 35, HEALTHY, "35.0 hours ago"),
        ("completed", 37, WARNING, "37 hours ago"),
        ("failed", 1, WARNING, "is failed"),
        ("interrupted", 1, WARNING, "is interrupted"),
        ("unproven", 1, CRITICAL, "could not prove an archive"),
    ],
)
def test_the_last_sweep(status: str, hours: float, said: Status, words: str) -> None:
    swept("completed", 48)
    swept(status, hours)
    Sweep.objects.create(store="orm", target="here", as_of=timezone.now(), host="h", pid=1)
    found = ask("last_sweep")
    assert found.status is said and words in found.sentence
    assert "user-4711" not in found.sentence, "its error may name a record"


def test_no_sweep_yet_is_a_warning_unless_sweeps_are_switched_off(settings: Any) -> None:
    found = ask("last_sweep")
    assert found.status is WARNING and "enforce_retention" in found.sentence
    settings.RETENTION_ENABLED = False
    assert ask("last_sweep").status is HEALTHY


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("completed", HEALTHY),
        ("completed_with_dead_letters", HEALTHY),  # they were replayed since
        ("failed", WARNING),
        ("interrupted", WARNING),
    ],
)
def test_the_last_migration(status: str, said: Status) -> None:
    assert ask("last_migration").status is HEALTHY, "there was none"
    MigrationRun.objects.create(
        source="a", target="b", status=status, host="h", pid=1, error="row user-4711",
        finished_at=timezone.now(),
    )  # fmt: skip
    found = ask("last_migration")
    assert found.status is said and "user-4711" not in found.sentence


def test_a_migration_that_was_killed_is_seen_and_one_that_works_is_not(site: LocalEngine) -> None:
    run = MigrationRun.objects.create(source="a", target="b", host="h", pid=1)
    with Lease(get_wire(), LEASE_NAME, run.id):
        assert ask("last_migration").status is HEALTHY
        late = timezone.now() + dt.timedelta(minutes=5)
        (found,) = run_checks(["last_migration"], now=late)
        assert found.status is WARNING, "its lease has run out"
    found = ask("last_migration")
    assert found.status is WARNING and f"{run.id} was interrupted" in found.sentence
    with Lease(get_wire(), LEASE_NAME, "another"):
        assert ask("last_migration").status is WARNING


@pytest.mark.parametrize("has_ended", [False, True])
@pytest.mark.parametrize("status", ["completed", "failed", "running"])
def test_a_replay_of_dead_letters_says_nothing_of_the_migration(
    status: str, has_ended: bool
) -> None:
    ended = timezone.now() if has_ended else None
    of = {"source": "a", "target": "b", "host": "h", "pid": 1}
    replayed = {"options": {"replay": ["users"]}, "status": status, "finished_at": ended}
    MigrationRun.objects.create(**of, **replayed)
    assert ask("last_migration").sentence == "there was no migration"
    MigrationRun.objects.create(**of, status="failed", finished_at=timezone.now())
    assert ask("last_migration").status is WARNING


def test_dead_letters_are_a_warning_until_they_are_resolved() -> None:
    letter = DeadLetter.objects.create(
        source="a", target="b", source_table="users", table="users", row_ref="1",
        key="user-4711", reason="no", row={}, copy_pass="p",
    )  # fmt: skip
    found = ask("last_migration")
    assert found.status is WARNING and "1 rows could not be migrated" in found.sentence
    assert "user-4711" not in found.sentence
    letter.resolved_at = timezone.now()
    letter.save()
    assert ask("last_migration").status is HEALTHY


# --- Pools ----------------------------------------------------------------------------------------
def test_a_pool_that_is_nearly_used_up_here(site: LocalEngine, settings: Any) -> None:
    settings.DYNAMODB_POOL_SIZE = 4
    wire = get_wire()
    held = [wire.connect()[0] for _ in range(3)]
    assert ask("pool").status is HEALTHY
    held.append(wire.connect()[0])
    found = ask("pool")
    assert found.status is WARNING
    assert "this process uses 4 of 4 connections of dynamodb" in found.sentence
    for connection in held:
        wire.release(connection)
    assert ask("pool").status is HEALTHY


def test_checks_that_ask_at_once_do_not_fill_the_pool(site: LocalEngine, settings: Any) -> None:
    settings.DYNAMODB_POOL_SIZE = 1
    assert ill() == {}


def report_pool(used: int, pending: int) -> None:
    end = timezone.now()
    RecordWriter().write(
        Window(
            end - dt.timedelta(minutes=1),
            end,
            {
                ("dynamodb", "plans", "Query"): Totals(
                    count=1, least=0.01, worst=0.01, buckets={0.01: 1}
                )
            },
            {"dynamodb": PoolPeak("dynamodb", used, pending, 32)},
        )
    )


@pytest.mark.parametrize(("used", "pending", "said"), [(10, 0, HEALTHY), (31, 0, WARNING),
                                                       (32, 9, CRITICAL)])  # fmt: skip
def test_a_pool_that_another_process_reported(used: int, pending: int, said: Status) -> None:
    report_pool(used, pending)
    found = ask("pool")
    assert not found.sentence.startswith("this process")
    assert found.status is said and f"uses {used} of 32" in found.sentence


def test_a_pool_is_not_said_to_be_well_where_reports_cannot_be_read(
    site: LocalEngine, settings: Any
) -> None:
    settings.DB_HEALTH_DEADLINE, settings.DYNAMODB_POOL_SIZE = 1.0, 2
    settings.DYNAMODB_DEADLINE = 1.5  # for so long a reading hangs
    release = threading.Event()
    with FaultProxy(settings.DYNAMODB_ENDPOINT, [silent_until(release)]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        found = ask("pool")
        assert (found.status, found.is_known) == (HEALTHY, False)
        assert "cannot be read" in found.sentence
        held = [get_wire().connect()[0] for _ in range(2)]
        found = ask("pool")
        assert (found.status, found.is_known) == (WARNING, True), "that is known all the same"
        for connection in held:
            get_wire().release(connection)
        release.set()
    settings.DYNAMODB_ENDPOINT = site.endpoint
    # Nothing is read anew before the reading that hung has ended.
    eventually(lambda: ask("pool").is_known, "reports that can be read")


# --- Channels of alerts ---------------------------------------------------------------------------
@pytest.fixture
def no_channel(settings: Any) -> None:
    settings.ALERT_EMAIL = []
    settings.ALERT_SLACK_WEBHOOK = settings.ALERT_SNS_TOPIC = ""
    settings.ALERT_PAGERDUTY_KEY = ""


def test_alerts_that_reach_nobody_are_a_warning(no_channel: None, settings: Any) -> None:
    found = ask("alert_channels")
    assert found.status is WARNING and "reach nobody" in found.sentence
    settings.ALERT_EMAIL = ["oncall@daylight.example"]
    found = ask("alert_channels")
    assert found.status is HEALTHY and "email" in found.sentence
    assert "oncall" not in found.sentence
    settings.ALERT_EMAIL, settings.DB_ALERTS_ENABLED = [], False
    assert ask("alert_channels").status is HEALTHY


def test_a_channel_that_is_set_wrongly_is_a_warning_and_its_secret_stays(
    no_channel: None, settings: Any
) -> None:
    settings.ALERT_SLACK_WEBHOOK = "http://hooks.slack.com/services/T000/B000/secret12345"
    found = ask("alert_channels")
    assert found.status is WARNING and "ALERT_SLACK_WEBHOOK" in found.sentence
    assert "secret12345" not in found.sentence
