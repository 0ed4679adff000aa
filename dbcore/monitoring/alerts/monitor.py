"""One tick of the monitor: look, judge, tell. No tick may end the monitor."""

from __future__ import annotations

import dataclasses
import datetime as dt
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from logging import ERROR

from django import db
from django.conf import settings

from dbcore.logs import Event
from dbcore.monitoring.alerts.books import MemoryBooks, SqlBooks
from dbcore.monitoring.alerts.channels import Channel, read_channels
from dbcore.monitoring.alerts.findings import evaluate
from dbcore.monitoring.alerts.incidents import Judge, Phase, State
from dbcore.monitoring.alerts.judging import Round
from dbcore.monitoring.alerts.messages import Message
from dbcore.monitoring.alerts.observe import Observer
from dbcore.monitoring.alerts.outbox import Sent, deliver
from dbcore.monitoring.alerts.rules import Rule, configured_rules
from dbcore.monitoring.alerts.standby import StandbyBooks
from dbcore.monitoring.health.results import CheckResult, Status, worst
from dbcore.monitoring.health.verdicts import in_words
from dbcore.monitoring.readings import Readings, Snapshot
from dbcore.monitoring.switch import unmeasured

WRONG_CHANNEL = Event(
    "dbcore.monitoring.alerts", (ERROR,), "channel not configured rightly", ("channel", "error"),
    "the monitor goes on with the other channels; `error`: which setting is wrong, and how",
)  # fmt: skip
PATIENCE_INTERVALS = 4  # after so many ticks of silence another monitor's view counts no more
LONGEST_SETTLE = 15.0  # seconds: the next look, though cron may begin it a little early
PRUNE_EVERY = 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick found and did. `open` are the alerts that are pending or firing after it."""

    at: dt.datetime
    status: Status
    checks: Sequence[CheckResult]
    open: Sequence[State]
    told: Sequence[Message]
    sent: Sequence[Sent]
    on_memory: bool  # Django's database was away


class Monitor:
    """Ticks. `interval`: seconds between two; others may run at the same time, elsewhere."""

    def __init__(
        self,
        interval: float,
        *,
        rules: Sequence[Rule],
        channels: Mapping[str, Channel],
        look: Callable[[dt.datetime], Snapshot],
    ) -> None:
        self._rules = rules
        self._channels = channels
        self._look = look
        self._judge = Judge(
            platform.node(),  # two on one host see the same
            settle_seconds=min(interval, LONGEST_SETTLE),
            patience_seconds=PATIENCE_INTERVALS * interval,
        )
        self._books = StandbyBooks()
        self._pruned = -PRUNE_EVERY

    def tick(self, now: dt.datetime) -> Tick:
        """Look at everything, judge it, send what is to be sent."""
        db.close_old_connections()
        began = time.monotonic()
        with unmeasured():
            seen = self._look(now)
            later = now + dt.timedelta(seconds=time.monotonic() - began)
            return self._books.work(lambda books: self._tell(books, seen, later))

    def prune(self, now: dt.datetime) -> None:
        """Forget what is old, every hour."""
        if time.monotonic() - self._pruned >= PRUNE_EVERY:
            self._pruned = time.monotonic()
            self._books.prune(now)

    def _tell(self, books: SqlBooks | MemoryBooks, seen: Snapshot, now: dt.datetime) -> Tick:
        readings: Readings = dataclasses.replace(
            seen, failing_channels=books.troubles(self._channels)
        )
        findings = evaluate(self._rules, readings)
        told = Round(self._judge, self._rules, findings, tuple(self._channels), now).run(books)
        sent = deliver(books, self._channels, now)
        states = [state for state in books.states().values() if state.phase is not Phase.OK]
        firing = [state.severity for state in states if state.phase is Phase.FIRING]
        return Tick(
            at=seen.at,
            status=worst([*firing, *(check.status for check in seen.checks)]),
            checks=seen.checks,
            open=sorted(states, key=lambda state: state.key),
            told=told,
            sent=sent,
            on_memory=self._books.is_away,
        )


def configured_monitor(interval: float) -> Monitor:
    """A monitor as settings have it. Raises ConfigurationError for rules. A channel that is not
    configured rightly is left out: the check `alert_channels` tells of it through the others."""
    channels, errors = read_channels() if settings.DB_ALERTS_ENABLED else ({}, {})
    for name, error in errors.items():
        WRONG_CHANNEL.log(channel=name, error=in_words(error))
    return Monitor(interval, rules=configured_rules(), channels=channels, look=Observer().look)


def bound_database() -> None:
    """In a process that must go on when Django's database does not answer: no call to it may wait
    for long. To be called before the first."""
    given = db.connection.settings_dict
    options = given.setdefault("OPTIONS", {})
    if db.connection.vendor == "postgresql":
        # libpq's words, in seconds and milliseconds.
        options.setdefault("connect_timeout", 3)
        options.setdefault("tcp_user_timeout", 5000)
        options.setdefault("options", "-c statement_timeout=5000 -c lock_timeout=5000")
    else:
        options["timeout"] = 5
