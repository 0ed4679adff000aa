"""What a legal hold is on has no ttl in DynamoDB, by which it would be deleted without any sweep;
and has it again when nothing holds it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.utils import timezone

from daylight.models import AuthSession, LocationHistory, RateLimit, UserSession
from daylight.services.sessions import session_service
from dbcore.attributes import Item
from dbcore.bearers import hash_of
from dbcore.items import TTL, layout_of
from dbcore.models import LegalHold
from dbcore.retention.erasure import erase_user
from dbcore.retention.holds import (
    Subject,
    lift_hold,
    place_hold,
    record_subject,
    sync_holds,
    table_subject,
    user_subject,
)
from dbcore.retention.keepers import dynamo_holds
from dbcore.retention.keepers.dynamo_expiry import HeldExpiry
from dbcore.retention.keepers.interface import Keeper
from dbcore.retention.options import SweepOptions
from dbcore.retention.sweep import enforce_retention
from dbcore.schema import hold_table
from dbcore.stores.errors import RecordNotFound
from dbcore.wire import get_wire
from tests.dbcore.retention.lives import places_that_name, user_named
from tests.dbcore.retention.making import DAY, keys, put, there

SIGNED: dict[str, Any] = {"who": "A. Counsel", "why": "case 7"}
NOW = timezone.now()
USER, OTHER = "u/1", "u"
MODELS = (UserSession, AuthSession, LocationHistory)


def place(subject: Subject, **given: Any) -> LegalHold:
    return place_hold(subject, **SIGNED, **{"until": None, "now": timezone.now(), **given}).hold


def lift(hold: LegalHold) -> bool:
    return lift_hold(hold.pk, **SIGNED, now=timezone.now())


def life(keeper: Keeper, user: str) -> dict[Any, list[Item]]:
    """Two records of the user in each table of theirs that expires."""
    return {
        model: [put(keeper, model, NOW + DAY, user_id=user, data={}) for _ in range(2)]
        if model is UserSession
        else [put(keeper, model, NOW + DAY, user_id=user) for _ in range(2)]
        for model in MODELS
    }


def now_of(keeper: Keeper, items: dict[Any, list[Item]]) -> dict[Any, list[Item | None]]:
    return {
        model: keeper.read(layout_of(model), keys(layout_of(model), found))
        for model, found in items.items()
    }


def without_ttl(items: dict[Any, list[Item]]) -> dict[Any, list[Item]]:
    return {
        model: [{name: value for name, value in item.items() if name != TTL} for item in found]
        for model, found in items.items()
    }


def test_a_hold_on_a_user_takes_the_expiry_of_their_records_and_lifting_gives_it_back(
    in_dynamodb: Keeper,
) -> None:
    mine, others = life(in_dynamodb, USER), life(in_dynamodb, OTHER)
    assert all(TTL in item for found in mine.values() for item in found)
    hold = place(user_subject(USER))
    assert now_of(in_dynamodb, mine) == without_ttl(mine)
    assert now_of(in_dynamodb, others) == others
    lift(hold)
    assert now_of(in_dynamodb, mine) == mine


def test_a_hold_on_a_table_or_a_record_does_too(in_dynamodb: Keeper) -> None:
    limits = [put(in_dynamodb, RateLimit, NOW + DAY) for _ in range(2)]
    session = put(in_dynamodb, UserSession, NOW + DAY, user_id=OTHER, session_id=hash_of("a"))
    items = {RateLimit: limits, UserSession: [session]}
    first, window = (limits[0][name]["S"] for name in ("identifier", "windowStart"))
    for subjects, held in (
        ([table_subject("rate_limits"), record_subject("user_sessions", [hash_of("a")])], items),
        ([record_subject("rate_limits", [first, window])], {RateLimit: limits[:1]}),
    ):
        holds = [place(subject) for subject in subjects]
        assert now_of(in_dynamodb, held) == without_ttl(held)
        rest = {RateLimit: limits[1:], UserSession: [session]} if len(held) == 1 else {}
        assert now_of(in_dynamodb, rest) == rest
        assert [lift(hold) for hold in holds] == [True] * len(holds)
        assert now_of(in_dynamodb, items) == items


def test_what_another_hold_is_on_as_well_does_not_expire_yet(in_dynamodb: Keeper) -> None:
    mine = life(in_dynamodb, USER)
    by_user, by_table = place(user_subject(USER)), place(table_subject("auth_sessions"))
    lift(by_user)
    assert now_of(in_dynamodb, mine) == {**mine, AuthSession: without_ttl(mine)[AuthSession]}
    lift(by_table)
    assert now_of(in_dynamodb, mine) == mine


def test_a_hold_that_has_run_out_leaves_records_to_expire_at_the_next_look(
    in_dynamodb: Keeper,
) -> None:
    mine = life(in_dynamodb, USER)
    end = timezone.now() + 2 * DAY
    place(user_subject(USER), until=end)
    assert now_of(in_dynamodb, mine) == without_ttl(mine)
    sync_holds(in_dynamodb, end)
    # Their time has passed meanwhile: DynamoDB, or the sweep, takes them now.
    assert now_of(in_dynamodb, mine) == mine


def test_records_written_under_a_hold_are_held_from_the_next_sweep_on(in_dynamodb: Keeper) -> None:
    hold = place(user_subject(USER))
    mine = life(in_dynamodb, USER)
    gone = put(in_dynamodb, UserSession, timezone.now() - 31 * DAY, user_id=USER)
    place(user_subject(OTHER))
    assert now_of(in_dynamodb, mine) == mine, "only a sweep looks at all again"
    report = enforce_retention(SweepOptions(tables=("user_sessions",), as_of=timezone.now()))
    assert (report.exit_code, report.total("held"), report.total("deleted")) == (0, 1, 0)
    assert now_of(in_dynamodb, mine) == without_ttl(mine)
    lift(hold)
    assert now_of(in_dynamodb, mine) == mine
    enforce_retention(SweepOptions(tables=("user_sessions",), as_of=timezone.now()))
    assert there(in_dynamodb, UserSession, [gone]) == [False], "lifted late, it is simply due"


def test_killed_while_the_expiry_is_taken_or_given_back_the_same_call_goes_on(
    in_dynamodb: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, usual = life(in_dynamodb, USER), HeldExpiry._write

    def crash(self: Any, layout: Any, requests: Any) -> None:
        usual(self, layout, itertools.islice(requests, 1))
        raise RuntimeError("the process dies here")

    monkeypatch.setattr(HeldExpiry, "_write", crash)
    with pytest.raises(RuntimeError):
        place(user_subject(USER))
    monkeypatch.undo()
    hold = place(user_subject(USER))
    assert LegalHold.objects.count() == 1
    assert now_of(in_dynamodb, mine) == without_ttl(mine)
    monkeypatch.setattr(HeldExpiry, "_write", crash)
    with pytest.raises(RuntimeError):
        lift(hold)
    monkeypatch.undo()
    assert lift(hold) is False
    assert now_of(in_dynamodb, mine) == mine
    assert get_wire().call("Scan", {"TableName": hold_table()})["Items"] == []


def test_who_changes_the_expiry_while_it_is_given_back_has_the_last_word(
    in_dynamodb: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = layout_of(UserSession)
    session = put(in_dynamodb, UserSession, NOW + DAY, user_id=USER)
    later = {"expiresAt": {"S": "2026-01-01T00:00:00.000000Z"}, TTL: {"N": "1767225600"}}
    hold, usual = place(user_subject(USER)), HeldExpiry._write

    def change(self: Any, table: Any, requests: Any) -> None:
        ready = list(requests)
        if table is layout:
            (now,) = in_dynamodb.read(layout, keys(layout, [session]))
            assert now is not None and in_dynamodb.replace(layout, now, {**session, **later})
        usual(self, table, iter(ready))

    monkeypatch.setattr(HeldExpiry, "_write", change)
    lift(hold)
    assert in_dynamodb.read(layout, keys(layout, [session])) == [{**session, **later}]


def test_for_readers_a_held_record_expires_all_the_same(in_dynamodb: Keeper) -> None:
    for session_id, at in (("old", timezone.now() - DAY), ("young", timezone.now() + DAY)):
        given = {"session_id": hash_of(session_id), "data": {}, "created_at": timezone.now()}
        put(in_dynamodb, UserSession, at, user_id=USER, **given)
    user_named(in_dynamodb, USER)
    place(user_subject(USER))
    with pytest.raises(RecordNotFound):
        session_service.get_user_session("old")
    assert session_service.get_user_session("young").session_id == hash_of("young")
    found = session_service.get_user_sessions(USER)
    assert [each.session_id for each in found] == [hash_of("young")]


def test_a_table_that_is_not_there_has_nothing_that_could_expire(in_dynamodb: Keeper) -> None:
    get_wire().call("DeleteTable", {"TableName": layout_of(AuthSession).table_name})
    mine = {UserSession: [put(in_dynamodb, UserSession, NOW + DAY, user_id=USER)]}
    place(user_subject(USER))
    assert now_of(in_dynamodb, mine) == without_ttl(mine)


def test_a_hold_that_has_run_out_does_not_name_an_erased_user(
    in_dynamodb: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(in_dynamodb, UserSession, NOW, user_id="user-of-a-case")
    hold = place(user_subject("user-of-a-case"))
    LegalHold.objects.filter(pk=hold.pk).update(until=timezone.now())
    assert hold_table() in places_that_name(in_dynamodb, "user-of-a-case")
    erase_user("user-of-a-case", **SIGNED, pauses=(0.0,))
    assert places_that_name(in_dynamodb, "user-of-a-case") == []


def test_a_killed_lifting_forgets_no_record_before_all_expire(
    in_dynamodb: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = life(in_dynamodb, USER)
    hold, usual = place(user_subject(USER)), dynamo_holds._write

    def crash(wire: Any, operation: str, request: Any) -> None:
        if operation == "DeleteItem":
            raise RuntimeError("the process dies here")
        usual(wire, operation, request)

    monkeypatch.setattr(dynamo_holds, "_write", crash)
    with pytest.raises(RuntimeError):
        lift(hold)
    assert now_of(in_dynamodb, mine) == mine, "the hold's item goes last"
