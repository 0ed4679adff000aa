"""SQL databases, asked by their own clients: PostgreSQL over TLS by each sslmode, SQLite's file."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import environ
import pytest
from django.db import connections

from dbcore.connecting.found import Found
from dbcore.monitoring.health.results import Status
from tests.dbcore.connecting.conftest import Ask, said
from tests.support.certificates import Authority
from tests.support.databases import complete, default_database
from tests.support.postgres import Postgres, TlsPostgres


def url(server: Postgres, *, user: str = "daylight", name: str = "postgres", **options: Any) -> str:
    told = "&".join(f"{key}={value}" for key, value in options.items())
    return f"postgres://{user}:geheim@localhost:{server.port}/{name}?{told}"


def ask_sql(address: str, ask: Ask) -> Found:
    with default_database(environ.Env.db_url_config(address)):
        found = ask("sql")
    assert "geheim" not in repr(found) + said(found)
    return found


def test_a_server_that_is_believed_is_told_with_its_certificate(
    postgres_over_tls: TlsPostgres, ask: Ask
) -> None:
    server, authority = postgres_over_tls
    found = ask_sql(url(server, sslmode="verify-full", sslrootcert=authority.file), ask)
    assert (found.status, said(found)) == (Status.HEALTHY, "")
    assert found.endpoint == f"postgresql://localhost:{server.port}/postgres"
    assert found.addresses == ("127.0.0.1",)
    assert found.tls is not None and found.tls.judged == "chain and name"
    assert found.tls.leaf is not None and found.tls.leaf.names == ("localhost",)
    assert found.authorities == f"sslrootcert: {authority.file}"
    assert found.answer.startswith("SELECT 1 by PostgreSQL 1")


@pytest.mark.parametrize(
    ("mode", "judged"),
    [("verify-ca", "chain, not the name"), ("require", "nothing"), ("prefer", "nothing")],
)
def test_what_each_sslmode_checks_is_told(
    postgres_over_tls: TlsPostgres, ask: Ask, mode: str, judged: str
) -> None:
    server, authority = postgres_over_tls
    more = {"sslrootcert": authority.file} if mode == "verify-ca" else {}
    found = ask_sql(url(server, sslmode=mode, **more), ask)
    assert found.status is Status.HEALTHY, said(found)
    assert found.tls is not None and found.tls.judged == judged
    assert ("not asked" in found.authorities) == (judged == "nothing")


def test_a_server_that_is_not_believed_is_told_as_libpq_judges_it(
    postgres_over_tls: TlsPostgres, stranger: Authority, ask: Ask, tmp_path: Path
) -> None:
    server, authority = postgres_over_tls
    words = said(ask_sql(url(server, sslmode="verify-full", sslrootcert=stranger.file), ask))
    assert "issued by A test's CA, which is not among the CAs in use" in words
    assert "into the file that sslrootcert names" in words
    by_address = url(server, sslmode="verify-full", sslrootcert=authority.file)
    words = said(ask_sql(by_address.replace("localhost", "127.0.0.1"), ask))
    assert "its certificate is for localhost, and not for 127.0.0.1" in words
    gone = tmp_path / "gone.crt"
    words = said(ask_sql(url(server, sslmode="verify-full", sslrootcert=gone), ask))
    assert f"the CAs cannot be read (sslrootcert: {gone}" in words
    words = said(ask_sql(url(server, sslmode="verify-full"), ask))
    assert f"sslrootcert: {tmp_path / '.postgresql' / 'root.crt'}" in words, "libpq's usual place"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"user": "locked"}, "it refuses the user or the password"),
        ({"name": "gone"}, "it has no such database"),
        ({"user": "gone"}, "it has no such user"),
    ],
)
def test_a_refusal_is_told_by_what_it_means(
    postgres_over_tls: TlsPostgres, ask: Ask, changes: dict[str, str], what: str
) -> None:
    server, authority = postgres_over_tls
    address = url(server, **changes, sslmode="verify-full", sslrootcert=authority.file)
    found = ask_sql(address, ask)
    assert found.status is Status.CRITICAL and what in said(found)
    assert found.tls is not None and found.tls.judged == "chain and name"


@contextmanager
def saying(answer: bytes) -> Iterator[int]:
    """The port of a server that answers so to whoever comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)


def test_a_server_without_tls_and_one_that_is_no_postgresql_are_told(ask: Ask) -> None:
    with saying(b"N") as port:
        words = said(ask_sql(f"postgres://u:geheim@127.0.0.1:{port}/d?sslmode=require", ask))
        assert "does not offer TLS, and sslmode=require asks for it" in words
    with saying(b"HTTP/1.1 400 \x1b[2J\r\n\r\n") as port:
        words = said(ask_sql(f"postgres://u:geheim@127.0.0.1:{port}/d?sslmode=require", ask))
        assert "does not answer as PostgreSQL does" in words and words.isprintable()


def test_a_server_that_is_away_is_told(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    words = said(ask_sql(f"postgres://u:geheim@127.0.0.1:{port}/d", ask))
    assert f"nothing listens at 127.0.0.1:{port}" in words and "DATABASE_URL" in words


def test_a_socket_of_this_machine_is_asked_without_tls(postgres: Postgres, ask: Ask) -> None:
    with default_database(postgres.settings("postgres")):
        found = ask("sql")
    assert found.status is Status.HEALTHY, said(found)
    assert found.endpoint.startswith("postgresql, a socket of this machine (/")


def test_a_replica_that_is_away_is_a_warning(
    settings: Any, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    given = environ.Env.db_url_config("postgres://u:geheim@127.0.0.1:9/d")
    monkeypatch.setitem(connections.databases, "replica1", complete(given))
    settings.DATABASE_REPLICAS = ["replica1"]
    found = ask("sql:replica1")
    assert found.status is Status.WARNING
    assert "nothing listens at 127.0.0.1:9" in said(found)
    assert "DATABASE_REPLICA_URLS" in said(found)


def test_sqlite_is_read_and_no_file_is_made(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "daylight.sqlite3"
    given = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}
    with default_database(given):
        found = ask("sql")
        assert found.status is Status.WARNING and "`manage.py migrate` makes it" in said(found)
        assert not path.exists()
        path.write_bytes(b"no database at all, but long enough to have a header" * 20)
        assert "the file cannot be read (file is not a database)" in said(ask("sql"))
        path.unlink()
        path.write_bytes(b"")
        assert ask("sql").answer.startswith("read: ")
