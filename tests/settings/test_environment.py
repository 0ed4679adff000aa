"""Which environment a process is in: said in one place or in two that agree, and not guessed where
it matters.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.settings.complete import COMPLETE, LOAD, ROOT, run_python

WHICH = LOAD + "print(s.SETTINGS_MODULE, s.DEBUG)"


def with_file(
    tmp_path: Path, text: str | bytes, **variables: str
) -> subprocess.CompletedProcess[str]:
    """What a process says of its environment that has a file."""
    path = tmp_path / "some.env"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return run_python(WHICH, DAYLIGHT_ENV_FILE=str(path), **variables)


def lines_of(given: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in given.items())


def refusal(found: subprocess.CompletedProcess[str]) -> str:
    """Why a process did not start: words, and no traceback."""
    assert found.returncode == 1 and found.stderr.startswith("Refused: "), found.stderr
    assert "Traceback" not in found.stderr
    return found.stderr


def test_no_module_but_the_settings_reads_the_environment() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for room in ("dbcore", "daylight")
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"environ\.get|environ\[|getenv", path.read_text())
    ]
    # The variables of others: those of the clients of other libraries, and of Django's reloader.
    assert sorted(readers) == [
        "daylight/management/commands/runserver.py", "dbcore/connecting/authorities.py",
    ]  # fmt: skip


def test_the_file_says_which_environment_it_is(tmp_path: Path) -> None:
    found = with_file(tmp_path, lines_of(COMPLETE))
    assert found.stdout.strip() == "settings.production False", found.stderr


@pytest.mark.parametrize("text", [
    b"\xef\xbb\xbfDAYLIGHT_ENV=test\n",
    b"DAYLIGHT_ENV=test\r\n\r\n# a comment\r\n",
    b"  DAYLIGHT_ENV='test'  \n",
    b'export DAYLIGHT_ENV="test"\n',
])  # fmt: skip
def test_what_editors_put_around_it_is_no_part_of_it(tmp_path: Path, text: bytes) -> None:
    assert with_file(tmp_path, text).stdout.strip() == "settings.test False"


def test_the_earlier_name_counts_where_the_name_is_not_set() -> None:
    assert run_python(WHICH, NODE_ENV="test").stdout.strip() == "settings.test False"
    both = run_python(WHICH, NODE_ENV="staging", DAYLIGHT_ENV="development")
    assert both.stdout.strip() == "settings.development True", both.stderr


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "some.env"
    path.write_text("DB_CONN_THRESHOLD=0.5\nDB_ERROR_THRESHOLD=0.5\n")
    code = LOAD + "print(s.DB_CONN_THRESHOLD, s.DB_ERROR_THRESHOLD)"
    found = run_python(code, DAYLIGHT_ENV_FILE=str(path), DB_CONN_THRESHOLD="0.25")
    assert found.stdout.strip() == "0.25 0.5", found.stderr


@pytest.mark.parametrize("outside", [{"DAYLIGHT_ENV": "development"}, {"NODE_ENV": "test"}])
def test_two_that_say_different_environments_are_refused(
    tmp_path: Path, outside: dict[str, str]
) -> None:
    said = refusal(with_file(tmp_path, lines_of(COMPLETE), **outside))
    assert f"the environment says that this is {next(iter(outside.values()))}" in said
    assert "some.env that it is production (DAYLIGHT_ENV): make them the same" in said


def test_settings_of_another_environment_than_is_said_are_refused(tmp_path: Path) -> None:
    said = refusal(
        with_file(
            tmp_path,
            lines_of(COMPLETE),
            DJANGO_SETTINGS_MODULE="settings.development",
        )
    )
    assert "DJANGO_SETTINGS_MODULE is settings.development, and DAYLIGHT_ENV is production" in said


def test_settings_that_are_imported_by_hand_must_be_the_environments() -> None:
    found = run_python("import settings.production", DAYLIGHT_ENV="development")
    assert found.returncode == 1
    assert "settings.production is imported, and this is development" in found.stderr


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("DAYLIGHT_ENV", "staging", "must be one of development, production, test"),
        ("NODE_ENV", "staging", "another program's? DAYLIGHT_ENV goes before it"),
        ("NODE_ENV", "production", "DATABASE_URL is not set, and production needs it"),
        ("DAYLIGHT_ENV_FILE", "nowhere.env", "there is no such file"),
        ("DAYLIGHT_ENV_FILE", "/", "there is no such file"),
        ("DJANGO_SETTINGS_MODULE", "shop.settings", "unset it, and DAYLIGHT_ENV chooses"),
        ("DJANGO_SETTINGS_MODULE", "settings.staging", "unset it, and DAYLIGHT_ENV chooses"),
        ("DJANGO_SETTINGS_MODULE", "json", "which is not of this project"),
        ("LOG_LEVEL", "loud", "one of DEBUG, INFO"),
    ],
)
def test_what_another_project_left_in_the_shell_is_refused_in_words(
    name: str, value: str, why: str
) -> None:
    said = refusal(run_python(WHICH, **{name: value}))
    assert name in said and why in said


def test_a_level_may_be_in_small_letters() -> None:
    found = run_python(LOAD + "print(s.LOG_LEVEL)", LOG_LEVEL="debug")
    assert found.stdout.strip() == "DEBUG", found.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"DAYLIGHT_ENV: test\n", "line 1 is not NAME=VALUE"),
        (b"# first\nDAYLIGHT_ENV = test\n", "line 2 is not NAME=VALUE"),
        (b"LOG_LEVEL=INFO\nLOG_LEVEL=DEBUG\n", "line 2: LOG_LEVEL stands in line 1, too"),
        (b"LOG_LEVEL='\"INFO\"'\n", "LOG_LEVEL is quoted twice"),
        ("LOG_LEVEL=ÄÖ".encode("latin-1"), "is not UTF-8"),
        ("DAYLIGHT_ENV=test\n".encode("utf-16"), "is not UTF-8"),
        (b"DJANGO_SETTINGS_MODULE=settings.test\n", "has no meaning in this file"),
        (b"DAYLIGHT_ENV_FILE=other.env\n", "has no meaning in this file"),
        (b"LOG_LEVEL=INFO # loud\n", "LOG_LEVEL is 'INFO # loud'"),
    ],
)
def test_a_line_that_would_be_passed_over_is_refused(tmp_path: Path, text: bytes, why: str) -> None:
    assert why in refusal(with_file(tmp_path, text))


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = tmp_path / "some.env"
    path.write_text("")
    path.chmod(0)
    assert "cannot be read" in refusal(run_python(WHICH, DAYLIGHT_ENV_FILE=str(path)))


def test_what_reads_the_environment_when_it_is_imported_sees_the_file(tmp_path: Path) -> None:
    path = tmp_path / "some.env"
    path.write_text(f"PROMETHEUS_MULTIPROC_DIR={tmp_path / 'counters'}\n")
    code = LOAD + "import prometheus_client.values as v; print(v.ValueClass.__name__)"
    found = run_python(code, DAYLIGHT_ENV_FILE=str(path))
    assert found.stdout.strip() == "MmapedValue", found.stderr


def test_and_where_it_was_imported_before_that_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.env"
    path.write_text(f"PROMETHEUS_MULTIPROC_DIR={tmp_path / 'counters'}\n")
    found = run_python("import prometheus_client; " + LOAD, DAYLIGHT_ENV_FILE=str(path))
    assert "prometheus_client was imported before" in refusal(found)


def test_a_run_of_the_tests_knows_nothing_of_the_shell() -> None:
    code = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'settings.test'; "
        + LOAD + "print(s.DATABASES['default']['ENGINE'], s.DYNAMODB_TABLE_PREFIX)"
    )  # fmt: skip
    found = run_python(
        code, DATABASE_URL="postgres://shop@db.shop.internal/shop", DYNAMODB_TABLE_PREFIX="shop-",
        NODE_ENV="production",
    )  # fmt: skip
    assert found.stdout.strip() == "django.db.backends.sqlite3 daylight-", found.stderr


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_a_server_does_not_take_silence_for_development(server: str) -> None:
    said = refusal(run_python(f"import daylight.{server}"))
    assert "nothing says which environment this server is in: set DAYLIGHT_ENV=production" in said
    found = run_python(
        f"import daylight.{server}; print('serves')", DAYLIGHT_ENV="development",
        DATABASE_URL="sqlite://:memory:",
    )  # fmt: skip
    assert found.stdout.strip() == "serves", found.stderr


def test_a_person_at_a_terminal_is_told_that_this_is_production() -> None:
    # Python's own pseudo-terminal: what it is for is not asked of standard output.
    code = (
        "import os, pty, sys; status = pty.spawn([sys.executable, 'manage.py', 'help', 'check']); "
        "sys.exit(os.waitstatus_to_exitcode(status))"
    )
    found = run_python(code, **COMPLETE)
    assert found.returncode == 0
    assert (
        "PRODUCTION (DAYLIGHT_ENV, environment): dynamodb serves; DynamoDB AWS eu-central-1 "
        "daylight-*; postgres://***@db.daylight.internal:5432/daylight" in found.stdout
    )
    piped = subprocess.run(
        [sys.executable, "manage.py", "help", "check"], cwd=ROOT, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "DAYLIGHT_ENV_FILE": os.devnull, **COMPLETE},
    )  # fmt: skip
    assert "PRODUCTION" not in piped.stdout + piped.stderr


def test_no_process_waits_for_good_for_a_postgresql_server_that_does_not_answer() -> None:
    code = LOAD + "print([s.DATABASES[a]['OPTIONS']['connect_timeout'] for a in s.DATABASES])"
    urls = {
        "DATABASE_URL": "postgres://d@db.internal/d",
        "DATABASE_REPLICA_URLS": "postgres://d@r1.internal/d,postgres://d@r2/d?connect_timeout=9",
    }
    done = run_python(code, **{**COMPLETE, **urls})
    assert done.stdout == "[3, 2, 9]\n", done.stderr


@pytest.mark.parametrize("name", ["DATABASE_URL", "PROMETHEUS_MULTIPROC_DIR"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("in the way")
    place = tmp_path / "file" / "folder" / "d"
    value = f"sqlite:///{place}" if name == "DATABASE_URL" else str(place)
    found = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "DAYLIGHT_ENV_FILE": os.devnull, name: value},
    )  # fmt: skip
    assert f"{name}: the folder" in refusal(found) and "cannot be made" in found.stderr
