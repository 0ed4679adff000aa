"""The books of alerts in Django's database, and the same in memory for when it is away.

Every change is made on the condition that nobody else has changed the row since it was read.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from django.db import transaction

from dbcore.models import AlertDelivery, AlertState
from dbcore.monitoring.alerts.deliveries import Delivery, Progress, trouble
from dbcore.monitoring.alerts.findings import Key
from dbcore.monitoring.alerts.incidents import Phase, State
from dbcore.monitoring.alerts.messages import Message
from dbcore.monitoring.health.results import Status

MOST_WAITING = 500  # rows of a channel that one look at the outbox reads
FEW = 10  # failures are enough to say that a channel fails
KEEP = dt.timedelta(days=30)  # finished deliveries


class Books(Protocol):
    """Where alerts stand, and what is to be sent."""

    def states(self) -> dict[Key, State]:
        """Every state there is."""

    def change(self, before: State, after: State, deliveries: Sequence[Delivery]) -> bool:
        """Replace a state and enqueue messages, both or neither; False when another was quicker."""

    def touch(self, state: State) -> None:
        """Note who saw it broken last, and when."""

    def waiting(self, channels: Collection[str] | None = None) -> list[Delivery]:
        """What is not sent yet, on these channels or all; the oldest of each channel, where there
        is very much."""

    def told(self, incident: str) -> Collection[str] | None:
        """The channels that there are messages of an incident for; None where it is not known."""

    def replace(self, before: Delivery, after: Delivery) -> bool:
        """Change a delivery: claim it, or book how it went. False when another was quicker."""

    def troubles(self, channels: Collection[str]) -> dict[str, str]:
        """For each channel why it fails, "" where it does not."""


class MemoryBooks:
    """Books of this process alone."""

    def __init__(
        self, states: Mapping[Key, State] | None = None, deliveries: Iterable[Delivery] = ()
    ) -> None:
        self._states = dict(states or {})
        self._deliveries = {each.id: each for each in deliveries}

    def states(self) -> dict[Key, State]:
        return dict(self._states)

    def change(self, before: State, after: State, deliveries: Sequence[Delivery]) -> bool:
        self._states[after.key] = after
        self._deliveries.update((each.id, each) for each in deliveries)
        return True

    def touch(self, state: State) -> None:
        self._states[state.key] = state

    def waiting(self, channels: Collection[str] | None = None) -> list[Delivery]:
        return [
            each
            for each in self._deliveries.values()
            if each.state is Progress.WAITING and (channels is None or each.channel in channels)
        ]

    def told(self, incident: str) -> Collection[str] | None:
        return None  # what was sent before the database went away is not here

    def replace(self, before: Delivery, after: Delivery) -> bool:
        self._deliveries[after.id] = after
        return True

    def troubles(self, channels: Collection[str]) -> dict[str, str]:
        mine = self._deliveries.values()
        return {name: trouble(each for each in mine if each.channel == name) for name in channels}

    def deliveries(self) -> dict[str, Delivery]:
        """All of them, by id."""
        return dict(self._deliveries)


class SqlBooks:
    """Books of all monitors. Raises django.db.Error where the database is out of reach."""

    def states(self) -> dict[Key, State]:
        return {(row.rule, row.subject): _state(row) for row in AlertState.objects.all()}

    def change(self, before: State, after: State, deliveries: Sequence[Delivery]) -> bool:
        fields = _state_fields(after) | {"version": before.version + 1}
        with transaction.atomic():
            if before.version == 0:
                # A rule's first trouble: there is no row yet, or another monitor makes it now.
                AlertState.objects.bulk_create([_state_row(before)], ignore_conflicts=True)
            rows = AlertState.objects.filter(
                rule=before.rule, subject=before.subject, version=before.version
            )
            if not rows.update(**fields):
                return False
            AlertDelivery.objects.bulk_create(
                [AlertDelivery(**_delivery_fields(each)) for each in deliveries],
                ignore_conflicts=True,
            )
        return True

    def touch(self, state: State) -> None:
        AlertState.objects.filter(
            rule=state.rule, subject=state.subject, version=state.version
        ).update(bad_at=state.bad_at, bad_by=state.bad_by, sentence=state.sentence)

    def waiting(self, channels: Collection[str] | None = None) -> list[Delivery]:
        rows = AlertDelivery.objects.filter(state=AlertDelivery.State.WAITING)
        if channels is None:
            channels = set(rows.order_by().values_list("channel", flat=True).distinct())
        # Of each: what waits for one that is dead must not hide what waits for another.
        return [
            _delivery(row)
            for channel in sorted(channels)
            for row in rows.filter(channel=channel).order_by("id")[:MOST_WAITING]
        ]

    def told(self, incident: str) -> Collection[str] | None:
        rows = AlertDelivery.objects.filter(incident=incident).order_by()
        return set(rows.values_list("channel", flat=True).distinct())

    def replace(self, before: Delivery, after: Delivery) -> bool:
        fields = _delivery_fields(after) | {"version": before.version + 1}
        del fields["id"]
        rows = AlertDelivery.objects.filter(pk=before.id, version=before.version)
        return bool(rows.update(**fields))

    def troubles(self, channels: Collection[str]) -> dict[str, str]:
        return {name: trouble(map(_delivery, self._last_tried(name))) for name in channels}

    def _last_tried(self, channel: str) -> list[AlertDelivery]:
        """What the channel took last, and what it has not taken since; the latest of it."""
        tried = AlertDelivery.objects.filter(channel=channel, attempted_at__isnull=False)
        tried = tried.order_by("-attempted_at", "-id")
        taken = tried.filter(state=AlertDelivery.State.SENT).first()
        failed = tried.exclude(state=AlertDelivery.State.SENT)
        if taken is None:
            return list(failed[:FEW])
        return [taken, *failed.filter(attempted_at__gte=taken.attempted_at)[:FEW]]

    def note(self, deliveries: Iterable[Delivery]) -> None:
        """Book what was sent by other ways than the outbox."""
        AlertDelivery.objects.bulk_create(
            [AlertDelivery(**_delivery_fields(each)) for each in deliveries]
        )

    def prune(self, now: dt.datetime) -> None:
        """Forget finished deliveries of long ago, but those of incidents that are open still: who
        was told of the start is told of the end."""
        is_open = AlertState.objects.exclude(phase=AlertState.Phase.OK).values("incident")
        AlertDelivery.objects.filter(created_at__lt=now - KEEP).exclude(
            state=AlertDelivery.State.WAITING
        ).exclude(incident__in=is_open).delete()


# --- Rows and facts -------------------------------------------------------------------------------
def _state(row: AlertState) -> State:
    names = [field.name for field in dataclasses.fields(State)]
    given: dict[str, Any] = {name: getattr(row, name) for name in names}
    given["phase"] = Phase(row.phase)
    given["severity"] = Status(row.severity) if row.severity else Status.HEALTHY
    return State(**given)


def _state_fields(state: State) -> dict[str, Any]:
    return dataclasses.asdict(state)


def _state_row(state: State) -> AlertState:
    return AlertState(**_state_fields(state))


def _delivery(row: AlertDelivery) -> Delivery:
    return Delivery(
        id=row.id,
        channel=row.channel,
        message=Message.from_json(row.message),
        created_at=row.created_at,
        next_at=row.next_at,
        state=Progress(row.state),
        attempts=row.attempts,
        attempted_at=row.attempted_at,
        answer=row.answer,
        version=row.version,
    )


def _delivery_fields(delivery: Delivery) -> dict[str, Any]:
    fields = {field.name: getattr(delivery, field.name) for field in dataclasses.fields(Delivery)}
    message = delivery.message
    return fields | {"message": message.as_json(), "incident": message.incident}
