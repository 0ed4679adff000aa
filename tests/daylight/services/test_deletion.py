"""A user's deletion while others act on the same user: user and profile go together or not at all,
and no session and no key outlives them, whatever comes in between."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from daylight.models import ApiKey, User, UserProfile, UserSession
from daylight.services.accounts import user_service
from daylight.services.api_keys import api_key_service
from daylight.services.sessions import session_service
from dbcore.bearers import hash_of
from dbcore.items import layout_of
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.errors import RecordNotFound, StoreError
from dbcore.stores.interface import Store
from tests.daylight.services.conftest import values

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("primary")]
HOUR = dt.timedelta(hours=1)
ASKS = ("get", "query", "update", "delete", "add", "transact")


def make(name: str) -> None:
    user_service.create_user({"id": name, "email": f"{name}@example.org", "password_hash": "hash"})


def remove(name: str) -> None:
    with suppress(RecordNotFound):
        user_service.delete_user(name)


class Begun:
    """What somebody has begun as a user: both kinds of sessions, and a key."""

    def __init__(self, user_id: str) -> None:
        self.app, self.session = session_service.create_user_session(user_id, ttl=HOUR)
        self.device_id, self.device = session_service.create_auth_session(user_id, ttl=HOUR)
        self.key, self.record = api_key_service.issue(user_id, "CI")

    def served(self) -> list[bool]:
        """Whether each of them lets somebody in."""
        app, device = self.app, self.device_id
        return [
            _works(lambda: session_service.get_user_session(app)),
            _works(lambda: session_service.touch_user_session(app, ttl=HOUR)),
            _works(lambda: session_service.get_auth_session(device)),
            _works(lambda: session_service.touch_auth_session(device)),
            _works(lambda: api_key_service.verify(self.key)),
        ]


IN, OUT = [True] * 5, [False] * 5


def _works(call: Callable[[], Any]) -> bool:
    try:
        call()
    except RecordNotFound:
        return False
    return True


@contextmanager
def acting(store: Store, act: Callable[[int], Any]) -> Iterator[list[str]]:
    """Before each thing that is asked of the store, `act` is told its number, from 0, and may ask
    other things: what has been asked."""
    asked: list[str] = []
    busy = False

    def with_act(name: str, usual: Any) -> Any:
        def ask(*args: Any, **given: Any) -> Any:
            nonlocal busy
            if not busy:
                busy = True
                asked.append(name)
                act(len(asked) - 1)
                busy = False
            return usual(*args, **given)

        return ask

    with pytest.MonkeyPatch.context() as patch:
        for name in ASKS:
            patch.setattr(type(store), name, with_act(name, getattr(type(store), name)))
        yield asked


def deletion(store: Store, name: str, act: Callable[[int], Any] = lambda at: None) -> list[str]:
    """Deletes a user, while others act; what was asked of the store."""
    with acting(store, act) as asked:
        remove(name)
    return asked


def check_whole(store: Store, name: str) -> None:
    """There are a user and a profile, or neither; and the id and the address are not stuck."""
    user, profile = store.get(User, {"id": name}), store.get(UserProfile, {"user_id": name})
    assert (user is None) is (profile is None), "half of a user is left"
    if user is None:
        make(name)
    assert user_service.get_user_by_email(f"{name}@example.org").id == name


def test_a_user_who_is_deleted_and_made_anew_meanwhile_is_there_whole_or_not_at_all(
    store: Store,
) -> None:
    make("ana")
    steps = deletion(store, "ana").index("transact") + 2
    for gone in range(steps):
        for back in range(gone, steps):
            name = f"u{gone}-{back}"
            make(name)

            def act(at: int, name: str = name, gone: int = gone, back: int = back) -> None:
                if at == gone:
                    remove(name)
                if at == back:
                    with suppress(StoreError):
                        make(name)

            deletion(store, name, act)
            check_whole(store, name)


def test_one_without_a_profile_who_is_made_anew_with_one_goes_with_it(store: Store) -> None:
    for back in range(8):
        name = f"old{back}"
        store.add(User(id=name, email=f"{name}@example.org", password_hash="x"))

        def act(at: int, name: str = name, back: int = back) -> None:
            if at == back:
                remove(name)
                make(name)

        deletion(store, name, act)
        check_whole(store, name)


def test_what_is_begun_while_its_user_is_being_deleted_lets_nobody_in(store: Store) -> None:
    make("ana")
    steps = len(deletion(store, "ana"))
    for step in range(steps):
        name, begun = f"u{step}", []
        make(name)

        def act(at: int, name: str = name, step: int = step, begun: Any = begun) -> None:
            if at == step:
                with suppress(RecordNotFound):  # deleted by now
                    begun.append(Begun(name))

        deletion(store, name, act)
        assert [each.served() for each in begun] == [OUT] * len(begun)
        assert begun or step > 1
        make(name)  # an id that is given away again: what the deletion has found stays gone
        assert [each.served() for each in begun] == [OUT] * len(begun)


def test_nothing_is_begun_for_who_is_not_there(store: Store) -> None:
    make("ana")
    deletion(store, "ana")
    for name in ("ana", "nobody"):
        for begin, given in (
            (session_service.create_user_session, {"ttl": HOUR}),
            (session_service.create_auth_session, {"ttl": HOUR}),
            (api_key_service.issue, {"name": "CI"}),
        ):
            with pytest.raises(RecordNotFound):
                begin(name, **given)  # type: ignore[operator]
        assert list(session_service.get_user_sessions(name)) == []
        assert list(session_service.get_auth_sessions(name)) == []
        assert list(api_key_service.list_keys(name)) == []


def test_what_the_deletion_could_not_find_lets_nobody_in(store: Store) -> None:
    """DynamoDB's lists by user follow a write within about a second."""
    make("ana")
    begun = Begun("ana")
    deletion(store, "ana")
    for each in (begun.session, begun.device):
        each._state.adding = True
        store.add(each)
    store.delete(ApiKey, {"id": begun.record.id})
    begun.record._state.adding = True
    store.add(begun.record)
    assert begun.served() == OUT
    session_service.end_user_session(begun.app)  # which it may still be
    assert store.get(UserSession, {"session_id": begun.session.session_id}) is None


def test_a_new_user_of_the_same_id_keeps_what_they_begin_at_once(store: Store) -> None:
    make("ana")
    steps = deletion(store, "ana")
    make("ana")
    begun: list[Begun] = []

    def act(at: int) -> None:
        if at == steps.index("transact") + 1:
            make("ana")
            begun.append(Begun("ana"))

    deletion(store, "ana", act)
    assert [each.served() for each in begun] == [IN]


def test_a_user_who_is_deleted_by_another_process_is_let_in_nowhere(
    store: Store, settings: Any
) -> None:
    make("ana")
    settings.APP_CACHE_ENABLED = True
    begun = Begun("ana")
    for _ in range(2):
        user_service.get_user_by_id("ana")  # this process's cache has them
        assert begun.served() == IN
    # Behind the back of this process's cache, as another process does it.
    store.delete(User, {"id": "ana"})
    assert begun.served() == OUT
    with pytest.raises(RecordNotFound):
        session_service.create_user_session("ana", ttl=HOUR)
    with pytest.raises(RecordNotFound):
        api_key_service.issue("ana", "CI")
    with pytest.raises(RecordNotFound):
        user_service.delete_user("ana")


def test_a_migrated_session_of_an_id_that_no_user_can_have_lets_nobody_in(store: Store) -> None:
    now = dt.datetime.now(dt.UTC)
    session = UserSession(session_id=hash_of("s"), expires_at=now + HOUR, created_at=now)
    if isinstance(store, DynamoStore):
        session.user_id, layout = "x" * 65, layout_of(UserSession)
        item = layout.to_item(values(session))
        store.wire.call("PutItem", {"TableName": layout.table_name, "Item": item})
    else:
        session.save(force_insert=True)
    with pytest.raises(RecordNotFound):
        session_service.get_user_session("s")
