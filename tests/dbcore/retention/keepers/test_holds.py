"""A store's own record of what is held is made equal to the books, whatever it was before."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from daylight.models import UsageAnalytics
from dbcore.attributes import Item
from dbcore.dynamo.leases import LeaseHeld
from dbcore.errors import ConfigurationError
from dbcore.retention.keepers.choice import keeper_named, primary_keeper
from dbcore.retention.keepers.dynamo import DynamoKeeper
from dbcore.retention.keepers.dynamo_holds import epoch_number
from dbcore.retention.keepers.gate import hold_gate
from dbcore.retention.keepers.interface import HoldKey, Removal
from dbcore.retention.keepers.orm import OrmKeeper
from dbcore.schema import HOLD_KEY, hold_table
from dbcore.wire import HOOKS, get_wire
from tests.dbcore.retention.keepers.kept import DAY, NOW, Kept, event, hold_row
from tests.support.faults import SERVICE
from tests.support.proxy import Answer, Call, Custom, DropAfter, FaultProxy, make_error

pytestmark = pytest.mark.django_db(transaction=True)
ANA, BEA = HoldKey("user", "", "ana"), HoldKey("user", "", "bea")


def standing() -> dict[str, Item]:
    items = get_wire().call("Scan", {"TableName": hold_table()})["Items"]
    return {item[HOLD_KEY]["S"]: item for item in items}


def test_items_are_made_equal_to_the_holds(in_dynamodb: Kept) -> None:
    keeper = in_dynamodb.keeper
    keeper.enforce_holds([(ANA, None), (BEA, NOW)])
    assert standing() == {
        ANA.text: {HOLD_KEY: {"S": ANA.text}},
        BEA.text: {HOLD_KEY: {"S": BEA.text}, "until": {"N": "1795435200.25"}},
    }
    keeper.enforce_holds([(ANA, NOW + DAY)])
    assert standing().keys() == {ANA.text} and "until" in standing()[ANA.text]
    writes: list[str] = []
    HOOKS.append(lambda call: writes.append(call.operation))
    keeper.enforce_holds([(ANA, NOW + DAY), (ANA, NOW)])
    assert writes == ["Scan"]  # nothing is written that stands already
    keeper.enforce_holds([])
    assert standing() == {}


def test_a_great_many_holds_are_read_to_their_end(in_dynamodb: Kept) -> None:
    long = [(HoldKey("record", "plans", f"{n}/{'x' * 900}"), None) for n in range(1300)]
    in_dynamodb.keeper.enforce_holds(long)
    in_dynamodb.keeper.enforce_holds(long[:1])
    assert len(standing()) == 1


def test_an_end_is_exact_to_the_microsecond() -> None:
    instant = dt.datetime(2026, 11, 23, 12, 0, 0, 7, tzinfo=dt.UTC)
    assert epoch_number(instant) == {"N": "1795435200.000007"}
    assert epoch_number(dt.datetime(1969, 12, 31, 23, tzinfo=dt.UTC)) == {"N": "-3600.000000"}
    before = dt.datetime(1969, 12, 31, 23, 59, 59, 750_000, tzinfo=dt.UTC)
    assert epoch_number(before) == {"N": "-0.250000"}


def test_a_hold_that_a_delete_is_looking_at_is_written_all_the_same(
    in_dynamodb: Kept, proxy: FaultProxy
) -> None:
    def busy(call: Call) -> Answer:
        kind = SERVICE + "TransactionConflictException"
        return make_error(400, kind, "Transaction is ongoing for the item")

    proxy.set_faults(
        Custom(busy, times=3, operations=("PutItem", "DeleteItem")),
        DropAfter(times=1, operations=("PutItem",)),
    )
    in_dynamodb.keeper.enforce_holds([(ANA, None)])
    assert standing().keys() == {ANA.text}
    assert proxy.counts["busy"] == 3


# DynamoDB has no gate: its transactions see the hold's item itself.
in_sql = pytest.mark.parametrize("shared", ["sqlite", "postgresql"], indirect=True)


def in_thread(pool: ThreadPoolExecutor, call: Callable[[], Any]) -> Future[Any]:
    def closing() -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    return pool.submit(closing)


@in_sql
def test_a_delete_that_has_begun_is_waited_for_where_a_hold_is_placed(shared: Kept) -> None:
    """Who has passed the gate is through before a hold is said to be placed."""
    passed, may_end = threading.Event(), threading.Event()

    def delete_slowly() -> None:
        with hold_gate():
            passed.set()
            assert may_end.wait(60)

    with ThreadPoolExecutor(2) as pool:
        deleting = in_thread(pool, delete_slowly)
        assert passed.wait(60)
        placing = in_thread(pool, lambda: shared.keeper.enforce_holds([]))
        with pytest.raises(TimeoutError):
            placing.result(0.3)
        may_end.set()
        deleting.result(60)
        placing.result(60)


@in_sql
def test_a_delete_waits_for_a_hold_that_is_being_placed(shared: Kept) -> None:
    (item,) = shared.put(event("e1"))
    passed, may_end = threading.Event(), threading.Event()

    def place_slowly() -> None:
        with hold_gate():
            hold_row(ANA)
            passed.set()
            assert may_end.wait(60)

    with ThreadPoolExecutor(2) as pool:
        placing = in_thread(pool, place_slowly)
        assert passed.wait(60)
        deleting = in_thread(pool, lambda: shared.remove(UsageAnalytics, item))
        with pytest.raises(TimeoutError):
            deleting.result(0.3)
        may_end.set()
        placing.result(60)
        assert deleting.result(60) == [Removal.HELD]


def test_the_lease_is_one_process_s_at_a_time(kept: Kept) -> None:
    with kept.keeper.lease("retention", "first") as lease:
        lease.keep()
        with (
            pytest.raises(LeaseHeld, match="first on"),
            kept.keeper.lease("retention", "second"),
        ):
            pytest.fail("two have it")
        with kept.keeper.lease("legal-holds", "second"):
            pass
    with kept.keeper.lease("retention", "second"):
        pass


@pytest.mark.parametrize(
    ("chosen", "kind"),
    [("sqlite", OrmKeeper), ("postgresql", OrmKeeper), ("dynamodb", DynamoKeeper)],
)
def test_the_primary_s_keeper(chosen: str, kind: type, settings: Any) -> None:
    settings.DATABASE_PRIMARY = chosen
    assert type(primary_keeper()) is kind
    assert type(keeper_named(kind.name)) is kind  # type: ignore[attr-defined]


def test_a_store_that_does_not_exist_is_told_of(settings: Any) -> None:
    settings.DATABASE_PRIMARY = "oracle"
    with pytest.raises(ConfigurationError, match="oracle"):
        primary_keeper()
    with pytest.raises(ConfigurationError, match="sqlite"):
        keeper_named("sqlite")


def test_a_target_is_told_from_others(kept: Kept, settings: Any) -> None:
    here = kept.keeper.target
    assert here == kept.keeper.target and "password" not in here.lower()
    settings.DYNAMODB_TABLE_PREFIX = "other-"
    assert (kept.keeper.target != here) == kept.is_dynamodb
