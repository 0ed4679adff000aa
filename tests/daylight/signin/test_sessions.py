"""Sessions of staff: twelve hours, known by digest, over when the password is another."""

from __future__ import annotations

import datetime as dt
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User as Colleague
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from daylight.signin.sessions import SessionStore
from dbcore.bearers import hash_of
from tests.daylight.signin.accounts import HOME, PASSWORD, attempt, colleague, is_in, trail

HOURS = dt.timedelta(hours=12)


def signed_in() -> Client:
    client = Client(REMOTE_ADDR=HOME)
    assert is_in(attempt(PASSWORD, client=client))
    return client


def may_enter(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


def test_a_session_ends_twelve_hours_after_the_sign_in_whatever_is_done_meanwhile(
    db: None,
) -> None:
    colleague()
    client = signed_in()
    cookie = client.cookies["sessionid"]
    assert cookie["max-age"] in (12 * 3600, 12 * 3600 - 1)
    ends = Session.objects.get().expire_date
    assert abs(ends - timezone.now() - HOURS) < dt.timedelta(minutes=1)
    session = client.session
    session["anything"] = "changed"
    session.save()
    assert Session.objects.get().expire_date == ends
    assert may_enter(client)
    Session.objects.update(expire_date=timezone.now() - dt.timedelta(seconds=1))
    assert not may_enter(client)


def test_the_cookie_is_for_http_alone_and_goes_along_to_no_form_of_another_site(db: None) -> None:
    colleague()
    cookie = signed_in().cookies["sessionid"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"


def test_who_reads_the_database_can_use_none_of_its_sessions(db: None) -> None:
    colleague()
    client = signed_in()
    kept = Session.objects.get().session_key
    assert kept != client.session.session_key and len(kept) == 40
    thief = Client()
    thief.cookies["sessionid"] = kept
    assert not may_enter(thief)
    assert trail("sign_in")[-1].session_id == hash_of(client.session.session_key), (
        "nor with what the audit trail has"
    )


def test_an_id_that_was_there_before_the_sign_in_is_no_session(db: None) -> None:
    colleague()
    client = Client(REMOTE_ADDR=HOME)
    client.cookies["sessionid"] = "a" * 32
    assert is_in(attempt(PASSWORD, client=client))
    assert client.cookies["sessionid"].value != "a" * 32


def test_another_password_ends_all_other_sessions_and_is_audited(db: None) -> None:
    user = colleague()
    here, elsewhere = signed_in(), signed_in()
    new = "another-horse-battery"
    form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert here.post("/admin/password_change/", form).status_code == 302
    assert may_enter(here) and not may_enter(elsewhere)
    (changed,) = trail("change_password")
    (made,) = trail("make_account")
    assert changed.details == {"account": f"staff:{user.pk} boss"}
    assert changed.actor == f"staff:{user.pk} boss" and changed.ip_address == HOME
    assert made.actor is not None and made.actor.startswith("os:"), "by this process"
    assert not is_in(attempt(PASSWORD)) and is_in(attempt(new))


def test_guesses_at_the_old_password_count_as_those_at_the_sign_in(db: None) -> None:
    colleague()
    client = signed_in()
    form = {
        "old_password": "x",
        "new_password1": "a-long-new-one",
        "new_password2": "a-long-new-one",
    }
    guesses = [client.post("/admin/password_change/", form) for _ in range(6)]
    assert [each.status_code for each in guesses] == [200] * 4 + [429] * 2


def test_who_is_no_longer_staff_or_active_is_out_with_the_next_request(db: None) -> None:
    for change in ({"is_staff": False}, {"is_active": False}):
        Colleague.objects.all().delete()
        colleague()
        client = signed_in()
        Colleague.objects.update(**change)
        assert not may_enter(client)


def test_signing_out_ends_the_session_itself(db: None) -> None:
    colleague()
    client = signed_in()
    copied = client.cookies["sessionid"].value
    client.post("/admin/logout/")
    thief = Client()
    thief.cookies["sessionid"] = copied
    assert not may_enter(thief) and not Session.objects.exists()
    assert [each.action for each in trail()][-1] == "sign_out"


def test_a_short_or_common_password_is_refused(db: None) -> None:
    colleague(last_name="Featherstone")
    client = signed_in()
    for bad in ("short-one", "123456789012", "password1234", "featherstone1"):
        form = {"old_password": PASSWORD, "new_password1": bad, "new_password2": bad}
        answer = client.post("/admin/password_change/", form)
        assert answer.status_code == 200 and answer.context["form"].errors, bad


@async_to_sync
async def asked_async() -> None:
    made = SessionStore()
    await made.aset("who", "boss")
    await made.asave()
    found = SessionStore(made.session_key)
    assert await found.aget("who") == "boss"
    assert await made.aexists(made.session_key)
    await found.adelete()
    gone: Any = SessionStore(made.session_key)
    assert await gone.aget("who") is None and gone.session_key is None


def test_async_calls_know_the_same_sessions(transactional_db: None) -> None:
    asked_async()
