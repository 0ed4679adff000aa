"""The books that go on when Django's database is away: that is when alerts matter.

While it answers, what is written to it is remembered here as well. When it does not, this process
goes on by itself; when it answers again, what happened meanwhile is booked, unless another monitor
has booked its own account of it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Collection, Sequence
from logging import ERROR, WARNING
from typing import TypeVar

from django import db

from dbcore.logs import Event
from dbcore.monitoring.alerts.books import MemoryBooks, SqlBooks
from dbcore.monitoring.alerts.deliveries import Delivery, Progress
from dbcore.monitoring.alerts.findings import Key
from dbcore.monitoring.alerts.incidents import State, is_same
from dbcore.monitoring.deadlines import in_time

LOGGER = "dbcore.monitoring.alerts"
BOOKS_AWAY = Event(
    LOGGER, (ERROR,), "books of alerts out of reach", ("error",),
    "Django's database does not answer: alerts go on from the monitor's memory",
)  # fmt: skip
BOOKS_BACK = Event(
    LOGGER,
    (WARNING,),
    "books of alerts are back",
    (),
    "Django's database answers the monitor again",
)
T = TypeVar("T")

ANSWER = 5.0  # seconds in which Django's database must say that it is there


class MirroredBooks(SqlBooks):
    """Books in the database, and what this process knows of them, in memory."""

    def __init__(self) -> None:
        self.known: dict[Key, State] = {}
        self.outbox: dict[str, Delivery] = {}

    def states(self) -> dict[Key, State]:
        self.known = super().states()
        return dict(self.known)

    def change(self, before: State, after: State, deliveries: Sequence[Delivery]) -> bool:
        changed = super().change(before, after, deliveries)
        if changed:
            self.known[after.key] = dataclasses.replace(after, version=before.version + 1)
            self.outbox.update((each.id, each) for each in deliveries)
        return changed

    def waiting(self, channels: Collection[str] | None = None) -> list[Delivery]:
        found = super().waiting(channels)
        if channels is None:
            # Besides what waits, by what it is known how each channel does.
            self.outbox = {each.id: each for each in (*self._last_finished(), *found)}
        return found

    def _last_finished(self) -> Collection[Delivery]:
        finished = (each for each in self.outbox.values() if each.state is not Progress.WAITING)
        tried = sorted(
            ((each.attempted_at, each) for each in finished if each.attempted_at is not None),
            key=lambda pair: pair[0],
        )
        return {each.channel: each for _, each in tried}.values()

    def replace(self, before: Delivery, after: Delivery) -> bool:
        replaced = super().replace(before, after)
        if replaced:
            self.outbox[after.id] = dataclasses.replace(after, version=before.version + 1)
        return replaced


class StandbyBooks:
    """Runs work on the books: in the database, or in memory while that is away."""

    def __init__(self) -> None:
        self._sql = MirroredBooks()
        self._away: _Away | None = None

    @property
    def is_away(self) -> bool:
        """Whether Django's database did not answer when it was last asked."""
        return self._away is not None

    def work(self, on_books: Callable[[SqlBooks | MemoryBooks], T]) -> T:
        """Do it on the database's books, else on those in memory. It may be begun on the first and
        done again on the second, which know what was booked."""
        try:
            _ask()
            if self._away is not None:
                self._away.book_to(self._sql)
                self._away = None
                BOOKS_BACK.log()
            return on_books(self._sql)
        except db.Error as error:
            if self._away is None:
                self._away = _Away(self._sql)
                BOOKS_AWAY.log(error=error)
        return on_books(self._away.books)

    def prune(self, now: dt.datetime) -> None:
        """Forget finished deliveries of long ago, where the database answers."""
        try:
            self._sql.prune(now)
        except db.Error:
            pass  # there is time


def _ask() -> None:
    """Raise django.db.Error where the database does not answer, or not soon: a server that hangs
    would hold up the monitor for good."""
    (answer,) = in_time({"database": _select}, ANSWER).values()
    if isinstance(answer, db.Error):
        raise answer
    if isinstance(answer, BaseException):
        raise db.OperationalError(type(answer).__name__)


def _select() -> None:
    with db.connection.cursor() as cursor:
        cursor.execute("SELECT 1")


class _Away:
    """What happens while the database is away."""

    def __init__(self, sql: MirroredBooks) -> None:
        self._states = dict(sql.known)
        self._outbox = dict(sql.outbox)
        self.books = MemoryBooks(self._states, self._outbox.values())

    def book_to(self, sql: SqlBooks) -> None:
        """Book it. Raises django.db.Error where the database is away still; then nothing is lost by
        doing it again."""
        now = self.books.deliveries()
        new = [each for each in now.values() if each.id not in self._outbox]
        for key, after in self.books.states().items():
            before = self._states.get(key) or State(*key, since=after.since)
            mine = [each for each in new if (each.message.rule, each.message.subject) == key]
            if is_same(before, after) and not mine:
                continue
            if sql.change(before, after, mine):
                self._states[key] = dataclasses.replace(after, version=before.version + 1)
                self._outbox.update((each.id, each) for each in mine)
        for delivery_id, before_delivery in self._outbox.items():
            if now[delivery_id] != before_delivery:
                sql.replace(before_delivery, now[delivery_id])
