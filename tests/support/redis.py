"""A Redis server of the tests' own, on a free port, in memory; it can be stopped and stalled."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from dbcore.local_engine.probe import free_port
from tests.support.certificates import Authority, Issued
from tests.support.programs import end, find_program, wait_until


class RedisServer:
    """A running server, or one that has been stopped. With a certificate (`tls`) it speaks TLS, and
    nothing else."""

    def __init__(self, tls: Issued | None = None, authority: Authority | None = None) -> None:
        self._tls = tls
        self._authority = authority
        self._program = find_program("redis-server", "redis-server")
        self.folder = Path(tempfile.mkdtemp(prefix="daylight-redis-"))
        self.port = free_port("127.0.0.1")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        scheme, host = ("rediss", "localhost") if self._tls else ("redis", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}/0"

    def client(self) -> redis.Redis:
        # By its address or another's name: a test may want it to have the wrong one.
        trusted: dict[str, Any] = {}
        if self._authority:
            trusted = {"ssl_ca_certs": str(self._authority.file), "ssl_check_hostname": False}
        return redis.Redis.from_url(self.url, socket_timeout=5, **trusted)

    def _ports(self) -> list[str]:
        if self._tls is None:
            return ["--port", str(self.port)]
        return [
            "--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no",
            "--tls-cert-file", str(self._tls.certificate), "--tls-key-file", str(self._tls.key),
        ]  # fmt: skip

    def start(self) -> None:
        """Empty, on the same port as before."""
        if self._process is not None:
            return
        log = self.folder / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [self._program, *self._ports(), "--bind", "127.0.0.1", "--save", "",
                 "--appendonly", "no", "--dir", str(self.folder)],
                stdout=out, stderr=out,
            )  # fmt: skip
        wait_until(self._answers, process, log)
        self._process = process

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def stop(self) -> None:
        """End it; what it had is lost."""
        if self._process is not None:
            end(self._process, signal.SIGTERM)
            self._process = None

    def close(self) -> None:
        """End it for good."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """It accepts connections and answers none; what it has stays."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def _redis() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture
def redis_server(_redis: RedisServer) -> RedisServer:
    """A server that runs and is empty."""
    _redis.start()
    with _redis.client() as client:
        client.flushall()
    return _redis
