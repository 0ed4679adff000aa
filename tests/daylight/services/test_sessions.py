"""Sessions of both kinds: begun, touched, listed and ended; gone when they have expired."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from daylight.models import UserSession
from daylight.services.sessions import session_service
from dbcore.stores.errors import AlreadyExists, Conflict, RecordNotFound
from dbcore.stores.interface import Store
from tests.daylight.services.conftest import refused, values

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("people")]
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
Travel = Callable[[dt.timedelta], None]


@pytest.fixture(params=["user", "auth"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which kind of session a test is told about: both in turn."""
    return str(request.param)


def call(name: str, kind: str) -> Callable[..., Any]:
    """A call of the service, such as create_user_session."""
    return getattr(session_service, name.format(kind))  # type: ignore[no-any-return]


def gone(kind: str, session_id: str) -> bool:
    try:
        call("get_{}_session", kind)(session_id)
    except RecordNotFound:
        return True
    return False


def test_a_session_of_the_app_comes_back_with_its_data() -> None:
    session = session_service.create_user_session("ana", {"theme": ["dark", 1.5]}, ttl=HOUR)
    assert values(session_service.get_user_session(session.session_id)) == values(session)
    assert session.expires_at == session.created_at + HOUR


def test_a_session_of_a_device_comes_back_with_its_fields() -> None:
    until = timezone.now() + HOUR
    given = {"ip_address": "10.0.0.1", "device": {"os": "x"}, "mfa_verified": True, "id": "d"}
    session = session_service.create_auth_session("ana", given, expires_at=until)
    assert values(session_service.get_auth_session("d")) == values(session)
    assert (session.user_id, session.expires_at) == ("ana", until)


def test_an_address_is_kept_in_one_form_whatever_the_store() -> None:
    session = session_service.create_auth_session("ana", {"ip_address": "2001:DB8::0:1"}, ttl=HOUR)
    assert session.ip_address == "2001:db8::1"
    assert session_service.get_auth_session(session.id).ip_address == "2001:db8::1"


def test_an_id_is_taken_once() -> None:
    session_service.create_user_session("ana", ttl=HOUR, session_id="s")
    with pytest.raises(AlreadyExists):
        session_service.create_user_session("bea", ttl=HOUR, session_id="s")
    assert session_service.get_user_session("s").user_id == "ana"


def test_an_expired_session_is_not_there_to_any_call(kind: str, travel: Travel) -> None:
    session = call("create_{}_session", kind)("ana", ttl=HOUR)
    travel(HOUR - dt.timedelta(minutes=1))
    assert not gone(kind, session.pk)
    travel(HOUR)
    assert gone(kind, session.pk)
    with pytest.raises(RecordNotFound):
        call("touch_{}_session", kind)(session.pk, ttl=HOUR)
    with pytest.raises(RecordNotFound):
        call("end_{}_session", kind)(session.pk)
    assert list(call("get_{}_sessions", kind)("ana")) == []
    assert session_service.end_all_of_user("ana") == 0


def test_a_touched_session_lives_longer(kind: str, travel: Travel) -> None:
    session = call("create_{}_session", kind)("ana", ttl=HOUR)
    travel(HOUR / 2)
    touched = call("touch_{}_session", kind)(session.pk, ttl=HOUR)
    assert touched.expires_at > session.expires_at
    travel(HOUR + dt.timedelta(minutes=20))
    assert values(call("get_{}_session", kind)(session.pk)) == values(touched)
    travel(2 * HOUR)
    assert gone(kind, session.pk)


def test_a_session_of_the_app_ends_after_thirty_days_however_long_it_was_to_live(
    travel: Travel,
) -> None:
    session = session_service.create_user_session("ana", ttl=365 * DAY)
    travel(29 * DAY)
    session_service.touch_user_session(session.session_id, ttl=365 * DAY)
    travel(30 * DAY)
    assert gone("user", session.session_id)


def test_new_data_leaves_the_deadline_and_a_new_deadline_the_data() -> None:
    session = session_service.create_user_session("ana", {"a": 1}, ttl=HOUR)
    changed = session_service.touch_user_session(session.session_id, data={"b": 2})
    assert (changed.data, changed.expires_at) == ({"b": 2}, session.expires_at)
    later = session_service.touch_user_session(session.session_id, ttl=DAY)
    assert later.data == {"b": 2} and later.expires_at > session.expires_at


def test_a_touched_device_was_active_now() -> None:
    session = session_service.create_auth_session("ana", ttl=HOUR)
    touched = session_service.touch_auth_session(session.id)
    assert touched.last_activity_at > session.last_activity_at
    assert touched.expires_at == session.expires_at


def test_a_session_is_ended_once(kind: str) -> None:
    session = call("create_{}_session", kind)("ana", ttl=HOUR)
    call("end_{}_session", kind)(session.pk, "ana")
    assert gone(kind, session.pk)
    with pytest.raises(RecordNotFound):
        call("end_{}_session", kind)(session.pk)


def test_a_session_of_another_user_cannot_be_ended_through_a_user_id(kind: str) -> None:
    session = call("create_{}_session", kind)("ana", ttl=HOUR)
    with pytest.raises(RecordNotFound):
        call("end_{}_session", kind)(session.pk, "bea")
    for bad in ("", 5, False):
        refused("user_id", call("end_{}_session", kind), session.pk, bad)
    assert not gone(kind, session.pk)


def test_a_session_that_could_not_be_ended_does_not_pass_for_ended(
    store: Store, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*args: Any, **given: Any) -> None:
        raise Conflict("the record changes faster than it can be written")

    session = call("create_{}_session", kind)("ana", ttl=HOUR)
    with monkeypatch.context() as busy:
        busy.setattr(type(store), "delete", overtaken)
        with pytest.raises(Conflict):
            call("end_{}_session", kind)(session.pk, "ana")
        with pytest.raises(Conflict):
            session_service.end_all_of_user("ana")
    assert not gone(kind, session.pk)
    assert session_service.end_all_of_user("ana") == 1


def test_a_session_that_is_begun_anew_by_another_is_not_ended(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id was given away between the look and the removal."""
    usual = type(store).delete
    session_service.create_user_session("ana", ttl=HOUR, session_id="s")

    def late(own: Any, model: Any, key: Any, **given: Any) -> None:
        usual(own, model, key)
        session_service.create_user_session("bea", ttl=HOUR, session_id="s")
        usual(own, model, key, **given)

    monkeypatch.setattr(type(store), "delete", late)
    with pytest.raises(RecordNotFound):
        session_service.end_user_session("s", "ana")
    assert session_service.get_user_session("s").user_id == "bea"


def test_those_begun_after_a_moment_may_be_left(kind: str, travel: Travel) -> None:
    old = call("create_{}_session", kind)("ana", ttl=DAY)
    travel(HOUR)
    new = call("create_{}_session", kind)("ana", ttl=DAY)
    assert session_service.end_all_of_user("ana", until=old.created_at) == 1
    assert gone(kind, old.pk) and not gone(kind, new.pk)


def test_all_sessions_of_a_user_end_and_nobody_elses(kind: str) -> None:
    mine = [call("create_{}_session", kind)("ana", ttl=HOUR) for _ in range(3)]
    other = session_service.create_auth_session("ana", ttl=HOUR)
    hers = call("create_{}_session", kind)("bea", ttl=HOUR)
    assert session_service.end_all_of_user("ana") == 4
    assert all(gone(kind, each.pk) for each in mine) and gone("auth", other.id)
    assert not gone(kind, hers.pk)
    assert session_service.end_all_of_user("ana") == 0


def test_more_sessions_than_a_page_holds_all_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daylight.services.sessions.MAX_LIMIT", 2)
    for _ in range(5):
        session_service.create_user_session("ana", ttl=HOUR)
    assert session_service.end_all_of_user("ana") == 5


def test_sessions_are_listed_newest_first_page_by_page(store: Store, kind: str) -> None:
    made = [call("create_{}_session", kind)("ana", ttl=HOUR) for _ in range(5)]
    call("create_{}_session", kind)("bea", ttl=HOUR)
    first = call("get_{}_sessions", kind)("ana", limit=3)
    rest = call("get_{}_sessions", kind)("ana", 3, first.next_cursor)
    assert [each.pk for each in (*first, *rest)] == [each.pk for each in reversed(made)]
    assert rest.next_cursor is None


def test_a_session_that_expired_long_ago_is_not_listed(store: Store) -> None:
    now = timezone.now()
    store.add(UserSession(session_id="old", user_id="ana", expires_at=now + DAY,
                          created_at=now - 31 * DAY))  # fmt: skip
    store.add(UserSession(session_id="new", user_id="ana", expires_at=now + DAY))
    assert [each.session_id for each in session_service.get_user_sessions("ana")] == ["new"]
    assert gone("user", "old")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "expires_at"),
        ({"expires_at": timezone.now() + DAY, "ttl": HOUR}, "expires_at"),
        ({"expires_at": dt.datetime(2099, 1, 1)}, "expires_at"),  # noqa: DTZ001
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "expires_at"),
        ({"ttl": dt.timedelta()}, "ttl"),
        ({"ttl": -HOUR}, "ttl"),
        ({"ttl": dt.timedelta(microseconds=1)}, "ttl"),
        ({"ttl": 3600}, "ttl"),
        ({"ttl": dt.timedelta.max}, "ttl"),
    ],
)
def test_a_deadline_that_makes_no_sense_is_refused(
    kind: str, given: dict[str, Any], field: str
) -> None:
    refused(field, call("create_{}_session", kind), "ana", **given)
    assert list(call("get_{}_sessions", kind)("ana")) == []
    if given:
        session = call("create_{}_session", kind)("ana", ttl=HOUR)
        refused(field, call("touch_{}_session", kind), session.pk, **given)
        assert values(call("get_{}_session", kind)(session.pk)) == values(session)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"user_id": "bea"}, "user_id"),
        ({"expires_at": dt.datetime(2099, 1, 1, tzinfo=dt.UTC)}, "expires_at"),
        ({"ip_address": "somewhere"}, "ip_address"),
        ({"ip_address": ""}, "ip_address"),
        ({"ip_address": 5}, "ip_address"),
        ({"device": "phone"}, "device"),
        ({"device": {"x": "\0"}}, "device"),
        ({"device": {"x": "y" * 500_000}}, "item"),
        ({"mfa_verified": None}, "mfa_verified"),
        ("text", "data"),
    ],
)
def test_bad_fields_of_a_device_are_refused(given: Any, field: str) -> None:
    refused(field, session_service.create_auth_session, "ana", given, ttl=HOUR)


def test_other_bad_arguments_are_refused_by_name(kind: str) -> None:
    for bad in ("", None, 5, "x" * 65, "\0"):
        refused("user_id", call("create_{}_session", kind), bad, ttl=HOUR)
        refused("user_id", call("get_{}_sessions", kind), bad)
        refused("user_id", session_service.end_all_of_user, bad)
        refused("session_id", call("get_{}_session", kind), bad)
        refused("session_id", call("end_{}_session", kind), bad)
        refused("session_id", call("touch_{}_session", kind), bad, ttl=HOUR)
    refused("data", session_service.create_user_session, "ana", "text", ttl=HOUR)
    refused("session_id", session_service.create_user_session, "ana", ttl=HOUR, session_id="")
    session = session_service.create_user_session("ana", ttl=HOUR)
    refused("expires_at", session_service.touch_user_session, session.session_id)
    refused("data", session_service.touch_user_session, session.session_id, data="text")
