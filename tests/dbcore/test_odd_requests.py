"""Requests that nobody means well with: refused, and none of their words is in an answer or in the
log. In the application itself, in one loop, and under gunicorn on real sockets.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.test import Client, RequestFactory

from dbcore.odd_requests import asgi_application, wsgi_application
from tests.dbcore.monitoring.served import served

HOSTILE = "hostile-value"
MARKUP = re.compile(r"<style|<script|style=|hostile", re.IGNORECASE)
CONTENT_TYPES = (
    "text/plain; charset=hex", "text/plain; charset=rot13", "text/plain; charset=undefined",
    "text/plain; charset=utf-7", "text/plain; charset=unicode_escape", "text/plain; charset=\xff",
    "text/plain; charset=idna", "text/plain; charset=", "text/plain; charset=../../etc/passwd",
    "multipart/form-data; boundary=x; charset=base64", "x; charset*=nope'x'%41",
    "application/x-www-form-urlencoded; charset=latin-1", "text/plain; charset=\0",
)  # fmt: skip
ADDRESSES = ("/admin/login/?next=%41", "/", "/health/live", "/metrics", "/nowhere?a=%ff")


def ask(path: str, **given: str) -> tuple[int, str]:
    """The status and the body that the application has for this."""
    told: list[str] = []
    environ = {**RequestFactory().get(path).environ, "HTTP_HOST": "localhost", **given}
    answer: Any = wsgi_application()(environ, lambda status, headers: told.append(status))  # type: ignore[arg-type]
    with closing(answer):
        return int(told[0].split()[0]), b"".join(answer).decode()


@pytest.mark.django_db
@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_an_encoding_other_than_utf8_is_refused_everywhere(content_type: str) -> None:
    for path in ADDRESSES:
        status, body = ask(path, CONTENT_TYPE=content_type)
        assert status == 400 and "<h1>Bad request</h1>" in body


@pytest.mark.django_db
@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "text/plain; charset=UTF-8", ";;;", "\xff"]
)
def test_others_are_served(content_type: str) -> None:
    assert ask("/admin/login/", CONTENT_TYPE=content_type)[0] == 200


@pytest.mark.django_db
@pytest.mark.parametrize("given", [
    {"QUERY_STRING": "next=%00"}, {"QUERY_STRING": "a=1&b=x%00y"}, {"PATH_INFO": "/admin/\0/"},
    {"HTTP_COOKIE": 'sessionid="\\000aaaaaaaa"'}, {"CONTENT_LENGTH": "-1"},
    {"CONTENT_LENGTH": "abc"}, {"CONTENT_LENGTH": "9" * 5000}, {"CONTENT_LENGTH": "²"},
])  # fmt: skip
def test_what_no_database_could_be_asked_is_refused(given: dict[str, str]) -> None:
    assert ask("/admin/login/", **given)[0] == 400


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["next=%2500", "next=%", "next=%E2%98%83", "a" * 3000, "&&==&"])
def test_a_query_that_is_merely_strange_is_served(query: str) -> None:
    assert ask("/admin/login/", QUERY_STRING=query)[0] == 200


@pytest.mark.django_db
def test_too_many_parameters_are_refused_whatever_the_content_type_says() -> None:
    many = "&".join(f"a{at}" for at in range(1200))
    for content_type in ("", "text/plain; charset=utf-8"):
        assert ask("/admin/login/", QUERY_STRING=many, CONTENT_TYPE=content_type)[0] in (200, 400)


def test_in_one_loop_the_same_is_refused() -> None:
    async def status(content_type: bytes, query: bytes) -> int:
        scope = {
            "type": "http", "method": "GET", "path": "/health/live", "query_string": query,
            "headers": [(b"host", b"localhost"), (b"content-type", content_type)],
            "client": ("127.0.0.1", 5000), "server": ("localhost", 80), "scheme": "http",
        }  # fmt: skip
        asked = ApplicationCommunicator(asgi_application(), scope)
        await asked.send_input({"type": "http.request", "body": b""})
        start = await asked.receive_output(10)
        await asked.receive_output(10)
        await asked.wait(10)
        return int(start["status"])

    async def statuses() -> list[int]:
        odd = [(b"x; charset*=nope'x'%41", b""), (b"x; charset=hex", b"a=%41"), (b"", b"a=%00")]
        served = [(b"text/plain", b"a=1"), (b"", b"a=\xff")]  # as by WSGI, with all its headers
        return [await status(*each) for each in [*odd, *served]]

    assert asyncio.run(statuses()) == [400, 400, 400, 200, 200]


# --- Pages of errors ------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize(("path", "status", "words"), [
    (f"/{HOSTILE}", 404, "Not found"), (f"/admin/login/?{HOSTILE}=%00", 400, "Bad request"),
    (f"/metrics?{HOSTILE}", 403, "Not allowed"),
])  # fmt: skip
def test_they_are_plain_and_repeat_nothing(path: str, status: int, words: str) -> None:
    found, body = ask(path, REMOTE_ADDR="192.0.2.7")
    assert (found, f"<h1>{words}</h1>" in body) == (status, True)
    assert not MARKUP.search(body)


@pytest.mark.django_db
def test_so_is_that_of_a_form_that_is_not_taken() -> None:
    answer = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": HOSTILE})
    body = answer.content.decode()
    assert answer.status_code == 403 and "<h1>Not taken</h1>" in body
    assert not MARKUP.search(body)


def test_and_that_of_a_fault_of_ours(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.dbcore.monitoring.logged_site.urls"
    answer = Client(raise_request_exception=False).get(f"/broken/{HOSTILE}")
    body = answer.content.decode()
    assert answer.status_code == 500 and "Something went wrong" in body
    assert answer["X-Request-ID"]
    assert not MARKUP.search(body)


# --- Under gunicorn -------------------------------------------------------------------------------
def raw(request_line: str, *headers: str, body: bytes = b"") -> bytes:
    given = ["Connection: close", *headers]
    if not any(each.startswith("Host:") for each in headers):
        given.append("Host: localhost")
    return "\r\n".join([f"{request_line} HTTP/1.1", *given, "", ""]).encode("latin-1") + body


def form(path: str, body: bytes, kind: str = "application/x-www-form-urlencoded") -> bytes:
    length = f"Content-Length: {len(body)}"
    return raw(f"POST {path}", f"Content-Type: {kind}", length, body=body)


# What is sent, and the status of the answer.
SENT = (
    (raw("GET /metrics", f"Accept: application/openmetrics-text; version={HOSTILE}"), 200),
    (raw("GET /metrics", "Accept: application/openmetrics-text; version=\xb2.\xff"), 200),
    (raw("GET /health/live", f"Accept: text/html;q={HOSTILE}, ;;=,\xff"), 200),
    (raw("GET /admin/login/?next=%41", f"Content-Type: x; charset*={HOSTILE}'x'%41"), 400),
    (raw("GET /admin/login/?next=%41", "Content-Type: text/plain; charset=hex"), 400),
    (raw("GET /admin/", f"Host: {HOSTILE}.example"), 400),
    (raw("GET /admin/", f"Host: {HOSTILE}\xff"), 400),
    (raw(f"GET /%00{HOSTILE}"), 400),
    (raw(f"GET /{HOSTILE}-%C3%A9%FF"), 404),
    (raw(f"GET /{HOSTILE}-\xe9"), 400),
    (raw("GET /admin/", f'Cookie: sessionid="\\000{HOSTILE}"'), 400),
    (raw("GET /admin/", f"Cookie: sessionid={HOSTILE}\xff; messages={HOSTILE}"), 302),
    (raw("GET /health/live", f"X-Request-ID: {HOSTILE}\xff"), 200),
    (raw("POST /admin/login/", f"Origin: https://{HOSTILE}.example", "Content-Length: 0"), 403),
    (raw("POST /admin/login/", f"Content-Length: {HOSTILE}"), 400),
    (raw("POST /admin/login/", f"Transfer-Encoding: {HOSTILE}"), 501),
    (form("/admin/login/", b"&".join(b"a%d=" % at for at in range(10_000))), 403),
    (form("/admin/login/", b"a=" + b"x" * 3_000_000), 403),
    (form("/admin/login/", f"--{HOSTILE}".encode(), "multipart/form-data"), 403),
    (raw("HOSTILE-VALUE /admin/login/"), 403),
)  # fmt: skip


def status_of(port: int, sent: bytes) -> int:
    """What the server answers to these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has answered before it has read everything
        with connection.makefile("rb") as answer:
            found = re.match(rb"HTTP/1\.[01] (\d+)", answer.readline())
    assert found is not None
    return int(found[1])


def test_none_of_it_breaks_anything_or_comes_into_the_log(tmp_path: Path) -> None:
    given = {"DJANGO_DEBUG": "false", "LOG_FORMAT": "json", "DJANGO_ALLOWED_HOSTS": "localhost"}
    with served(tmp_path, 1, **given) as server:
        port = int(server.url.rpartition(":")[2])
        for sent, status in SENT:
            assert status_of(port, sent) == status, sent[:200]
        assert server.stop() == 0
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert HOSTILE not in server.log.lower()
    assert {line.get("http.response.status_code") for line in lines} == {None, 400, 403, 404}
    told = {line["message"] for line in lines}
    assert {"suspicious request", "the address has a NUL in it: ***"} <= told
    assert "Forbidden (Origin checking failed): admin/login/" in told
