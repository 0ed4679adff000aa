"""Alerts while Django's own database is away: PostgreSQL is stopped, and started again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django import db
from pytest_django import DjangoDbBlocker

from dbcore.models import AlertDelivery, AlertState
from dbcore.monitoring.alerts.monitor import Tick, bound_database
from dbcore.monitoring.deadlines import in_time
from tests.dbcore.monitoring.alerts.judged import CRITICAL, OK
from tests.dbcore.monitoring.alerts.receivers import Answer, Receivers
from tests.dbcore.monitoring.alerts.test_outbox import ENDED, STARTED, Ward
from tests.support.postgres import Stoppable


@pytest.fixture(scope="module")
def stoppable() -> Iterator[Stoppable]:
    server = Stoppable()
    yield server
    server.stop()


@pytest.fixture
def database(stoppable: Stoppable, django_db_blocker: DjangoDbBlocker) -> Iterator[Stoppable]:
    with django_db_blocker.unblock(), stoppable.as_default():
        yield stoppable
        if stoppable.is_away():
            stoppable.come_back()


def test_an_outage_of_the_database_itself_is_told_from_memory_and_booked_afterwards(
    all_channels: Receivers, database: Stoppable
) -> None:
    ward = Ward()
    ward.tick(0, archives=OK)
    database.go()
    tick = ward.tick(15, archives=CRITICAL)
    assert tick.on_memory and tick.status is CRITICAL
    ward.tick(30, archives=CRITICAL)
    assert all_channels.all_have([STARTED])
    database.come_back()
    assert not ward.tick(45, archives=CRITICAL).on_memory
    assert all_channels.all_have([STARTED])
    state = AlertState.objects.get()
    assert (state.phase, state.subject, state.severity) == ("firing", "archives", "critical")
    assert AlertDelivery.objects.filter(state="sent").count() == 4
    ward.restart("one")
    ward.tick(120, archives=OK)
    assert all_channels.all_have([STARTED, ENDED])


def test_what_was_told_before_is_not_told_again_and_its_end_is(
    all_channels: Receivers, database: Stoppable
) -> None:
    ward = Ward()
    ward.tick(0, archives=CRITICAL)
    database.go()
    ward.tick(15, archives=CRITICAL)
    ward.tick(30, archives=OK)
    assert all_channels.all_have([STARTED, ENDED])
    database.come_back()
    ward.tick(45, archives=OK)
    assert AlertState.objects.get().phase == "ok"
    assert all_channels.all_have([STARTED, ENDED])


def test_what_could_not_be_sent_meanwhile_is_sent_afterwards_by_any_monitor(
    all_channels: Receivers, database: Stoppable
) -> None:
    ward = Ward("one", "two")
    ward.tick(0, archives=OK)
    database.go()
    all_channels.hooks.answers["slack"].append(Answer(503, b"later", {"Retry-After": "60"}))
    ward.tick(15, archives=CRITICAL)
    assert all_channels.hooks.slack == []
    database.come_back()
    ward.tick(30, archives=CRITICAL)  # it books what waits
    ward.tick(90, "two", archives=CRITICAL)
    assert all_channels.all_have([STARTED])


def test_one_account_is_booked_when_two_monitors_come_back(
    all_channels: Receivers, database: Stoppable
) -> None:
    ward = Ward("one", "two")
    for name in ("one", "two"):
        ward.tick(0, name, archives=OK)
    database.go()
    ward.tick(15, "one", archives=CRITICAL)
    ward.tick(16, "two", archives=CRITICAL)
    # Each told it by itself; PagerDuty knows it for the same.
    assert len(all_channels.mail.mails) == 2
    assert len({each["dedup_key"] for each in all_channels.hooks.pagerduty}) == 1
    database.come_back()
    for name in ("one", "two", "one", "two"):
        ward.tick(30, name, archives=CRITICAL)
    assert AlertState.objects.get().phase == "firing"
    for name in ("one", "two"):
        ward.tick(120, name, archives=OK)
    assert all_channels.mail.events() == [STARTED, STARTED, ENDED]


def test_a_monitor_that_starts_without_the_database_tells_all_the_same(
    all_channels: Receivers, database: Stoppable
) -> None:
    database.go()
    ward = Ward()
    assert ward.tick(0, archives=CRITICAL).on_memory
    assert all_channels.all_have([STARTED])


def test_a_database_that_hangs_does_not_hold_the_monitor_up(
    all_channels: Receivers, database: Stoppable
) -> None:
    ward = Ward()
    ward.tick(0, archives=OK)
    with database.frozen():
        (tick,) = in_time({"tick": lambda: ward.tick(15, archives=CRITICAL)}, 60).values()
        assert isinstance(tick, Tick) and tick.on_memory
        assert all_channels.all_have([STARTED])
    assert not ward.tick(30, archives=CRITICAL).on_memory
    assert all_channels.all_have([STARTED])


def test_the_monitors_process_gives_up_on_a_connection_that_is_not_answered(
    database: Stoppable,
) -> None:
    bound_database()
    db.connection.close()  # whatever was before: a new one is asked for
    with database.frozen():
        (found,) = in_time({"connect": db.connection.ensure_connection}, 30).values()
    assert isinstance(found, db.OperationalError)
