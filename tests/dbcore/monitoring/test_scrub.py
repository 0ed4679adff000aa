"""What is secret or personal is taken out by its name or its look, and what is neither stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbcore.monitoring.scrub import is_denied, personal_fields, scrub, scrub_text
from dbcore.secrecy import MASK

UUID = "01903c5e-1234-7abc-8def-0123456789ab"
TOKEN = "s-Zq3_8fJkLmN0pQrStUvWxYz0123456789AbCdEf"
SECRETS = (
    "ana@example.org", "203.0.113.77", "2001:db8::ff00:42", UUID, TOKEN, "eyJhbGci.eyJzdWIi.c2ln",
)  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("text", ["{}", "asked by {}, twice", "<{}>", "from ({})", "a={}", "'{}'"])
def test_a_secret_is_known_by_its_look(secret: str, text: str) -> None:
    assert secret not in scrub_text(text.format(secret))


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("users/u-1 does not exist", "users/*** does not exist"),
        ("plans u-1/p-1: is not JSON", "plans ***: is not JSON"),
        ("Key (lower(email::text))=(Ana B.) already exists.",
         "Key (lower(email::text))=(***) already exists."),
        ("Failing row contains (u-1, Ana B., null).", "Failing row contains (***)."),
        ("Authorization: Bearer abc.def-ghi", "Authorization: ***"),
        ("postgres://daylight:word@db.internal/d", "postgres://***@db.internal/d"),
        ("redis://:pw/with@host:6379/0 is away", "redis://***@host:6379/0 is away"),
        ("mail of ana@localhost", "mail of ***@***"),
        ("mail of o'neil@example.org", "mail of ***@***"),
        ("GET https://geo.example/code?key=abc&q=Lane", "GET https://geo.example/code?***"),
        ("password=hunter2, token: abc", "password=***, token: ***"),
        ("POST https://hooks.slack.com/services/T0/B0/xyz", "POST https://hooks.slack.com/***"),
    ],
)  # fmt: skip
def test_a_value_is_known_by_what_stands_before_it(text: str, scrubbed: str) -> None:
    assert scrub_text(text) == scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "users has no record with this key",
        "copied 3,000 rows of plans in 12.5 s at 2026-01-02T10:20:30Z",
        "UNIQUE constraint failed: users.email",
        "GetItem plans: ProvisionedThroughputExceededException",
        "http://127.0.0.1:8000 and [::1]:8000 do not answer",
        "a basic migration, run by daylight::main",
        "SELECT ? FROM aws_dynamodb_consumed_capacity_units_total",
    ],
)
def test_what_is_neither_stays(text: str) -> None:
    assert scrub_text(text) == text


def test_the_secrets_of_the_settings_are_known(settings: Any) -> None:
    settings.METRICS_TOKEN = "open sesame"
    settings.SECRET_KEY = "k!y"  # shorter than any secret: to mask it would mask half of any text
    assert scrub_text("the word is open sesame, k!y") == "the word is ***, k!y"


def test_the_passwords_of_caches_are_known(settings: Any) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "x", "LOCATION": ["redis://u:open-sesame@a/0", "redis://b/0"]},
        "records": {"BACKEND": "x", "LOCATION": "records", "OPTIONS": {"PASSWORD": "alibaba"}},
    }
    assert scrub_text("AUTH open-sesame alibaba records") == "AUTH *** *** records"


def test_fields_that_the_tables_declare_are_denied() -> None:
    assert {"userid", "ipaddress", "passwordhash", "keyhash", "details"} <= personal_fields()
    for name in ("user_id", "userId", "USER-ID", "X-Api-Key", "Set-Cookie", "homeAddress_email"):
        assert is_denied(name), name
    for name in ("table", "operation", "rows", "duration", "run_id", "request_id", "error.type"):
        assert not is_denied(name), name


def test_nested_values_are_scrubbed_by_their_names_and_looks() -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    found = scrub({
        "table": "plans", "rows": 3, "done": True, "nothing": None, "user_id": UUID,
        "run_id": UUID, "of": {"email": 7, "who": ["ana@example.org", {"token": [1]}]},
        b"raw": b"bytes", "odd": Odd(), f"of {UUID}": 1,
    })  # fmt: skip
    assert found == {
        "table": "plans", "rows": 3, "done": True, "nothing": None, "user_id": MASK,
        "run_id": UUID, "of": {"email": MASK, "who": [f"{MASK}@{MASK}", {"token": MASK}]},
        "b'raw'": MASK, "odd": MASK, f"of {MASK}": 1,
    }  # fmt: skip


def test_what_is_nested_too_deep_or_in_itself_is_masked() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert MASK in str(scrub(loop))
    assert len(str(scrub(loop))) < 100


@given(st.text() | st.from_regex(r"[\w@.:?=/()\- ]{0,80}"))
def test_any_text_can_be_scrubbed_and_scrubbing_it_again_changes_nothing(text: str) -> None:
    once = scrub_text(text)
    assert scrub_text(once) == once


@pytest.mark.parametrize("part", ["a", "a.", "a:", "(", "?", "://", "1.", "-", "=", "users/", "é@"])
def test_a_long_text_is_no_trouble(part: str) -> None:
    assert scrub_text(part * (100_000 // len(part))) is not None
