"""Sessions of both kinds: begun, touched, listed and ended; gone when they have expired. Their ids
are given out once, and what is kept lets nobody in."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Model
from django.utils import timezone

from daylight.models import AuthSession, UserSession
from daylight.services.sessions import session_service
from dbcore.bearers import hash_of
from dbcore.items import layout_of
from dbcore.stores.errors import Conflict, InvalidRecord, RecordNotFound
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


def begin(kind: str, user_id: str = "ana", **given: Any) -> tuple[str, Any]:
    """A new session's id and its record."""
    session_id, session = call("create_{}_session", kind)(user_id, **{"ttl": HOUR, **given})
    return session_id, session


def gone(kind: str, session_id: str) -> bool:
    try:
        call("get_{}_session", kind)(session_id)
    except RecordNotFound:
        return True
    return False


def test_a_session_of_the_app_comes_back_with_its_data() -> None:
    session_id, session = session_service.create_user_session(
        "ana", {"theme": ["dark", 1.5]}, ttl=HOUR
    )
    assert values(session_service.get_user_session(session_id)) == values(session)
    assert session.expires_at == session.created_at + HOUR


def test_a_session_of_a_device_comes_back_with_its_fields() -> None:
    until = timezone.now() + HOUR
    given = {"ip_address": "10.0.0.1", "device": {"os": "x"}, "mfa_verified": True}
    session_id, session = session_service.create_auth_session("ana", given, expires_at=until)
    assert values(session_service.get_auth_session(session_id)) == values(session)
    assert (session.user_id, session.expires_at) == ("ana", until)


def test_an_address_is_kept_in_one_form_whatever_the_store() -> None:
    address = {"ip_address": "2001:DB8::0:1"}
    session_id, session = session_service.create_auth_session("ana", address, ttl=HOUR)
    assert session.ip_address == "2001:db8::1"
    assert session_service.get_auth_session(session_id).ip_address == "2001:db8::1"


# --- The id, and its hash ---------------------------------------------------------------------


def test_an_id_has_256_bits_and_is_never_the_same(kind: str) -> None:
    ids = {begin(kind)[0] for _ in range(5)}
    assert len(ids) == 5
    assert all(each.startswith("ds_") and len(each) == 3 + 43 for each in ids)


def test_only_its_hash_is_kept_and_lets_nobody_in(kind: str, store: Store) -> None:
    session_id, session = begin(kind)
    assert session.pk == hashlib.sha256(session_id.encode()).hexdigest()
    found = [
        *call("get_{}_sessions", kind)("ana"),
        call("get_{}_session", kind)(session_id),
        call("touch_{}_session", kind)(session_id, ttl=HOUR),
    ]
    for each in found:
        assert each.pk == session.pk
        assert session_id not in str(values(each)) and session_id[3:] not in str(values(each))
    for wrong in (session.pk, session.pk.upper(), session_id[:-1], session_id + "x",
                  session_id[3:], session_id.swapcase()):  # fmt: skip
        for name, given in (("get", {}), ("touch", {"ttl": HOUR}), ("end", {})):
            with pytest.raises(RecordNotFound):
                call(name + "_{}_session", kind)(wrong, **given)
    assert not gone(kind, session_id)


def test_nobody_chooses_an_id(kind: str) -> None:
    for field in ("id", "session_id"):
        refused(field, session_service.create_auth_session, "ana", {field: "ab"}, ttl=HOUR)
    with pytest.raises(TypeError):
        session_service.create_user_session("ana", ttl=HOUR, session_id="ab")  # type: ignore[call-arg]


@pytest.mark.parametrize("model", [UserSession, AuthSession])
def test_an_id_that_is_no_hash_is_written_by_no_way(store: Store, model: type[Model]) -> None:
    until = timezone.now() + HOUR
    for bad in ("ds_" + "x" * 43, "ab" * 31, "AB" * 32, "ab" * 32 + "\n"):
        key = {layout_of(model).table.hash_key: bad}
        record = model(**key, user_id="ana", expires_at=until)
        with pytest.raises(InvalidRecord) as caught:
            store.add(record)
        assert caught.value.field == record._meta.pk.name
        assert bad not in str(caught.value)


def test_ids_of_earlier_times_let_in_whatever_their_form(kind: str, store: Store) -> None:
    model = UserSession if kind == "user" else AuthSession
    for old in ("8d116ece-1738-47d9-bd9c-172411e20b8f", "ab" * 32, "ž", "x" * 4096):
        key = {layout_of(model).table.hash_key: hash_of(old)}
        store.add(model(**key, user_id="ana", expires_at=timezone.now() + HOUR))
        assert call("get_{}_session", kind)(old).user_id == "ana"
        call("end_{}_session", kind)(old, "ana")
        assert gone(kind, old)


# --- Deadlines and ends -------------------------------------------------------------------------


def test_an_expired_session_is_not_there_to_any_call(kind: str, travel: Travel) -> None:
    session_id, _ = begin(kind)
    travel(HOUR - dt.timedelta(minutes=1))
    assert not gone(kind, session_id)
    travel(HOUR)
    assert gone(kind, session_id)
    with pytest.raises(RecordNotFound):
        call("touch_{}_session", kind)(session_id, ttl=HOUR)
    with pytest.raises(RecordNotFound):
        call("end_{}_session", kind)(session_id)
    assert list(call("get_{}_sessions", kind)("ana")) == []
    assert session_service.end_all_of_user("ana") == 0


def test_a_touched_session_lives_longer(kind: str, travel: Travel) -> None:
    session_id, session = begin(kind)
    travel(HOUR / 2)
    touched = call("touch_{}_session", kind)(session_id, ttl=HOUR)
    assert touched.expires_at > session.expires_at
    travel(HOUR + dt.timedelta(minutes=20))
    assert values(call("get_{}_session", kind)(session_id)) == values(touched)
    travel(2 * HOUR)
    assert gone(kind, session_id)


def test_a_session_of_the_app_ends_after_thirty_days_however_long_it_was_to_live(
    travel: Travel,
) -> None:
    session_id, _ = session_service.create_user_session("ana", ttl=365 * DAY)
    travel(29 * DAY)
    session_service.touch_user_session(session_id, ttl=365 * DAY)
    travel(30 * DAY)
    assert gone("user", session_id)


def test_new_data_leaves_the_deadline_and_a_new_deadline_the_data() -> None:
    session_id, session = session_service.create_user_session("ana", {"a": 1}, ttl=HOUR)
    changed = session_service.touch_user_session(session_id, data={"b": 2})
    assert (changed.data, changed.expires_at) == ({"b": 2}, session.expires_at)
    later = session_service.touch_user_session(session_id, ttl=DAY)
    assert later.data == {"b": 2} and later.expires_at > session.expires_at


def test_a_touched_device_was_active_now() -> None:
    session_id, session = session_service.create_auth_session("ana", ttl=HOUR)
    touched = session_service.touch_auth_session(session_id)
    assert touched.last_activity_at > session.last_activity_at
    assert touched.expires_at == session.expires_at


def test_a_session_is_ended_once(kind: str) -> None:
    session_id, _ = begin(kind)
    call("end_{}_session", kind)(session_id, "ana")
    assert gone(kind, session_id)
    with pytest.raises(RecordNotFound):
        call("end_{}_session", kind)(session_id)


def test_a_session_of_another_user_cannot_be_ended_through_a_user_id(kind: str) -> None:
    session_id, _ = begin(kind)
    with pytest.raises(RecordNotFound):
        call("end_{}_session", kind)(session_id, "bea")
    for bad in ("", 5, False):
        refused("user_id", call("end_{}_session", kind), session_id, bad)
    assert not gone(kind, session_id)


def test_a_session_that_could_not_be_ended_does_not_pass_for_ended(
    store: Store, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*args: Any, **given: Any) -> None:
        raise Conflict("the record changes faster than it can be written")

    session_id, _ = begin(kind)
    with monkeypatch.context() as busy:
        busy.setattr(type(store), "delete", overtaken)
        with pytest.raises(Conflict):
            call("end_{}_session", kind)(session_id, "ana")
        with pytest.raises(Conflict):
            session_service.end_all_of_user("ana")
    assert not gone(kind, session_id)
    assert session_service.end_all_of_user("ana") == 1


def test_a_session_that_is_another_users_by_now_is_not_ended(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written anew between the look and the removal."""
    usual = type(store).delete
    session_id, session = begin("user")

    def late(own: Any, model: Any, key: Any, **given: Any) -> None:
        usual(own, model, key)
        store.add(UserSession(**{**values(session), "user_id": "bea"}))
        usual(own, model, key, **given)

    monkeypatch.setattr(type(store), "delete", late)
    with pytest.raises(RecordNotFound):
        session_service.end_user_session(session_id, "ana")
    assert session_service.get_user_session(session_id).user_id == "bea"


def test_those_begun_after_a_moment_may_be_left(kind: str, travel: Travel) -> None:
    old, record = begin(kind, ttl=DAY)
    travel(HOUR)
    new, _ = begin(kind, ttl=DAY)
    assert session_service.end_all_of_user("ana", until=record.created_at) == 1
    assert gone(kind, old) and not gone(kind, new)


def test_all_sessions_of_a_user_end_and_nobody_elses(kind: str) -> None:
    mine = [begin(kind)[0] for _ in range(3)]
    other, _ = begin("auth")
    hers, _ = begin(kind, "bea")
    assert session_service.end_all_of_user("ana") == 4
    assert all(gone(kind, each) for each in mine) and gone("auth", other)
    assert not gone(kind, hers)
    assert session_service.end_all_of_user("ana") == 0


def test_more_sessions_than_a_page_holds_all_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daylight.services.sessions.MAX_LIMIT", 2)
    for _ in range(5):
        session_service.create_user_session("ana", ttl=HOUR)
    assert session_service.end_all_of_user("ana") == 5


def test_sessions_are_listed_newest_first_page_by_page(store: Store, kind: str) -> None:
    made = [begin(kind)[1] for _ in range(5)]
    begin(kind, "bea")
    first = call("get_{}_sessions", kind)("ana", limit=3)
    rest = call("get_{}_sessions", kind)("ana", 3, first.next_cursor)
    assert [each.pk for each in (*first, *rest)] == [each.pk for each in reversed(made)]
    assert rest.next_cursor is None


def test_a_session_that_expired_long_ago_is_not_listed(store: Store) -> None:
    now = timezone.now()
    old, new = hash_of("old"), hash_of("new")
    store.add(UserSession(session_id=old, user_id="ana", expires_at=now + DAY,
                          created_at=now - 31 * DAY))  # fmt: skip
    store.add(UserSession(session_id=new, user_id="ana", expires_at=now + DAY))
    assert [each.session_id for each in session_service.get_user_sessions("ana")] == [new]
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
        ({"ttl": 400 * DAY + dt.timedelta(seconds=1)}, "ttl"),
        ({"ttl": 365_000 * DAY}, "ttl"),
        ({"expires_at": timezone.now() + 401 * DAY}, "expires_at"),
        ({"expires_at": dt.datetime(3026, 1, 1, tzinfo=dt.UTC)}, "expires_at"),
    ],
)
def test_a_deadline_that_makes_no_sense_is_refused(
    kind: str, given: dict[str, Any], field: str
) -> None:
    refused(field, call("create_{}_session", kind), "ana", **given)
    assert list(call("get_{}_sessions", kind)("ana")) == []
    if given:
        session_id, session = begin(kind)
        refused(field, call("touch_{}_session", kind), session_id, **given)
        assert values(call("get_{}_session", kind)(session_id)) == values(session)


def test_a_deadline_may_be_400_days_away(kind: str) -> None:
    session_id, session = begin(kind, ttl=400 * DAY)
    assert values(call("get_{}_session", kind)(session_id)) == values(session)


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
    for bad in ("", None, 5, "x" * 4097, "\0", "\ud800"):
        refused("session_id", call("get_{}_session", kind), bad)
        refused("session_id", call("end_{}_session", kind), bad)
        refused("session_id", call("touch_{}_session", kind), bad, ttl=HOUR)
    refused("data", session_service.create_user_session, "ana", "text", ttl=HOUR)
    session_id, _ = session_service.create_user_session("ana", ttl=HOUR)
    refused("expires_at", session_service.touch_user_session, session_id)
    refused("data", session_service.touch_user_session, session_id, data="text")
