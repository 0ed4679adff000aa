"""Every condition of a delete, and every answer to one, from a script: nothing is deleted that has
changed, is held or is kept, and nothing counts as deleted that was not."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from daylight.models import Plan, User, UserProfile
from dbcore.attributes import Item
from dbcore.dynamo.guards import OWNER, guard_table, guards_of_item
from dbcore.items import ItemLayout, layout_of
from dbcore.patience import Patience
from dbcore.retention.keepers import dynamo_removal
from dbcore.retention.keepers.dynamo_holds import UNTIL, epoch_number
from dbcore.retention.keepers.dynamo_removal import Removing
from dbcore.retention.keepers.interface import Removal
from dbcore.retention.rules import Rule
from dbcore.schema import HOLD_KEY, hold_table
from dbcore.stores.errors import Conflict
from tests.dbcore.retention.making import values_of_age
from tests.support.scripted import LOST, Refused, Reply, Script, cancelled

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
OLD = NOW - dt.timedelta(days=4000)
PLANS, USERS, PROFILES = layout_of(Plan), layout_of(User), layout_of(UserProfile)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamo_removal, "WORKING", Patience(3, 0))
    monkeypatch.setattr("dbcore.wire.client.backoff", lambda attempt: 0.0)


def item_of(layout: ItemLayout, **given: Any) -> Item:
    return layout.to_item(values_of_age(layout.model, OLD, **given))


@contextlib.contextmanager
def removing(layout: ItemLayout, *replies: Reply) -> Iterator[tuple[Script, Removing]]:
    script = Script(*replies)
    with script.wire(deadline=5.0) as wire:
        yield script, Removing(wire, "dynamodb", Rule(layout, 1, NOW), NOW)


def actions(script: Script, number: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """The actions of a transaction: kind and body."""
    operation, request = script.requests[number]
    assert operation == "TransactWriteItems" and request["ClientRequestToken"]
    return [next(iter(each.items())) for each in request["TransactItems"]]


def parts_of(body: dict[str, Any]) -> set[str]:
    """A condition's tests, with its placeholders filled in."""
    names, values = body["ExpressionAttributeNames"], body.get("ExpressionAttributeValues", {})
    text = re.sub(r"#\w+", lambda found: names[found[0]], body["ConditionExpression"])
    return set(re.sub(r":\w+", lambda found: repr(values[found[0]]), text).split(" AND "))


def test_a_record_goes_only_if_every_attribute_is_as_it_was_and_none_is_new() -> None:
    item = item_of(PLANS, start_time=None)
    with removing(PLANS, {}) as (script, removal):
        assert removal.remove([item]) == [Removal.DELETED]
    ((_, body),) = [each for each in actions(script) if each[0] == "Delete"]
    keys = {each.attribute for each in PLANS.key}
    assert body["Key"] == {name: item[name] for name in keys}
    wanted = {f"attribute_exists({PLANS.key[0].attribute})"}
    wanted |= {f"{name} = {value!r}" for name, value in item.items() if name not in keys}
    assert "startTime" not in item
    wanted |= {"attribute_not_exists(startTime)"}
    assert parts_of(body) == wanted


def test_no_hold_may_be_on_it_its_table_or_its_user() -> None:
    item = item_of(PLANS, user_id="ana", id="p1")
    with removing(PLANS, {}) as (script, removal):
        removal.remove([item])
    checks = [body for kind, body in actions(script) if kind == "ConditionCheck"]
    assert {body["TableName"] for body in checks} == {hold_table()}
    assert {body["Key"][HOLD_KEY]["S"] for body in checks} == {
        "user//ana", "table/plans/", "record/plans/ana%2Fp1",
    }  # fmt: skip
    free = f"attribute_not_exists({HOLD_KEY}) OR {UNTIL} <= {epoch_number(NOW)!r}"
    assert all(parts_of(body) == {free} for body in checks)


def test_what_a_user_keeps_goes_only_when_there_is_no_such_user() -> None:
    with removing(PROFILES, {}) as (script, removal):
        removal.remove([item_of(PROFILES, user_id="ana")])
    (check,) = [body for _, body in actions(script) if body["TableName"] == USERS.table_name]
    assert check["Key"] == {"id": {"S": "ana"}}
    assert parts_of(check) == {"attribute_not_exists(id)"}


def test_a_users_unique_values_go_with_them_and_only_if_they_are_theirs() -> None:
    item = item_of(USERS, id="ana")
    with removing(USERS, {}) as (script, removal):
        assert removal.remove([item]) == [Removal.DELETED]
    deletes = [body for _, body in actions(script) if body["TableName"] == guard_table()]
    assert [body["Key"]["guard"]["S"] for body in deletes] == [
        guard.key for guard in guards_of_item(USERS, item)
    ]
    for body in deletes:
        assert parts_of(body) == {f"attribute_not_exists(guard) OR {OWNER} = {{'S': 'ana'}}"}


def reasons(script: Script, layout: ItemLayout, table: str, found: Item | None = None) -> Refused:
    """A transaction that was cancelled for its action on this table."""
    bodies = [body for _, body in actions(script)]
    at = next(number for number, body in enumerate(bodies) if body["TableName"] == table)
    codes = ["ConditionalCheckFailed" if number == at else "None" for number in range(len(bodies))]
    return cancelled(*codes, items={at: found} if found else {})


@pytest.mark.parametrize(("table", "found", "outcome"), [
    (PLANS.table_name, {"id": {"S": "p"}}, Removal.CHANGED),
    (PLANS.table_name, None, Removal.GONE),
    (hold_table(), None, Removal.HELD),
])  # fmt: skip
def test_what_was_refused_is_left_and_says_why(
    table: str, found: Item | None, outcome: Removal
) -> None:
    item = item_of(PLANS)
    with removing(PLANS, {}) as (first, removal):
        removal.remove([item])
    with removing(PLANS, reasons(first, PLANS, table, found)) as (script, removal):
        assert removal.remove([item]) == [outcome]
        assert len(script.requests) == 1


def test_of_several_only_the_refused_one_stays() -> None:
    items = [item_of(PLANS, user_id="ana", id=f"p{number}") for number in range(3)]
    with removing(PLANS, {}) as (first, removal):
        removal.remove(items)
    kinds = [kind for kind, _ in actions(first)]
    second = [at for at, kind in enumerate(kinds) if kind == "Delete"][1]
    codes = ["ConditionalCheckFailed" if at == second else "None" for at in range(len(kinds))]
    refused = cancelled(*codes, items={second: items[1]})
    with removing(PLANS, refused, {}) as (script, removal):
        assert removal.remove(items) == [Removal.DELETED, Removal.CHANGED, Removal.DELETED]
    deleted = [body["Key"]["id"]["S"] for kind, body in actions(script, 1) if kind == "Delete"]
    assert deleted == ["p0", "p2"]


def test_a_value_that_is_anothers_is_not_freed_and_the_record_goes_all_the_same() -> None:
    item = item_of(USERS, id="ana")
    with removing(USERS, {}) as (first, removal):
        removal.remove([item])
    with removing(USERS, reasons(first, USERS, guard_table()), {}) as (script, removal):
        assert removal.remove([item]) == [Removal.DELETED]
    before, after = (
        [body for _, body in actions(script, at) if body["TableName"] == guard_table()]
        for at in (0, 1)
    )
    assert len(after) == len(before) - 1


def test_others_who_are_in_the_way_all_the_time_are_a_conflict_and_nothing_counts() -> None:
    item = item_of(PLANS)
    with removing(PLANS, {}) as (first, removal):
        removal.remove([item])
    busy = cancelled(*["TransactionConflict"] * len(actions(first)))
    with removing(PLANS, busy, busy, busy, {}) as (script, removal):
        with pytest.raises(Conflict, match="written all the time"):
            removal.remove([item])
        assert len(script.requests) == 3


def test_what_nobody_knows_is_raised() -> None:
    refused, raised = Refused("AccessDeniedException"), pytest.raises(ClientError, match="Denied")
    with removing(PLANS, refused) as (_, removal), raised:
        removal.remove([item_of(PLANS)])


def test_a_delete_whose_answer_was_lost_is_sent_again_under_its_token_and_done_once() -> None:
    with removing(PLANS, LOST, {}) as (script, removal):
        assert removal.remove([item_of(PLANS)]) == [Removal.DELETED]
    tokens = {request["ClientRequestToken"] for _, request in script.requests}
    assert script.asked == ["TransactWriteItems"] * 2 and len(tokens) == 1
