"""Every variable that the code reads is in both templates, and settings refuse what cannot work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = (".env.development", ".env.production")
_READ = re.compile(r"""\benv(?:\.\w+)?\(\s*"([A-Z][A-Z0-9_]+)"|environ\.get\(\s*"([A-Z0-9_]+)\"""")


def variables_read() -> set[str]:
    """The names of environment variables in the settings package."""
    text = "\n".join(path.read_text() for path in (ROOT / "settings").glob("*.py"))
    return {found for each in _READ.findall(text) for found in each if found}


def variables_of(template: str) -> set[str]:
    """The names in a template, commented out or not."""
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / template).read_text(), re.MULTILINE))


def run_python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter with nothing of this one's environment but the path."""
    environment = {"PATH": os.environ["PATH"], "DAYLIGHT_ENV_FILE": os.devnull, **variables}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )


LOAD = (
    "import django, settings; from django.conf import settings as s; import os; "
    "os.environ['DJANGO_SETTINGS_MODULE'] = settings.settings_module(); django.setup(); "
)
GOOD = {
    "DAYLIGHT_ENV": "production",
    "DJANGO_SECRET_KEY": "x" * 40,
    "DJANGO_ALLOWED_HOSTS": "daylight.example",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_has_each_variable_that_the_settings_read_and_no_other(template: str) -> None:
    assert variables_read() > {"DATABASE_URL", "NODE_ENV", "DYNAMODB_ENDPOINT"}
    assert variables_of(template) == variables_read()


def test_no_module_but_the_settings_reads_the_environment() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for room in ("dbcore", "daylight")
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"environ\.get|environ\[|getenv", path.read_text())
    ]
    assert readers == []


def test_the_earlier_name_of_the_environment_is_honoured() -> None:
    found = run_python(LOAD + "print(s.SETTINGS_MODULE)", NODE_ENV="test")
    assert found.stdout.strip() == "settings.test"
    both = run_python(
        LOAD + "print(s.SETTINGS_MODULE)", NODE_ENV="test", DAYLIGHT_ENV="development"
    )
    assert both.stdout.strip() == "settings.development"


def test_an_unknown_environment_is_refused_with_the_known_ones() -> None:
    found = run_python(LOAD, DAYLIGHT_ENV="staging")
    assert found.returncode == 1
    assert "staging" in found.stderr and "production" in found.stderr


def test_production_starts_with_what_it_needs_and_protects_its_tables() -> None:
    found = run_python(
        LOAD + "print(s.DEBUG, s.DYNAMODB_DELETION_PROTECTION, "
        "s.SECURE_SSL_REDIRECT, repr(s.DYNAMODB_ENDPOINT))",
        **GOOD,
    )
    assert found.stdout.strip() == "False True True ''", found.stderr


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"DJANGO_SECRET_KEY": "short"}, "DJANGO_SECRET_KEY"),
        ({"DJANGO_ALLOWED_HOSTS": ""}, "DJANGO_ALLOWED_HOSTS"),
        ({"DYNAMODB_ENDPOINT": "local"}, "DYNAMODB_ENDPOINT"),
        ({"ALERT_EMAIL": "oncall@daylight.example"}, "EMAIL_URL"),
    ],
)
def test_production_refuses_to_start_unsafe(change: dict[str, str], named: str) -> None:
    found = run_python(LOAD, **{**GOOD, **change})
    assert found.returncode == 1
    assert named in found.stderr.splitlines()[-1]


def test_no_process_waits_for_good_for_a_postgresql_server_that_does_not_answer() -> None:
    code = LOAD + "print([s.DATABASES[a]['OPTIONS']['connect_timeout'] for a in s.DATABASES])"
    urls = {
        "DATABASE_URL": "postgres://d@db.internal/d",
        "DATABASE_REPLICA_URLS": "postgres://d@r1.internal/d,postgres://d@r2/d?connect_timeout=9",
    }
    done = run_python(code, **GOOD, **urls)
    assert done.stdout == "[3, 2, 9]\n", done.stderr
