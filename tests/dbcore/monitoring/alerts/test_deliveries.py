"""In which order messages go out, and when a channel is said to fail: with both kinds of books."""

from __future__ import annotations

import pytest

from dbcore.models import AlertDelivery
from dbcore.monitoring.alerts.books import MOST_WAITING, Books, MemoryBooks, SqlBooks
from dbcore.monitoring.alerts.deliveries import Progress, sendable
from dbcore.monitoring.alerts.incidents import Event
from tests.dbcore.monitoring.alerts.booked import booked, delivery, failed, sent
from tests.dbcore.monitoring.alerts.judged import CRITICAL, OK, Table, after, check

STARTED, WORSENED, ENDED = Event.STARTED, Event.WORSENED, Event.ENDED


def test_the_next_incident_is_not_begun_before_the_last_ones_end_is_told() -> None:
    """They have one deduplication key: PagerDuty would resolve the new one by the old one's end."""
    end = delivery("pagerduty", ENDED, seconds=100, next_at=after(400))
    begun = delivery("pagerduty", STARTED, seconds=300, incident="incident-2")
    assert sendable([begun, end], after(300)) == []
    assert sendable([begun, end], after(400)) == [end]
    assert sendable([begun], after(400)) == [begun]


def test_another_subject_and_another_channel_do_not_wait_for_it() -> None:
    end = delivery("pagerduty", ENDED, next_at=after(400))
    other_subject = delivery("pagerduty", subject="disk", incident="incident-2")
    other_channel = delivery("slack", incident="incident-2")
    found = sendable([other_channel, other_subject, end], after(300))
    assert set(found) == {other_subject, other_channel}


def test_what_is_of_one_incident_goes_from_its_start_to_its_end_whatever_the_ids() -> None:
    end, worse, start = (delivery("slack", event) for event in (ENDED, WORSENED, STARTED))
    waiting, order = {end, worse, start}, []
    while waiting:
        (first,) = sendable(waiting, after(0))
        order.append(first)
        waiting.remove(first)
    assert order == [start, worse, end]


def test_what_a_clock_that_was_ahead_has_put_off_is_not_put_off() -> None:
    ahead = delivery("slack", next_at=after(7200))
    a_long_wait = delivery("email", next_at=after(600))
    assert sendable([ahead, a_long_wait], after(0)) == [ahead]


@pytest.fixture(params=[MemoryBooks, SqlBooks])
def books(request: pytest.FixtureRequest, db: None) -> Books:
    made: Books = request.param()
    return made


def test_what_waits_for_a_dead_channel_does_not_hide_what_waits_for_another(books: Books) -> None:
    booked(books, *(failed("slack", 0, incident=f"incident-{n:03}") for n in range(MOST_WAITING)))
    booked(books, delivery("email", incident="incident-x"))
    for channels in ({"slack", "email"}, None):
        found = [each.channel for each in books.waiting(channels)]
        assert found.count("email") == 1 and found.count("slack") == MOST_WAITING
    assert [each.channel for each in books.waiting({"email", "sns"})] == ["email"]


def test_a_channel_that_is_added_does_not_hear_the_end_of_what_it_never_heard_of(
    db: None,
) -> None:
    table = Table(SqlBooks())
    table.look(0, check("archives", CRITICAL), channels=("email",))
    both = ("email", "slack")
    table.look(15, check("archives", CRITICAL), check("tables", CRITICAL), channels=both)
    table.look(30, check("archives", CRITICAL), check("tables", CRITICAL), channels=both)
    told = table.look(40 * 86_400, check("archives", OK), check("tables", OK), channels=both)
    assert [event for event, *_ in told] == [ENDED, ENDED]
    found = {
        subject: sorted(
            (each.channel, each.message.event)
            for each in table.books.waiting()
            if each.message.subject == subject
        )
        for subject in ("archives", "tables")
    }
    assert found == {
        "archives": [("email", ENDED), ("email", STARTED)],
        "tables": [
            ("email", ENDED), ("email", STARTED), ("slack", ENDED), ("slack", STARTED),
        ],
    }  # fmt: skip


def test_who_was_told_of_the_start_long_ago_is_told_of_the_end(db: None) -> None:
    table = Table(SqlBooks())
    table.look(0, check("archives", CRITICAL), channels=("email",))
    AlertDelivery.objects.update(state="sent")
    SqlBooks().prune(after(40 * 86_400))
    table.look(40 * 86_400, check("archives", OK), channels=("email",))
    assert [each.message.event for each in table.books.waiting()] == [ENDED]
    AlertDelivery.objects.update(state="sent")
    SqlBooks().prune(after(80 * 86_400))
    assert AlertDelivery.objects.count() == 0


class TestTroubles:
    def test_a_channel_that_took_the_last_message_is_well(self, books: Books) -> None:
        booked(books, failed("slack", 10, 5, state=Progress.GIVEN_UP), sent("slack", 20))
        booked(books, failed("email", 10))
        assert books.troubles({"slack", "email", "sns"}) == {"slack": "", "email": "", "sns": ""}

    def test_the_first_try_of_a_new_message_does_not_make_a_dead_channel_well(
        self, books: Books
    ) -> None:
        booked(books, sent("slack", 5), failed("slack", 100, 4))
        booked(books, failed("slack", 130, answer="404: no_service"))
        assert books.troubles({"slack"}) == {"slack": "404: no_service"}

    def test_two_messages_that_failed_once_each_are_a_failing_channel(self, books: Books) -> None:
        booked(books, sent("slack", 5), failed("slack", 5, answer="later in the same look"))
        assert books.troubles({"slack"}) == {"slack": ""}
        booked(books, failed("slack", 20))
        assert books.troubles({"slack"}) == {"slack": "500: oops"}

    def test_what_was_given_up_is_trouble_until_something_is_taken(self, books: Books) -> None:
        booked(books, failed("slack", 86_400, 150, state=Progress.GIVEN_UP))
        assert books.troubles({"slack"}) == {"slack": "500: oops"}
        booked(books, sent("slack", 90_000))
        assert books.troubles({"slack"}) == {"slack": ""}
