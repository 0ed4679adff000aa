"""A write whose answer is lost is sent again, and meets what it has itself written: it is done
once, says so, and another's work is never taken for its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from daylight.models import LocationHistory, Plan, User, UserSession, WeatherCache
from dbcore.local_engine import LocalEngine
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.errors import AlreadyExists, Conflict, RecordNotFound, StoreError
from dbcore.stores.interface import Add, Delete, Update
from dbcore.table_sync import sync_tables
from dbcore.wire import HOOKS
from tests.support.faults import SERVICE
from tests.support.proxy import (
    Answer,
    Call,
    Custom,
    DropAfter,
    DropBefore,
    FaultProxy,
    InternalServerError,
    make_error,
)

NOW = dt.datetime(2026, 9, 23, 12, tzinfo=dt.UTC)
PLAN = {"user_id": "u", "id": "p"}
STORE = DynamoStore()
# What no engine gives back as it was sent: DynamoDB writes numbers in a form of its own.
NUMBERS = {"lat": 1e-7, "alt": 1.5e30, "deep": [{"n": 100}, None, True, "1.50"]}


@pytest.fixture
def proxy(dynamodb: LocalEngine, settings: Any) -> Iterator[FaultProxy]:
    sync_tables()
    with FaultProxy(dynamodb.endpoint) as between:
        settings.DYNAMODB_ENDPOINT = between.endpoint
        yield between


@pytest.fixture(params=["first call", "pooled connection"])
def lossy(request: pytest.FixtureRequest, proxy: FaultProxy) -> FaultProxy:
    """The wire sends again in two ways: as a retry, and unasked where an idle connection turns out
    to be closed."""
    if request.param == "pooled connection":
        assert STORE.get(Plan, PLAN) is None
        proxy.requests.clear()
    return proxy


def make_plan(**given: Any) -> Plan:
    times = {"created_at": NOW, "updated_at": NOW}
    return Plan(**{**PLAN, "title": "Lake", "location": NUMBERS, **times, **given})


def writes(proxy: FaultProxy) -> list[tuple[str, str | None]]:
    return [each for each in proxy.requests if each[0] not in ("GetItem", "Query")]


def in_between(act: Callable[[], Any]) -> Custom:
    """Loses the first answer to a PutItem or DeleteItem, and then somebody else acts."""

    def acted(call: Call) -> Answer:
        call.proceed()
        act()
        return Answer(None, close=True)

    return Custom(acted, times=1, operations=("PutItem", "DeleteItem"))


def busy(call: Call) -> Answer:
    kind = SERVICE + "TransactionConflictException"
    return make_error(400, kind, "Transaction is ongoing for the item")


def test_an_add_is_one_put_and_finds_its_own_work_there(lossy: FaultProxy) -> None:
    lossy.set_faults(DropAfter(times=1))
    assert STORE.add(make_plan()).title == "Lake"
    assert writes(lossy) == [("PutItem", "DropAfter"), ("PutItem", None)]
    found = STORE.get(Plan, PLAN)
    assert found is not None and found.location == NUMBERS


@pytest.mark.parametrize("title", ["Lake", "Sea"])
def test_a_record_that_is_there_is_another_s_even_where_it_is_equal(
    proxy: FaultProxy, title: str
) -> None:
    STORE.add(make_plan())
    with pytest.raises(AlreadyExists):
        STORE.add(make_plan(title=title))
    assert STORE.get(Plan, PLAN).title == "Lake"  # type: ignore[union-attr]


def test_another_s_record_is_not_its_own_though_the_answer_was_lost(lossy: FaultProxy) -> None:
    STORE.add(make_plan())
    for fault in (DropAfter(times=1), DropBefore(times=1), InternalServerError(times=1)):
        lossy.set_faults(fault)
        with pytest.raises(AlreadyExists):
            STORE.add(make_plan(title="Sea"))
    assert STORE.get(Plan, PLAN).title == "Lake"  # type: ignore[union-attr]


def test_an_own_work_that_another_has_changed_since_is_not_written_over(
    proxy: FaultProxy, dynamodb: LocalEngine, settings: Any
) -> None:
    def change() -> None:
        settings.DYNAMODB_ENDPOINT = dynamodb.endpoint
        STORE.update(Plan, PLAN, {"title": "Sea"})

    proxy.set_faults(in_between(change))
    with pytest.raises(AlreadyExists):
        STORE.add(make_plan())
    assert STORE.get(Plan, PLAN).title == "Sea"  # type: ignore[union-attr]


def test_an_add_that_then_meets_a_transaction_still_knows_its_own_work(proxy: FaultProxy) -> None:
    proxy.set_faults(DropAfter(times=1), Custom(busy, skip=1, times=2))
    STORE.add(make_plan())
    assert writes(proxy) == [
        ("PutItem", "DropAfter"), ("PutItem", "busy"), ("PutItem", "busy"), ("PutItem", None)
    ]  # fmt: skip


@pytest.mark.parametrize("times", [1, 2])
def test_a_delete_is_one_delete_and_does_not_miss_what_it_has_removed(
    proxy: FaultProxy, times: int
) -> None:
    STORE.add(make_plan())
    proxy.requests.clear()
    proxy.set_faults(DropAfter(times=times, operations=("DeleteItem",)))
    STORE.delete(Plan, PLAN, expect={"title": "Lake"})
    assert writes(proxy) == [("DeleteItem", "DropAfter")] * times + [("DeleteItem", None)]
    assert STORE.get(Plan, PLAN) is None


def test_what_was_never_there_is_not_deleted_whatever_is_lost(proxy: FaultProxy) -> None:
    proxy.set_faults(DropAfter(times=2))
    with pytest.raises(RecordNotFound):
        STORE.delete(Plan, PLAN)
    STORE.add(make_plan())
    proxy.set_faults(DropBefore(times=1, operations=("DeleteItem",)))
    with pytest.raises(Conflict):
        STORE.delete(Plan, PLAN, expect={"title": "Sea"})
    assert STORE.get(Plan, PLAN) is not None


def test_a_record_that_changes_before_the_lost_delete_is_not_removed(
    proxy: FaultProxy, dynamodb: LocalEngine, settings: Any
) -> None:
    def change(call: Call) -> Answer:
        settings.DYNAMODB_ENDPOINT = dynamodb.endpoint
        STORE.update(Plan, PLAN, {"title": "Sea"})
        return Answer(None, close=True)

    STORE.add(make_plan())
    proxy.set_faults(Custom(change, times=1, operations=("DeleteItem",)))
    with pytest.raises(Conflict):
        STORE.delete(Plan, PLAN, expect={"title": "Lake"})
    assert STORE.get(Plan, PLAN) is not None


@pytest.mark.parametrize("times", [1, 2])
def test_an_update_of_what_it_expects_does_not_conflict_with_itself(
    proxy: FaultProxy, times: int
) -> None:
    STORE.add(make_plan())
    proxy.set_faults(DropAfter(times=times, operations=("UpdateItem", "TransactWriteItems")))
    done = STORE.update(Plan, PLAN, {"status": "completed"}, expect={"status": "active"})
    assert done.status == "completed" and proxy.counts["DropAfter"] == times
    with pytest.raises(Conflict):
        STORE.update(Plan, PLAN, {"status": "completed"}, expect={"status": "active"})


@pytest.mark.parametrize("times", [1, 2])
def test_other_updates_are_one_request_and_may_be_done_twice(proxy: FaultProxy, times: int) -> None:
    STORE.add(make_plan())
    proxy.requests.clear()
    proxy.set_faults(DropAfter(times=times, operations=("UpdateItem",)))
    assert STORE.update(Plan, PLAN, {"title": "Sea"}, expect={"status": "active"}).title == "Sea"
    assert writes(proxy) == [("UpdateItem", "DropAfter")] * times + [("UpdateItem", None)]


def test_a_transaction_is_known_by_its_token(proxy: FaultProxy) -> None:
    lost = DropAfter(times=1, operations=("TransactWriteItems",))
    user = {"email": "ana@example.org", "password_hash": "x"}
    session = UserSession(session_id="ab" * 32, user_id="u", expires_at=NOW, created_at=NOW)
    proxy.set_faults(lost)
    STORE.add(User(id="ana", **user))
    proxy.set_faults(lost)
    STORE.update(User, {"id": "ana"}, {"email": "bea@example.org"})
    STORE.add(make_plan())
    proxy.set_faults(lost)
    STORE.transact([Update(Plan, PLAN, {"title": "Sea"}), Add(session)])
    proxy.set_faults(lost)
    STORE.transact([Delete(Plan, PLAN), Delete(User, {"id": "ana"})])
    assert [fault for _, fault in writes(proxy)].count("DropAfter") == 4
    assert STORE.get(Plan, PLAN) is None and STORE.get(User, {"id": "ana"}) is None
    STORE.add(User(id="cat", **user))


def test_what_has_no_unique_value_needs_no_transaction(proxy: FaultProxy) -> None:
    operations: list[str] = []
    HOOKS.append(lambda call: operations.append(call.operation))
    place = {"user_id": "u", "id": "h"}
    STORE.add(LocationHistory(**place, location={}, timestamp=NOW))
    STORE.put(WeatherCache(location_key="k", data={}, expires_at=NOW))
    STORE.update(WeatherCache, {"location_key": "k"}, {"data": {"t": 1}})
    STORE.delete(LocationHistory, place)
    written = [each for each in operations if each != "GetItem"]
    assert written == ["PutItem", "PutItem", "UpdateItem", "DeleteItem"]


@pytest.mark.parametrize("resent", [False, True])
def test_both_engines_tell_what_is_in_the_way(
    moto_engine: LocalEngine, settings: Any, resent: bool
) -> None:
    """moto does as DynamoDB does where a PutItem is refused; it has no transactions' tokens."""
    settings.DYNAMODB_TABLE_PREFIX = f"lost-{resent}-"
    settings.DYNAMODB_ENDPOINT = moto_engine.endpoint
    sync_tables()
    with FaultProxy(moto_engine.endpoint, [DropAfter(times=int(resent))]) as between:
        settings.DYNAMODB_ENDPOINT = between.endpoint
        STORE.add(make_plan())
        with pytest.raises(StoreError) as refused:
            STORE.add(make_plan())
    assert isinstance(refused.value, AlreadyExists)
