"""What stops a sweep before it deletes, and what a dry run says of it."""

from __future__ import annotations

import platform
import re
from typing import Any

import pytest
from django.db import models
from django.utils import timezone

from daylight.models import (
    ApiUsage,
    AuthSession,
    ErrorLog,
    LocationHistory,
    PerformanceMetric,
    Plan,
    RateLimit,
    User,
    UserProfile,
    UserSession,
    WeatherCache,
)
from dbcore.items import layout_of
from dbcore.management.commands.enforce_retention import instant
from dbcore.models import AcceptedPolicy, Sweep
from dbcore.retention import clock, policy
from dbcore.retention.keepers.interface import Keeper, Window
from dbcore.retention.options import SweepOptions
from dbcore.retention.report import SweepReport
from dbcore.retention.sweep import enforce_retention
from dbcore.wire import HOOKS, Call
from tests.dbcore.retention.making import DAY, NOW, put, there


def sweep(*tables: type[models.Model], **given: Any) -> SweepReport:
    names = tuple(layout_of(model).table.name for model in tables)
    return enforce_retention(SweepOptions(**{"tables": names, "as_of": NOW, **given}))


# --- Policies -------------------------------------------------------------------------------------


def test_a_policy_whose_first_sweep_was_stopped_has_not_been_accepted(
    primary: Keeper, settings: Any
) -> None:
    """The leave to shorten it was given for that sweep, which somebody has yet to think about."""
    items = [put(primary, ApiUsage, NOW - 40 * DAY) for _ in range(5)]
    settings.RETENTION_DAYS = {"api_usage": "7"}
    stopped = sweep(ApiUsage, accept_policy_change=True)
    assert "--accept-large-sweep" in stopped.lines[0].error
    again = sweep(ApiUsage, max_records=1)
    assert (again.exit_code, again.total("deleted")) == (1, 0)
    assert "--accept-policy-change" in again.lines[0].error
    assert there(primary, ApiUsage, items) == [True] * 5

    done = sweep(ApiUsage, accept_policy_change=True, accept_large_sweep=True)
    assert (done.exit_code, done.total("deleted")) == (0, 5)
    assert AcceptedPolicy.objects.get(table="api_usage").days == 7
    assert sweep(ApiUsage).exit_code == 0  # accepted once is enough


def test_what_the_code_declares_is_booked_though_its_sweep_was_stopped(in_sqlite: Keeper) -> None:
    """A later release that declares less has to look for the due days that were written by it."""
    put(in_sqlite, ApiUsage, NOW - 400 * DAY)
    (rule,) = policy.rules(NOW, ["api_usage"])
    AcceptedPolicy.objects.create(table="api_usage", days=100, declared_days_max=100)
    stopped = sweep(ApiUsage)
    assert "--accept-large-sweep" in stopped.lines[0].error
    row = AcceptedPolicy.objects.get(table="api_usage")
    assert (row.days, row.declared_days_max) == (100, 365)
    AcceptedPolicy.objects.update(declared_days_max=400)
    assert policy.late_days(rule) == 35


def test_a_dry_run_counts_a_profile_whose_user_goes_before_it(primary: Keeper) -> None:
    old = NOW - 2600 * DAY
    goes, stays = put(primary, User, old), put(primary, User, old, last_login_at=NOW)
    for user in (goes, stays):
        put(primary, UserProfile, old, user_id=user["id"]["S"])
    for tables, would, kept in [((), 2, 1), ((UserProfile,), 0, 2), ((User,), 1, 0)]:
        report = sweep(*tables, dry_run=True)
        assert (report.total("would"), report.total("kept")) == (would, kept), report.as_json()
    limited = sweep(dry_run=True, max_records=1)
    assert (limited.line("users").would, limited.line("user_profiles").kept) == (1, 1)
    assert limited.line("user_profiles").left == 1
    assert there(primary, User, [goes, stays]) == [True, True]

    real = sweep(accept_large_sweep=True)
    assert (real.total("deleted"), real.total("kept")) == (2, 1), real.as_json()


# --- Too much of a table --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (LocationHistory, {}),
        (UserSession, {"expires_at": NOW + DAY}),
        (PerformanceMetric, {}),
        (WeatherCache, {"expires_at": NOW + DAY}),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_too_much_of_a_hot_table_is_asked_about_too(
    primary: Keeper, model: type[models.Model], given: dict[str, Any]
) -> None:
    """By its policy's days: that it is not archived makes a wrong clock the worse."""
    days = policy.declared_days(layout_of(model))
    assert days is not None
    items = [put(primary, model, NOW - (days + 1) * DAY, **given) for _ in range(2)]
    for _ in range(7):
        put(primary, model, NOW - DAY, **given)
    rehearsed = sweep(model, dry_run=True)
    assert "2 records are due, more than 20% of" in rehearsed.lines[0].notes[-1]
    questions: list[str] = []
    stopped = sweep(model, ask=lambda question: bool(questions.append(question)))
    assert (stopped.exit_code, stopped.total("deleted")) == (1, 0)
    assert "run once with --accept-large-sweep" in stopped.lines[0].error
    assert questions[0].endswith(f"more than 20% of {model.storage.name}. Delete them?")  # type: ignore[attr-defined]
    assert there(primary, model, items) == [True, True]
    put(primary, model, NOW - DAY, **given)  # two of ten
    assert (sweep(model).exit_code, there(primary, model, items)) == (0, [False, False])


@pytest.mark.parametrize("model", [WeatherCache, UserSession, AuthSession, RateLimit])
def test_what_has_come_to_an_end_of_its_own_is_not_asked_about(
    primary: Keeper, model: type[models.Model]
) -> None:
    """All of them: a night without visitors ends every session and every cached answer."""
    for _ in range(3):
        put(primary, model, NOW - 2 * DAY, expires_at=NOW - DAY)
    done = sweep(model)
    assert (done.exit_code, done.total("deleted")) == (0, 3), done.as_json()


# --- The clock ------------------------------------------------------------------------------------


def of_now(*tables: type[models.Model], **given: Any) -> SweepReport:
    """A sweep by this machine's clock, as a timer calls it."""
    return sweep(*tables, **{"as_of": None, **given})


def test_a_clock_far_ahead_of_the_last_sweep_stops_even_what_is_never_asked_about(
    primary: Keeper,
) -> None:
    now = timezone.now()
    assert sweep(Plan, as_of=now - 8 * DAY).exit_code == 0
    ended = put(primary, AuthSession, now - 3 * DAY, expires_at=now - DAY)
    put(primary, Plan, now)  # by the same clock, perhaps: that proves nothing
    stopped = of_now(AuthSession)
    assert stopped.exit_code == 1
    assert f"the clock of {platform.node()} says {now:%Y-%m-%d}" in stopped.error
    assert "8 days after the last sweep: nothing was touched" in stopped.error
    assert f"--as-of {now:%Y-%m-%dT}" in stopped.error
    assert there(primary, AuthSession, [ended]) == [True]
    assert Sweep.objects.count() == 1, "what was stopped vouches for no clock"
    rehearsed = of_now(AuthSession, dry_run=True)
    assert (rehearsed.exit_code, rehearsed.total("would")) == (0, 1)
    assert rehearsed.notes[0].endswith("8 days after the last sweep: a sweep would stop and ask")

    typed = re.search(r"--as-of (\S+)", stopped.error)
    assert typed is not None
    assert sweep(AuthSession, as_of=instant(typed[1])).exit_code == 0
    assert there(primary, AuthSession, [ended]) == [False]
    assert of_now(AuthSession).exit_code == 0, "once is enough"


def test_who_is_asked_can_say_that_the_clock_is_right(in_sqlite: Keeper) -> None:
    sweep(Plan, as_of=timezone.now() - 8 * DAY)
    questions: list[str] = []
    report = of_now(Plan, ask=lambda question: not questions.append(question))
    assert report.exit_code == 0
    assert questions[0].endswith("8 days after the last sweep. Is that right?")


def test_a_week_without_a_sweep_is_no_reason_to_ask(in_sqlite: Keeper) -> None:
    sweep(Plan, as_of=timezone.now() - 7 * DAY + DAY / 24)
    assert of_now(Plan).exit_code == 0


def test_a_sweep_of_a_day_to_come_vouches_for_no_day_before_it(in_sqlite: Keeper) -> None:
    for days in (-30, 400):
        at = timezone.now() + days * DAY
        Sweep.objects.create(store="orm", target="t", as_of=at, host="h", pid=1)
    assert "30 days after the last sweep" in of_now(Plan).error


def test_a_first_sweep_looks_at_the_newest_record_of_any_table(primary: Keeper) -> None:
    now = timezone.now()
    assert of_now(Plan, dry_run=True).notes == [], "where there is nothing, nothing is lost"
    ended = put(primary, AuthSession, now - 3 * DAY, expires_at=now - DAY)
    put(primary, ApiUsage, now - 9 * DAY)
    put(primary, PerformanceMetric, now)  # a command writes such, by the clock in doubt
    stopped = of_now(AuthSession)
    assert stopped.exit_code == 1
    assert "more than 7 days after the newest record: nothing was touched" in stopped.error
    assert there(primary, AuthSession, [ended]) == [True]

    put(primary, User, now - 6 * DAY, last_login_at=None)
    assert of_now(AuthSession).exit_code == 0
    assert there(primary, AuthSession, [ended]) == [False]


@pytest.mark.parametrize("model", [User, Plan, ApiUsage, ErrorLog])
def test_a_sign_of_life_is_seen_on_its_day(primary: Keeper, model: type[models.Model]) -> None:
    none = {"end_time": None} if model is Plan else {}
    (rule,) = policy.rules(NOW, [layout_of(model).table.name])
    today = NOW.date()
    put(primary, model, NOW - 5 * DAY, **none)
    for first, last, seen in [(7, 0, True), (5, 5, True), (4, 0, False), (9, 6, False)]:
        window = Window(today - first * DAY, today - last * DAY)
        assert primary.lives(rule, window) == seen, window


def test_a_look_at_the_clock_costs_little(in_dynamodb: Keeper) -> None:
    seen: list[Call] = []
    HOOKS.append(seen.append)
    try:
        assert clock.doubt(NOW, in_dynamodb, policy.rules(NOW)) == ""
        first = len(seen)
        Sweep.objects.create(store="orm", target="t", as_of=NOW - DAY, host="h", pid=1)
        assert clock.doubt(NOW, in_dynamodb, policy.rules(NOW)) == ""
    finally:
        HOOKS.remove(seen.append)
    assert len(seen) == first, "by the books alone"
    assert 0 < first <= 8 * 8 * 8 + 2 * 16
    assert not [call for call in seen if call.operation == "Scan" and not call.index]
