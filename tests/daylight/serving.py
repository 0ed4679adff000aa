"""Real servers of Daylight, as it ships: started on databases that need not be there yet."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from dbcore.local_engine.probe import free_port
from tests.support.programs import START_TIMEOUT, STOP_TIMEOUT

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Page:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    text: str


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


class Server:
    """A server's process."""

    def __init__(self, folder: Path, port: int, command: list[str], given: dict[str, str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "server.log"
        environment = {**os.environ, **environment_of(folder), **given}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=environment, stdout=log, stderr=log,
                start_new_session=True,  # a server's own children end with it
            )  # fmt: skip

    @property
    def log(self) -> str:
        return self._log.read_text()

    def get(self, path: str = "/admin/login/", **headers: str) -> Page | None:
        """A page; None while nobody listens."""
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with _opener.open(request, timeout=30) as answer:
                return Page(answer.status, dict(answer.headers), answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Page(error.code, dict(error.headers), error.read().decode())
        except (OSError, HTTPException):
            return None

    def wait_for(self, status: int, path: str = "/admin/login/") -> Page:
        """The first answer with this status. 503 may come before another, and nothing else."""
        until = time.monotonic() + START_TIMEOUT
        while True:
            assert self.process.poll() is None and time.monotonic() < until, self.log
            page = self.get(path)
            if page is not None and page.status == status:
                return page
            assert page is None or page.status == 503, page
            time.sleep(0.05)

    def stop(self) -> int:
        """End it; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT)


def environment_of(folder: Path) -> dict[str, str]:
    """Development, on a SQLite file in a folder, with nothing at DynamoDB's place."""
    return {
        "DAYLIGHT_ENV_FILE": os.devnull,
        "DAYLIGHT_ENV": "development",
        "DJANGO_SETTINGS_MODULE": "settings.development",
        "DATABASE_URL": f"sqlite:///{folder / 'd.sqlite3'}",
        "DYNAMODB_ENDPOINT": "http://127.0.0.1:9",
        "DYNAMODB_DEADLINE": "0.3",  # a try that is refused has failed soon
        "DB_METRICS_ENABLED": "false",
        "CACHE_URL": "",
    }


@contextlib.contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()


@contextlib.contextmanager
def gunicorn(folder: Path, *options: str, **given: str) -> Iterator[Server]:
    """gunicorn with Daylight's own wsgi.py."""
    port = free_port("127.0.0.1")
    command = [
        "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--worker-tmp-dir", str(folder),
        "--no-control-socket", *options, "daylight.wsgi",
    ]  # fmt: skip
    with _running(Server(folder, port, command, given)) as server:
        yield server


@contextlib.contextmanager
def runserver(folder: Path, **given: str) -> Iterator[Server]:
    """Django's own, with its reloader."""
    port = free_port("127.0.0.1")
    command = ["manage.py", "runserver", f"127.0.0.1:{port}"]
    with _running(Server(folder, port, command, given)) as server:
        yield server
