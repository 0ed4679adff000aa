"""A server's certificate is wrong, or it speaks no TLS: what is said, and what is never sent."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dbcore.connecting.reaching import NONE
from dbcore.monitoring.health.results import Status
from tests.dbcore.connecting.conftest import SOON, Ask, said
from tests.dbcore.wire.server import Server, dynamodb
from tests.support.certificates import Authority, Issued

DATE = "Date: Sun, 06 Nov 2016 08:49:37 GMT"


def empty(_: Any) -> bytes:
    return dynamodb({})


@contextmanager
def serving(settings: Any, issued: Issued) -> Iterator[Server]:
    """DynamoDB with this certificate, as the settings name it."""
    with Server(empty, tls=issued.context()) as server:
        settings.DYNAMODB_ENDPOINT = server.endpoint
        yield server


@contextmanager
def greeting(words: bytes) -> Iterator[int]:
    """The port of a server that says this to the first who comes, hears it out, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(words)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join()


def test_a_server_that_is_right_is_told_of_with_all_its_facts(
    settings: Any, authority: Authority, ask: Ask
) -> None:
    with serving(settings, authority.issue("localhost")) as server:
        found = ask("dynamodb")
    assert (found.status, found.troubles) == (Status.HEALTHY, [])
    assert found.endpoint == server.endpoint
    assert "127.0.0.1" in found.addresses
    assert found.facts["proxy"] == NONE
    assert found.authorities == f"SSL_CERT_FILE: {authority.file}"
    assert found.tls is not None and found.tls.version == "TLSv1.3"
    assert found.tls.judged == "chain and name"
    assert [(each.subject, each.issuer) for each in found.tls.chain] == [
        ("a test's server", "A test's CA")
    ]
    assert found.answer.startswith("GetItem on daylight-leases: ")
    assert [each.operation for each in server.requests] == ["GetItem"]


@pytest.mark.parametrize(
    ("names", "since", "until", "what", "advice"),
    [
        (("db.example", "*.db.example"), -1, 90,
         "certificate is for db.example, *.db.example, and not for localhost",
         "name the host in DYNAMODB_ENDPOINT"),
        (("localhost",), -90, -2, "its certificate expired on 2", "have it renewed"),
        (("localhost",), 2, 90, "its certificate is not valid before 2", "this machine's clock"),
    ],
    ids=["another name", "expired", "not yet valid"],
)  # fmt: skip
def test_a_wrong_certificate_is_read_and_told_of_and_nothing_is_sent_to_its_server(
    settings: Any, authority: Authority, ask: Ask,
    names: tuple[str, ...], since: int, until: int, what: str, advice: str,
) -> None:  # fmt: skip
    with serving(settings, authority.issue(*names, since=since, until=until)) as server:
        found = ask("dynamodb")
    assert found.status is Status.CRITICAL
    assert what in said(found) and advice in said(found)
    assert found.tls is not None and found.tls.judged == "refused"
    assert found.tls.leaf is not None and found.tls.leaf.names == names
    assert server.requests == [], "what was not believed was sent something"


def test_an_unknown_issuer_is_named_with_where_to_put_its_certificate(
    settings: Any, authority: Authority, stranger: Authority, ask: Ask
) -> None:
    with serving(settings, stranger.issue("localhost")) as server:
        words = said(ask("dynamodb"))
    cas = f"not among the CAs in use (SSL_CERT_FILE: {authority.file})"
    assert f"issued by A stranger's CA, which is {cas}" in words
    assert "into the file that SSL_CERT_FILE names" in words
    assert server.requests == []


def test_a_file_of_cas_that_is_not_there_is_named(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, authority: Authority, ask: Ask
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    with serving(settings, authority.issue("localhost")):
        assert "gone.pem, which is not there" in said(ask("dynamodb"))


def test_a_certificate_that_ends_soon_is_a_warning(
    settings: Any, authority: Authority, ask: Ask
) -> None:
    with serving(settings, authority.issue("localhost", until=20)):
        found = ask("dynamodb")
    assert found.status is Status.WARNING and found.answer.startswith("GetItem")
    assert "its certificate ends in 20 days" in said(found)
    with serving(settings, authority.issue("localhost", until=21)):
        assert ask("dynamodb").status is Status.HEALTHY


def test_a_server_that_speaks_no_tls_is_told_of_as_that(settings: Any, ask: Ask) -> None:
    with greeting(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        settings.DYNAMODB_ENDPOINT = f"https://localhost:{port}"
        assert f"localhost:{port} does not speak TLS at this port" in said(ask("dynamodb"))


def test_what_a_certificate_says_cannot_steer_a_terminal(
    settings: Any, authority: Authority, ask: Ask
) -> None:
    evil = "\x1b[2J\x1b]0;owned\x07\u202e[bold]evil"
    with serving(settings, authority.issue("db.example", subject=evil)):
        found = ask("dynamodb")
    assert found.tls is not None and found.tls.leaf is not None
    for text in (said(found), found.tls.leaf.subject):
        assert text.isprintable()
    assert "evil" in found.tls.leaf.subject


def test_a_name_that_is_not_known_a_port_where_nobody_listens_and_nobody_who_answers(
    settings: Any, ask: Ask
) -> None:
    settings.DYNAMODB_ENDPOINT = "https://dynamodb.nowhere.invalid"
    assert "the name dynamodb.nowhere.invalid is not known" in said(ask("dynamodb"))
    with socket.create_server(("127.0.0.1", 0)) as gone:
        settings.DYNAMODB_ENDPOINT = f"https://127.0.0.1:{gone.getsockname()[1]}"
    assert "nothing listens at 127.0.0.1:" in said(ask("dynamodb"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.DYNAMODB_ENDPOINT = f"https://127.0.0.1:{silent.getsockname()[1]}"
        found = ask("dynamodb", SOON)
    assert "does not answer the TLS handshake" in said(found)
    assert found.addresses == ("127.0.0.1",), "what was found before is kept"


def test_a_handshake_that_is_cut_off_is_told_of(settings: Any, ask: Ask) -> None:
    with greeting(b"") as port:
        settings.DYNAMODB_ENDPOINT = f"https://127.0.0.1:{port}"
        assert "closed the connection in the middle of the TLS handshake" in said(ask("dynamodb"))


def test_a_server_of_an_old_version_of_tls_is_told_of(
    settings: Any, authority: Authority, ask: Ask
) -> None:
    context = authority.issue("localhost").context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with Server(empty, tls=context) as server:
        settings.DYNAMODB_ENDPOINT = server.endpoint
        assert "have no version of TLS" in said(ask("dynamodb"))


def test_an_address_that_is_none_is_told_of_in_its_line(settings: Any, ask: Ask) -> None:
    settings.DYNAMODB_ENDPOINT = "http://dynamodb.example"
    words = said(ask("dynamodb"))
    assert "plain HTTP is allowed for this machine only" in words
