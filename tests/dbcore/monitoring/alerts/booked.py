"""Books of both kinds, and deliveries to put into them."""

from __future__ import annotations

import dataclasses
from typing import Any

from dbcore.monitoring.alerts.books import Books
from dbcore.monitoring.alerts.deliveries import Delivery, Progress, new_delivery
from dbcore.monitoring.alerts.incidents import Event, State
from dbcore.monitoring.alerts.messages import about
from tests.dbcore.monitoring.alerts.judged import CRITICAL, after


def delivery(
    channel: str = "slack",
    event: Event = Event.STARTED,
    *,
    seconds: float = 0,
    incident: str = "incident-1",
    subject: str = "archives",
    **given: Any,
) -> Delivery:
    """A message about a check, enqueued so many seconds after the start; `tried`: when it was, in
    the same seconds."""
    state = State(
        "unhealthy_check", subject, since=after(seconds), severity=CRITICAL, incident=incident,
        sentence="it is not well", fired_at=after(seconds), ended_at=after(seconds),
    )  # fmt: skip
    tried = given.pop("tried", None)
    if tried is not None:
        given["attempted_at"] = after(tried)
    made = new_delivery(channel, about(state, event, None), after(seconds))
    return dataclasses.replace(made, **given)


def failed(channel: str, tried: float, attempts: int = 1, **given: Any) -> Delivery:
    """One that a channel has not taken."""
    given = {"answer": "500: oops", **given}
    return delivery(channel, tried=tried, attempts=attempts, **given)


def sent(channel: str, tried: float, **given: Any) -> Delivery:
    """One that a channel took."""
    return delivery(channel, tried=tried, state=Progress.SENT, answer="200 ok", **given)


def booked(books: Books, *deliveries: Delivery) -> None:
    """Put them into the books, as they are."""
    state = State("unhealthy_check", "archives", since=after(0))
    before = books.states().get(state.key, state)
    assert books.change(before, before, deliveries)  # nothing but its version
