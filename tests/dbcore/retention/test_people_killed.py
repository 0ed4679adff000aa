"""Erasures, restores and holds that are killed at a step, and run again. Real processes, a real
engine, real files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from dbcore.local_engine import LocalEngine

ROOT = Path(__file__).resolve().parents[3]
STORES = pytest.mark.parametrize("store", ["sqlite", "dynamodb"])
Rounds = list[dict[str, Any]]


class Rig:
    """Starts people_rig.py on databases of its own."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self._folder, self._endpoint = folder, endpoint

    def kills(self, story: str, store: str, first: int, stride: int) -> Rounds:
        """What the rig saw, one entry a kill; the last call was not killed."""
        archives = str(self._folder / "archives")
        environment = {
            **os.environ,
            "DAYLIGHT_ENV": "test",
            "DJANGO_SETTINGS_MODULE": "tests.dbcore.retention.kill_settings",
            "DATABASE_URL": f"sqlite:///{self._folder / 'books.sqlite3'}",
            "DATABASE_PRIMARY": store,
            "RIG_ARCHIVES": archives,
            "RIG_ENDPOINT": self._endpoint if store == "dynamodb" else "http://127.0.0.1:9",
            "DYNAMODB_TABLE_PREFIX": f"k{uuid.uuid4().hex[:8]}-",
        }
        program = [sys.executable, "-m", "tests.dbcore.retention.people_rig"]
        run = subprocess.run(
            [*program, story, store, archives, str(first), str(stride)], cwd=ROOT,
            env=environment, text=True, capture_output=True, check=False, timeout=500,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr[-4000:]
        rounds: Rounds = [json.loads(line) for line in run.stdout.splitlines()]
        assert [each["killed"] for each in rounds] == [True] * (len(rounds) - 1) + [False]
        return rounds


@pytest.fixture
def rig(tmp_path: Path, dynamodb_engine: LocalEngine) -> Rig:
    return Rig(tmp_path, dynamodb_engine.endpoint)


@pytest.mark.slow
@STORES
def test_an_erasure_killed_at_any_step_is_completed_by_the_same_call(rig: Rig, store: str) -> None:
    rounds = rig.kills("erase", store, 0, 9)
    assert len(rounds) > 8
    for each in rounds:
        seen, done = each["after_kill"], each["after_all"]
        where = (each["at"], seen, done)
        # Nothing had gone before the book of erasures knew: no restore could bring it back.
        assert seen["left"] == each["given"] or seen["status"] is not None, where
        # It is not called completed while anything still names the user.
        assert seen["status"] != "completed" or (seen["left"], seen["named"]) == (0, []), where
        assert each["answer"] == done["status"] == "completed", where
        assert (done["left"], done["named"]) == (0, []), where
    assert {each["after_kill"]["status"] for each in rounds} >= {None, "started"}


@pytest.mark.slow
@STORES
def test_a_restore_killed_at_any_step_is_completed_by_the_same_call(rig: Rig, store: str) -> None:
    rounds = rig.kills("restore", store, 0, 4)
    assert len(rounds) > 4
    for each in rounds:
        seen, done = each["after_kill"], each["after_all"]
        where = (each["at"], seen, done)
        assert set(seen["live"]) <= set(seen["graces"]), where  # no sweep takes them at once
        assert each["answer"] == 0, where
        assert done["live"] == done["graces"] and len(done["live"]) == 5, where


@STORES
def test_a_hold_whose_placing_was_killed_is_placed_by_the_same_call(rig: Rig, store: str) -> None:
    rounds = rig.kills("hold", store, 0, 2)
    assert len(rounds) > 5
    for each in rounds:
        seen, done = each["after_kill"], each["after_all"]
        assert done["rows"] == [each["answer"]], (each["at"], done)  # once, however often
        # A look that found the hold not enforced yet has deleted what it should have held.
        lost = seen["removal"] == "deleted"
        assert done["removal"] == ("gone" if lost else "held"), (each["at"], seen, done)
        assert not (lost and store == "sqlite"), "in SQL its row is all that it takes"
    assert rounds[-1]["after_kill"]["removal"] == "held"
