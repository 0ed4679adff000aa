"""Users and profiles: made together, found by e-mail address case aside, removed together."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.hashers import check_password
from django.db import IntegrityError, connections

from daylight.models import User, UserProfile
from daylight.services.accounts import user_service
from daylight.services.sessions import session_service
from dbcore.stores.errors import AlreadyExists, RecordNotFound, StoreUnavailable, UniqueViolation
from dbcore.stores.interface import Store
from tests.daylight.services.conftest import refused, values

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("primary")]
HOUR = dt.timedelta(hours=1)


def make(email: str = "ana@example.org", **given: Any) -> User:
    user, _ = user_service.create_user({"email": email, "password_hash": "hash", **given})
    return user


def test_a_user_and_a_profile_are_made_together_and_come_back() -> None:
    user, profile = user_service.create_user(
        {
            "email": "ana@example.org",
            "password_hash": "hash",
            "username": "ana",
            "profile": {"first_name": "Ana", "settings": {"units": ["km", 1.5, None]}},
        }
    )
    assert profile.user_id == user.id == user.pk and not user._state.adding
    assert values(user_service.get_user_by_email("ANA@example.org")) == values(user)
    assert values(user_service.get_user_profile(user.id)) == values(profile)
    assert user.is_active and not user.email_verified and user.last_login_at is None


@pytest.mark.parametrize("cached", [False, True])
def test_a_user_by_id_comes_without_the_hash_that_checks_their_password(
    store: Store, settings: Any, cached: bool
) -> None:
    """Whether the cache has them or not: what is only there at times is not relied on."""
    settings.APP_CACHE_ENABLED = cached
    user = make()
    for _ in range(3):
        found = user_service.get_user_by_id(user.id)
        assert values(found) == {**values(user), "password_hash": None}
        with pytest.raises(TypeError):  # it is no hash at all: told at once, and no password fits
            check_password("anything", found.password_hash)
    assert user_service.get_user_by_email(user.email).password_hash == "hash"
    assert user_service.update_user(user.id, {"email_verified": True}).password_hash == "hash"
    if store.name == "orm":
        with pytest.raises(IntegrityError):
            found.save()
        assert user_service.get_user_by_email(user.email).password_hash == "hash"


def test_a_profile_is_made_even_where_nothing_is_said_of_it() -> None:
    user = make()
    assert user_service.get_user_profile(user.id).timezone == "UTC"


def test_where_the_profile_cannot_be_kept_there_is_no_user_either(store: Store) -> None:
    refused("first_name", make, profile={"first_name": "x" * 151})
    assert store.get_by_unique(User, "email", "ana@example.org") is None
    make()  # and the e-mail address is free


def test_where_a_profile_is_there_already_no_user_is_made(store: Store) -> None:
    store.add(UserProfile(user_id="ana"))
    with pytest.raises(AlreadyExists):
        make(id="ana")
    with pytest.raises(RecordNotFound):
        user_service.get_user_by_id("ana")
    make()


def test_a_bad_profile_is_refused_before_a_taken_email_is() -> None:
    make()
    refused("first_name", make, profile={"first_name": 5})


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"key": "x"}, "key"),
        ({"email": ""}, "email"),
        ({"email": None}, "email"),
        ({"email": "nobody"}, "email"),
        ({"email": 5}, "email"),
        ({"email": "a" * 250 + "@example.org"}, "email"),
        ({"password_hash": ""}, "password_hash"),
        ({"username": ""}, "username"),
        ({"username": "a\0b"}, "username"),
        ({"username": "\ud800"}, "username"),
        ({"is_active": "yes"}, "is_active"),
        ({"created_at": dt.datetime(2026, 1, 1)}, "created_at"),  # noqa: DTZ001
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": "x" * 65}, "id"),
        ({"profile": None}, "profile"),
        ({"profile": []}, "profile"),
        ({"profile": {"user_id": "somebody else"}}, "user_id"),
        ({"profile": {"nickname": "A"}}, "nickname"),
        ({"profile": {"settings": {"deep": [{"a\0": 1}]}}}, "settings"),
        ({"profile": {"settings": "text"}}, "settings"),
        ({"profile": {"settings": {"x": "y" * 500_000}}}, "item"),
    ],
)
def test_bad_data_is_refused_by_its_field(given: dict[str, Any], field: str) -> None:
    refused(field, make, **given)


def test_what_must_be_there_is_asked_for() -> None:
    refused("email", user_service.create_user, {"password_hash": "hash"})
    refused("password_hash", user_service.create_user, {"email": "ana@example.org"})
    refused("data", user_service.create_user, None)


def test_json_text_that_only_looks_like_a_nul_is_kept() -> None:
    user = make(profile={"settings": {"pattern": "\\u0000", "quote": '\\"'}})
    assert user_service.get_user_profile(user.id).settings["pattern"] == "\\u0000"


def test_an_email_has_one_owner_case_aside_at_once() -> None:
    ana = make("Ana@Example.org")
    assert user_service.get_user_by_email("aNA@example.ORG") == ana
    with pytest.raises(UniqueViolation) as taken:
        make("ana@example.org")
    assert taken.value.field == "email"
    with pytest.raises(RecordNotFound):
        user_service.get_user_by_email("bea@example.org")
    refused("email", user_service.get_user_by_email, "nobody")
    refused("email", user_service.get_user_by_email, "")
    refused("email", user_service.get_user_by_email, None)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a@BÜCHER.example", "a@bücher.example"),
        ("a@ΔΡΌΜΟΙ.example", "A@δρόμοι.example"),
        ("\N{KELVIN SIGN}a@example.org", "ka@example.org"),
        ("a@İstanbul.example", "a@i̇stanbul.example"),
    ],
)
def test_the_case_of_no_alphabet_makes_another_address(one: str, other: str) -> None:
    user = make(one)
    assert user_service.get_user_by_email(other) == user
    with pytest.raises(UniqueViolation):
        make(other)
    second = make("free@example.org")
    with pytest.raises(UniqueViolation):
        user_service.update_user(second.id, {"email": other})


def test_letters_that_only_look_alike_are_two_addresses() -> None:
    make("a@straße.example")
    make("a@strasse.example")
    make("ſa@example.org")
    make("sa@example.org")


def test_a_changed_email_frees_the_old_one_and_takes_the_new_one() -> None:
    ana, bea = make(), make("bea@example.org")
    with pytest.raises(UniqueViolation):
        user_service.update_user(bea.id, {"email": "ANA@example.org", "is_active": False})
    assert user_service.get_user_by_id(bea.id).is_active
    changed = user_service.update_user(ana.id, {"email": "new@example.org"})
    assert user_service.get_user_by_email("NEW@example.org") == changed
    with pytest.raises(RecordNotFound):
        user_service.get_user_by_email("ana@example.org")
    user_service.update_user(bea.id, {"email": "Ana@example.org"})
    assert user_service.get_user_by_email("ana@example.org") == bea


def test_an_update_changes_what_it_names_and_the_time_of_it() -> None:
    user = make(username="ana")
    changed = user_service.update_user(user.id, {"email_verified": True})
    assert changed.updated_at > user.updated_at
    expected = {**values(user), "email_verified": True, "updated_at": changed.updated_at}
    assert values(user_service.get_user_by_email(user.email)) == values(changed) == expected


@pytest.mark.parametrize(
    ("updates", "field"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"profile": {"first_name": "A"}}, "profile"),
        ({5: 1}, "5"),
        ({"id": "other"}, "id"),
        ({"email": None}, "email"),
        ({"email": "nobody"}, "email"),
        ({"username": ""}, "username"),
        ({"last_login_at": "yesterday"}, "last_login_at"),
        (None, "updates"),
        ([("email", "x")], "updates"),
    ],
)
def test_a_bad_update_is_refused_and_nothing_is_changed(updates: Any, field: str) -> None:
    user = make()
    if isinstance(updates, dict):
        updates = {"is_active": False, **updates}
    refused(field, user_service.update_user, user.id, updates)
    assert values(user_service.get_user_by_email(user.email)) == values(user)


def test_a_profile_is_changed_by_its_fields() -> None:
    user = make()
    changed = user_service.update_user_profile(user.id, {"first_name": "Ana", "settings": {"a": 1}})
    assert values(user_service.get_user_profile(user.id)) == values(changed)
    assert (changed.first_name, changed.last_name) == ("Ana", "")
    refused("nickname", user_service.update_user_profile, user.id, {"nickname": "A"})
    refused("user_id", user_service.update_user_profile, user.id, {"user_id": "other"})
    refused("timezone", user_service.update_user_profile, user.id, {"timezone": ""})


@pytest.mark.parametrize("bad", ["", None, 5, b"x", "x" * 65, "a\0", "\udfff"])
def test_what_cannot_be_an_id_is_refused_by_every_call(bad: Any) -> None:
    refused("user_id", user_service.get_user_by_id, bad)
    refused("user_id", user_service.get_user_profile, bad)
    refused("user_id", user_service.update_user, bad, {})
    refused("user_id", user_service.update_user_profile, bad, {})
    refused("user_id", user_service.delete_user, bad)


def test_who_is_not_there_cannot_be_read_changed_or_removed() -> None:
    for call in (user_service.get_user_by_id, user_service.get_user_profile):
        with pytest.raises(RecordNotFound):
            call("nobody")
    for change in (user_service.update_user, user_service.update_user_profile):
        with pytest.raises(RecordNotFound):
            change("nobody", {})
    with pytest.raises(RecordNotFound):
        user_service.delete_user("nobody")


def test_a_deleted_user_leaves_no_profile_no_session_and_a_free_email() -> None:
    ana, bea = make(username="ana"), make("bea@example.org")
    app, _ = session_service.create_user_session(ana.id, ttl=HOUR)
    device, _ = session_service.create_auth_session(ana.id, ttl=HOUR)
    kept, session = session_service.create_user_session(bea.id, ttl=HOUR)
    user_service.delete_user(ana.id)
    gone = [
        (user_service.get_user_by_id, ana.id),
        (user_service.get_user_by_email, "ana@example.org"),
        (user_service.get_user_profile, ana.id),
        (session_service.get_user_session, app),
        (session_service.get_auth_session, device),
        (user_service.delete_user, ana.id),
    ]
    for call, value in gone:
        with pytest.raises(RecordNotFound):
            call(value)
    assert session_service.get_user_session(kept) == session
    assert make("ANA@example.org", username="ana", id=ana.id).id == ana.id


def test_a_user_whose_sessions_could_not_be_ended_is_still_there_to_be_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def out_of_reach(user_id: str, **given: Any) -> int:
        raise StoreUnavailable(user_id)

    user = make()
    with monkeypatch.context() as broken:
        broken.setattr(session_service, "end_all_of_user", out_of_reach)
        with pytest.raises(StoreUnavailable):
            user_service.delete_user(user.id)
    assert user_service.get_user_by_id(user.id) == user
    user_service.delete_user(user.id)
    make(id=user.id)


def test_a_user_without_a_profile_can_be_deleted(store: Store) -> None:
    store.add(User(id="old", email="old@example.org", password_hash="x"))
    user_service.delete_user("old")
    make("old@example.org")


def test_of_two_who_want_one_email_exactly_one_gets_it() -> None:
    def attempt(at: int) -> str:
        for _ in range(1000):
            try:
                make("ANA@example.org" if at % 2 else "ana@example.org")
            except StoreUnavailable:
                continue  # SQLite's shared memory, which only tests use, does not wait for a lock
            except UniqueViolation:
                return "refused"
            finally:
                connections.close_all()
            return "made"
        return "never had an answer"

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(attempt, range(4)))
    assert outcomes == ["made", "refused", "refused", "refused"]
