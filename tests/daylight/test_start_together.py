"""Many processes that start at once on a database that is new: each can serve, and its tables were
made once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from dbcore import bookkeeping
from dbcore.errors import ConfigurationError
from dbcore.local_engine import LocalEngine
from dbcore.schema import wanted_tables
from tests.support.databases import default_database
from tests.support.postgres import Postgres
from tests.support.proxy import Delay, FaultProxy

ROOT = Path(__file__).resolve().parents[2]
TOGETHER = 4
START = """
import django; django.setup()
from daylight.database import initialize_database, user_service
print("ready", flush=True)
input()
initialize_database()
user_service.create_user({"email": f"{input()}@example.org", "password_hash": "x"})
print("serves")
"""

pytestmark = pytest.mark.django_db(transaction=True)


def start_together(url: str, primary: str, **given: str) -> list[str]:
    """What each of several processes says at its end, or what was in its way."""
    environment = {
        **os.environ,
        "DAYLIGHT_ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": "settings.development",
        "DATABASE_URL": url,
        "DATABASE_PRIMARY": primary,
        **given,
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", START], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(TOGETHER)
    ]  # fmt: skip
    for each in processes:
        assert each.stdout is not None and each.stdout.readline() == "ready\n"
    for at, each in enumerate(processes):
        assert each.stdin is not None
        each.stdin.write(f"now\n{at}\n")
        each.stdin.flush()
    return [said or why for said, why in (each.communicate() for each in processes)]


def test_on_a_new_sqlite_file(tmp_path: Path) -> None:
    said = start_together(f"sqlite:///{tmp_path / 'new.sqlite3'}", "sqlite")
    assert said == ["serves\n"] * TOGETHER


def test_on_a_new_postgresql_database(postgres: Postgres) -> None:
    postgres.create_database("new")
    said = start_together(postgres.url("new"), "postgresql")
    assert said == ["serves\n"] * TOGETHER


@pytest.mark.parametrize("books", ["sqlite", "postgresql"])
def test_on_a_new_engine(
    books: str, tmp_path: Path, dynamodb: LocalEngine, settings: Any,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    url = f"sqlite:///{tmp_path / 'new.sqlite3'}"
    if books == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        server.create_database("new_engine")
        url = server.url("new_engine")
    # Long enough for the others to come while one is at it.
    slow = Delay(0.2, operations=("CreateTable",))
    with FaultProxy(dynamodb.endpoint, [slow]) as proxy:
        said = start_together(
            url, "dynamodb", DYNAMODB_ENDPOINT=proxy.endpoint,
            DYNAMODB_TABLE_PREFIX=settings.DYNAMODB_TABLE_PREFIX,
        )  # fmt: skip
        made = [operation for operation, _ in proxy.requests if operation == "CreateTable"]
    assert said == ["serves\n"] * TOGETHER
    assert len(made) == len(wanted_tables())


@pytest.fixture
def new_file(tmp_path: Path, settings: Any) -> dict[str, Any]:
    settings.DBCORE_AUTO_MIGRATE = True
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "new.sqlite3")}


def test_tables_that_somebody_else_made_meanwhile_are_there(
    new_file: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slower(*given: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)  # by hand, in another shell
        raise RuntimeError('table "dbcore_checkpoint" already exists')

    monkeypatch.setattr(bookkeeping, "call_command", slower)
    with default_database(new_file):
        bookkeeping.make_ready()


def test_tables_that_cannot_be_made_are_named(
    new_file: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: Any, **options: Any) -> None:
        raise RuntimeError("no space left on device")

    monkeypatch.setattr(bookkeeping, "call_command", fails)
    names_it = pytest.raises(ConfigurationError, match=r"book-keeping.*no space left")
    with default_database(new_file), names_it:
        bookkeeping.make_ready()


def test_a_lock_that_is_held_too_long_is_named(
    new_file: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, sys; f = open(sys.argv[1], 'w'); "
         "fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); input()",
         f"{new_file['NAME']}.migrating"],
        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    monkeypatch.setattr(bookkeeping, "PATIENCE", 0.1)
    with default_database(new_file):
        with pytest.raises(ConfigurationError, match=r"new\.sqlite3\.migrating"):
            bookkeeping.make_ready()
        holder.communicate("\n")
        bookkeeping.make_ready()
