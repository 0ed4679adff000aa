"""The same timer on two hosts: the one that comes second has not failed."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import call_command

from daylight.models import Plan
from dbcore.models import Sweep
from dbcore.retention.keepers.interface import Keeper
from tests.dbcore.retention.making import DAY, NOW, put, there


def sweep(*arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a sweep of the plans."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit) as end:
        call_command(
            "enforce_retention", "--table", "plans", "--as-of", NOW.isoformat(), "--quiet",
            "--no-input", "--accept-large-sweep", *arguments, stdout=out, stderr=err,
        )  # fmt: skip
    return int(str(end.value.code)), out.getvalue(), err.getvalue()


def test_who_comes_second_says_so_in_a_line_and_mails_nobody(primary: Keeper) -> None:
    due = put(primary, Plan, NOW - 400 * DAY)
    with primary.lease("retention", "the other host"):
        status, out, err = sweep("--if-free")
        assert (status, err) == (0, "")
        assert len(out.splitlines()) == 1
        assert out.startswith("nothing was swept: another retention is running: the other host on ")

        status, out, err = sweep("--if-free", "--format", "json")
        report = json.loads(out)
        assert (status, err) == (0, "")
        assert (report["status"], report["exit"], report["tables"]) == ("skipped", 0, [])

        status, _, err = sweep()
        assert (status, "another retention is running" in err) == (1, True)
    assert there(primary, Plan, [due]) == [True]
    assert not Sweep.objects.exists()  # what is skipped does not count as the day's sweep


def test_whoever_is_alone_sweeps_and_other_failures_stay_failures(
    in_sqlite: Keeper, settings: Any
) -> None:
    due = put(in_sqlite, Plan, NOW - 400 * DAY)
    settings.ARCHIVE_ENCRYPTION_KEYS, keys = {}, settings.ARCHIVE_ENCRYPTION_KEYS
    status, _, err = sweep("--if-free")
    assert (status, "ARCHIVE_ENCRYPTION_KEYS" in err) == (1, True)
    settings.ARCHIVE_ENCRYPTION_KEYS = keys
    assert sweep("--if-free")[0] == 0
    assert there(in_sqlite, Plan, [due]) == [False]
