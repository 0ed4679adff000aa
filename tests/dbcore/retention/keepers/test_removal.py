"""A record goes only if it still is what it was, nobody holds it and nothing keeps it; it takes its
unique values along. Whatever is left says why."""

from __future__ import annotations

import datetime as dt
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from daylight.models import AuditLog, ErrorLog, Plan, UsageAnalytics, User, UserProfile
from dbcore.attributes import Item
from dbcore.dynamo.guards import guard_table, guards_of
from dbcore.items import layout_of
from dbcore.patience import Patience
from dbcore.retention.keepers import dynamo_removal
from dbcore.retention.keepers.interface import HoldKey, Removal, Return
from dbcore.stores.caching import CachingStore
from dbcore.stores.errors import Conflict, StoreUnavailable, UniqueViolation
from dbcore.wire import get_wire
from tests.dbcore.retention.keepers.kept import (
    DAY,
    NOW,
    Kept,
    error_log,
    event,
    hold_row,
    item_of,
    plan,
    profile,
    user,
)
from tests.support.faults import SERVICE
from tests.support.proxy import Answer, Call, Custom, DropAfter, FaultProxy, make_answer

pytestmark = pytest.mark.django_db(transaction=True)
DELETED, GONE, CHANGED, HELD, KEPT = (
    Removal.DELETED, Removal.GONE, Removal.CHANGED, Removal.HELD, Removal.KEPT,
)  # fmt: skip
ANA = HoldKey("user", "", "ana")
EVENTS = HoldKey("table", "usage_analytics")
EVENT = HoldKey("record", "usage_analytics", "ana/e1")


def test_what_is_as_it_was_goes(kept: Kept) -> None:
    first, second = kept.put(event("e1"), event("e2"))
    assert kept.remove(UsageAnalytics, first) == [DELETED]
    assert kept.there(UsageAnalytics, first, second) == [False, True]
    assert kept.remove(UsageAnalytics, first, second) == [GONE, DELETED]
    assert kept.remove(UsageAnalytics) == []


def test_a_record_that_is_named_twice_goes_once(kept: Kept) -> None:
    (item,) = kept.put(event("e1"))
    assert kept.remove(UsageAnalytics, item, item) == [DELETED, GONE]


def test_an_append_only_trail_is_swept_all_the_same(kept: Kept) -> None:
    given = {"event_type": "sign_in", "resource": "r", "action": "a", "source": "s"}
    (item,) = kept.put(AuditLog(id="a", timestamp=NOW - 3000 * DAY, outcome="success", **given))
    assert kept.remove(AuditLog, item) == [DELETED]


CHANGES: list[dict[str, Any]] = [
    {"title": "Sea"},
    {"description": "x"},
    {"location": {"lat": 46.05, "tags": [1, {"deep": "B"}]}},
    {"location": None},  # an attribute that is gone
    {"end_time": NOW - 500 * DAY},  # and one that is new
    {"status": "completed"},
]


def test_what_has_changed_since_is_left_alone(kept: Kept) -> None:
    place = {"lat": 46.05, "tags": [1, {"deep": "b"}]}
    numbers = {"n": 1.50, "big": 1e30, "small": 1e-7, "none": None, "empty": {}}
    plans = [plan(f"p{n}", description="", location=place) for n in range(len(CHANGES))]
    items = kept.put(*plans, plan("same", location=numbers))
    for before, change in zip(plans, CHANGES, strict=True):
        unseen = {"updated_at": before.updated_at}  # not even its stamp has changed
        kept.store.update(Plan, {"user_id": "ana", "id": before.id}, {**change, **unseen})
    assert kept.remove(Plan, *items) == [CHANGED] * len(CHANGES) + [DELETED]
    assert kept.there(Plan, *items) == [True] * len(CHANGES) + [False]


def test_an_attribute_that_no_field_has_is_compared_too(in_dynamodb: Kept) -> None:
    wide = {**item_of(event("e1")), "note": {"SS": ["b", "a"]}, "blob": {"B": "AAE="}}
    layout = layout_of(UsageAnalytics)
    in_dynamodb.keeper.put_back(layout, [wide], overwrite=False)
    for other in ({"note": {"SS": ["b"]}}, {"blob": {"B": "AAI="}}, {"extra": {"NULL": True}}):
        assert in_dynamodb.remove(UsageAnalytics, {**wide, **other}) == [CHANGED]
    assert in_dynamodb.remove(UsageAnalytics, {**wide, "note": {"SS": ["a", "b"]}}) == [DELETED]


def test_a_row_is_not_what_an_item_with_more_attributes_was(in_sqlite: Kept) -> None:
    (item,) = in_sqlite.put(event("e1"))
    assert in_sqlite.remove(UsageAnalytics, {**item, "note": {"S": "x"}}) == [CHANGED]
    event("e1", event_data={"far": 1e300}).save()  # by now no item can hold it
    assert in_sqlite.remove(UsageAnalytics, item) == [CHANGED]


def test_each_of_many_has_its_own_end(kept: Kept) -> None:
    """More than one transaction's, in either store, and in order."""
    count = 620
    items = kept.put(*(event(f"e{n}", user_id=f"u{n % 11}") for n in range(count)))
    kept.hold((HoldKey("user", "", "u3"), None), (HoldKey("record", EVENTS.table, "u0/e0"), None))
    expected = []
    asked: list[Item] = []
    for n, item in enumerate(items):
        if n % 11 == 3 or n == 0:
            expected.append(HELD)
        elif n % 7 == 2:
            expected.append(CHANGED)
            item = {**item, "eventType": {"S": "swipe"}}
        elif n % 13 == 5:
            expected.append(GONE)
            item = {**item, "id": {"S": f"never-{n}"}}
        else:
            expected.append(DELETED)
        asked.append(item)
    assert kept.remove(UsageAnalytics, *asked) == expected
    stay = [end in (HELD, CHANGED) for end in expected]
    assert kept.there(UsageAnalytics, *asked) == stay


def test_large_records_go_few_at_a_time(in_dynamodb: Kept, proxy: FaultProxy) -> None:
    """DynamoDB takes 4 MB in one transaction. The engine takes any, so the requests are weighed."""
    sizes: list[int] = []

    def weigh(call: Call) -> None:
        sizes.append(len(call.request.body))

    text = "x" * 380_000
    items = in_dynamodb.put(*(event(f"e{n}", user_agent=text) for n in range(12)))
    proxy.set_faults(Custom(weigh, operations=("TransactWriteItems",)))
    assert in_dynamodb.remove(UsageAnalytics, *items) == [DELETED] * 12
    assert len(sizes) == 4 and max(sizes) < 2_000_000


# --- legal holds ----------------------------------------------------------------------------------


def test_what_is_held_stays(kept: Kept) -> None:
    (item,) = kept.put(event("e1"))
    for key in (ANA, EVENTS, EVENT):
        for until in (None, NOW + dt.timedelta(microseconds=1)):
            kept.hold((key, until))
            assert kept.remove(UsageAnalytics, item) == [HELD], (key, until)
    assert kept.there(UsageAnalytics, item) == [True]
    kept.hold()
    assert kept.remove(UsageAnalytics, item) == [DELETED]


def test_holds_on_something_else_hold_nothing(kept: Kept) -> None:
    (item,) = kept.put(event("e1"))
    others = [
        HoldKey("user", "", "bea"),
        HoldKey("table", "plans"),
        HoldKey("record", "usage_analytics", "ana/e2"),
        HoldKey("record", "plans", "ana/e1"),
        HoldKey("record", "usage_analytics", "ana%2Fe1"),
    ]
    kept.hold(*((key, None) for key in others))
    assert kept.remove(UsageAnalytics, item) == [DELETED]


def test_a_hold_ends_at_its_instant_by_the_clock_and_not_by_the_sweep_s_date(kept: Kept) -> None:
    items = kept.put(event("e1"), event("e2"))
    kept.hold((ANA, NOW))
    assert kept.remove(UsageAnalytics, items[0], now=NOW - 9 * DAY) == [DELETED]
    kept.hold((ANA, NOW + dt.timedelta(seconds=1)))
    assert kept.remove(UsageAnalytics, items[1], now=NOW - 9 * DAY) == [HELD]
    later = NOW + dt.timedelta(seconds=1)
    assert kept.remove(UsageAnalytics, items[1], now=later) == [DELETED]


def test_of_several_holds_on_one_thing_the_longest_holds(kept: Kept) -> None:
    (item,) = kept.put(event("e1"))
    kept.hold((ANA, NOW - DAY), (ANA, NOW + DAY), (ANA, NOW))
    assert kept.remove(UsageAnalytics, item) == [HELD]
    kept.hold((ANA, NOW - DAY), (ANA, None), (ANA, NOW + DAY))
    assert kept.remove(UsageAnalytics, item, now=NOW + 1000 * DAY) == [HELD]


def test_a_lifted_hold_holds_nothing(kept: Kept) -> None:
    (item,) = kept.put(event("e1"))
    kept.hold((ANA, None))
    row = hold_row(ANA)
    type(row).objects.update(lifted_at=NOW)
    kept.keeper.enforce_holds([])
    assert kept.remove(UsageAnalytics, item) == [DELETED]


def test_a_hold_on_a_user_is_on_the_user_s_own_record(kept: Kept) -> None:
    (item,) = kept.put(user("ana"))
    kept.hold((ANA, None))
    assert kept.remove(User, item) == [HELD]


def test_what_belongs_to_nobody_is_held_by_its_table_alone(kept: Kept) -> None:
    (item,) = kept.put(error_log("e", user_id=None))
    kept.hold((HoldKey("user", "", ""), None), (HoldKey("user", "", "None"), None))
    assert kept.remove(ErrorLog, item) == [DELETED]


def test_what_is_held_when_placing_returns_is_there_for_good(shared: Kept) -> None:
    """Deletes go on in another thread, record by record, while their user's holds are placed."""
    users = [f"u{n}" for n in range(12)]
    items = {name: shared.put(*(event(f"e{n}", user_id=name) for n in range(8))) for name in users}
    everything = [item for each in zip(*items.values(), strict=True) for item in each]
    begun = threading.Event()

    def delete() -> list[Removal]:
        try:
            ends = []
            for at in range(0, len(everything), 4):
                ends += shared.remove(UsageAnalytics, *everything[at : at + 4])
                begun.set()
            return ends
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        deleting = pool.submit(delete)
        assert begun.wait(60)
        survivors: dict[str, list[bool]] = {}
        placed = []
        for name in users:
            placed.append((HoldKey("user", "", name), None))
            hold_row(placed[-1][0])
            shared.keeper.enforce_holds(placed)
            survivors[name] = shared.there(UsageAnalytics, *items[name])
        ends = deleting.result(120)
    assert set(ends) <= {DELETED, HELD} and DELETED in ends
    for name in users:
        assert shared.there(UsageAnalytics, *items[name]) == survivors[name]


# --- what keeps a record --------------------------------------------------------------------------


def test_a_profile_stays_while_its_user_is_there(kept: Kept) -> None:
    ana, bea = kept.put(profile("ana"), profile("bea"))
    (owner,) = kept.put(user("ana", DAY))
    assert kept.remove(UserProfile, ana, bea) == [KEPT, DELETED]
    assert kept.remove(User, owner) == [DELETED]
    assert kept.remove(UserProfile, ana) == [DELETED]


# --- unique values --------------------------------------------------------------------------------


def test_unique_values_are_free_again_and_taken_again(kept: Kept) -> None:
    (item,) = kept.put(user("ana", email="Ana@Example.org", username="ana"))
    assert kept.remove(User, item) == [DELETED]
    layout = layout_of(User)
    (back,) = kept.keeper.put_back(layout, [item], overwrite=False)
    assert back.outcome is Return.RESTORED
    with pytest.raises(UniqueViolation):
        kept.store.add(User(id="bea", email="ana@example.ORG", password_hash="x"))
    assert kept.remove(User, item) == [DELETED]
    kept.store.add(User(id="bea", email="ana@example.ORG", password_hash="x"))
    (refused,) = kept.keeper.put_back(layout, [item], overwrite=False)
    assert refused.outcome is Return.TAKEN and "email" in refused.why
    assert kept.there(User, item) == [False]
    found = kept.store.get_by_unique(User, "email", "ANA@example.org")
    assert found is not None and found.id == "bea"


def test_a_value_that_another_record_has_by_now_is_not_freed(in_dynamodb: Kept) -> None:
    """A damaged table: two records with one value, which the second one owns."""
    (item,) = in_dynamodb.put(user("ana"))
    layout = layout_of(User)
    for guard in guards_of(layout, layout.from_item(item)):
        stolen = {**guard.item, "owner": {"S": "bea"}}
        get_wire().call("PutItem", {"TableName": guard_table(), "Item": stolen})
    assert in_dynamodb.remove(User, item) == [DELETED]
    with pytest.raises(UniqueViolation):
        in_dynamodb.store.add(User(id="cat", email="ana@example.org", password_hash="x"))


# --- caches ---------------------------------------------------------------------------------------


def test_no_reader_meets_a_record_in_the_cache_that_is_gone(kept: Kept, settings: Any) -> None:
    settings.APP_CACHE_ENABLED = True
    cached = CachingStore(kept.store, "records")
    old = user("cached")
    (item,) = kept.put(old)
    layout, key = layout_of(User), {"id": "cached"}
    read = cached.get(User, key)
    assert read is not None
    # A change that goes around the cache shows that it is the cache that answers.
    kept.store.update(User, key, {"is_active": False})
    changed = cached.get(User, key)
    assert changed is not None and changed.is_active
    now = kept.keeper.read(layout, [item])[0]
    assert now is not None
    assert kept.remove(User, now) == [DELETED]
    assert cached.get(User, key) is None
    kept.put(old)
    again = cached.get(User, key)
    assert again is not None and again.is_active
    assert kept.keeper.replace(layout, item, {**item, "isActive": {"BOOL": False}})
    last = cached.get(User, key)
    assert last is not None and not last.is_active
    kept.keeper.put_back(layout, [item], overwrite=True)
    restored = cached.get(User, key)
    assert restored is not None and restored.is_active


# --- a network that fails -------------------------------------------------------------------------


def test_a_transaction_whose_answer_is_lost_is_done_once(
    in_dynamodb: Kept, proxy: FaultProxy
) -> None:
    items = in_dynamodb.put(*(event(f"e{n}") for n in range(90)))
    proxy.set_faults(DropAfter(0.5, times=4, operations=("TransactWriteItems",)))
    assert in_dynamodb.remove(UsageAnalytics, *items) == [DELETED] * 90
    assert proxy.counts["DropAfter"] > 0


def cancelled(code: str, message: str = "") -> Any:
    """A fault: the transaction is cancelled for its first action."""

    def cancel(call: Call) -> Answer:
        actions = len(json.loads(call.request.body)["TransactItems"])
        reasons = [{"Code": code, "Message": message}, *[{"Code": "None"}] * (actions - 1)]
        body = {
            "__type": SERVICE + "TransactionCanceledException",
            "message": "Transaction cancelled",
            "CancellationReasons": reasons,
        }
        return make_answer(400, json.dumps(body).encode(), {})

    return cancel


def test_others_in_the_way_are_waited_for(in_dynamodb: Kept, proxy: FaultProxy) -> None:
    """As DynamoDB does when another transaction is at the same items."""
    items = in_dynamodb.put(event("e1"), event("e2"))
    codes = ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")
    operations = ("TransactWriteItems",)
    proxy.set_faults(*(Custom(cancelled(each), times=1, operations=operations) for each in codes))
    assert in_dynamodb.remove(UsageAnalytics, *items) == [DELETED, DELETED]
    assert proxy.counts["cancel"] == 3


def test_what_never_gets_through_is_an_error_and_not_an_end(
    in_dynamodb: Kept, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    (item,) = in_dynamodb.put(event("e1"))
    monkeypatch.setattr(dynamo_removal, "WORKING", Patience(3, 0))
    operations = ("TransactWriteItems",)
    proxy.set_faults(Custom(cancelled("TransactionConflict"), operations=operations))
    with pytest.raises(Conflict, match="usage_analytics are being written"):
        in_dynamodb.remove(UsageAnalytics, item)
    proxy.set_faults(Custom(cancelled("ValidationError", "no such index"), operations=operations))
    with pytest.raises(StoreUnavailable):
        in_dynamodb.remove(UsageAnalytics, item)
    assert in_dynamodb.there(UsageAnalytics, item) == [True]


def test_a_missing_table_of_holds_stops_every_delete(in_dynamodb: Kept) -> None:
    (item,) = in_dynamodb.put(event("e1"))
    prefix = layout_of(UsageAnalytics).table_name.removesuffix("usage_analytics")
    get_wire().call("DeleteTable", {"TableName": f"{prefix}holds"})
    with pytest.raises(StoreUnavailable, match="sync_tables"):
        in_dynamodb.remove(UsageAnalytics, item)
    assert in_dynamodb.there(UsageAnalytics, item) == [True]
