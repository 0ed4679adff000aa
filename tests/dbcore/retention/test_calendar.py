"""Days and instants at the edge: another zone than UTC, and the calendar's two ends."""

from __future__ import annotations

import datetime as dt
import io
import json
from argparse import ArgumentTypeError
from typing import Any

import pytest
from django.core.management import call_command

from daylight.models import ErrorLog, Plan
from dbcore.management.commands.enforce_retention import instant
from dbcore.retention import policy
from dbcore.retention.keepers.interface import Keeper
from dbcore.retention.options import SweepOptions
from dbcore.retention.sweep import enforce_retention
from tests.dbcore.retention.making import DAY, put, there

NEW_YORK = dt.timezone(dt.timedelta(hours=-5))
# The first day of the new year in UTC, and the last of the old one where this was typed.
EVENING = dt.datetime(2025, 12, 31, 20, tzinfo=NEW_YORK)


def command(*arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit status of a sweep by the command, and its report."""
    out = io.StringIO()
    with pytest.raises(SystemExit) as end:
        call_command(
            "enforce_retention", *arguments, "--quiet", "--no-input", "--format", "json",
            stdout=out, stderr=io.StringIO(),
        )  # fmt: skip
    return int(str(end.value.code)), json.loads(out.getvalue())


def test_what_is_due_by_utc_is_found_whatever_zone_the_date_was_typed_in(primary: Keeper) -> None:
    """Due days are UTC's: by the date over there what is due since midnight would not be looked
    for."""
    due = put(primary, ErrorLog, EVENING.astimezone(dt.UTC) - 90 * DAY)
    status, report = command(
        "--table", "error_logs", "--as-of", EVENING.isoformat(), "--accept-large-sweep"
    )
    assert (status, report["totals"]["deleted"]) == (0, 1), report
    assert there(primary, ErrorLog, [due]) == [False]


def test_a_rule_s_days_are_utc_s() -> None:
    (rule,) = policy.rules(EVENING, ["plans"])
    assert rule.now == EVENING
    assert (rule.now.date(), rule.now.tzinfo) == (dt.date(2026, 1, 1), dt.UTC)


@pytest.mark.parametrize("at", ["0001-01-01", "0001-03-01T00:00:00+01:00"])
def test_before_any_record_nothing_is_due_and_nothing_breaks(primary: Keeper, at: str) -> None:
    stays = put(primary, Plan, EVENING - 3000 * DAY)
    for _ in range(2):  # the second has the mark of the first
        status, report = command("--as-of", at)
        assert (status, report["totals"]["due"]) == (0, 0), report
    assert there(primary, Plan, [stays]) == [True]


def test_an_instant_that_utc_does_not_have_is_refused_in_words() -> None:
    with pytest.raises(ArgumentTypeError, match="not within the calendar in UTC"):
        instant("0001-01-01T00:00:00+05:00")


@pytest.mark.parametrize(
    ("days", "ends"), [("36500", "completed"), ("36501", "failed"), ("999999", "failed")]
)
def test_a_policy_of_more_than_a_century_is_a_slip_and_said_to_be_one(
    in_sqlite: Keeper, settings: Any, days: str, ends: str
) -> None:
    stays = put(in_sqlite, Plan, EVENING - 3000 * DAY)
    settings.RETENTION_DAYS = {"plans": days}
    report = enforce_retention(SweepOptions(tables=("plans",), as_of=EVENING))
    assert report.status == ends, report.as_json()
    if ends == "failed":
        assert report.error == (
            f"RETENTION_DAYS: plans={days}: a policy keeps for at most 36,500 days"
        )
    assert there(in_sqlite, Plan, [stays]) == [True]
