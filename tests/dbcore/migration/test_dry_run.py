"""A dry run tells what a migration would do, and does none of it: it needs no engine, and leaves no
trace in either database."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from dbcore.models import Checkpoint, DeadLetter, MigrationRun
from tests.dbcore.migration.conftest import Migrate
from tests.dbcore.migration.legacy_file import SCHEMA, Legacy, build
from tests.dbcore.migration.runs import Project, Tables, assert_closes, counts, line


def attribute_bytes(attribute: dict[str, Any]) -> int:
    """An attribute's size by the Developer Guide's rules."""
    ((tag, value),) = attribute.items()
    if tag == "S":
        return len(value.encode())
    if tag == "N":
        return (len(value) + 1) // 2 + 1
    if tag == "M":
        return 3 + sum(1 + len(k.encode()) + attribute_bytes(v) for k, v in value.items())
    if tag == "L":
        return 3 + sum(1 + attribute_bytes(v) for v in value)
    return 1


def size(item: dict[str, Any]) -> int:
    return sum(len(name.encode()) + attribute_bytes(value) for name, value in item.items())


def test_a_dry_run_counts_what_a_run_then_does(
    run: Migrate, tables: Tables, legacy: Legacy
) -> None:
    dry = run(legacy, dry_run=True)
    assert (dry["exit"], dry["status"]) == (3, "completed_with_dead_letters")
    assert dry["dry_run"]
    assert not dry["verified"]
    assert_closes(dry)
    assert tables.names() == []
    for model in (MigrationRun, Checkpoint, DeadLetter):
        assert model.objects.count() == 0
    done = run(legacy)
    assert done["exit"] == 3
    for table in SCHEMA:
        assert counts(dry, table) == counts(done, table)
    assert dry["dead_letters"] == done["dead_letters"]
    assert dry["unknown"] == done["unknown"]

    stored = tables.everything()
    assert dry["estimate"]["items"] == sum(map(len, stored.values()))
    records = [item for name, items in stored.items() if name != "unique" for item in items]
    real = sum(map(size, records))
    # The engine writes some numbers out in full.
    assert real * 0.97 <= dry["estimate"]["bytes"] <= real * 1.03


def test_units_follow_from_sizes_indexes_and_guards(
    run: Migrate, tables: Tables, tmp_path: Path
) -> None:
    made = build(
        tmp_path / "legacy.sqlite3",
        history=0, places=0, users=9, profiles=9, sessions=9, bad=False,
    )  # fmt: skip
    estimates = {
        table: run(made, dry_run=True, tables=(table,))["estimate"]
        for table in ("users", "user_profiles", "user_sessions")
    }
    run(made)

    def kilobytes(table: str) -> int:
        return sum(math.ceil(size(item) / 1024) for item in tables.scan(table))

    # A session stands in one index too with all its attributes, and in one with its keys alone.
    assert estimates["user_sessions"]["write_units"] == 2 * kilobytes("user_sessions") + 9
    # A profile's other index keeps its keys alone: one unit.
    assert estimates["user_profiles"]["write_units"] == kilobytes("user_profiles") + 9
    # A transaction costs double: each user, its entry in the index, and its guards.
    guards = len(tables.guards())
    assert estimates["users"]["write_units"] == 2 * (kilobytes("users") + 9 + guards)
    assert estimates["users"]["items"] == 9 + guards


def test_a_value_that_two_rows_share_is_seen_case_aside(run: Migrate, legacy: Legacy) -> None:
    report = run(legacy, dry_run=True, tables=("users",))
    reasons = {letter["key"]: letter["reason"] for letter in report["dead_letters"]}
    assert reasons["same-email"] == "email belongs to another user (case apart)"
    assert reasons["same-name"] == "username belongs to another user"


def test_the_price_can_be_set_and_minutes_follow_from_the_rate(
    run: Migrate, good: Legacy, settings: Any
) -> None:
    settings.DYNAMODB_WRITE_PRICE = 2_000_000.0
    estimate = run(good, dry_run=True, rate_limit=3.0)["estimate"]
    assert estimate["dollars"] == pytest.approx(estimate["write_units"] * 2)
    assert estimate["price_per_million"] == 2_000_000
    assert estimate["minutes"] == pytest.approx(estimate["write_units"] / 180, abs=0.01)
    assert estimate["region"] == settings.DYNAMODB_REGION
    assert run(good, dry_run=True)["estimate"]["minutes"] is None


def test_a_region_without_a_known_price_is_said_to_be_one(
    run: Migrate, good: Legacy, settings: Any
) -> None:
    settings.DYNAMODB_REGION = "mars-north-1"
    report = run(good, dry_run=True)
    assert report["estimate"]["dollars"] == 0
    assert any("mars-north-1" in note and "DYNAMODB_WRITE_PRICE" in note
               for note in report["notes"])  # fmt: skip


def test_expired_rows_may_be_left_out_of_the_estimate(run: Migrate, good: Legacy) -> None:
    every = run(good, dry_run=True)
    some = run(good, dry_run=True, skip_expired=True)
    skipped = sum(each["skipped"] for each in some["tables"])
    assert skipped > 0
    assert some["estimate"]["items"] == every["estimate"]["items"] - skipped
    assert line(some, "users")["skipped"] == 0


def test_no_engine_is_needed_and_no_trace_is_left(project: Project, legacy: Legacy) -> None:
    there, project.endpoint = project.endpoint, "http://127.0.0.1:9"
    project.env["DYNAMODB_WRITE_PRICE"] = "1000000"
    done = project.migrate(legacy.path, "--dry-run", "--rate-limit", "100")
    assert done.code == 3, done.err
    estimate = done.report["estimate"]
    assert estimate["dollars"] == estimate["write_units"]
    assert estimate["minutes"] == round(estimate["write_units"] / 100 / 60, 2)
    project.endpoint = there
    assert project.tables.names() == []
    for table in ("migrationrun", "checkpoint", "deadletter"):
        assert project.rows(table) == []
