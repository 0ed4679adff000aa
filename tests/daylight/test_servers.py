"""The servers that we ship begin while what they need is away, say 503, and serve when it is there:
no process has to be started again for it."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dbcore.local_engine import LocalEngine
from dbcore.local_engine.probe import free_port
from tests.daylight.serving import ROOT, Server, environment_of, gunicorn, runserver
from tests.support.engine import engine_or_skip
from tests.support.postgres import Postgres
from tests.support.proxy import Call, FaultProxy
from tests.support.tables import drop_tables

BAD = re.compile(r"Worker failed to boot|Traceback|WORKER TIMEOUT|Exception in worker")


@dataclass(frozen=True)
class Place:
    """Where an engine is going to be."""

    engine: LocalEngine
    port: int

    @property
    def environment(self) -> dict[str, str]:
        endpoint = f"http://127.0.0.1:{self.port}"
        return {"DATABASE_PRIMARY": "dynamodb", "DYNAMODB_ENDPOINT": endpoint}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An engine that has not been started yet."""
    engine_or_skip("dynoxide").stop()
    port = free_port("127.0.0.1")
    engine = LocalEngine("dynoxide", port=port, db_path=tmp_path / "dynamodb.db")
    yield Place(engine, port)
    engine.stop()


def is_starting(server: Server) -> None:
    page = server.wait_for(503)
    assert int(page.headers["Retry-After"]) >= 1
    assert "Try again in" in page.text and "127.0.0.1" not in page.text
    live = server.get("/health/live")
    assert live is not None and live.status == 200


@pytest.mark.parametrize("options", [("--workers", "2"), ("--workers", "2", "--preload")])
def test_gunicorn_serves_when_dynamodb_has_come_and_not_before(
    tmp_path: Path, place: Place, options: tuple[str, ...]
) -> None:
    with gunicorn(tmp_path, *options, **place.environment) as server:
        is_starting(server)
        assert "cannot be used" in server.log
        place.engine.start()
        server.wait_for(200)
        # Each worker by itself: until all have begun, another may still say 503.
        for _ in range(10):
            server.wait_for(200)
        ready = server.wait_for(200, "/health/ready")
        assert "healthy" in ready.text or "warning" in ready.text or "OK" in ready.text
        assert server.log.count("Booting worker") == 2
        assert server.stop() == 0
        assert not BAD.search(server.log), server.log


@pytest.mark.parametrize("options", [(), ("--preload",)])
def test_gunicorn_that_waits_ends_when_it_is_told_to(
    tmp_path: Path, place: Place, options: tuple[str, ...]
) -> None:
    with gunicorn(tmp_path, *options, **place.environment) as server:
        is_starting(server)
        assert server.stop() == 0
        assert not BAD.search(server.log), server.log


def test_while_it_migrates_it_says_503_and_three_workers_migrate_once(
    tmp_path: Path, dynamodb_engine: LocalEngine
) -> None:
    environment = {**os.environ, **environment_of(tmp_path)}
    for command in (["migrate", "-v0"], ["make_sample_data", "--rows", "400"]):
        subprocess.run(
            [sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True,
            capture_output=True,
        )  # fmt: skip
    prefix = f"m{uuid.uuid4().hex[:8]}-"
    go_on = threading.Event()

    def held(call: Call) -> None:
        if call.request.operation in ("BatchWriteItem", "TransactWriteItems"):
            go_on.wait(30)

    with FaultProxy(dynamodb_engine.endpoint, [held]) as proxy:
        given = {
            "DYNAMODB_ENDPOINT": proxy.endpoint, "DYNAMODB_TABLE_PREFIX": prefix,
            "DYNAMODB_DEADLINE": "30", "MIGRATE_FROM_SQLITE": "true",
        }  # fmt: skip
        with gunicorn(tmp_path, "--workers", "3", **given) as server:
            is_starting(server)
            go_on.set()
            for _ in range(10):
                server.wait_for(200)
            assert server.stop() == 0
            assert not BAD.search(server.log), server.log
    with contextlib.closing(sqlite3.connect(tmp_path / "d.sqlite3")) as books:
        runs = books.execute("SELECT status, rows_written FROM dbcore_migrationrun").fetchall()
    assert [status for status, _ in runs] == ["completed"] and runs[0][1] > 300
    drop_tables(dynamodb_engine, prefix)


def test_postgresql_that_is_away_at_the_start_is_waited_for(
    tmp_path: Path, postgres: Postgres
) -> None:
    postgres.create_database("servers")
    place = tmp_path / "sockets"  # of a server that is not there yet
    given = {
        "DATABASE_URL": postgres.url("servers").replace(str(postgres.folder), str(place)),
        "DATABASE_PRIMARY": "postgresql",
    }
    with gunicorn(tmp_path, **given) as server:
        is_starting(server)
        place.symlink_to(postgres.folder)
        server.wait_for(200)
        assert server.stop() == 0
        assert not BAD.search(server.log), server.log


def test_sqlite_that_cannot_be_read_at_the_start_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "d.sqlite3").write_text("this is no database, and long enough to be read as one")
    with gunicorn(tmp_path) as server:
        is_starting(server)
        (tmp_path / "d.sqlite3").unlink()
        server.wait_for(200)
        assert server.stop() == 0


def test_runserver_with_its_reloader_starts_on_an_empty_sqlite_file(tmp_path: Path) -> None:
    with runserver(tmp_path, DATABASE_PRIMARY="sqlite") as server:
        server.wait_for(200)
        assert "Traceback" not in server.log


ASGI = """
import asyncio, sys
from asgiref.testing import ApplicationCommunicator
from daylight.asgi import application

async def get(path):
    scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": path,
             "raw_path": path.encode(), "query_string": b"", "headers": [(b"host", b"localhost")],
             "client": ("127.0.0.1", 1), "server": ("localhost", 80), "scheme": "http"}
    asked = ApplicationCommunicator(application, scope)
    await asked.send_input({"type": "http.request", "body": b"", "more_body": False})
    began = await asked.receive_output(30)
    body = await asked.receive_output(30)
    await asked.wait(30)
    return began["status"], dict(began["headers"])

async def serve():
    status, headers = await get("/admin/login/")
    print(status, headers[b"Retry-After"].decode(), (await get("/health/live"))[0], flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    while (await get("/admin/login/"))[0] == 503:
        await asyncio.sleep(0.05)
    print((await get("/admin/login/"))[0], flush=True)

asyncio.run(serve())
"""


def test_asgi_does_as_wsgi(tmp_path: Path, place: Place) -> None:
    environment = {**os.environ, **environment_of(tmp_path), **place.environment}
    process = subprocess.Popen(
        [sys.executable, "-c", ASGI], cwd=ROOT, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    assert re.fullmatch(r"503 \d+ 200\n", process.stdout.readline())
    place.engine.start()
    out, err = process.communicate("go on\n", timeout=60)
    assert (out, process.returncode) == ("200\n", 0), err
