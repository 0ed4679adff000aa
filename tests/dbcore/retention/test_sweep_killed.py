"""A sweep that is killed at any step, and run again: every record is live or in a proven archive,
never neither, and none is deleted twice. Real processes, a real engine, real files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dbcore.local_engine import LocalEngine

ROOT = Path(__file__).resolve().parents[3]


def kills(store: str, folder: Path, **variables: str) -> list[dict[str, Any]]:
    """What the rig saw, one entry a kill; the last sweep was not killed."""
    environment = {
        **os.environ,
        "DAYLIGHT_ENV": "test",
        "DJANGO_SETTINGS_MODULE": "tests.dbcore.retention.kill_settings",
        "DATABASE_URL": f"sqlite:///{folder / 'books.sqlite3'}",
        "RIG_ARCHIVES": str(folder / "archives"),
        "RIG_IDS": str(folder / "ids.json"),
        **variables,
    }
    command = [sys.executable, "-m", "tests.dbcore.retention.kill_rig", store]
    run = subprocess.run(
        [*command, environment["RIG_ARCHIVES"]], cwd=ROOT, env=environment, text=True,
        capture_output=True, check=False, timeout=500,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-4000:]
    return [json.loads(line) for line in run.stdout.splitlines()]


def assert_safe(rounds: list[dict[str, Any]]) -> None:
    assert [each["killed"] for each in rounds] == [True] * (len(rounds) - 1) + [False]
    for each in rounds:
        seen = each["after_kill"]
        where = (each["at"], seen)
        assert set(seen["young"]) <= set(seen["live"]), where
        assert set(seen["due"]) <= set(seen["live"]) | set(seen["archived"]), where


def assert_finished(rounds: list[dict[str, Any]]) -> None:
    for each in rounds:
        seen, report = each["after_all"], each["report"]
        where = (each["at"], seen, report)
        assert report["exit"] == 0, where
        assert set(seen["live"]) == set(seen["young"]), where
        # Each once: in one archive alone, and counted as deleted there.
        assert sorted(seen["archived"]) == sorted(seen["due"]), where
        assert sum(book["deleted"] for book in seen["books"]) == len(seen["due"]), where
        assert all(book["counted"] == book["count"] for book in seen["books"]), where
        assert {book["state"] for book in seen["books"]} == {"completed"}, where
        assert seen["unproven"] == 0, where


@pytest.mark.slow
def test_a_sweep_of_sqlite_killed_before_every_effect_loses_nothing(tmp_path: Path) -> None:
    rounds = kills("sqlite", tmp_path, DATABASE_PRIMARY="sqlite")
    assert len(rounds) > 20  # the books, the archive's files, the deletes
    assert_safe(rounds)
    assert_finished(rounds)


def test_a_sweep_of_dynamodb_killed_before_every_effect_loses_nothing(
    tmp_path: Path, dynamodb_engine: LocalEngine
) -> None:
    rounds = kills(
        "dynamodb", tmp_path,
        DATABASE_PRIMARY="dynamodb", RIG_ENDPOINT=dynamodb_engine.endpoint,
        DYNAMODB_TABLE_PREFIX=f"kill-{os.getpid()}-",
    )  # fmt: skip
    assert len(rounds) > 20, len(rounds)
    assert_safe(rounds)
    assert_finished(rounds)
