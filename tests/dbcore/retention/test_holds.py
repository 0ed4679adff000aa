"""Legal holds, in either store: once one is placed nothing deletes what it is on, and the one who
placed it is on record."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from daylight.models import Plan, UsageAnalytics, User
from dbcore.items import layout_of
from dbcore.models import LegalHold
from dbcore.retention import holds
from dbcore.retention.audit import AuditFailed
from dbcore.retention.errors import RetentionError
from dbcore.retention.holds import (
    HoldIndex,
    Subject,
    active_holds,
    lift_hold,
    place_hold,
    record_subject,
    sync_holds,
    table_subject,
    user_subject,
)
from dbcore.retention.keepers.dynamo import DynamoKeeper
from dbcore.retention.keepers.interface import HoldKey, Keeper, Removal
from dbcore.retention.rules import Rule
from dbcore.wire import HOOKS
from dbcore.wire.calls import Call
from tests.dbcore.retention.lives import audit_trail, places_that_name, user_named
from tests.dbcore.retention.making import DAY, NOW, put

PLANS = layout_of(Plan)
SIGNED = {"who": "A. Counsel", "why": "case 7/2026"}
DELETED, HELD = Removal.DELETED, Removal.HELD


def place(subject: Subject, until: dt.datetime | None = None, **signed: str) -> holds.Placed:
    return place_hold(subject, **{**SIGNED, **signed}, until=until, now=timezone.now())


def lift(hold: LegalHold) -> bool:
    return lift_hold(hold.pk, who="A. Counsel", why="closed", now=timezone.now())


def plan_of(keeper: Keeper, user: str, **given: Any) -> dict[str, Any]:
    return put(keeper, Plan, NOW - 400 * DAY, user_id=user, **given)


def remove(keeper: Keeper, *items: dict[str, Any]) -> list[Removal]:
    return keeper.remove(Rule(PLANS, 365, NOW), items)


# --- What a hold is on --------------------------------------------------------------------------


def test_a_hold_on_a_user_holds_all_of_theirs_and_nobody_elses(primary: Keeper) -> None:
    user_named(primary, "u/1")
    mine, others = plan_of(primary, "u/1"), plan_of(primary, "u")
    placed = place(user_subject("u/1"))
    assert placed.is_new and placed.warnings == ()
    assert remove(primary, mine, others) == [HELD, DELETED]
    assert HoldIndex(active_holds(timezone.now())).on(PLANS, mine) == placed.hold
    assert HoldIndex(active_holds(timezone.now())).on(PLANS, others) is None
    assert lift(placed.hold)
    assert remove(primary, mine) == [DELETED]


def test_a_hold_on_a_table_holds_every_record_of_it_alone(primary: Keeper) -> None:
    plan = plan_of(primary, "u")
    event = put(primary, UsageAnalytics, NOW - 400 * DAY, user_id="u")
    place(table_subject("plans"))
    assert remove(primary, plan) == [HELD]
    assert primary.remove(Rule(layout_of(UsageAnalytics), 365, NOW), [event]) == [DELETED]


def test_a_hold_on_a_record_holds_that_one(primary: Keeper) -> None:
    held, free = plan_of(primary, "u", id="p/1"), plan_of(primary, "u", id="p")
    assert place(record_subject("plans", ["u", "p/1"])).warnings == ()
    assert remove(primary, held, free) == [HELD, DELETED]


def test_of_two_holds_on_one_record_either_is_enough(primary: Keeper) -> None:
    plan = plan_of(primary, "u")
    soon = place(user_subject("u"), until=timezone.now() + DAY).hold
    open_end = place(user_subject("u")).hold
    by_table = place(table_subject("plans")).hold
    for hold in (soon, by_table):
        lift(hold)
        assert remove(primary, plan) == [HELD]
    lift(open_end)
    assert remove(primary, plan) == [DELETED]


def test_a_hold_ends_when_its_time_is_over_and_no_sooner(primary: Keeper) -> None:
    plan = plan_of(primary, "u")
    end = timezone.now() + DAY
    place(user_subject("u"), until=end)
    keeper = type(primary)(clock=lambda: end - dt.timedelta(seconds=1))
    assert keeper.remove(Rule(PLANS, 365, NOW), [plan]) == [HELD]
    keeper = type(primary)(clock=lambda: end)
    assert keeper.remove(Rule(PLANS, 365, NOW), [plan]) == [DELETED]


# --- Calls that are cut short -------------------------------------------------------------------


def test_killed_between_the_books_and_the_store_the_same_call_mends_it(in_dynamodb: Keeper) -> None:
    plan = plan_of(in_dynamodb, "u")

    def crash(call: Call) -> None:
        if call.operation == "Scan":  # the store's holds are about to be written
            HOOKS.clear()
            raise RuntimeError("the process dies here")

    HOOKS.append(crash)
    with pytest.raises(RuntimeError):
        place(user_subject("u"))
    (row,) = LegalHold.objects.all()
    again = place(user_subject("u"))
    assert (again.is_new, again.hold) == (False, row)
    assert LegalHold.objects.count() == 1
    assert remove(in_dynamodb, plan) == [HELD]


def test_killed_between_the_books_and_the_store_the_next_sweep_mends_it(
    in_dynamodb: Keeper,
) -> None:
    plan = plan_of(in_dynamodb, "u")
    LegalHold.objects.create(scope="user", subject="u", reason="r", placed_by="w")
    sync_holds(in_dynamodb, timezone.now())  # what a sweep begins with
    assert remove(in_dynamodb, plan) == [HELD]


def test_killed_while_lifting_the_store_holds_on_until_the_same_call(in_dynamodb: Keeper) -> None:
    plan = plan_of(in_dynamodb, "u")
    hold = place(user_subject("u")).hold
    LegalHold.objects.filter(pk=hold.pk).update(lifted_at=timezone.now())  # and there it died
    assert remove(in_dynamodb, plan) == [HELD]
    assert lift(hold) is False
    assert remove(in_dynamodb, plan) == [DELETED]


def test_who_has_read_the_holds_keeps_others_from_placing_until_they_are_written(
    in_dynamodb: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the one who had read first would remove the item of the hold that came second."""
    monkeypatch.setattr(holds, "PATIENCE", 0.0)
    plan = plan_of(in_dynamodb, "u")

    class Slow(DynamoKeeper):
        def enforce_holds(
            self, found: Sequence[tuple[HoldKey, dt.datetime | None]], **given: Any
        ) -> None:
            assert found == []
            with pytest.raises(RetentionError, match="another update of legal holds is running"):
                place(user_subject("u"))
            super().enforce_holds(found, **given)

    sync_holds(Slow(), timezone.now())
    assert place(user_subject("u")).is_new is False  # the row was there: now it holds
    assert remove(in_dynamodb, plan) == [HELD]


def test_a_hold_is_never_placed_within_a_transaction_that_may_be_undone(in_sqlite: Keeper) -> None:
    from django.db import transaction

    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        place(user_subject("u"))
    assert not LegalHold.objects.exists()


# --- Bad input ----------------------------------------------------------------------------------


def test_a_session_is_named_by_its_hash_and_what_its_device_bears_is_not_quoted() -> None:
    borne = "ds_" + "x" * 43
    for table in ("user_sessions", "auth_sessions"):
        assert record_subject(table, ["ab" * 32])
        with pytest.raises(RetentionError, match="64 hexadecimal digits") as refused:
            record_subject(table, [borne])
        assert borne not in str(refused.value)


def test_an_unknown_table_is_refused_and_the_known_ones_are_named(in_sqlite: Keeper) -> None:
    for choose in (table_subject, lambda name: record_subject(name, ["a"])):
        with pytest.raises(RetentionError, match=r"no table 'plan'.*plans, rate_limits"):
            choose("plan")
    assert table_subject("daylight-plans") == table_subject("plans")


def test_what_does_not_exist_can_be_held_with_a_warning(primary: Keeper) -> None:
    (warning,) = place(user_subject("nobody")).warnings
    assert "no users record 'nobody'" in warning
    (warning,) = place(record_subject("plans", ["u", "p"])).warnings
    assert "no plans record 'u/p'" in warning
    assert remove(primary, plan_of(primary, "u", id="p")) == [HELD]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (["u" * 900, "p" * 900], "longer than 1600"),
        (["u"], "user_id id, not by 1 part"),
        (["u", ""], "plans.id"),
        (["u", "a\0"], "plans.id"),
    ],
)
def test_a_key_that_no_record_has_is_refused(parts: list[str], said: str) -> None:
    with pytest.raises(RetentionError, match=said):
        record_subject("plans", parts)


def test_a_key_with_a_time_is_named_as_people_write_times() -> None:
    short = record_subject("rate_limits", ["ip", "2026-11-22 08:00"])
    assert short.key.subject == "ip/2026-11-22T08:00:00.000000Z"
    with pytest.raises(RetentionError, match="window_start"):
        record_subject("rate_limits", ["ip", "yesterday"])


def test_a_store_that_is_out_of_reach_is_named_and_the_hold_is_in_the_books(
    in_sqlite: Keeper, settings: Any
) -> None:
    settings.MIGRATE_FROM_SQLITE = True  # so that DynamoDB is in use, where nobody answers
    settings.DYNAMODB_ENDPOINT, settings.DYNAMODB_DEADLINE = "http://127.0.0.1:9", 0.5
    with pytest.raises(RetentionError, match=r"in the books, and not enforced by dynamodb yet"):
        place(user_subject("u"))
    assert remove(in_sqlite, plan_of(in_sqlite, "u")) == [HELD]
    with pytest.raises(RetentionError, match=r"lifted in the books, and not by dynamodb yet"):
        lift(LegalHold.objects.get())


@pytest.mark.parametrize("signed", [{"who": " "}, {"why": ""}, {"who": "w" * 256}, {"why": "\0"}])
def test_a_hold_needs_somebody_and_a_reason(in_sqlite: Keeper, signed: dict[str, str]) -> None:
    with pytest.raises(RetentionError, match=f"--{next(iter(signed))}"):
        place(user_subject("u"), **signed)
    assert not LegalHold.objects.exists()


def test_a_hold_that_would_have_ended_is_refused(in_sqlite: Keeper) -> None:
    for until in (NOW, NOW - dt.timedelta(microseconds=1)):
        with pytest.raises(RetentionError, match="ended already"):
            place_hold(user_subject("u"), **SIGNED, until=until, now=NOW)
    with pytest.raises(RetentionError, match="no legal hold 'x'"):
        lift_hold("x", **SIGNED, now=timezone.now())


# --- On record ----------------------------------------------------------------------------------


def test_placing_and_lifting_are_audited_without_naming_the_user(primary: Keeper) -> None:
    hold = place(user_subject("user-under-inquiry")).hold
    lift(hold)
    trail = audit_trail(primary)
    assert [(each["action"], each["details"]["phase"]) for each in trail] == [
        ("place_hold", "begun"), ("place_hold", "ended"),
        ("lift_hold", "begun"), ("lift_hold", "ended"),
    ]  # fmt: skip
    assert {each["resource"] for each in trail} == {f"legal_hold/{hold.pk}"}
    assert [each["outcome"] for each in trail] == ["partial", "success"] * 2
    assert (
        trail[0]["details"]["who"] == "A. Counsel" and trail[0]["details"]["why"] == SIGNED["why"]
    )
    assert trail[0]["correlation_id"] == trail[1]["correlation_id"] != trail[2]["correlation_id"]
    assert places_that_name(primary, "user-under-inquiry") == ["dbcore_legalhold"]


_answers: list[bool] = []


def unsure(event: Mapping[str, Any]) -> None:
    """An audit trail that is not always there."""
    if not _answers.pop(0):
        raise OSError("the audit trail is out of reach")


def test_nothing_is_placed_that_could_not_be_written_down_before(
    in_sqlite: Keeper, settings: Any
) -> None:
    settings.DBCORE_AUDIT = f"{__name__}.unsure"
    _answers[:] = [False]
    with pytest.raises(AuditFailed, match="nothing was done"):
        place(user_subject("u"))
    assert not LegalHold.objects.exists()


def test_a_hold_whose_end_could_not_be_written_down_is_placed_and_says_so(
    primary: Keeper, settings: Any
) -> None:
    settings.DBCORE_AUDIT = f"{__name__}.unsure"
    _answers[:] = [True, False, True, True]
    with pytest.raises(AuditFailed, match=r"it was done \(success\).*same command again"):
        place(user_subject("u"))
    assert remove(primary, plan_of(primary, "u")) == [HELD]
    assert place(user_subject("u")).is_new is False
    assert _answers == []


def test_an_act_that_fails_is_told_as_failed_and_its_own_error_comes_out(
    in_dynamodb: Keeper, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DynamoKeeper, "enforce_holds", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        place(user_subject("u"))
    _, ended = audit_trail(in_dynamodb)
    assert (ended["outcome"], ended["details"]["error"]) == ("failure", "ZeroDivisionError")
    settings.DBCORE_AUDIT = f"{__name__}.unsure"
    _answers[:] = [True, False]
    with pytest.raises(ZeroDivisionError):
        place(user_subject("u"))


# --- The command --------------------------------------------------------------------------------


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("legal_hold", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_the_command_places_lists_and_lifts(primary: Keeper) -> None:
    signed = ["--who", "A. Counsel", "--why", "case 7"]
    day = (timezone.now() + 3 * DAY).date()
    made = json.loads(
        run("place", "--user", "u", "--until", day.isoformat(), *signed, "--format", "json")
    )
    assert made["until"] == f"{day + DAY}T00:00:00+00:00", "the day itself is held"
    assert "placed: legal hold" in run("place", "--record", "plans", "u", "p", *signed)
    assert "in force already" in run("place", "--record", "plans", "u", "p", *signed)
    assert f"{made['id']} on user u (A. Counsel: case 7; until the end of {day} UTC" in run("list")
    assert "lifted" in run("lift", made["id"], *signed)
    assert "1 legal hold\n" in run("list")
    ended = [
        each for each in json.loads(run("list", "--all", "--format", "json")) if not each["active"]
    ]
    assert [(each["id"], each["lifted_by"]) for each in ended] == [(made["id"], "A. Counsel")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["place", "--who", "w", "--why", "y"], "exactly one of"),
        (["place", "--user", "u", "--table", "plans"], "exactly one of"),
        (["place", "--user", "u"], "--who is empty"),
        (["place", "--table", "nope", "--who", "w", "--why", "y"], "no table 'nope'"),
        (
            ["place", "--user", "u", "--until", "2020-01-01", "--who", "w", "--why", "y"],
            "ended already: the end of 2020-01-01 UTC is past",
        ),
        (
            ["place", "--user", "u", "--until", "2020-01-01 08:30", "--who", "w", "--why", "y"],
            "ended already: 2020-01-01 08:30 UTC is past",
        ),
        (["place", "--user", "u", "--until", "soon"], "'soon' is no date"),
        (["lift"], "which one"),
        (["lift", "x", "--who", "w", "--why", "y"], "no legal hold 'x'"),
    ],
)
def test_the_command_says_what_is_wrong(in_sqlite: Keeper, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(*arguments)
    assert not LegalHold.objects.exists()


def test_users_themselves_are_held_too(primary: Keeper) -> None:
    user = user_named(primary, "u")
    place(user_subject("u"))
    assert primary.remove(Rule(layout_of(User), 2555, NOW), [user]) == [HELD]
    assert connection.in_atomic_block is False
