"""When an alert begins and ends: the state machine, told as stories of readings."""

from __future__ import annotations

import dataclasses

from dbcore.monitoring.alerts.incidents import Event
from tests.dbcore.monitoring.alerts.judged import (
    CRITICAL,
    OK,
    WARNING,
    Story,
    snapshot,
)

STARTED, WORSENED, ENDED = Event.STARTED, Event.WORSENED, Event.ENDED


def test_latency_must_stay_high_for_two_minutes_and_is_told_once() -> None:
    story = Story()
    assert story.see(snapshot(0, latency_p95_ms=800)) == []
    assert story.see(snapshot(119, latency_p95_ms=900)) == []
    assert story.see(snapshot(120, latency_p95_ms=700)) == [(STARTED, "high_latency", WARNING)]
    assert story.see(snapshot(500, latency_p95_ms=5000)) == []
    assert story.see(snapshot(515, latency_p95_ms=100)) == [(ENDED, "high_latency", WARNING)]
    assert story.see(snapshot(530, latency_p95_ms=100)) == []


def test_one_good_reading_between_makes_the_two_minutes_begin_anew() -> None:
    story = Story()
    story.see(snapshot(0, latency_p95_ms=800))
    assert story.see(snapshot(60, latency_p95_ms=100)) == []
    assert story.see(snapshot(75, latency_p95_ms=800)) == []
    assert story.see(snapshot(180, latency_p95_ms=800)) == []
    assert story.see(snapshot(195, latency_p95_ms=800)) == [(STARTED, "high_latency", WARNING)]


def test_a_threshold_itself_is_not_above_it() -> None:
    story = Story()
    at_limit = {"latency_p95_ms": 500, "error_rate": 0.05, "primary_store": OK}
    story.see(snapshot(0, **at_limit))
    assert story.see(snapshot(300, **at_limit)) == []
    # One more look, in case an outage of the store is about to show.
    assert story.see(snapshot(315, error_rate=0.051, primary_store=OK)) == []
    assert story.see(snapshot(330, error_rate=0.051, primary_store=OK)) == [
        (STARTED, "high_error_rate", CRITICAL)
    ]


def test_a_critical_check_is_told_at_once_and_a_warning_after_two_minutes() -> None:
    story = Story()
    assert story.see(snapshot(0, primary_store=CRITICAL, disk=WARNING)) == [
        (STARTED, "primary_store", CRITICAL)
    ]
    assert story.see(snapshot(120, primary_store=CRITICAL, disk=WARNING)) == [
        (STARTED, "disk", WARNING)
    ]


def test_getting_worse_is_told_and_getting_less_bad_is_not() -> None:
    story = Story()
    story.see(snapshot(0, archives=WARNING))
    assert story.see(snapshot(120, archives=WARNING)) == [(STARTED, "archives", WARNING)]
    assert story.see(snapshot(135, archives=CRITICAL)) == [(WORSENED, "archives", CRITICAL)]
    assert story.see(snapshot(150, archives=WARNING)) == []
    assert story.see(snapshot(165, archives=CRITICAL)) == []  # it has been that bad before
    assert story.see(snapshot(180, archives=OK)) == [(ENDED, "archives", CRITICAL)]


def test_a_check_that_flaps_is_told_again_only_after_its_cooldown() -> None:
    story = Story()
    assert story.see(snapshot(0, archives=CRITICAL)) == [(STARTED, "archives", CRITICAL)]
    assert story.see(snapshot(15, archives=OK)) == [(ENDED, "archives", CRITICAL)]
    for seconds in range(30, 135, 15):
        bad = seconds % 30 == 0
        assert story.see(snapshot(seconds, archives=CRITICAL if bad else OK)) == []
    # 120 seconds after its end it is still, or again, broken: that is told.
    assert story.see(snapshot(135, archives=CRITICAL)) == [(STARTED, "archives", CRITICAL)]


def test_two_incidents_have_two_ids() -> None:
    story = Story()
    key = ("unhealthy_check", "archives")
    story.see(snapshot(0, archives=CRITICAL))
    first = story.states[key].incident
    story.see(snapshot(15, archives=OK))
    story.see(snapshot(1000, archives=CRITICAL))
    assert first and story.states[key].incident not in ("", first)


def test_an_outage_of_the_store_is_one_alert_whatever_else_it_breaks() -> None:
    story = Story()
    all_bad = {
        "primary_store": CRITICAL, "tables": CRITICAL, "indexes": CRITICAL, "replicas": WARNING,
        "expiry_and_backups": CRITICAL, "error_rate": 0.9, "latency_p95_ms": 30_000,
    }  # fmt: skip
    told = [
        event for seconds in range(0, 615, 15) for event in story.see(snapshot(seconds, **all_bad))
    ]
    assert told == [(STARTED, "primary_store", CRITICAL)]
    # The checks are well at once; what was measured tells of the outage for a while yet.
    well = {name: OK for name, value in all_bad.items() if value in (CRITICAL, WARNING)}
    echo = {"error_rate": 0.9, "latency_p95_ms": 30_000}
    assert story.see(snapshot(615, **well, **echo)) == [(ENDED, "primary_store", CRITICAL)]
    for seconds in range(630, 915, 15):
        assert story.see(snapshot(seconds, **well, **echo)) == []
    # What is still so when that is over is no echo.
    story.see(snapshot(915, **well, **echo))
    assert (STARTED, "high_error_rate", CRITICAL) in story.see(snapshot(930, **well, **echo))


def test_a_look_that_the_outage_came_into_the_middle_of_is_still_one_alert() -> None:
    story = Story()
    # The first check still got its answer; the next look has all of it.
    assert story.see(snapshot(0, primary_store=OK, tables=CRITICAL)) == []
    assert story.see(snapshot(15, primary_store=CRITICAL, tables=CRITICAL)) == [
        (STARTED, "primary_store", CRITICAL)
    ]
    # And it ends in the middle of one.
    assert story.see(snapshot(30, primary_store=OK, tables=CRITICAL)) == [
        (ENDED, "primary_store", CRITICAL)
    ]
    assert story.see(snapshot(45, primary_store=OK, tables=OK)) == []


def test_a_missing_table_is_told_while_the_store_is_well_or_merely_slow() -> None:
    story = Story()
    assert story.see(snapshot(0, primary_store=WARNING, tables=CRITICAL)) == []
    assert story.see(snapshot(15, primary_store=WARNING, tables=CRITICAL)) == [
        (STARTED, "tables", CRITICAL)
    ]


def test_what_cannot_be_read_changes_nothing() -> None:
    story = Story()
    story.see(snapshot(0, archives=CRITICAL, latency_p95_ms=800))
    assert story.see(snapshot(60)) == []
    assert story.see(snapshot(120, latency_p95_ms=800)) == [(STARTED, "high_latency", WARNING)]
    assert story.see(snapshot(135)) == []
    assert story.see(snapshot(150, archives=OK)) == [(ENDED, "archives", CRITICAL)]


def test_what_another_monitor_sees_broken_is_not_over_because_this_one_sees_it_well() -> None:
    here, there = Story(name="here"), Story(name="there")
    here.see(snapshot(0, primary_store=CRITICAL))
    there.states = here.states  # one database
    for seconds in (5, 20, 35):
        assert there.see(snapshot(seconds, primary_store=OK)) == []
        assert here.see(snapshot(seconds + 10, primary_store=CRITICAL)) == []
    assert here.see(snapshot(60, primary_store=OK)) == [(ENDED, "primary_store", CRITICAL)]


def test_what_a_monitor_saw_that_has_died_since_is_over_after_a_while() -> None:
    here, there = Story(name="here"), Story(name="there")
    here.see(snapshot(0, primary_store=CRITICAL))
    there.states = here.states
    assert there.see(snapshot(59, primary_store=OK)) == []
    assert there.see(snapshot(60, primary_store=OK)) == [(ENDED, "primary_store", CRITICAL)]


def test_a_look_that_began_before_the_last_change_is_old_news() -> None:
    story = Story()
    story.see(snapshot(0, primary_store=CRITICAL))
    story.see(snapshot(30, primary_store=OK))
    late = snapshot(20, primary_store=CRITICAL)
    assert story.see(dataclasses.replace(late)) == []
    assert story.states["unhealthy_check", "primary_store"].phase == "ok"
