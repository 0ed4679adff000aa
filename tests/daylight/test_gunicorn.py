"""Real gunicorn with preload: what the parent opened is not used by its children, nor ended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dbcore.local_engine import LocalEngine
from dbcore.local_engine.probe import free_port
from dbcore.local_engine.state import EngineState
from tests.support.postgres import Postgres
from tests.support.programs import START_TIMEOUT, STOP_TIMEOUT
from tests.support.redis import RedisServer

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 3
BAD = re.compile(r"Traceback|ERROR|CRITICAL|Exception|Warning|is down|WORKER TIMEOUT")


class Site:
    """The small site, served."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.port = free_port("127.0.0.1")
        self._log = folder / "gunicorn.log"
        command = [
            sys.executable, "-m", "gunicorn", "--preload", "--workers", str(WORKERS),
            "--threads", "4", "--bind", f"127.0.0.1:{self.port}", "--graceful-timeout", "10",
            "--worker-tmp-dir", str(folder), "--no-control-socket", "tests.daylight.served.wsgi",
        ]  # fmt: skip
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def get(self, store: str, name: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.port}/{store}/{name}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def wait_for(self, said: str, times: int) -> None:
        until = time.monotonic() + START_TIMEOUT
        while len(re.findall(said, self.log)) < times:
            assert self.process.poll() is None and time.monotonic() < until, self.log
            time.sleep(0.05)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT)

    @property
    def parent_session(self) -> str:
        (found,) = re.findall(r"parent \d+ session (\w+)", self.log)
        return str(found)


@contextmanager
def served(folder: Path, environment: dict[str, str]) -> Iterator[Site]:
    given = {
        "DAYLIGHT_ENV_FILE": os.devnull, "DAYLIGHT_ENV": "development",
        "DJANGO_SETTINGS_MODULE": "tests.daylight.served.settings",
        "DB_SLOW_QUERY_LOG": "false",  # its lines have errors in them that are none
        **environment,
    }  # fmt: skip
    site = Site(folder, given)
    try:
        site.wait_for("Booting worker", WORKERS)
        yield site
    finally:
        if site.process.poll() is None:
            site.process.kill()
            site.process.wait()


def ask_many(site: Site, round_: str) -> list[dict[str, Any]]:
    """Concurrent requests on both stores; every answer is right."""

    def ask(at: int) -> dict[str, Any]:
        name = f"{round_}{at}"
        found = site.get(("sql", "dynamodb")[at % 2], name)
        assert found["title"] == f"of {name}" and found["plans"] == [f"of {name}"]
        assert found["before"] == "before the fork"
        assert (found["email"], found["profile"]) == ("shared@example.org", "shared")
        return found

    with ThreadPoolExecutor(12) as pool:
        return list(pool.map(ask, range(120)))


def run_through(site: Site) -> list[dict[str, Any]]:
    """Many requests, new workers, many more, an end in peace."""
    first = ask_many(site, "a")
    assert len({found["process"] for found in first}) == WORKERS
    assert any(found["hits"] for found in first)
    site.process.send_signal(signal.SIGHUP)
    site.wait_for("Booting worker", 2 * WORKERS)
    site.wait_for("Worker exiting", WORKERS)
    second = ask_many(site, "b")
    assert not {found["process"] for found in first} & {found["process"] for found in second}
    assert not BAD.search(site.log), site.log
    return first + second


def test_on_sqlite_and_the_shared_local_engine(tmp_path: Path) -> None:
    environment = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/daylight.sqlite3",
        "DYNAMODB_ENDPOINT": "local",
        "LOCAL_DYNAMODB_PATH": str(tmp_path / "dynamodb.db"),
        "MIGRATE_FROM_SQLITE": "true",  # so that DynamoDB's tables are made too
        "CACHE_URL": "",
    }
    with served(tmp_path, environment) as site:
        run_through(site)
        assert list(tmp_path.glob("**/*.json")), "the engine has noted that it runs"
        assert site.stop() == 0
        assert not BAD.search(site.log), site.log
    states = [EngineState.read(path) for path in tmp_path.glob("**/*.json")]
    assert not [state for state in states if state is not None]


KEPT = {
    "kept connections": {"DATABASE_CONN_MAX_AGE": "600"},
    "a pool": {"DATABASE_POOL_SIZE": "6"},
}


@pytest.mark.parametrize("kept", KEPT)
def test_on_postgresql_and_redis(
    tmp_path: Path, postgres: Postgres, redis_server: RedisServer, dynamodb: LocalEngine,
    settings: Any, kept: str,
) -> None:  # fmt: skip
    database = kept.replace(" ", "_")
    postgres.create_database(database)
    environment = {
        **KEPT[kept],
        "DATABASE_URL": postgres.url(database),
        "DATABASE_PRIMARY": "postgresql",
        "DYNAMODB_ENDPOINT": str(dynamodb.endpoint),
        "DYNAMODB_TABLE_PREFIX": settings.DYNAMODB_TABLE_PREFIX,
        "MIGRATE_FROM_SQLITE": "true",
        "CACHE_URL": redis_server.url,
    }
    with served(tmp_path, environment) as site:
        parent = int(site.parent_session)
        sessions = {found["session"] for found in run_through(site)}
        assert parent not in sessions
        # No child has said goodbye in its parent's name.
        with postgres.connect(database) as connection:
            there = connection.execute("SELECT pid FROM pg_stat_activity").fetchall()
        assert parent in {pid for (pid,) in there}
        assert site.stop() == 0
        assert not BAD.search(site.log), site.log
    with postgres.connect(database) as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [database]
        ).fetchone()
    assert left == (1,)  # this one
