"""What production's check asks of the sign-in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import Tags, run_checks

from daylight.signin.checks import HINTS
from settings.variables import ALL
from tests.settings.complete import COMPLETE, ROOT

DOCS = Path(ROOT) / "docs" / "checks.md"
BEHIND_TLS = ("HTTP_X_FORWARDED_PROTO", "https")


def found(*, deploy: bool = True) -> list[str]:
    every = run_checks(tags=[Tags.security], include_deployment_checks=deploy)
    return [str(each.id) for each in every if str(each.id).startswith("daylight.")]


@pytest.mark.parametrize(
    ("required", "proxies", "ids"),
    [
        (True, ["10.0.0.0/8"], []),
        (False, ["10.0.0.0/8"], ["daylight.W001"]),
        (True, [], ["daylight.W002"]),
        (False, [], ["daylight.W001", "daylight.W002"]),
    ],
)
def test_the_check_asks_for_a_second_factor_and_for_the_proxies(
    settings: Any, required: bool, proxies: list[str], ids: list[str]
) -> None:
    settings.SECURE_PROXY_SSL_HEADER = BEHIND_TLS
    settings.ADMIN_TOTP_REQUIRED, settings.TRUSTED_PROXIES = required, proxies
    assert found() == ids
    assert found(deploy=False) == []


def test_each_is_in_the_document_with_its_hint() -> None:
    rows = dict(re.findall(r"^\| daylight\.(W\d{3}) \| .+? \| (.+) \|$", DOCS.read_text(), re.M))
    assert rows == HINTS


def test_the_second_factor_is_required_in_production_unless_that_is_switched_off() -> None:
    required = ALL["ADMIN_TOTP_REQUIRED"]
    assert [required.default_in(each) for each in ("production", "development", "test")] == [
        "true", "false", "false",
    ]  # fmt: skip


def test_production_is_warned_of_what_is_switched_off_and_of_nothing_else(tmp_path: Path) -> None:
    given = {
        **COMPLETE, "DATABASE_URL": f"sqlite:///{tmp_path}/d.sqlite3",
        "DATABASE_SQLITE_IN_PRODUCTION": "true", "DJANGO_TRUSTED_PROXIES": "10.0.0.0/8",
        "PATH": os.environ["PATH"], "DAYLIGHT_ENV_FILE": os.devnull,
    }  # fmt: skip

    def checked(**more: str) -> str:
        command = [sys.executable, "manage.py", "check", "--deploy", "--tag", "security"]
        done = subprocess.run(
            command, cwd=ROOT, env={**given, **more}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert "no issues" in checked()
    asked = checked(ADMIN_TOTP_REQUIRED="false")
    assert "daylight.W001" in asked and asked.count("HINT") == 1
