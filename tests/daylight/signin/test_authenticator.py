"""The second factor: set up, asked for, lost and taken out of use."""

from __future__ import annotations

import base64
import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User as Colleague
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from daylight.signin import authenticator
from tests.daylight.signin.accounts import (
    ANA_PASSWORD,
    HOME,
    NAME,
    PASSWORD,
    App,
    attempt,
    colleague,
    is_in,
    rested,
    trail,
)

PAGE = "/admin/authenticator/"


def set_up(user: Colleague, clock: Any) -> tuple[App, list[str]]:
    """An app that is in use, and its recovery codes."""
    session: dict[str, Any] = {}
    app = App(authenticator.begin(user, session), clock)
    found = authenticator.confirm(user, session, app.code())
    assert found is not None
    return app, found[1]


def signed_in(password: str = PASSWORD, name: str = NAME, code: str = "") -> Client:
    client = Client(REMOTE_ADDR=HOME)
    assert is_in(attempt(password, name, code=code, client=client))
    return client


def may_enter(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


def test_where_it_is_required_nobody_comes_further_than_to_the_page_that_sets_it_up(
    db: None, clock: Any, settings: Any
) -> None:
    settings.ADMIN_TOTP_REQUIRED = True
    user = colleague()
    client = signed_in()
    answer = client.get("/admin/daylight/user/", follow=True)
    assert answer.redirect_chain[-1][0].startswith(PAGE)
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.1").status_code == 403
    for path in ("/admin/password_change/", "/admin/daylight/user/add/", "/admin/database/"):
        assert client.get(path).status_code == 302, path
    app = App(TOTPDevice.objects.get(), clock)
    assert base64.b32encode(app.device.bin_key).decode() == answer.context["key"].replace(" ", "")

    before = client.session.session_key
    answer = client.post(
        f"{PAGE}?next=/admin/daylight/", {"password": PASSWORD, "code": app.code()}
    )
    codes = answer.context["codes"]
    assert len(codes) == 10 and all(each in answer.content.decode() for each in codes)
    assert "no-store" in answer["Cache-Control"]
    assert may_enter(client) and client.session.session_key != before
    (entry,) = trail("set_up_authenticator")
    assert entry.actor == f"staff:{user.pk} {NAME}" and entry.ip_address == HOME
    assert may_enter(signed_in(code=app.next()))


def test_who_has_set_one_up_cannot_do_without_it_even_where_it_is_their_choice(
    db: None, clock: Any
) -> None:
    user = colleague()
    old = signed_in()
    assert may_enter(old)
    app, _ = set_up(user, clock)
    assert not may_enter(old), "a session from before has not shown a code"
    assert old.get(PAGE).status_code == 302, "nor may it take the authenticator away"
    assert not is_in(attempt(PASSWORD))
    assert not is_in(attempt(PASSWORD, code="000000"))
    rested()
    assert may_enter(signed_in(code=app.next()))


def test_a_code_counts_once_for_one_of_those_who_send_it(
    postgresql_tables: None, clock: Any
) -> None:
    user = colleague()
    app, _ = set_up(user, clock)
    code = app.next()

    def one(_: int) -> bool:
        try:
            return authenticator.prove(user, code) is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(one, range(8))) == 1
    rested()
    assert not is_in(attempt(PASSWORD, code=code)), "nor later"


def test_a_code_of_a_colleague_is_none_of_mine(db: None, clock: Any) -> None:
    colleague()
    ana = colleague("ana", ANA_PASSWORD)
    app, recovery = set_up(ana, clock)
    set_up(Colleague.objects.get(username=NAME), clock)
    assert not is_in(attempt(PASSWORD, code=app.next()))
    rested()
    assert not is_in(attempt(PASSWORD, code=recovery[0]))
    assert is_in(attempt(ANA_PASSWORD, "ana", code=app.code())), "who can use it still"


def test_wrong_codes_are_told_like_wrong_passwords_are_audited_and_lock(
    db: None, clock: Any
) -> None:
    user = colleague()
    app, _ = set_up(user, clock)
    by_password = attempt("wrong", at="203.0.113.1").context["form"].errors
    answers = [attempt(PASSWORD, code="000000") for _ in range(5)]
    assert answers[0].context["form"].errors == by_password
    assert b"000000" not in answers[0].content and PASSWORD.encode() not in answers[0].content
    assert [each.status_code for each in answers] == [200] * 4 + [429]
    failed = [each for each in trail("sign_in") if each.details["by"] == "code"]
    assert len(failed) == 5 and {each.risk_level for each in failed} == {"high"}
    rested()
    assert not is_in(attempt(PASSWORD, code=app.next())), "locked"


def test_after_a_wrong_code_the_next_is_looked_at_only_after_a_while_that_doubles(
    db: None, clock: Any
) -> None:
    user = colleague()
    app, _ = set_up(user, clock)
    for _ in range(3):
        assert authenticator.prove(user, "000000") is None
        rested()
    TOTPDevice.objects.update(
        throttling_failure_count=10, throttling_failure_timestamp=timezone.now()
    )
    assert authenticator.prove(user, app.next()) is None
    rested()
    assert authenticator.prove(user, app.code()) is not None


def test_a_recovery_code_stands_in_once_and_lies_in_no_database(db: None, clock: Any) -> None:
    user = colleague()
    _, codes = set_up(user, clock)
    kept = "".join(StaticToken.objects.values_list("token", flat=True))
    assert not any(each.replace("-", "") in kept for each in codes)
    assert is_in(attempt(PASSWORD, code=codes[3].upper().replace("-", " ")))
    assert trail("sign_in")[-1].details == {"by": "recovery codes"}
    assert not is_in(attempt(PASSWORD, code=codes[3]))
    assert authenticator.codes_left(user) == 9


def test_it_is_removed_by_who_knows_the_password_and_has_a_code(db: None, clock: Any) -> None:
    user = colleague()
    app, codes = set_up(user, clock)
    client = signed_in(code=app.next())
    assert b"qr" not in client.get(PAGE).content, "a key that is in use is shown to nobody"
    for given in (
        {"password": "wrong", "code": app.next()},
        {"password": PASSWORD, "code": "000000"},
        {"password": PASSWORD},
    ):
        assert client.post(PAGE, given).status_code == 200
    assert authenticator.has_authenticator(user)
    rested()
    assert client.post(PAGE, {"password": PASSWORD, "code": codes[0]}).status_code == 302
    assert not authenticator.has_authenticator(user) and not StaticToken.objects.exists()
    assert len(trail("remove_authenticator")) == 1
    assert may_enter(client)


def test_guesses_at_the_password_there_count_as_those_at_the_sign_in(db: None) -> None:
    colleague()
    client = signed_in()
    guesses = [client.post(PAGE, {"password": "wrong", "code": "1"}) for _ in range(6)]
    assert [each.status_code for each in guesses] == [200] * 4 + [429] * 2
    assert not is_in(attempt(PASSWORD))


def test_a_key_that_nobody_confirms_is_another_after_a_while(db: None, clock: Any) -> None:
    user = colleague()
    session: dict[str, Any] = {}
    first = authenticator.begin(user, session)
    assert authenticator.begin(user, session).key == first.key
    later = timezone.now() + dt.timedelta(minutes=16)
    assert authenticator.begin(user, session, later).key != first.key
    assert not authenticator.has_authenticator(user)


def test_a_key_that_another_session_was_shown_is_never_the_owners(db: None, clock: Any) -> None:
    user = colleague()
    thief: dict[str, Any] = {}
    owner: dict[str, Any] = {}
    known = App(authenticator.begin(user, thief), clock)
    own = App(authenticator.begin(user, owner), clock)
    assert known.device.key != own.device.key
    assert authenticator.confirm(user, owner, known.code()) is None
    rested()
    assert authenticator.confirm(user, owner, own.code()) is not None
    assert authenticator.confirm(user, thief, known.code()) is None
    assert authenticator.prove(user, known.code()) is None


def test_where_it_cannot_be_audited_nothing_is_set_up(
    db: None, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from daylight.trail import entries
    from dbcore.stores.errors import StoreUnavailable

    user = colleague()
    client = signed_in()
    client.get(PAGE)
    app = App(TOTPDevice.objects.get(), clock)

    def away(event: Any) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(entries.audit_service, "record", away)
    answer = client.post(PAGE, {"password": PASSWORD, "code": app.code()})
    assert answer.status_code == 503 and b"Nothing was changed" in answer.content
    assert not authenticator.has_authenticator(user)
    monkeypatch.undo()


@pytest.mark.parametrize("there", [True, False])
def test_an_operator_takes_a_lost_one_out_of_use_and_that_is_audited(
    db: None, clock: Any, there: bool
) -> None:
    user = colleague()
    if there:
        set_up(user, clock)
    signed = {"who": "A. Operator", "why": "lost the phone"}
    call_command("reset_authenticator", NAME, "--accept-reset", **signed)
    assert not authenticator.has_authenticator(user) and may_enter(signed_in())
    begun, ended = trail("reset_authenticator")
    assert begun.details["account"] == f"staff:{user.pk} {NAME}"
    assert (ended.details["found"], ended.outcome) == (int(there), "success")
    assert (ended.source, ended.details["who"]) == ("command", "A. Operator")
    with pytest.raises(CommandError, match="no account"):
        call_command("reset_authenticator", "nobody", "--accept-reset", **signed)
    assert trail("reset_authenticator", kind="command")[-1].outcome == "failure"


def test_no_page_of_the_admin_shows_keys_and_codes(admin_client: Client, clock: Any) -> None:
    for path in ("otp_totp/totpdevice/", "otp_static/staticdevice/"):
        assert admin_client.get(f"/admin/{path}").status_code == 404
    assert b"otp" not in admin_client.get(reverse("admin:index")).content.lower()
