"""Random sequences of all service calls on both stores side by side: at every step the answers and
the errors are equal, and at some steps all that the stores hold. On SQLite, and fewer of them on
PostgreSQL: the same code, but for what the database does.

DIFFERENTIAL_STEPS=200000 makes that many steps instead of 12,000 (half a minute or so), and an
eighth as many on PostgreSQL. DIFFERENTIAL_SEED=7 makes other sequences: the same number gives the
same ones again. A failure is shown as the shortest sequence that Hypothesis finds for it.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db.models.lookups import LessThanOrEqual
from hypothesis import HealthCheck, Phase, seed
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from daylight import database
from daylight.services.base import Service
from dbcore.attributes import Item
from dbcore.dynamo import guards
from dbcore.items import ItemLayout, UniqueField
from dbcore.local_engine import LocalEngine
from dbcore.stores import orm
from dbcore.stores.dynamo import queries, writes
from dbcore.stores.dynamo import store as dynamo
from dbcore.stores.errors import StoreError
from dbcore.table_sync import sync_tables
from tests.daylight.services.differential_calls import CALLS, SUBJECTS
from tests.daylight.services.differential_machine import BothStores, machine_of
from tests.daylight.services.differential_sides import clear

STEPS = int(os.environ.get("DIFFERENTIAL_STEPS", "12000"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "0"))
LENGTH = 120  # steps of one sequence
SEQUENCES = 12  # of one machine, before it is the next one's turn
ON_POSTGRESQL = STEPS // 8
ROUNDS = 5  # in which a broken store is to be caught
REFUSALS = {each.__name__ for each in StoreError.__subclasses__()}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def both_stores(dynamodb: LocalEngine, settings: Any) -> Iterator[None]:
    """Both are there, and empty; time is the machines'."""
    assert dynamodb.endpoint
    sync_tables()
    settings.DATABASE_PRIMARY = "sqlite"  # put back at the end, whatever is set meanwhile
    settings.APP_CACHE_ENABLED = False
    BothStores.steps = 0
    BothStores.outcomes.clear()
    BothStores.world.sql = "sqlite"
    with BothStores.world.in_place():
        yield
        clear()


def public_calls(service: Service) -> set[str]:
    """The names of a service's calls, without their async twins."""
    names = {name for name in vars(type(service)) if not name.startswith("_")}
    return {name for name in names if name[0] != "a" or name[1:] not in names}


def run(machine: type[BothStores], number: int, *phases: Phase, sequences: int = SEQUENCES) -> None:
    """Some sequences, which the number decides."""
    chosen = hypothesis_settings(
        max_examples=sequences, stateful_step_count=LENGTH, database=None, deadline=None,
        phases=phases, suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    run_state_machine_as_test(seed(number)(machine), settings=chosen)


def test_every_call_is_made() -> None:
    for name, calls in CALLS.items():
        assert set(calls) == public_calls(getattr(database, name))
    assert set(CALLS) == {name for name in database.__all__ if name.endswith("_service")}


def take_steps(steps: int, sequences: int = SEQUENCES) -> None:
    """At least so many steps, of all machines in turn."""
    machines = [machine_of(each) for each in SUBJECTS]
    for number in itertools.count(SEED * 1_000_000):
        before = BothStores.steps
        machine = machines[number % len(machines)]
        run(machine, number, Phase.generate, Phase.shrink, sequences=sequences)
        assert BothStores.steps > before, "a machine that does nothing"
        if BothStores.steps >= steps:
            break


@pytest.mark.slow
@pytest.mark.usefixtures("postgresql_tables", "both_stores")
def test_postgresql_answers_alike() -> None:
    BothStores.world.sql = "postgresql"
    take_steps(ON_POSTGRESQL, sequences=2)


@pytest.mark.slow
@pytest.mark.usefixtures("both_stores")
def test_both_stores_answer_alike() -> None:
    take_steps(STEPS)
    assert BothStores.steps >= STEPS
    if STEPS >= 10_000:
        made = {call for call, outcome in BothStores.outcomes if outcome not in REFUSALS}
        # One may have had no luck: few sessions live long enough to be ended.
        never = {call for calls in CALLS.values() for call in calls} - made
        assert len(never) <= 1, f"these always failed: {never}"


# --- One store broken on purpose: it is caught ---------------------------------------------------


def ties_the_wrong_way_round(patch: pytest.MonkeyPatch) -> None:
    def place(order: queries._Order, item: Any) -> tuple[str, list[int]]:
        return item[order.by]["S"], [-ord(each) for each in item[order.key]["S"]]

    patch.setattr(queries._Order, "place", place)


def a_list_that_gives_its_last_record_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(orm, "LessThan", LessThanOrEqual)


def an_update_that_forgets_updated_at(patch: pytest.MonkeyPatch) -> None:
    def updating(layout: Any, old: Any, changes: Any, expected: Any) -> Any:
        kept = {name: value for name, value in changes.items() if name != "updated_at"}
        return writes.updating(layout, old, kept or changes, expected)

    patch.setattr(dynamo, "updating", updating)


def an_update_that_leaves_what_is_derived_behind(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(writes, "_sources", lambda layout: {})


def an_expiry_that_is_late(patch: pytest.MonkeyPatch) -> None:
    def late(layout: ItemLayout, item: Item, now: dt.datetime) -> bool:
        return usual(layout, item, now - dt.timedelta(seconds=1))

    usual = ItemLayout.item_has_expired
    patch.setattr(ItemLayout, "item_has_expired", late)


def a_list_whose_expiry_is_late(patch: pytest.MonkeyPatch) -> None:
    usual = orm.live
    patch.setattr(orm, "live", lambda layout, now: usual(layout, now - dt.timedelta(seconds=1)))


def an_email_address_that_is_unique_in_its_case_alone(patch: pytest.MonkeyPatch) -> None:
    def guard_key(layout: Any, field: UniqueField, value: str) -> str:
        return usual(layout, replace(field, ignores_case=False), value)

    usual = guards.guard_key
    patch.setattr(guards, "guard_key", guard_key)
    patch.setattr(dynamo, "guard_key", guard_key)


def a_deleted_record_that_keeps_its_unique_values(patch: pytest.MonkeyPatch) -> None:
    def deleting(*given: Any) -> writes.Prepared:
        return replace(writes.deleting(*given), given_up=[])

    patch.setattr(dynamo, "deleting", deleting)


def a_counter_that_goes_one_too_far(patch: pytest.MonkeyPatch) -> None:
    usual = orm.OrmStore.increment

    def increment(store: Any, initial: Any, field: str, *, below: int) -> Any:
        return usual(store, initial, field, below=below + 1)

    patch.setattr(orm.OrmStore, "increment", increment)


ACCOUNTS, LISTS, CACHES = SUBJECTS[:3]
BROKEN: dict[Callable[[pytest.MonkeyPatch], None], tuple[str, ...]] = {
    ties_the_wrong_way_round: LISTS,
    a_list_that_gives_its_last_record_again: LISTS,
    an_update_that_forgets_updated_at: LISTS,
    an_update_that_leaves_what_is_derived_behind: ACCOUNTS,
    an_expiry_that_is_late: CACHES,
    a_list_whose_expiry_is_late: ACCOUNTS,
    an_email_address_that_is_unique_in_its_case_alone: ACCOUNTS,
    a_deleted_record_that_keeps_its_unique_values: ACCOUNTS,
    a_counter_that_goes_one_too_far: CACHES,
}


@pytest.mark.usefixtures("both_stores")
@pytest.mark.parametrize("broken", BROKEN, ids=lambda each: each.__name__)
def test_a_broken_store_is_caught(
    broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    machine = machine_of(BROKEN[broken])
    with pytest.raises(AssertionError, match=r"differ in|stale|other records|the guards"):
        for number in range(ROUNDS):
            run(machine, number, Phase.generate)
