"""What docs/local-engine.md says of who can reach an engine: that it is so, with either of them."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest

from dbcore.local_engine.probe import HEADERS

PAGE = {"Origin": "https://page.example"}


def ask(endpoint: str, method: str, headers: dict[str, str], body: bytes = b"") -> tuple[
    http.client.HTTPMessage, bytes
]:  # fmt: skip
    """The head and body of an answer that is no refusal."""
    url = urlsplit(endpoint)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
    try:
        connection.request(method, "/", body, headers)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.headers, answer.read()
    finally:
        connection.close()


@pytest.fixture(params=["dynamodb_engine", "moto_engine"])
def endpoint(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(request.param).endpoint
    return found


def test_a_page_of_any_origin_may_ask_and_read(endpoint: str) -> None:
    wanted = "authorization,content-type,x-amz-date,x-amz-target"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
    allowed, _ = ask(endpoint, "OPTIONS", PAGE | asked)
    assert allowed["Access-Control-Allow-Origin"] in ("*", PAGE["Origin"])
    named = allowed["Access-Control-Allow-Headers"].replace(" ", "").lower()
    assert set(wanted.split(",")) <= set(named.split(","))
    head, body = ask(endpoint, "POST", PAGE | HEADERS, b'{"Limit": 1}')
    assert head["Access-Control-Allow-Origin"] in ("*", PAGE["Origin"])
    assert b"TableNames" in body


def test_a_name_that_leads_to_this_machine_will_do(endpoint: str) -> None:
    rebound = {"Host": f"page.example:{urlsplit(endpoint).port}"}
    assert b"TableNames" in ask(endpoint, "POST", rebound | HEADERS, b'{"Limit": 1}')[1]
