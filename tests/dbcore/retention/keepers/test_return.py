"""What was removed is put back as it was, never over a newer record unless told; and what one user
owns is found, read and replaced."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections, models

from daylight.models import (
    ApiKey,
    ApiUsage,
    AuditLog,
    ErrorLog,
    Plan,
    Role,
    UsageAnalytics,
    User,
    UserProfile,
    WeatherCache,
)
from dbcore.attributes import Item
from dbcore.dynamo.comparing import same_item
from dbcore.errors import DbcoreError, InvalidValue
from dbcore.items import layout_of
from dbcore.retention.keepers.interface import Removal, Return, Returned
from dbcore.stores.errors import StoreUnavailable, UniqueViolation
from dbcore.wire import HOOKS
from tests.dbcore.retention.keepers.kept import (
    DAY,
    NOW,
    Kept,
    error_log,
    event,
    item_of,
    plan,
    user,
)
from tests.support.proxy import DropAfter, FaultProxy

pytestmark = pytest.mark.django_db(transaction=True)
RESTORED, PRESENT, NEWER, TAKEN, UNFIT = (
    Return.RESTORED, Return.PRESENT, Return.NEWER, Return.TAKEN, Return.UNFIT,
)  # fmt: skip


def put_back(
    kept: Kept, model: type[models.Model], *items: Item, overwrite: bool = False
) -> list[Returned]:
    return kept.keeper.put_back(layout_of(model), items, overwrite=overwrite)


def outcomes(ends: list[Returned]) -> list[Return]:
    return [end.outcome for end in ends]


def read(kept: Kept, model: type[models.Model], item: Item) -> Item:
    layout = layout_of(model)
    (found,) = kept.keeper.read(layout, [layout.key_of_item(item)])
    assert found is not None
    return found


def test_what_went_comes_back_attribute_by_attribute(kept: Kept) -> None:
    place = {"lat": 46.05, "n": [1e-7, 1.5e30, 100, None, {"deep": "ö"}]}
    items = kept.put(plan("p", location=place, end_time=NOW - 400 * DAY), plan("q"))
    assert kept.remove(Plan, *items) == [Removal.DELETED] * 2
    assert outcomes(put_back(kept, Plan, *items)) == [RESTORED, RESTORED]
    for item in items:
        assert same_item(read(kept, Plan, item), item)
    assert kept.remove(Plan, *items) == [Removal.DELETED] * 2


def test_a_key_that_was_revoked_since_is_not_put_back_as_it_was(kept: Kept) -> None:
    """Not over it, whoever tells to: an older copy would let in who was shut out."""
    key = ApiKey(id="k", name="n", key_hash="h", key_preview="p", user_id="ana")
    (old,) = kept.put(key)
    kept.store.update(ApiKey, {"id": "k"}, {"status": "revoked", "name": "other"})
    (end,) = put_back(kept, ApiKey, old, overwrite=True)
    assert end == Returned(NEWER, "status is revoked, which is for good: no write undoes it")
    assert read(kept, ApiKey, old)["status"] == {"S": "revoked"}
    revoked = {**old, "status": {"S": "revoked"}}
    assert outcomes(put_back(kept, ApiKey, revoked, overwrite=True)) == [RESTORED]
    assert read(kept, ApiKey, old)["name"] == {"S": "n"}, "what else it has is put back"


def test_each_has_its_own_end(kept: Kept) -> None:
    """An equal record, another, none, and one that nobody can read, in one call."""
    equal, old = kept.put(event("e1"), event("e2"))
    kept.store.update(UsageAnalytics, {"user_id": "ana", "id": "e2"}, {"event_type": "swipe"})
    torn = {**item_of(event("e4")), "timestamp": {"S": "yesterday"}}
    ends = put_back(kept, UsageAnalytics, equal, old, item_of(event("e3")), torn)
    assert outcomes(ends) == [PRESENT, NEWER, RESTORED, UNFIT]
    assert ends[3].why.startswith("timestamp cannot be read"), "without the value"
    assert read(kept, UsageAnalytics, old)["eventType"] == {"S": "swipe"}
    ends = put_back(kept, UsageAnalytics, equal, old, overwrite=True)
    assert outcomes(ends) == [PRESENT, RESTORED]
    assert same_item(read(kept, UsageAnalytics, old), old)
    assert put_back(kept, UsageAnalytics) == []


def test_what_has_no_key_is_unfit(kept: Kept) -> None:
    whole = item_of(user("ana"))
    keyless = {name: value for name, value in whole.items() if name != "id"}
    numbered = {**whole, "id": {"N": "7"}}
    assert outcomes(put_back(kept, User, keyless, numbered)) == [UNFIT, UNFIT]


def test_a_unique_value_that_is_another_s_by_now_is_told(kept: Kept) -> None:
    old = item_of(user("ana", email="Ana@Example.org", username="ana"))
    kept.put(user("bea", email="ana@example.ORG", username="bea"))
    kept.put(user("cat", email="cat@example.org", username="ana"))
    (end,) = put_back(kept, User, old)
    assert end.outcome is TAKEN and ("email" in end.why or "username" in end.why)
    assert kept.there(User, old) == [False]
    others = [item_of(user("dan")), old, item_of(user("eva"))]
    assert outcomes(put_back(kept, User, *others)) == [RESTORED, TAKEN, RESTORED]


def test_writing_over_a_record_moves_its_unique_values(kept: Kept) -> None:
    (old,) = kept.put(user("ana", email="old@example.org", username=None))
    kept.store.update(User, {"id": "ana"}, {"email": "new@example.org", "username": "ana"})
    assert outcomes(put_back(kept, User, old)) == [NEWER]
    assert outcomes(put_back(kept, User, old, overwrite=True)) == [RESTORED]
    kept.store.add(User(id="bea", email="new@example.org", username="ana", password_hash="x"))
    with pytest.raises(UniqueViolation):
        kept.store.add(User(id="cat", email="old@example.org", password_hash="x"))
    (taken,) = put_back(kept, User, {**old, "email": {"S": "new@example.org"}}, overwrite=True)
    assert taken.outcome is TAKEN and "email" in taken.why


def test_an_item_of_an_older_schema_gets_defaults_in_sql(in_sqlite: Kept) -> None:
    whole = item_of(plan("p"))
    without = {name: value for name, value in whole.items() if name not in ("status", "location")}
    assert outcomes(put_back(in_sqlite, Plan, without)) == [RESTORED]
    assert same_item(read(in_sqlite, Plan, whole), whole)
    assert outcomes(put_back(in_sqlite, Plan, without)) == [PRESENT]
    (end,) = put_back(in_sqlite, Plan, {n: v for n, v in whole.items() if n != "title"})
    assert end.outcome is UNFIT and "title" in end.why


def test_an_item_of_an_older_schema_is_as_it_was_in_dynamodb(in_dynamodb: Kept) -> None:
    whole = {**item_of(plan("p")), "note": {"SS": ["a", "b"]}, "blob": {"B": "AAE="}}
    item = {name: value for name, value in whole.items() if name != "status"}
    assert outcomes(put_back(in_dynamodb, Plan, item)) == [RESTORED]
    assert same_item(read(in_dynamodb, Plan, item), item)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"note": {"S": "x"}}, "note, for which the table has no field"),
        ({"title": {"N": "1"}}, "cannot be read"),
        ({"location": {"SS": ["a"]}}, "cannot be read"),
        ({"location": {"B": "AAE="}}, "cannot be read"),
    ],
    ids=["an attribute more", "another type", "a set", "binary"],
)
def test_what_a_row_cannot_hold_as_it_was_is_unfit(in_sqlite: Kept, change: Item, why: str) -> None:
    (end,) = put_back(in_sqlite, Plan, {**item_of(plan("p")), **change})
    assert end.outcome is UNFIT and why in end.why
    assert not Plan.objects.exists()


def test_an_address_that_a_row_would_spell_otherwise_is_unfit(in_sqlite: Kept) -> None:
    given = {"event_type": "sign_in", "resource": "r", "action": "a", "source": "s"}
    log = AuditLog(id="a", timestamp=NOW, outcome="success", ip_address="2001:db8::1", **given)
    item = item_of(log)
    spelt = {**item, "ipAddress": {"S": "2001:0db8:0:0::1"}}
    ends = put_back(in_sqlite, AuditLog, spelt)
    assert outcomes(ends) == [UNFIT] and "ipAddress" in ends[0].why
    assert outcomes(put_back(in_sqlite, AuditLog, item)) == [RESTORED]


@pytest.mark.usefixtures("postgresql_tables")
def test_what_postgresql_refuses_is_unfit_and_the_rest_comes_back(in_sqlite: Kept) -> None:
    long, nul = item_of(plan("long", title="x" * 300)), item_of(plan("nul", title="a\0b"))
    ends = put_back(in_sqlite, Plan, item_of(plan("p")), long, nul, item_of(plan("q")))
    assert outcomes(ends) == [RESTORED, UNFIT, UNFIT, RESTORED]
    assert all("refuses" in end.why for end in ends[1:3])


def test_what_dynamodb_refuses_is_unfit_and_the_rest_comes_back(in_dynamodb: Kept) -> None:
    huge = {**item_of(event("huge")), "userAgent": {"S": "x" * 410_000}}
    ends = put_back(in_dynamodb, UsageAnalytics, item_of(event("e1")), huge, item_of(event("e2")))
    assert outcomes(ends) == [RESTORED, UNFIT, RESTORED]
    huge_user = {**item_of(user("huge")), "note": {"S": "x" * 410_000}}
    assert outcomes(put_back(in_dynamodb, User, huge_user, item_of(user("u")))) == [UNFIT, RESTORED]


def test_lost_answers_are_no_other_s_work(in_dynamodb: Kept, proxy: FaultProxy) -> None:
    proxy.set_faults(DropAfter(0.5, times=6, operations=("PutItem",)))
    events, users = [event(f"e{n}") for n in range(20)], [user(f"u{n}") for n in range(20)]
    ends = put_back(in_dynamodb, UsageAnalytics, *map(item_of, events))
    assert proxy.counts["DropAfter"] == 6
    proxy.set_faults(DropAfter(0.5, times=6, operations=("TransactWriteItems",)))
    ends += put_back(in_dynamodb, User, *map(item_of, users))
    assert outcomes(ends) == [RESTORED] * 40
    assert proxy.counts["DropAfter"] == 12
    (item,) = in_dynamodb.put(error_log("x"))
    proxy.set_faults(DropAfter(times=1, operations=("PutItem",)))
    layout = layout_of(ErrorLog)
    assert in_dynamodb.keeper.replace(layout, item, {**item, "message": {"S": "m"}})


# --- replace, read, owned_by ----------------------------------------------------------------------


def test_a_record_is_replaced_only_while_it_is_what_it_was(kept: Kept) -> None:
    layout = layout_of(AuditLog)
    given = {"event_type": "sign_in", "resource": "r", "action": "a", "source": "s"}
    log = AuditLog(id="a", timestamp=NOW, outcome="success", user_id="ana", **given)
    (old,) = kept.put(log)
    new = {name: value for name, value in old.items() if name != "userId"}
    assert kept.keeper.replace(layout, old, new)
    assert same_item(read(kept, AuditLog, old), new)
    assert not kept.keeper.replace(layout, old, new)
    assert not kept.keeper.replace(layout, {**old, "id": {"S": "b"}}, {**new, "id": {"S": "b"}})
    assert kept.there(AuditLog, {**old, "id": {"S": "b"}}) == [False]


def test_replacing_a_record_moves_its_unique_values(kept: Kept) -> None:
    layout = layout_of(User)
    ana, bea = kept.put(user("ana", username=None), user("bea"))
    new = {**ana, "email": {"S": "gone@example.org"}}
    assert kept.keeper.replace(layout, ana, new)
    kept.store.add(User(id="cat", email="ANA@example.org", password_hash="x"))
    with pytest.raises(DbcoreError, match="email"):
        kept.keeper.replace(layout, new, {**new, "email": bea["email"]})
    assert read(kept, User, ana)["email"] == {"S": "gone@example.org"}


def test_records_are_read_in_order_and_twice_where_asked_twice(kept: Kept) -> None:
    items = kept.put(*(event(f"e{n}") for n in range(230)))
    layout = layout_of(UsageAnalytics)
    keys = [layout.key_of_item(item) for item in items]
    nobody = {**keys[0], "id": {"S": "nobody"}}
    asked = [keys[7], nobody, *reversed(keys), keys[7]]
    found = kept.keeper.read(layout, asked)
    assert [None if each is None else layout.key_of_item(each) for each in found] == [
        None if key == nobody else key for key in asked
    ]
    assert kept.keeper.read(layout, []) == []


OWNED: list[tuple[type[models.Model], dict[str, Any], list[str]]] = [
    (UserProfile, {}, ["Query"]),  # by the table's key
    (Plan, {"title": "Lake"}, ["Query"]),
    (
        AuditLog,  # by an index
        {"timestamp": NOW, "resource": "r", "source": "s"},
        ["Query", "BatchGetItem"],
    ),
    (ApiUsage, {"api_key_id": "k", "timestamp": NOW, "response_time_ms": 1.0}, ["Scan"]),
    (User, {"password_hash": "x"}, ["Query"]),
]


@pytest.mark.parametrize(("model", "given", "asked"), OWNED, ids=lambda each: str(each)[-20:])
def test_all_of_one_user_and_nothing_of_another(
    kept: Kept, model: type[models.Model], given: dict[str, Any], asked: list[str]
) -> None:
    table = layout_of(model).table
    assert table.owner is not None
    for name in ("ana", "anabel", "bea"):
        extra = {"email": f"{name}@example.org", "username": name} if model is User else {}
        extra |= {"id": f"of-{name}"} if table.owner != "id" and table.range_key else {}
        extra |= {"status_code": 200} if model is ApiUsage else {}
        kept.put(model(**{**given, **extra, table.owner: name}))
    operations: list[str] = []
    HOOKS.append(lambda call: operations.append(call.operation))
    attribute = layout_of(model).by_name[table.owner].attribute
    found = list(kept.keeper.owned_by(layout_of(model), "ana"))
    assert [item[attribute] for item in found] == [{"S": "ana"}]
    assert operations == (asked if kept.is_dynamodb else [])
    assert list(kept.keeper.owned_by(layout_of(model), "nobody")) == []


def test_what_belongs_to_nobody_is_no_one_s(kept: Kept) -> None:
    for model in (Role, WeatherCache):
        assert list(kept.keeper.owned_by(layout_of(model), "ana")) == []
    kept.put(error_log("e", user_id=None), error_log("f", user_id="ana"))
    (item,) = kept.keeper.owned_by(layout_of(ErrorLog), "ana")
    assert item["id"] == {"S": "f"}


def test_many_records_of_one_user_come_page_by_page(kept: Kept) -> None:
    kept.put(*(event(f"e{n}") for n in range(1200)))
    layout = layout_of(UsageAnalytics)
    seen = set()
    for item in kept.keeper.owned_by(layout, "ana"):
        seen.add(item["id"]["S"])
        if len(seen) % 400 == 0:  # what has been seen may be removed meanwhile
            assert kept.remove(UsageAnalytics, item) == [Removal.DELETED]
    assert len(seen) == 1200


def test_a_row_of_theirs_that_no_item_can_hold_is_not_passed_over(in_sqlite: Kept) -> None:
    event("far", event_data={"distance": 1e300}).save()
    with pytest.raises(InvalidValue, match="usage_analytics ana/far: event_data"):
        list(in_sqlite.keeper.owned_by(layout_of(UsageAnalytics), "ana"))


# --- trouble --------------------------------------------------------------------------------------


def test_a_store_that_is_out_of_reach_is_an_error_of_the_layer(
    in_dynamodb: Kept, settings: Any
) -> None:
    settings.DYNAMODB_ENDPOINT = "http://127.0.0.1:9"
    settings.DYNAMODB_DEADLINE = 0.2
    with pytest.raises(StoreUnavailable, match="out of reach"):
        in_dynamodb.keeper.read(layout_of(Plan), [{"userId": {"S": "u"}, "id": {"S": "p"}}])


@pytest.fixture
def at_once() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_of_four_that_put_one_record_back_at_once_one_restores_it(
    shared: Kept, at_once: ThreadPoolExecutor
) -> None:
    item = item_of(user("ana"))
    together = threading.Barrier(4)

    def restore(_: int) -> Return:
        try:
            together.wait(60)
            (end,) = put_back(shared, User, item)
            return end.outcome
        finally:
            connections.close_all()

    ends = sorted(each.name for each in at_once.map(restore, range(4)))
    assert ends.count("RESTORED") == 1 and set(ends) <= {"RESTORED", "PRESENT", "NEWER"}
    assert same_item(read(shared, User, item), item)
