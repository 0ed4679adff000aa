"""Sends what waits in the outbox: claimed first, booked after.

A monitor that is killed between the two leaves a claim that runs out, and another sends: a message
may come twice, and none is lost. One channel never holds up another.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from logging import ERROR, INFO, WARNING
from typing import Any

from dbcore.errors import ConfigurationError
from dbcore.logs import Event
from dbcore.monitoring.alerts.books import Books, SqlBooks
from dbcore.monitoring.alerts.channels import Channel, SendFailed
from dbcore.monitoring.alerts.deliveries import (
    CLAIM,
    GIVE_UP,
    Delivery,
    Progress,
    new_delivery,
    sendable,
    wait_after,
)
from dbcore.monitoring.alerts.messages import Message
from dbcore.monitoring.deadlines import as_answered

LOGGER = "dbcore.monitoring.alerts"
_FIELDS = ("channel", "event", "rule", "subject", "incident")
DELIVERED = Event(
    LOGGER, (INFO,), "alert delivered", _FIELDS,
    "a channel has taken a message; `event`: started, worsened, ended",
)  # fmt: skip
NOT_DELIVERED = Event(
    LOGGER, (WARNING,), "alert not delivered", (*_FIELDS, "attempts", "answer"),
    "a channel has not taken a message, which is tried again; `answer`: what it said",
)  # fmt: skip
GIVEN_UP = Event(LOGGER, (ERROR,), "alert given up", _FIELDS, "no channel took a message for a day")

SEND_DEADLINE = 30.0  # seconds for one message on one channel, whatever its steps take
BUDGET = 45.0  # seconds after which one look at the outbox sends no more: claims run out


@dataclass(frozen=True, slots=True)
class Sent:
    """How one try went."""

    channel: str
    headline: str
    delivered: bool
    answer: str


def deliver(books: Books, channels: Mapping[str, Channel], now: dt.datetime) -> list[Sent]:
    """Send what may be sent now on these channels."""
    found: list[Sent] = []
    failed: set[str] = set()
    until = time.monotonic() + BUDGET
    while time.monotonic() < until:
        claimed = _claim(books, set(channels) - failed, now)
        if not claimed:
            break
        for delivery, answer in _send(claimed, channels):
            sent = _book(books, delivery, answer, now)
            found.append(sent)
            if not sent.delivered:
                failed.add(delivery.channel)  # the next of its messages waits for the next look
    _give_up(books, now)
    return found


def note_sent(message: Message, answers: Mapping[str, str], now: dt.datetime) -> None:
    """Book that channels took a message that was not in the outbox: they work. Raises
    django.db.Error."""
    SqlBooks().note(
        dataclasses.replace(
            new_delivery(channel, message, now),
            state=Progress.SENT, attempted_at=now, answer=answer,
        )
        for channel, answer in answers.items()
    )  # fmt: skip


def _claim(books: Books, channels: set[str], now: dt.datetime) -> list[Delivery]:
    """One delivery for each channel, ours until the claim runs out."""
    found: dict[str, Delivery] = {}
    for delivery in sendable(books.waiting(channels), now):
        if delivery.channel in found:
            continue
        claim = dataclasses.replace(delivery, next_at=now + CLAIM)
        if books.replace(delivery, claim):
            found[delivery.channel] = dataclasses.replace(claim, version=delivery.version + 1)
    return list(found.values())


def _send(
    claimed: Sequence[Delivery], channels: Mapping[str, Channel]
) -> Iterator[tuple[Delivery, str | BaseException]]:
    """Each delivery, and what became of it, as that is known."""
    by_channel = {each.channel: each for each in claimed}
    calls: dict[str, Callable[[], str]] = {
        name: functools.partial(channels[name].send, each.message)
        for name, each in by_channel.items()
    }
    for name, answer in as_answered(calls, SEND_DEADLINE):
        yield by_channel[name], answer


def _book(books: Books, delivery: Delivery, answer: str | BaseException, now: dt.datetime) -> Sent:
    """Book how a try went."""
    delivery_now = dataclasses.replace(delivery, attempted_at=now)
    if isinstance(answer, str):
        after = dataclasses.replace(delivery_now, state=Progress.SENT, answer=answer)
        DELIVERED.log(**_facts(delivery))
    else:
        after = _failed(delivery_now, answer, now)
        NOT_DELIVERED.log(**_facts(delivery), attempts=after.attempts, answer=after.answer)
        if after.state is Progress.GIVEN_UP:
            GIVEN_UP.log(**_facts(delivery))
    books.replace(delivery, after)
    delivered = after.state is Progress.SENT
    return Sent(delivery.channel, delivery.message.headline, delivered, after.answer)


def _facts(delivery: Delivery) -> dict[str, Any]:
    message = delivery.message
    return {
        "channel": delivery.channel,
        "event": message.event.value,
        "rule": message.rule,
        "subject": message.subject,
        "incident": message.incident,
    }


def _failed(delivery: Delivery, error: BaseException, now: dt.datetime) -> Delivery:
    retry_after = error.retry_after if isinstance(error, SendFailed) else None
    attempts = delivery.attempts + 1
    return dataclasses.replace(
        delivery,
        attempts=attempts,
        next_at=now + wait_after(attempts, retry_after),
        state=Progress.GIVEN_UP if _is_too_old(delivery, now) else Progress.WAITING,
        answer=words(error),
    )


def _give_up(books: Books, now: dt.datetime) -> None:
    """Give up what is due and too old: nobody has its channel any more."""
    for delivery in books.waiting():
        if delivery.next_at <= now and _is_too_old(delivery, now):
            books.replace(delivery, dataclasses.replace(delivery, state=Progress.GIVEN_UP))
            GIVEN_UP.log(**_facts(delivery))


def _is_too_old(delivery: Delivery, now: dt.datetime) -> bool:
    return now - delivery.created_at >= GIVE_UP


def words(error: BaseException) -> str:
    """Why a send failed. Of an error that is not a channel's own the name alone: it may quote a
    secret."""
    if isinstance(error, (SendFailed, ConfigurationError, TimeoutError)):
        return str(error)
    return type(error).__name__
