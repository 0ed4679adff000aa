"""Daylight under real gunicorn with its own settings, on a database of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dbcore.local_engine.probe import free_port
from tests.support.programs import START_TIMEOUT, STOP_TIMEOUT

ROOT = Path(__file__).resolve().parents[3]


def read(url: str, headers: Mapping[str, str] | None = None) -> str:
    request = urllib.request.Request(url, headers=dict(headers or {}))
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
        return str(answer.read().decode())


def wait_for(ready: Callable[[], object], tell: Callable[[], str] = lambda: "") -> None:
    until = time.monotonic() + START_TIMEOUT
    while not ready():
        assert time.monotonic() < until, tell()
        time.sleep(0.05)


class Served:
    """The server, which runs. `database` is its SQLite file."""

    def __init__(self, folder: Path, workers: int, given: Mapping[str, str]) -> None:
        self.workers = workers
        self.database = folder / "d.sqlite3"
        self.url = f"http://127.0.0.1:{free_port('127.0.0.1')}"
        self._log = folder / "gunicorn.log"
        environment = {
            **os.environ, "DAYLIGHT_ENV_FILE": os.devnull, "CACHE_URL": "",
            "DJANGO_SETTINGS_MODULE": "settings.development",
            "DATABASE_URL": f"sqlite:///{self.database}",
            "DYNAMODB_ENDPOINT": "http://127.0.0.1:9", **given,
        }  # fmt: skip
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        subprocess.run(migrate, cwd=ROOT, env=environment, check=True, timeout=120)
        command = [
            sys.executable, "-m", "gunicorn", "--workers", str(workers), "--bind", self.url[7:],
            "--worker-tmp-dir", str(folder), "--no-control-socket", "daylight.wsgi",
        ]  # fmt: skip
        with self._log.open("wb") as out:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=out, stderr=out
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_for_workers(self, booted: int) -> None:
        """Until so many have been started in all."""
        wait_for(lambda: self.log.count("Booting worker") == booted, lambda: self.log)

    def ask(self) -> None:
        """A page that looks for one session in the database, and finds none."""
        read(f"{self.url}/admin/login/", {"Cookie": "sessionid=" + "a" * 32})

    def metrics(self) -> str:
        return read(f"{self.url}/metrics")

    def stop(self) -> int:
        """Its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT)


@contextmanager
def served(folder: Path, workers: int, **given: str) -> Iterator[Served]:
    server = Served(folder, workers, given)
    try:
        server.wait_for_workers(workers)
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
