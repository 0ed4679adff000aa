"""Alerts whose subject is gone end, and say why: with both kinds of books."""

from __future__ import annotations

import dataclasses

import pytest

from dbcore.monitoring.alerts.books import MemoryBooks, SqlBooks
from dbcore.monitoring.alerts.incidents import Event
from dbcore.monitoring.alerts.rules import default_rules
from tests.dbcore.monitoring.alerts.judged import CRITICAL, OK, Table, check

STARTED, ENDED = Event.STARTED, Event.ENDED
HOUR = 3600.0


pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("kind", [MemoryBooks, SqlBooks]),
]


@pytest.fixture
def table(kind: type[MemoryBooks] | type[SqlBooks]) -> Table:
    return Table(kind())


def test_a_failing_channel_that_is_taken_away_is_no_alert_any_more(table: Table) -> None:
    ((event, subject, _),) = table.look(0, failing={"slack": "404", "email": ""})
    assert (event, subject) == (STARTED, "slack")
    ((event, subject, why),) = table.look(15, failing={"email": ""}, channels=("email",))
    assert (event, subject) == (ENDED, "slack") and "not in use any more" in why
    assert table.look(30, failing={"email": ""}, channels=("email",)) == []


def test_what_cannot_be_read_for_a_while_is_not_gone(table: Table) -> None:
    table.look(0, check("archives", CRITICAL), failing={"slack": "404"})
    assert table.look(48 * HOUR) == []
    assert {state.phase for state in table.books.states().values()} == {"firing"}


def test_a_check_that_could_not_ask_ends_no_alert_and_begins_none(table: Table) -> None:
    table.look(0, check("clock", CRITICAL, "web-2"))
    not_known = dataclasses.replace(check("clock", OK, "web-2"), is_known=False)
    assert table.look(15, not_known) == []
    assert table.look(300, not_known) == []
    assert table.look(315, dataclasses.replace(not_known, status=CRITICAL)) == []
    assert table.look(330, check("clock", OK, "web-2"))[0][0] is ENDED


def test_an_alert_without_the_host_that_it_is_about_ends(table: Table) -> None:
    table.look(0, check("disk", CRITICAL))  # as it was told before hosts were always named
    ((event, subject, _),) = table.look(15, check("disk", OK, "web-2"))
    assert (event, subject) == (ENDED, "disk")


def test_a_host_that_nobody_speaks_for_is_let_go_after_a_day(table: Table) -> None:
    table.look(0, check("disk", CRITICAL, "web-1"), by="web-1")
    table.look(HOUR, check("disk", CRITICAL, "web-1"), by="web-1")
    assert table.look(24.9 * HOUR, check("disk", OK, "web-2")) == []
    ((event, subject, why),) = table.look(25 * HOUR, check("disk", OK, "web-2"))
    assert (event, subject) == (ENDED, "disk on web-1")
    assert "No monitor has spoken for web-1 for 24 hours" in why
    # The host is there after all: that is news.
    ((event, subject, _),) = table.look(26 * HOUR, check("disk", CRITICAL, "web-1"), by="web-1")
    assert (event, subject) == (STARTED, "disk on web-1")


def test_a_monitor_does_not_let_its_own_host_go(table: Table) -> None:
    table.look(0, check("clock", CRITICAL, "web-2"))
    assert table.look(100 * HOUR) == []


def test_monitors_with_other_rules_do_not_end_one_anothers_alerts(table: Table) -> None:
    fewer = [rule for rule in default_rules() if rule.name != "channel_failing"]
    told = []
    for seconds in range(0, 120, 15):
        told += table.look(seconds, failing={"slack": "404"}, by="web-1")
        told += table.look(seconds + 7, by="web-2", rules=fewer)
    assert [event for event, _, _ in told] == [STARTED]
    assert table.look(150, by="web-2", rules=fewer) == []
    ((event, _, why),) = table.look(200, by="web-2", rules=fewer)
    assert event is ENDED and "no such rule" in why


def test_what_a_clock_that_was_ahead_has_written_silences_nothing(table: Table) -> None:
    ahead = 2 * HOUR
    table.look(ahead, check("archives", CRITICAL))
    table.look(ahead + 15, check("archives", OK))
    told = []
    for seconds in range(0, 300, 15):  # the clock is right again, and the outage is a real one
        told += table.look(seconds, check("archives", CRITICAL))
    assert [event for event, _, _ in told] == [STARTED]
    assert table.look(300, check("archives", OK))[0][0] is ENDED


def test_what_a_host_saw_whose_clock_was_ahead_is_over_when_others_see_it_well(
    table: Table,
) -> None:
    table.look(0, check("archives", CRITICAL))
    table.look(2 * HOUR, check("archives", CRITICAL), by="web-1")
    told = []
    for seconds in range(15, 180, 15):
        told += table.look(seconds, check("archives", OK))
    assert [event for event, _, _ in told] == [ENDED]


def test_monitors_with_other_channels_do_not_either(table: Table) -> None:
    told = []
    for seconds in range(0, 120, 15):
        told += table.look(seconds, failing={"slack": "404"}, by="web-1")
        told += table.look(seconds + 7, by="web-2", channels=("email",))
    assert [event for event, _, _ in told] == [STARTED]
