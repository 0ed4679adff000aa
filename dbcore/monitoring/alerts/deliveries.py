"""One message on its way to one channel, and when it is tried again."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable
from dataclasses import dataclass

from dbcore.models import new_run_id
from dbcore.monitoring.alerts.incidents import Event
from dbcore.monitoring.alerts.messages import Message

CLAIM = dt.timedelta(seconds=90)  # longer than one look at the outbox takes
FIRST_RETRY = dt.timedelta(seconds=5)
LONGEST_RETRY = dt.timedelta(minutes=10)
GIVE_UP = dt.timedelta(hours=24)  # what is older helps nobody
# A channel is reported when it has failed so often: once alone is not worth a message.
FAILURES_TO_REPORT = 2

_EVENTS = (Event.TEST, Event.STARTED, Event.WORSENED, Event.ENDED)


class Progress(enum.StrEnum):
    """What has become of a delivery."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on one channel; dbcore.models.AlertDelivery explains the fields."""

    id: str
    channel: str
    message: Message
    created_at: dt.datetime
    next_at: dt.datetime
    state: Progress = Progress.WAITING
    attempts: int = 0
    attempted_at: dt.datetime | None = None
    answer: str = ""
    version: int = 0

    @property
    def line(self) -> tuple[str, str]:
        """What must arrive in order: the messages about one rule and subject on one channel. Not of
        one incident alone: PagerDuty would take the late end of the last for that of the next."""
        return self.message.dedup_key, self.channel


def new_delivery(channel: str, message: Message, now: dt.datetime) -> Delivery:
    """A delivery that may be tried at once."""
    return Delivery(new_run_id(), channel, message, created_at=now, next_at=now)


def wait_after(failures: int, retry_after: float | None) -> dt.timedelta:
    """How long to wait after so many failures; `retry_after`: seconds that the other side wants."""
    wait: dt.timedelta = FIRST_RETRY * (1 << min(failures - 1, 20))
    if retry_after is not None:
        wait = max(wait, dt.timedelta(seconds=min(retry_after, 3600)))
    return min(LONGEST_RETRY, wait)


def sendable(waiting: Iterable[Delivery], now: dt.datetime) -> list[Delivery]:
    """Those that may be tried now. What is about one thing goes in order: that it has ended is not
    told before that it began, nor that it began again before that it had ended."""
    # A time further ahead than any wait was written by a clock that was ahead.
    latest = now + LONGEST_RETRY + CLAIM
    found: list[Delivery] = []
    lines: set[tuple[str, str]] = set()
    for delivery in sorted(waiting, key=_order):
        if delivery.line not in lines and not now < delivery.next_at <= latest:
            found.append(delivery)
        lines.add(delivery.line)
    return found


def _order(delivery: Delivery) -> tuple[str, int, str]:
    # Not by id alone: another host, whose clock is behind, may have enqueued the end. The ids of
    # incidents are in the order of their beginnings.
    message = delivery.message
    return message.incident, _EVENTS.index(message.event), delivery.id


def trouble(tried: Iterable[Delivery]) -> str:
    """Why a channel fails, by what was tried on it; "" where it does not. It is well again when it
    has taken a message, and not before: the first try of a new one says nothing of it."""
    known = sorted(
        ((each.attempted_at, each) for each in tried if each.attempted_at is not None),
        key=lambda pair: (pair[0], pair[1].id),
    )
    taken = [at for at, each in known if each.state is Progress.SENT]
    # At the same moment: after a failure nothing more is tried in one look.
    failed = [
        each
        for at, each in known
        if each.state is not Progress.SENT and not (taken and at < taken[-1])
    ]
    attempts = sum(each.attempts for each in failed)
    return failed[-1].answer if attempts >= FAILURES_TO_REPORT else ""
