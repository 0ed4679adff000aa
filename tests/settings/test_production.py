"""The documented way into production, in a copy of the project of its own: the template, filled in;
and each line that is left out is refused at every door.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dbcore.configuration import WrongConfiguration, read
from settings.variables import ALL
from tests.settings.complete import COMPLETE, ROOT

DOORS = {
    "manage.py": [sys.executable, "manage.py", "shell", "--no-imports", "-c",
                  "from django.conf import settings as s; print(s.SETTINGS_MODULE, s.DEBUG)"],
    "wsgi": [sys.executable, "-c", "import daylight.wsgi; from django.conf import settings as s; "
             "print(s.SETTINGS_MODULE, s.DEBUG)"],
    "asgi": [sys.executable, "-c", "import daylight.asgi; from django.conf import settings as s; "
             "print(s.SETTINGS_MODULE, s.DEBUG)"],
    "gunicorn": [sys.executable, "-m", "gunicorn", "--check-config", "--print-config",
                 "daylight.wsgi"],
}  # fmt: skip
REQUIRED = [each.name for each in ALL.variables if "production" in each.required]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as somebody has it who has just cloned it, with no `.env`."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("daylight", "dbcore", "settings"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("manage.py", "gunicorn.conf.py", ".env.production"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def fill_in(clone: Path, given: dict[str, str]) -> None:
    """Copy the template and fill in what must be."""
    text = (clone / ".env.production").read_text()
    for name, value in given.items():
        text, count = re.subn(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        assert count == 1, f"{name} is no line of the template that must be filled in"
    (clone / ".env").write_text(text)


def enter(clone: Path, door: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        DOORS[door], cwd=clone, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True
    )


def test_the_template_asks_for_what_production_needs_and_no_more(clone: Path) -> None:
    lines = (clone / ".env.production").read_text().splitlines()
    asked = [line.partition("=")[0] for line in lines if re.match(r"[A-Z_]+=$", line)]
    assert asked == REQUIRED
    assert "DAYLIGHT_ENV=production" in lines


@pytest.mark.parametrize("door", DOORS)
def test_with_the_template_filled_in_every_door_leads_into_production(
    clone: Path, door: str
) -> None:
    fill_in(clone, COMPLETE)
    found = enter(clone, door)
    assert found.returncode == 0, found.stderr
    if door != "gunicorn":  # which says that all is well by ending well
        assert found.stdout.strip() == "settings.production False", found.stderr


@pytest.mark.parametrize("door", DOORS)
def test_the_template_as_it_is_opens_no_door(clone: Path, door: str) -> None:
    fill_in(clone, {})
    found = enter(clone, door)
    assert found.returncode != 0
    for name in REQUIRED:
        assert re.search(rf"^  {name}\b.* is empty, and production needs it", found.stderr, re.M)
    assert "Traceback" not in found.stderr and "settings.development" not in found.stdout


@pytest.mark.parametrize("name", REQUIRED)
def test_one_line_left_empty_is_refused_by_its_name(name: str) -> None:
    for given in ({**COMPLETE, name: ""}, {**COMPLETE, name: "  "}, _without(name)):
        with pytest.raises(WrongConfiguration) as refused:
            read(ALL, "production", given)
        (problem,) = refused.value.problems
        assert problem.startswith(name) and "production needs it" in problem


def _without(name: str) -> dict[str, str]:
    return {each: value for each, value in COMPLETE.items() if each != name}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DJANGO_SECRET_KEY", "hunter2"),
        ("DJANGO_SECRET_KEY", "x" * 80),
        ("DJANGO_SECRET_KEY", "django-insecure-9f8e7d6c5b4a39281706f5e4d3c2b1a0998877665544"),
        ("DJANGO_SECRET_KEY", "development-only-not-a-secret-0123456789-0123456789-0123456"),
        ("DJANGO_ALLOWED_HOSTS", "*"),
        ("DJANGO_ALLOWED_HOSTS", "daylight.internal,*"),
        ("DJANGO_ALLOWED_HOSTS", "www.example.org"),
        ("DATABASE_URL", "sqlite:///var/daylight.sqlite3"),
        ("DATABASE_URL", "postgres://USER:PASSWORD@HOST:5432/NAME"),
        ("DATABASE_URL", "postgres://daylight@db.example.com:5432/daylight"),
        ("CACHE_URL", "rediss://:PASSWORD@HOST:6379/0"),
        ("ARCHIVE_ENCRYPTION_KEYS", "k:" + "A" * 43 + "="),
        ("ARCHIVE_ENCRYPTION_KEYS", "k:" + "/" * 42 + "8="),
        ("ARCHIVE_ENCRYPTION_KEYS", "development:ZGV2ZWxvcG1lbnQgb25seSwgbm90IGEgc2VjcmV0ISE="),
        ("DYNAMODB_ENDPOINT", "local"),
        ("DYNAMODB_ENDPOINT", "http://127.0.0.1:8000"),
        ("DJANGO_DEBUG", "true"),
        ("ALERT_EMAIL", "oncall@daylight.internal"),
    ],
)
def test_an_example_and_what_is_for_development_are_refused(name: str, value: str) -> None:
    with pytest.raises(WrongConfiguration) as refused:
        read(ALL, "production", {**COMPLETE, name: value})
    (problem,) = refused.value.problems
    assert name in problem
    if ALL[name].secret:
        assert value not in problem


def test_sqlite_and_an_engine_on_this_machine_can_be_meant() -> None:
    found = read(
        ALL, "production",
        {
            **COMPLETE, "DATABASE_URL": "sqlite:////srv/daylight.sqlite3",
            "DATABASE_SQLITE_IN_PRODUCTION": "true",
            "DYNAMODB_ENDPOINT": "http://127.0.0.1:8000", "DYNAMODB_LOCAL_IN_PRODUCTION": "true",
        },
    )  # fmt: skip
    assert found["DYNAMODB_ENDPOINT"] == "http://127.0.0.1:8000"


def test_production_protects_its_tables_and_serves_dynamodb() -> None:
    found = read(ALL, "production", COMPLETE)
    assert found["DYNAMODB_DELETION_PROTECTION"] is True
    assert found["DATABASE_PRIMARY"] == "dynamodb"
    assert found["LOG_FORMAT"] == "json"
    assert found["DATABASE_CONN_MAX_AGE"] == 60
