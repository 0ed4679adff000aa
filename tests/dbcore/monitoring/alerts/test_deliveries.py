"""In which order messages go out, and when a channel is said to fail: with both kinds of books."""

from __future__ import annotations

import pytest

from dbcore.monitoring.alerts.deliveries import sendable
from dbcore.monitoring.alerts.incidents import Event
from tests.dbcore.monitoring.alerts.booked import delivery
from tests.dbcore.monitoring.alerts.judged import after

pytestmark = pytest.mark.django_db(transaction=True)
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
