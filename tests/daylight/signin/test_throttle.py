"""Nobody tries passwords for ever, from anywhere; and nobody is locked out for ever."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessLog
from django.contrib.auth.models import User as Colleague
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from daylight.models import AuditLog
from daylight.signin import throttle
from daylight.signin.backend import StaffBackend
from tests.daylight.signin.accounts import (
    ANA_PASSWORD,
    ELSEWHERE,
    HOME,
    NAME,
    PASSWORD,
    attempt,
    colleague,
    is_in,
    time_passes,
    trail,
)

COOL_OFF = dt.timedelta(minutes=31)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """Django's own database, where attempts are counted."""
    if request.param == "postgresql":
        request.getfixturevalue("postgresql_tables")
    else:
        request.getfixturevalue("transactional_db")
    return str(request.param)


@pytest.mark.slow
def test_after_sixty_wrong_passwords_the_right_one_is_refused_and_that_is_audited(
    database: str,
) -> None:
    boss = colleague()
    wrong = [attempt(f"wrong-{number}") for number in range(60)]
    assert [each.status_code for each in wrong] == [200] * 4 + [429] * 56
    answer = attempt(PASSWORD)
    assert answer.status_code == 429 and "sessionid" not in answer.cookies
    assert int(answer["Retry-After"]) == 1800

    tried = trail("sign_in")
    assert len(tried) == 61 and {each.outcome for each in tried} == {"failure"}
    assert {each.ip_address for each in tried} == {HOME}
    assert {each.actor for each in tried} == {"nobody"}
    last = tried[-1]
    assert last.details == {"by": "refused", "refused": 56, "account": f"staff:{boss.pk} {NAME}"}
    assert (last.risk_level, len(last.correlation_id or "")) == ("high", 36)
    (locked,) = trail("lock_out")
    assert locked.details == {"account": f"staff:{boss.pk} {NAME}"}


def test_a_lock_ends_by_itself_also_while_somebody_goes_on_trying(db: None) -> None:
    colleague()
    for _ in range(20):
        attempt("wrong")
    time_passes(dt.timedelta(minutes=20))
    assert not is_in(attempt("wrong")) and not is_in(attempt(PASSWORD))
    time_passes(dt.timedelta(minutes=11))
    assert is_in(attempt(PASSWORD))
    assert not AccessAttempt.objects.filter(user_agent="").exists(), "what has failed is forgotten"


def test_a_name_that_nobody_has_is_answered_and_locked_like_one(db: None) -> None:
    colleague()
    known = [attempt("wrong") for _ in range(6)]
    unknown = [attempt("wrong", "nobody-has-it", at=ELSEWHERE) for _ in range(6)]
    for one, other in zip(known, unknown, strict=True):
        assert one.status_code == other.status_code
        assert text_of(one).replace(NAME, "?") == text_of(other).replace("nobody-has-it", "?")


def text_of(answer: Any) -> str:
    """A page without what differs each time."""
    token = answer.context["csrf_token"] if answer.context else ""
    return str(answer.content.decode().replace(str(token), ""))


@pytest.mark.parametrize("given", [{"is_staff": False}, {"is_active": False}])
def test_the_right_password_of_one_who_may_not_enter_is_a_failure_like_a_wrong_one(
    db: None, given: dict[str, Any]
) -> None:
    colleague()
    Colleague.objects.update(**given)
    answers = [attempt(PASSWORD) for _ in range(6)]
    assert [each.status_code for each in answers] == [200] * 4 + [429] * 2
    assert len(trail("lock_out")) == 1


def test_a_password_is_hashed_for_every_attempt_that_is_not_refused(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.contrib.auth import hashers

    colleague()
    Colleague.objects.create_superuser("blocked", password=None)
    Colleague.objects.create_user("guest", password=PASSWORD)
    work: list[str] = []
    hasher = hashers.get_hasher("default")
    usual = type(hasher).encode
    monkeypatch.setattr(
        type(hasher), "encode", lambda *given: work.append("hashed") or usual(*given)
    )
    for name in (NAME, "nobody-has-it", "blocked", "guest"):
        work.clear()
        assert not is_in(attempt("wrong", name, at=ELSEWHERE))
        assert work == ["hashed"], name


def test_a_success_takes_back_what_had_failed_for_this_name_from_this_address(db: None) -> None:
    colleague()
    for _ in range(3):
        for _ in range(4):
            attempt("wrong")
        assert is_in(attempt(PASSWORD))


def test_whoever_can_sign_in_gets_no_new_attempts_for_others_by_it(db: None) -> None:
    colleague()
    colleague("ana", ANA_PASSWORD)
    for _ in range(4):
        attempt("wrong")
        assert is_in(attempt(ANA_PASSWORD, "ana"))
    attempt("wrong")
    assert not is_in(attempt(PASSWORD)), "five have failed for boss, whatever ana did"


@pytest.mark.slow
def test_a_name_is_locked_for_all_addresses_but_those_where_it_has_signed_in(db: None) -> None:
    colleague()
    assert is_in(attempt(PASSWORD, at=HOME))
    for number in range(throttle.OF_NAME):
        attempt("wrong", at=f"203.0.113.{number}")
    assert attempt("wrong", at="203.0.113.200").status_code == 429
    assert not is_in(attempt(PASSWORD, at="203.0.113.201"))
    assert is_in(attempt(PASSWORD, at=HOME)), "nobody elsewhere can lock the owner out"
    time_passes(dt.timedelta(days=31))
    for number in range(throttle.OF_NAME):
        attempt("wrong", at=f"203.0.113.{number}")
    assert not is_in(attempt(PASSWORD, at=HOME)), "a month later the address is forgotten"


def test_an_address_is_locked_for_all_names_but_those_that_have_signed_in_from_it(db: None) -> None:
    colleague()
    colleague("ana", ANA_PASSWORD)
    assert is_in(attempt(ANA_PASSWORD, "ana"))
    for number in range(throttle.OF_ADDRESS):
        attempt("spring-2026!", f"name-{number}")
    assert attempt("spring-2026!", "one-more").status_code == 429
    assert not is_in(attempt(PASSWORD))
    assert is_in(attempt(ANA_PASSWORD, "ana"))
    assert is_in(attempt(PASSWORD, at=ELSEWHERE))


def test_a_whole_network_of_ipv6_is_one_address(db: None) -> None:
    colleague()
    for number in range(5):
        attempt("wrong", at=f"2001:db8::{number + 1:x}")
    assert attempt(PASSWORD, at="2001:db8::ffff").status_code == 429
    assert is_in(attempt(PASSWORD, at="2001:db8:0:1::1"))
    assert {each.ip_address for each in trail("lock_out")} == {"2001:db8::5"}, "told as it was"


def test_an_address_in_a_header_is_not_believed_of_anybody_but_a_trusted_proxy(
    db: None, settings: Any
) -> None:
    colleague()
    for number in range(5):
        attempt("wrong", headers={"x-forwarded-for": f"192.0.2.{number}"})
    assert not is_in(attempt(PASSWORD, headers={"x-forwarded-for": "192.0.2.77"}))
    settings.TRUSTED_PROXIES = [f"{HOME}/32"]
    assert is_in(attempt(PASSWORD, headers={"x-forwarded-for": "192.0.2.77"}))


def test_of_many_attempts_at_the_same_time_no_more_are_looked_at_than_of_those_in_a_row(
    postgresql_tables: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    colleague()
    crowd = 12
    all_have_seen_no_failure = Barrier(crowd)
    looked: list[int] = []
    count, authenticate = throttle._count, StaffBackend.authenticate

    def counted_together(key: str, request: Any, kind: str) -> int:
        if kind == throttle._FAILED:
            all_have_seen_no_failure.wait(30)
        return count(key, request, kind)

    def looked_at(self: Any, *given: Any, **named: Any) -> Any:
        looked.append(1)
        return authenticate(self, *given, **named)

    monkeypatch.setattr(throttle, "_count", counted_together)
    monkeypatch.setattr(StaffBackend, "authenticate", looked_at)

    def one(number: int) -> int:
        try:
            return int(attempt(f"wrong-{number}").status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(crowd) as threads:
        codes = list(threads.map(one, range(crowd)))
    assert len(looked) <= throttle.OF_PAIR
    assert codes.count(200) <= throttle.OF_PAIR
    assert not is_in(attempt(PASSWORD))


@pytest.mark.parametrize("cache", ["django.core.cache.backends.redis.RedisCache"])
def test_attempts_are_counted_while_the_cache_is_away(db: None, settings: Any, cache: str) -> None:
    away = {"BACKEND": cache, "LOCATION": "redis://127.0.0.1:9/0"}
    settings.CACHES = {"default": away, "records": away}
    settings.APP_CACHE_ENABLED = True
    colleague()
    assert [attempt("wrong").status_code for _ in range(6)] == [200] * 4 + [429] * 2


def test_what_was_typed_for_a_name_is_nowhere_for_it_may_be_a_password(
    db: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    colleague()
    for _ in range(7):
        attempt(
            "wrong", "my-Secret-42", headers={"user-agent": "curl", "referer": "https://x/?a=1"}
        )
    columns = [
        *AccessAttempt.objects.values_list(), *AccessLog.objects.values_list(),
        *AuditLog.objects.values_list(),
    ]  # fmt: skip
    assert columns and "my-Secret-42" not in str(columns)
    assert "my-Secret-42" not in caplog.text
    entry = trail("sign_in")[0]
    assert list(entry.details) == ["by", "name"] and len(entry.details["name"]) == 16


def test_no_other_way_of_asking_tries_a_password_or_is_an_error(db: None) -> None:
    colleague()
    url, client = reverse("admin:login"), Client(REMOTE_ADDR=HOME)
    form = {"username": NAME, "password": PASSWORD}
    as_json = {"data": json.dumps(form), "content_type": "application/json"}
    answers = [
        client.post(url, **as_json),
        client.put(url, **as_json),
        client.head(url),
        client.get(url, form),
        client.post(url, b"\xff\xfe", content_type="application/x-www-form-urlencoded"),
        client.post(url, {"username": "x" * 100_000, "password": "y"}),
        client.post(url, {"username": "a\0b", "password": "y"}),
        client.post(url, {"username": [NAME, "other"], "password": ["a", "b"], "code": "1" * 99}),
    ]
    assert {each.status_code for each in answers} <= {200, 405}
    assert all("sessionid" not in each.cookies for each in answers)
    assert Client().get("/admin/", REMOTE_ADDR=HOME).status_code == 302


def test_many_that_are_refused_do_not_fill_the_audit_trail(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from daylight.trail import signins

    monkeypatch.setattr(signins, "ALL_TOLD", 3)
    colleague()
    for _ in range(24):
        attempt("wrong", at=HOME)
    refused = [each.details["refused"] for each in trail("sign_in") if "refused" in each.details]
    assert refused == [1, 2, 3, 4, 8, 16]


def test_an_operator_unlocks_a_name_an_address_or_everybody_and_that_is_audited(db: None) -> None:
    colleague()
    signed = {"who": "A. Operator", "why": "rang me up"}

    def locked() -> None:
        for _ in range(6):
            attempt("wrong")
        assert not is_in(attempt(PASSWORD))

    for chosen in (
        {"name": NAME},
        {"address": HOME},
        {"name": NAME, "address": HOME},
        {"all": True},
    ):
        locked()
        call_command("unlock_sign_in", **signed, **chosen)
        assert is_in(attempt(PASSWORD)), chosen
    begun, ended = trail("unlock_sign_in")[:2]
    assert (begun.details["phase"], ended.details["phase"]) == ("begun", "ended")
    assert ended.details["who"] == "A. Operator" and ended.details["why"] == "rang me up"
    assert ended.details["os_user"] and ended.details["host"]
    assert ended.actor == f"os:{ended.details['os_user']}@{ended.details['host']}"
    for wrong in ({}, {"name": NAME, "all": True}):
        with pytest.raises(CommandError, match="whose"):
            call_command("unlock_sign_in", **signed, **wrong)
    with pytest.raises(CommandError, match="no IP address"):
        call_command("unlock_sign_in", "--address=home", "--who=a", "--why=b")
