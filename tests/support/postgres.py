"""A PostgreSQL cluster of the tests' own, and Django's default database on it for one test.

It listens on a socket in its own folder alone, so no other cluster is in its way; one that is to
speak TLS, at a port as well. What a test leaves in it is gone before the next one.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from django.core.management import call_command
from psycopg import sql
from pytest_django import DjangoDbBlocker

from dbcore.local_engine.probe import free_port
from tests.support.certificates import Authority, Issued
from tests.support.databases import default_database
from tests.support.programs import end, find_program, wait_until

USER = "daylight"
# Nothing here outlives the machine's next crash, and nothing should wait for its disk.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


class Postgres:
    """A running cluster. With a certificate (`tls`) it listens at a `port` of 127.0.0.1 as well,
    where it speaks TLS, and asks the user `locked` for a password, which nobody knows."""

    def __init__(self, tls: Issued | None = None) -> None:
        self._tls = tls
        self.port = free_port("127.0.0.1") if tls else 5432
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        initdb = find_program("initdb", "postgresql", *folders)
        postgres = find_program("postgres", "postgresql", *folders)
        self.folder = Path(tempfile.mkdtemp(prefix="daylight-postgres-"))
        self._account = _account()
        if self._account:
            entry = pwd.getpwnam(self._account)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        try:
            self._initialise(initdb)
            self._process = self._start(postgres, self.folder)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self._migrated: set[str] = set()

    def _run(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command, user=self._account, cwd=self.folder, capture_output=True, check=False
        )

    def _initialise(self, initdb: str) -> None:
        data = str(self.folder / "data")
        common = (initdb, "-D", data, "-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8")
        made = self._run(*common, "--locale=C.UTF-8")
        if made.returncode:  # a machine without that locale
            made = self._run(*common, "--no-locale")
        if made.returncode:
            raise RuntimeError(made.stderr.decode())
        if self._tls:
            rules = self.folder / "data" / "pg_hba.conf"
            rules.write_text(f"host all locked 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")

    def _network(self) -> list[str]:
        """The options by which it listens to more than its socket."""
        if self._tls is None:
            return ["-c", "listen_addresses="]
        options = ["-c", "listen_addresses=127.0.0.1", "-p", str(self.port), "-c", "ssl=on"]
        for name, file in (("cert", self._tls.certificate), ("key", self._tls.key)):
            own = Path(shutil.copy(file, self.folder))  # which refuses a key of another's
            if self._account:
                os.chown(own, pwd.getpwnam(self._account).pw_uid, -1)
            options += ["-c", f"ssl_{name}_file={own}"]
        return options

    def _start(self, postgres: str, folder: Path) -> subprocess.Popen[bytes]:
        options = [part for each in FAST for part in ("-c", each)]
        command = [postgres, "-D", str(folder / "data"), "-k", str(folder), *options]
        path = folder / "log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                [*command, *self._network()],
                user=self._account, cwd=folder, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(lambda: _answers(folder, self.port), process, path)
        return process

    def connect(self, database: str) -> psycopg.Connection[Any]:
        """A connection of its own, not Django's."""
        return _connect(self.folder, database, self.port)

    def create_database(self, name: str, *, icu_locale: str = "") -> None:
        """A new database; with an ICU locale it orders text as that language does."""
        template = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
        if icu_locale:
            template += sql.SQL(" LOCALE_PROVIDER icu ICU_LOCALE {}").format(
                sql.Literal(icu_locale)
            )
        with self.connect("postgres") as connection:
            connection.execute(template)

    def url(self, database: str) -> str:
        """What DATABASE_URL is for one of its databases."""
        return f"postgres://{USER}@/{self.folder}/{database}"

    def settings(self, database: str) -> dict[str, Any]:
        """Django's settings for one of its databases."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": database,
            "USER": USER,
            "HOST": str(self.folder),
        }

    @contextmanager
    def as_default(self, database: str = USER, *, icu_locale: str = "") -> Iterator[None]:
        """Django's default connection is this database, with all tables, empty before and after.

        Also for threads that are started meanwhile, which are to close their connections.
        """
        if database not in self._migrated:
            self.create_database(database, icu_locale=icu_locale)
        with default_database(self.settings(database)):
            if database not in self._migrated:
                call_command("migrate", verbosity=0, interactive=False)
                self._migrated.add(database)
                _empty()
            try:
                yield
            finally:
                _empty()

    @contextmanager
    def standby(self) -> Iterator[dict[str, Any]]:
        """A second server that follows this one; Django's settings for it, database `postgres`."""
        folder = self.folder / "standby"
        folder.mkdir()
        if self._account:
            entry = pwd.getpwnam(self._account)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        bin_folder = Path(str(self._process.args[0])).parent  # type: ignore[index]
        made = self._run(
            str(bin_folder / "pg_basebackup"), "-D", str(folder / "data"), "-h", str(self.folder),
            "-U", USER, "-R", "-X", "stream", "--no-sync", "-c", "fast",
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(made.stderr.decode())
        process = self._start(str(bin_folder / "postgres"), folder)
        try:
            yield {**self.settings("postgres"), "HOST": str(folder)}
        finally:
            end(process, signal.SIGINT)
            shutil.rmtree(folder)

    def stop(self) -> None:
        """End it and delete its data."""
        end(self._process, signal.SIGINT)  # "fast": it does not wait for its clients
        shutil.rmtree(self.folder, ignore_errors=True)


class Stoppable(Postgres):
    """A cluster that can be away for a while."""

    def go(self) -> None:
        end(self._process, signal.SIGINT)

    def come_back(self) -> None:
        assert isinstance(self._process.args, list)
        self._process = self._start(str(self._process.args[0]), self.folder)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections, and answers none."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def is_away(self) -> bool:
        return self._process.poll() is not None


def _connect(folder: Path, database: str, port: int) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=str(folder), port=port, user=USER, dbname=database, autocommit=True, connect_timeout=5
    )


def _answers(folder: Path, port: int) -> bool:
    try:
        _connect(folder, "postgres", port).close()
    except psycopg.OperationalError:
        return False
    return True


def _account() -> str | None:
    """Who runs it: PostgreSQL refuses to be run by root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _empty() -> None:
    call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)


class TlsPostgres(NamedTuple):
    server: Postgres
    authority: Authority


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A cluster, shared by all tests of the session."""
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_over_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsPostgres]:
    """A cluster at a port of localhost that speaks TLS, and the CA by which it is believed."""
    authority = Authority(tmp_path_factory.mktemp("postgres-ca"))
    server = Postgres(authority.issue("localhost"))
    yield TlsPostgres(server, authority)
    server.stop()


@pytest.fixture
def postgresql_tables(postgres: Postgres, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Django's default database is PostgreSQL, with empty tables, for this test."""
    with django_db_blocker.unblock(), postgres.as_default():
        yield
