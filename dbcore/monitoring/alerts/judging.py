"""One round of judgement: findings change states, and what people are to be told is enqueued in the
same step. Of several monitors that judge at once, one makes each change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from logging import ERROR, INFO, WARNING

from dbcore import logs
from dbcore.monitoring.alerts.books import Books
from dbcore.monitoring.alerts.deliveries import Delivery, new_delivery
from dbcore.monitoring.alerts.findings import Finding, Key
from dbcore.monitoring.alerts.incidents import (
    Event,
    Judge,
    State,
    ended,
    excused,
    is_same,
)
from dbcore.monitoring.alerts.leftovers import InUse, leftover
from dbcore.monitoring.alerts.messages import Message, about
from dbcore.monitoring.alerts.rules import Metric, Rule
from dbcore.monitoring.health.results import Status

LOGGER = "dbcore.monitoring.alerts"
_FIELDS = ("rule", "subject", "severity", "sentence", "incident")
OPENED = logs.Event(
    LOGGER, (WARNING, ERROR), "alert opened", _FIELDS,
    "a rule is broken for as long as it says (error: critical); its channels are told",
)  # fmt: skip
WORSENED = logs.Event(
    LOGGER, (ERROR, WARNING), "alert got worse", _FIELDS, "what was a warning is critical"
)
ENDED = logs.Event(
    LOGGER,
    (INFO,),
    "alert ended",
    _FIELDS,
    "the rule holds again, or nothing speaks of it any more",
)
_LOGGED = {Event.STARTED: OPENED, Event.WORSENED: WORSENED, Event.ENDED: ENDED}

TRIES = 3  # when another monitor was quicker, the change is judged again by what it wrote


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of judgement is about."""

    judge: Judge
    rules: Sequence[Rule]
    findings: Sequence[Finding]
    channels: Collection[str]
    now: dt.datetime

    def run(self, books: Books) -> list[Message]:
        """Judge, book, enqueue; the events that this monitor was the one to make."""
        told: list[Message] = []
        open_keys: set[Key] | None = None
        for _ in range(TRIES):
            lost: set[Key] = set()
            states = books.states()
            for before, after, event in self._steps(states):
                if open_keys is not None and before.key not in open_keys:
                    continue
                if is_same(before, after):
                    books.touch(after)
                    continue
                message = None if event is None else about(after, event, self._rule(after))
                if not books.change(before, after, self._deliveries(books, message)):
                    lost.add(before.key)
                elif message is not None:
                    told.append(message)
                    _log(message)
            if not lost:
                break
            open_keys = lost
        return told

    def _steps(self, states: dict[Key, State]) -> Iterator[tuple[State, State, Event | None]]:
        """Each state that a finding changes: before, after, and what is to be told."""
        by_key = {finding.key: finding for finding in self.findings}
        for finding in self.findings:
            before = states.get(finding.key) or State(*finding.key, since=finding.at)
            is_excused = excused(finding, by_key, states)
            known = self.judge.possible(before, self.now)
            after, event = self.judge.step(known, finding, is_excused)
            if after != before:
                yield before, after, event
        in_use = InUse(self.rules, self.channels, by_key.keys())
        for before in states.values():
            known = self.judge.possible(before, self.now)
            if why := leftover(known, in_use, self.judge, self.now):
                after, event = ended(known, self.now, why)
                yield before, after, event

    def _rule(self, state: State) -> Rule | None:
        return next((rule for rule in self.rules if rule.name == state.rule), None)

    def _deliveries(self, books: Books, message: Message | None) -> list[Delivery]:
        if message is None:
            return []
        # A channel that was added meanwhile does not hear that something is over of which it never
        # heard.
        told = books.told(message.incident) if message.event is Event.ENDED else None
        rule = next((rule for rule in self.rules if rule.name == message.rule), None)
        about_itself = rule is not None and rule.metric is Metric.CHANNEL_FAILING
        return [
            new_delivery(channel, message, self.now)
            for channel in self.channels
            if not (about_itself and channel == message.subject)
            and (told is None or channel in told)
        ]


def _log(message: Message) -> None:
    level = ERROR if message.severity is Status.CRITICAL else WARNING
    _LOGGED[message.event].log(
        level=INFO if message.event is Event.ENDED else level,
        rule=message.rule, subject=message.subject, severity=message.severity.value,
        sentence=message.sentence, incident=message.incident,
    )  # fmt: skip
