"""Each request has an id that its lines and its answer carry, under gunicorn and in one loop."""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler

from dbcore.logs import ids
from dbcore.monitoring import metrics
from dbcore.monitoring.lines.formatting import LineFormatter
from tests.dbcore.monitoring.logged_site import urls
from tests.dbcore.monitoring.served import served

SITE = "tests.dbcore.monitoring.logged_site"
SLOW = "slow query"
Line = dict[str, Any]


def ask(url: str, request_id: str = "") -> Message:
    """The headers of an answer, whatever its status."""
    headers = {"X-Request-ID": request_id} if request_id else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            found: Message = answer.headers
            return found
    except urllib.error.HTTPError as error:
        with error:
            return error.headers


def test_under_gunicorn_each_request_is_told_from_the_others(tmp_path: Path) -> None:
    given = {
        "DJANGO_SETTINGS_MODULE": f"{SITE}.settings", "LOG_FORMAT": "json", "DJANGO_DEBUG": "false",
        "DB_LATENCY_THRESHOLD": "0", "REQUEST_ID_PROXIES": "192.0.2.0/24,127.0.0.1",
    }  # fmt: skip
    with served(tmp_path, 1, **given) as server:
        assert (
            ask(f"{server.url}/plans/user-1", "of-the-proxy.1")["X-Request-ID"] == "of-the-proxy.1"
        )
        made = {
            ask(f"{server.url}/{page}", told)["X-Request-ID"]
            for page, told in (
                ("plans/user-1", ""), ("plans/user-1", "short"), ("plans/user-1", "x" * 65),
                ("async/plans/user-1", "ana@example.org"),
            )
        }  # fmt: skip
        assert len(made) == 4 and all(len(each) == 36 for each in made)
        failed = ask(f"{server.url}/broken/user-1")["X-Request-ID"]
        assert server.stop() == 0
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert "Starting gunicorn" in lines[0]["message"] and lines[0]["logger"] == "gunicorn.error"
    slow = [line for line in lines if line["message"] == SLOW and line.get("request_id")]
    assert {line["request_id"] for line in slow} == {"of-the-proxy.1", *made}
    assert all("run_id" not in line for line in slow), "a request is no run"
    (error,) = [line for line in lines if line["level"] == "error"]
    assert error["request_id"] == failed and error["http.route"] == "broken/<str:user>"
    assert (error["exception.type"], error["http.response.status_code"]) == ("LookupError", 500)
    assert "in broken" in error["exception.stacktrace"]
    assert "user-1" not in server.log and "example.org" not in server.log


@pytest.fixture
def slow_lines(settings: Any) -> Iterator[list[Line]]:
    """The lines of slow queries, of which each is one, as production writes them."""
    settings.DB_SLOW_QUERY_LOG = True
    settings.DB_LATENCY_THRESHOLD = 0
    metrics.current().forget_series()
    found: list[Line] = []
    formatter = LineFormatter("json")

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(json.loads(formatter.format(record)))

    handler, logger = Kept(), logging.getLogger("dbcore.monitoring.slow")
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


async def answer(path: str) -> str:
    """A request to the ASGI application; the id in its answer."""
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": [(b"host", b"localhost"), (b"x-request-id", b"a-client's")],
        "client": ("192.0.2.7", 5000), "server": ("localhost", 80), "scheme": "http",
    }  # fmt: skip
    asked = ApplicationCommunicator(ASGIHandler(), scope)
    await asked.send_input({"type": "http.request", "body": b""})
    start = await asked.receive_output(10)
    await asked.receive_output(10)
    await asked.wait(10)
    assert start["status"] == 200
    return str(dict(start["headers"])[b"X-Request-ID"].decode())


@pytest.mark.usefixtures("measured", "tables")
def test_two_requests_at_once_in_one_loop_do_not_mix_their_ids(
    settings: Any, slow_lines: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ROOT_URLCONF = f"{SITE}.urls"

    async def both() -> list[str]:
        monkeypatch.setattr(urls, "barrier", asyncio.Barrier(2))
        return await asyncio.gather(answer("/async/plans/ana"), answer("/async/places/ana"))

    plans, places = asyncio.run(both())
    assert len({plans, places}) == 2 and "client" not in plans + places
    of_table = {
        table: [
            line["request_id"] for line in slow_lines if line["db.collection.name"] == table
        ]
        for table in ("plans", "location_history")
    }  # fmt: skip
    assert of_table == {"plans": [plans] * 2, "location_history": [places] * 2}
    assert "request_id" not in ids(), "nothing is left behind in this thread"


@pytest.mark.usefixtures("measured")
def test_without_a_trusted_proxy_nobody_chooses_an_id(settings: Any, client: Any) -> None:
    settings.ROOT_URLCONF = f"{SITE}.urls"
    for proxies, address, is_taken in (
        ([], "127.0.0.1", False), (["10.0.0.0/8"], "127.0.0.1", False),
        (["10.0.0.0/8"], "10.9.8.7", True), (["unix"], "", True), (["unix"], "10.9.8.7", False),
        (["::1"], "::1", True), (["::1"], "no address", False),
    ):  # fmt: skip
        settings.REQUEST_ID_PROXIES = proxies
        asked = client.get("/nowhere", headers={"X-Request-ID": "chosen-id"}, REMOTE_ADDR=address)
        assert (asked.headers["X-Request-ID"] == "chosen-id") is is_taken, (proxies, address)
