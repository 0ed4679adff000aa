"""The state machine of the differential test: it takes steps on both stores, which are to come to
the same, and remembers what later steps may ask for."""

from __future__ import annotations

import datetime as dt
import inspect
from collections import Counter, defaultdict
from typing import Any

from django.db import models
from hypothesis.stateful import RuleBasedStateMachine, rule

from daylight import database
from daylight.models import User
from dbcore.items import layout_of
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import StoreError
from dbcore.stores.pages import Page
from tests.daylight.services import differential_values as v
from tests.daylight.services.differential_calls import Step, steps_of
from tests.daylight.services.differential_sides import World, clear, compare_contents, difference

BEGINNERS = ("u1", "u2")


class BothStores(RuleBasedStateMachine):
    """The two stores, empty, at one time. What a step gave is there for those that come after."""

    world = World()
    steps = 0
    outcomes: Counter[tuple[str, str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        clear()
        self.world.now, self.world.given = v.BEGIN, 0
        self.past: dict[str, list[Any]] = defaultdict(list)
        self.lists: list[tuple[str, str, dict[str, Any]]] = []
        for name in BEGINNERS:  # who may have sessions and keys from the first step on
            self.world.on_both(lambda name=name: primary_store().add(_user(name)))

    def take(self, step: Step) -> None:
        """One step."""
        for _ in range(step.times):
            if step.service:
                self.call(step.service, step.call, step.given)
            else:
                getattr(self, step.call)(**step.given)

    def move_on(self, by: dt.timedelta) -> None:
        """Time passes; a clock may be set back too."""
        self.world.now += by

    def move_to_a_deadline(self, back: int, by: dt.timedelta) -> None:
        """Something is about to expire, or just has."""
        wanted = self.recall(v.Past("deadline", back))
        if isinstance(wanted, dt.datetime) and wanted < v.BEGIN + 400 * v.DAY:
            self.world.now = max(self.world.now, wanted + by)

    def go_on(self, back: int, limit: int | None) -> None:
        """The next page of a list that was read; it may be asked for again, later."""
        if len(self.lists) > back:
            service, call, given = self.lists[-1 - back]
            self.call(service, call, given if limit is None else {**given, "limit": limit})

    def compare(self) -> None:
        """Both hold the same, and nothing half-written."""
        compare_contents()

    def call(self, service: str, call: str, given: dict[str, Any]) -> None:
        """One call on both: it comes to the same."""
        method = getattr(getattr(database, service), call)
        given = {name: each for name, each in given.items() if name != "until"} | given.get(
            "until", {}
        )
        one, other = self.world.on_both(lambda: method(**self.made(given)))
        found = difference(one, other)
        assert found is None, f"{service}.{call}: {self.world.sql} and dynamodb differ in {found}"
        told = inspect.getdoc(method) or ""
        assert not isinstance(one, StoreError) or type(one).__name__ in told, "an untold error"
        BothStores.steps += 1
        self.outcomes[call, type(one).__name__] += 1
        if isinstance(one, Page):
            self.remember_page(service, call, given, one)
        else:
            self.remember(one)

    def remember_page(self, service: str, call: str, given: dict[str, Any], page: Any) -> None:
        if page.next_cursor is not None:
            self.past["cursor"].append(page.next_cursor)
            given = {**self.made(given), "cursor": page.next_cursor}
            self.lists.append((service, call, given))

    def remember(self, answer: Any) -> None:
        """What later steps may ask for."""
        if isinstance(answer, tuple) and isinstance(answer[0], str):
            self.past[f"{type(answer[1]).__name__} borne"].append(answer[0])
        for each in answer if isinstance(answer, tuple) else (answer,):
            if not isinstance(each, models.Model):
                continue
            layout = layout_of(type(each))
            kept = self.past[type(each).__name__]
            identity = getattr(each, layout.table.key_fields[-1])
            if identity not in kept:
                kept.append(identity)
            for name in ("timestamp", "created_at"):
                if name in layout.by_name:
                    self.past["time"].append(getattr(each, name))
            expiry = layout.expires_at(each.__dict__)
            if expiry is not None:
                self.past["deadline"].append(dt.datetime.fromtimestamp(expiry, dt.UTC))

    def recall(self, wanted: v.Past) -> Any:
        """What an earlier step gave; where there is none yet, nothing that anything has."""
        kept = self.past[wanted.kind]
        if not kept:
            return v.BEGIN if wanted.plus is not None else "none yet"
        found = kept[-1 - wanted.back % len(kept)]
        return found if wanted.plus is None else found + wanted.plus

    def made(self, value: Any) -> Any:
        """A value that no other call has: what stands for others is put in."""
        if isinstance(value, v.Past):
            return self.recall(value)
        if isinstance(value, v.Big):
            return {"x": "y" * value.size}
        if isinstance(value, v.Raised):
            return _raised(value)
        if isinstance(value, dict):
            return {name: self.made(each) for name, each in value.items()}
        return [self.made(each) for each in value] if isinstance(value, list) else value


def _user(name: str) -> User:
    return User(id=name, email=f"{name}@first.example", password_hash="h")


def _raised(wanted: v.Raised) -> Exception:
    try:
        raise wanted.kind(wanted.text)
    except Exception as error:
        return error


def machine_of(services: tuple[str, ...]) -> type[BothStores]:
    """The machine that makes the calls of these services."""

    class Machine(BothStores):
        @rule(step=steps_of(services))
        def take(self, step: Step) -> None:
            super().take(step)

    return Machine
