"""Random sequences of all service calls on both stores side by side: at every step the answers and
the errors are equal, and at the end of a sequence all that the stores hold.

DIFFERENTIAL_STEPS=200000 makes that many steps instead of 12,000 (about a minute), and
DIFFERENTIAL_SEED=7 other sequences: the same number gives the same ones again. A failure is shown
as the shortest sequence that Hypothesis finds for it.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from django.db import models
from hypothesis import HealthCheck, Phase, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from daylight import database
from daylight.services.base import Service
from dbcore.items import ItemLayout, layout_of
from dbcore.local_engine import LocalEngine
from dbcore.stores.errors import StoreError
from dbcore.stores.pages import Page
from dbcore.table_sync import sync_tables
from tests.daylight.services import differential_values as v
from tests.daylight.services.differential_sides import World, clear, compare_contents, difference

STEPS = int(os.environ.get("DIFFERENTIAL_STEPS", "12000"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "0"))
LENGTH = 80  # steps of one sequence
BETWEEN = 40  # steps after which all that the stores hold is compared
SEQUENCES = 5  # of one machine, before it is the next one's turn

users, limits, cursors = v.users, v.limits, v.cursors
listed = {"limit": limits, "cursor": cursors}
_roles = st.lists(v.of(v.NAMES), max_size=2)
_tokens = v.of([v.Past("key text", back) for back in range(3)], ["dl_x", "", "\ud800", None, 5])
_session = v.ids_of("UserSession", v.own_ids)
_device = v.ids_of("AuthSession", v.own_ids)
_plan, _key = v.ids_of("Plan", v.own_ids), v.ids_of("ApiKey")
_role, _permission = v.ids_of("Role", v.own_ids), v.ids_of("Permission", v.own_ids)
_history, _error = v.ids_of("LocationHistory"), v.ids_of("ErrorLog")
_text = v.of(["walk", "", "ü😀", "x" * 64], [None, 5, "x" * 65, "a\0b", "\ud800"], weight=12)
_maybe_text = v.of([None, "a", ""], [5, "a\0b", "\ud800"], weight=12)
_context = v.of([None, {}, {"owner": True}, {"owner": 1}, {"n": 1.0}], ["x", 5])
_names, _place = v.of(v.NAMES, v.BAD_IDS, weight=12), v.of(["p", "q", "P"], v.BAD_IDS, weight=12)
_texts = v.of([[], ["a"], ("a", "b")], ["a", None, [5], [""], {"a"}, ["\0"]], weight=12)
_severity = v.of([None, None, "medium", "high"], ["", "lost", 5, "\0"], weight=12)
_exception = v.of(
    [v.Raised(ValueError, text) for text in ("no", "\0", "\ud800", "x" * 20_000)],
    [None, "text"],
    12,
)
_ended_by = v.of([None, *v.USERS], v.BAD_IDS, weight=12)

# Every call of every service, and what it is given.
CALLS: dict[str, dict[str, dict[str, st.SearchStrategy[Any]]]] = {
    "user_service": {
        "create_user": {"data": v.user_data},
        "get_user_by_id": {"user_id": users},
        "get_user_by_email": {"email": v.of(v.EMAILS, v.BAD_EMAILS)},
        "update_user": {"user_id": users, "updates": v.user_updates},
        "get_user_profile": {"user_id": users},
        "update_user_profile": {"user_id": users, "updates": v.profile_updates},
        "delete_user": {"user_id": users},
    },
    "session_service": {
        "create_user_session": {
            "user_id": users, "data": v.maybe_json, **v.lives,
            "session_id": v.of([None, *v.own_ids], v.BAD_IDS, weight=12),
        },
        "get_user_session": {"session_id": _session},
        "touch_user_session": {"session_id": _session, "data": v.maybe_json, **v.lives},
        "end_user_session": {"session_id": _session, "user_id": _ended_by},
        "get_user_sessions": {"user_id": users, **listed},
        "create_auth_session": {"user_id": users, "data": v.auth_data, **v.lives},
        "get_auth_session": {"session_id": _device},
        "touch_auth_session": {"session_id": _device, **v.lives},
        "end_auth_session": {"session_id": _device, "user_id": _ended_by},
        "get_auth_sessions": {"user_id": users, **listed},
        "end_all_of_user": {"user_id": users},
    },
    "location_history_service": {
        "add_location_history": {
            "user_id": users, "location": v.objects, "activity": _text, "metadata": v.maybe_json,
        },
        "get_user_location_history": {"user_id": users, **listed},
        "get_location_history_by_date_range": {
            "user_id": users, "start": v.bounds, "end": v.bounds, **listed,
        },
        "delete_location_history": {"history_id": _history, "user_id": users},
    },
    "planning_service": {
        "create_plan": {"user_id": users, "data": v.plan_data},
        "get_user_plans": {"user_id": users, **listed},
        "get_plan_by_id": {"plan_id": _plan, "user_id": users},
        "update_plan": {"plan_id": _plan, "user_id": users, "updates": v.plan_updates},
        "delete_plan": {"plan_id": _plan, "user_id": users},
    },
    "analytics_service": {
        "record_usage_event": {
            "user_id": users, "event_type": _text, "event_data": v.maybe_json,
            "session_id": _maybe_text, "user_agent": _maybe_text,
        },
        "get_user_analytics": {"user_id": users, "days": v.wholes, **listed},
        "get_daily_analytics": {"date": v.days, **listed},
    },
    "error_logging_service": {
        "log_error": {
            "exception": _exception, "context": v.maybe_json, "user_id": _ended_by,
            "severity": v.of(["medium", "high", "low", "critical"], ["", "lost", None]),
        },
        "get_error_logs": {"severity": _severity, **listed},
        "resolve_error": {"error_id": _error},
    },
    "cache_service": {
        f"{verb}_{kind}_cache": {key: _place, **given}
        for kind, key in [
            ("weather", "location_key"), ("traffic", "route_key"), ("events", "area_key"),
        ]
        for verb, given in [
            ("set", {"data": v.jsons, "ttl_minutes": v.minutes}), ("get", {}), ("delete", {}),
        ]
    },
    "audit_service": {
        "record": {"event": v.audit_data},
        "get_user_events": {
            "user_id": users, "start": v.maybe_bounds, "end": v.maybe_bounds, **listed,
        },
        "get_events_of_day": {"date": v.days, **listed},
    },
    "access_service": {
        "create_role": {"data": v.role_data},
        "get_role": {"role_id": _role},
        "get_role_by_name": {"name": _names},
        "update_role": {"role_id": _role, "updates": v.role_updates},
        "delete_role": {"role_id": _role},
        "create_permission": {"data": v.permission_data},
        "get_permission": {"permission_id": _permission},
        "get_permission_by_name": {"name": _names},
        "update_permission": {"permission_id": _permission, "updates": v.permission_updates},
        "delete_permission": {"permission_id": _permission},
        "is_allowed": {
            "user_roles": _roles, "resource": v.of(["plans", "x"], ["", 5]),
            "action": v.of(["read", "x"], ["", 5]), "context": _context,
        },
    },
    "api_key_service": {
        "issue": {
            "user_id": users, "name": _names, "scopes": _texts, "ip_whitelist": _texts,
            "expires_at": v.maybe_bounds, "description": _text,
        },
        "verify": {"key": _tokens, "now": v.nows},
        "revoke": {"key_id": _key, "user_id": users},
        "list_keys": {"user_id": users, **listed},
        "record_usage": {"key_id": _key, "user_id": users, "usage": v.usage_data},
        "get_key_usage": {"api_key_id": _key, **listed},
    },
    "rate_limit_service": {
        "hit": {
            "identifier": v.of(["a", "A", "x" * 240], ["", None, "x" * 241, "\0"], weight=12),
            "limit": v.of([1, 2, 3], [0, -1, 10**10, True, None, 1.5], weight=12),
            "window_seconds": v.of([1, 60, 86400], [0, 10**9, True, None], weight=12),
            "now": v.nows,
        },
    },
}  # fmt: skip

# Machines for what belongs together: so that its records meet often. And one for everything.
SUBJECTS = [
    ("user_service", "session_service"),
    ("location_history_service", "planning_service", "analytics_service"),
    ("cache_service", "rate_limit_service", "error_logging_service", "audit_service"),
    ("access_service",),
    ("api_key_service",),
    tuple(CALLS),
]


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
        self.lists: list[tuple[str, str, dict[str, Any], str]] = []
        self.made_steps = 0
        self.seen: set[ItemLayout] = set()

    @rule(by=st.sampled_from([v.SECOND, v.INSTANT, v.SECOND / 2, 60 * v.SECOND, v.DAY, -v.SECOND]))
    def move_on(self, by: dt.timedelta) -> None:
        """Time passes; a clock may be set back too."""
        self.world.now += by

    @rule(
        back=st.integers(0, 3),
        by=st.sampled_from([v.SECOND * 0, -v.INSTANT, v.SECOND, -v.SECOND, v.INSTANT]),
    )
    def move_to_a_deadline(self, back: int, by: dt.timedelta) -> None:
        """Something is about to expire, or just has."""
        wanted = self.recall(v.Past("deadline", back))
        if isinstance(wanted, dt.datetime) and wanted - v.DAY < v.BEGIN + 400 * v.DAY:
            self.world.now = max(self.world.now, wanted + by)

    @rule(back=st.integers(0, 2), limit=limits, other=st.integers(0, 5))
    def go_on(self, back: int, limit: Any, other: int) -> None:
        """The next page of a list that was read."""
        if len(self.lists) > back:
            service, call, given, cursor = self.lists[-1 - back]
            chosen = given["limit"] if other else limit
            self.step(service, call, {**given, "limit": chosen, "cursor": cursor})

    @rule()
    def compare_those_seen(self) -> None:
        """Both hold the same."""
        compare_contents(self.seen)

    def step(self, service: str, call: str, given: dict[str, Any]) -> None:
        """One call on both: it comes to the same."""
        method = getattr(getattr(database, service), call)
        one, other = self.world.on_both(lambda: method(**self.made(given)))
        found = difference(one, other)
        assert found is None, f"{service}.{call}: sqlite and dynamodb differ in {found}"
        BothStores.steps += 1
        self.made_steps += 1
        if self.made_steps % BETWEEN == 0:
            compare_contents()
        self.outcomes[call, type(one).__name__] += 1
        if isinstance(one, Page):
            self.remember_page(service, call, given, one)
        else:
            self.remember(one)

    def remember_page(self, service: str, call: str, given: dict[str, Any], page: Any) -> None:
        if page.next_cursor is not None:
            self.past["cursor"].append(page.next_cursor)
            self.lists.append((service, call, self.made(given), page.next_cursor))

    def remember(self, answer: Any) -> None:
        """What later steps may ask for."""
        for each in answer if isinstance(answer, tuple) else (answer,):
            if isinstance(each, str):
                self.past["key text"].append(each)
            if not isinstance(each, models.Model):
                continue
            layout = layout_of(type(each))
            self.seen.add(layout)
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
        if len(kept) <= wanted.back:
            return v.BEGIN if wanted.plus is not None else "none yet"
        found = kept[-1 - wanted.back]
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


def _raised(wanted: v.Raised) -> Exception:
    try:
        raise wanted.kind(wanted.text)
    except Exception as error:
        return error


def _rule_of(service: str, call: str, given: dict[str, st.SearchStrategy[Any]]) -> Any:
    def step(self: BothStores, **drawn: Any) -> None:
        self.step(service, call, drawn)

    step.__name__ = step.__qualname__ = call
    return rule(**given)(step)


def machine_of(services: tuple[str, ...]) -> type[BothStores]:
    """The machine that makes the calls of these services."""
    rules = {
        call: _rule_of(service, call, given)
        for service in services
        for call, given in CALLS[service].items()
    }
    return type("BothStores", (BothStores,), rules)


def public_calls(service: Service) -> set[str]:
    """The names of a service's calls, without their async twins."""
    names = {name for name in vars(type(service)) if not name.startswith("_")}
    return {name for name in names if name[0] != "a" or name[1:] not in names}


def run(machine: Callable[[], BothStores], number: int) -> None:
    """Some sequences, which the number decides."""
    chosen = hypothesis_settings(
        max_examples=SEQUENCES, stateful_step_count=LENGTH, database=None, deadline=None,
        phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(seed(number)(machine), settings=chosen)


def test_every_call_is_made() -> None:
    for name, calls in CALLS.items():
        assert set(calls) == public_calls(getattr(database, name))
    assert set(CALLS) == {name for name in database.__all__ if name.endswith("_service")}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_both_stores_answer_alike(dynamodb: LocalEngine, settings: Any) -> None:
    assert dynamodb.endpoint
    sync_tables()
    settings.DATABASE_PRIMARY = "sqlite"  # put back at the end
    settings.APP_CACHE_ENABLED = False
    machines = [machine_of(each) for each in SUBJECTS]
    BothStores.steps = 0
    BothStores.outcomes.clear()
    with BothStores.world.in_place():
        for number in itertools.count(SEED * 1_000_000):
            before = BothStores.steps
            run(machines[number % len(machines)], number)
            assert BothStores.steps > before, "a machine that does nothing"
            if BothStores.steps >= STEPS:
                break
        clear()
    assert BothStores.steps >= STEPS
    answered = {call for call, outcome in BothStores.outcomes if not outcome_is_error(outcome)}
    refused = {call for call, outcome in BothStores.outcomes if outcome_is_error(outcome)}
    every = {call for calls in CALLS.values() for call in calls}
    from pprint import pprint
    pprint(BothStores.outcomes)
    assert every - answered == set(), "calls that were always refused"
    assert every - refused == set(), "calls that were never refused"


def outcome_is_error(name: str) -> bool:
    """Whether this is the name of one of the errors."""
    return name in {each.__name__ for each in StoreError.__subclasses__()}
