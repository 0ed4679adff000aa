"""Signed-in sessions of the app and authenticated devices. A session that has expired is never
returned, whether or not the engine has deleted it: to every call it is not there. Nor is one whose
user has been deleted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from django.utils import timezone

from daylight.models import AuthSession, UserSession
from daylight.models.base import ID_LENGTH, new_id
from daylight.services.base import Service, check_id, new_record
from daylight.services.presence import check_there, is_there
from daylight.services.twins import twin
from dbcore.items import layout_of
from dbcore.stores.errors import Conflict, InvalidRecord, RecordNotFound
from dbcore.stores.interface import Position, Query
from dbcore.stores.pages import MAX_LIMIT, Page, read_page
from dbcore.stores.validation import check_instant

Session = TypeVar("Session", UserSession, AuthSession)
SHORTEST = dt.timedelta(seconds=1)  # deadlines count in whole seconds


class SessionService(Service):
    """Sessions of both kinds. A session's deadline is given as `expires_at`, a datetime with a time
    zone that is to come, or as `ttl`, a timedelta of a second or more from now."""

    def create_user_session(
        self,
        user_id: str,
        data: dict[str, Any] | None = None,
        *,
        expires_at: dt.datetime | None = None,
        ttl: dt.timedelta | None = None,
        session_id: str | None = None,
    ) -> UserSession:
        """Begin a session of the app, with its JSON `data` ({} where not given).

        Exactly one of `expires_at` and `ttl`; after 30 days it expires in any case. `session_id` is
        made where not given.

        Returns the session. RecordNotFound (there is no such user), AlreadyExists (a session has
        this id), Conflict, InvalidRecord, StoreUnavailable.
        """
        now = timezone.now()
        session = UserSession(
            session_id=new_id() if session_id is None else session_id,
            user_id=check_id("user_id", user_id, ID_LENGTH),
            data={} if data is None else data,
            expires_at=_deadline(now, expires_at, ttl),
            created_at=now,
        )
        return self._begin(session)

    def get_user_session(self, session_id: str) -> UserSession:
        """The session; reads its own writes.

        RecordNotFound where there is none, it has expired, or its user is not there any more;
        InvalidRecord, StoreUnavailable.
        """
        return self._served(UserSession, session_id, timezone.now())

    def touch_user_session(
        self,
        session_id: str,
        *,
        data: dict[str, Any] | None = None,
        expires_at: dt.datetime | None = None,
        ttl: dt.timedelta | None = None,
    ) -> UserSession:
        """Give a session new data, a new deadline, or both; 30 days from its beginning it expires
        in any case.

        Returns the session as it is then. RecordNotFound as for `get_user_session`; Conflict when
        it changes faster than it can be written; InvalidRecord (nothing to change among others),
        StoreUnavailable.
        """
        changes: dict[str, Any] = {} if data is None else {"data": data}
        return self._touch(UserSession, session_id, changes, expires_at, ttl)

    def end_user_session(self, session_id: str, user_id: str | None = None) -> None:
        """Remove a session; where `user_id` is given, only a session of that user.

        RecordNotFound where there is none, it has expired, or it is another user's; Conflict when
        it changes faster than it can be removed; InvalidRecord, StoreUnavailable.
        """
        self._end(UserSession, session_id, user_id)

    def get_user_sessions(
        self, user_id: str, limit: int = 50, cursor: str | None = None
    ) -> Page[UserSession]:
        """The user's sessions, newest first.

        Eventually consistent on DynamoDB, where the list by user is a global index: it follows a
        write within about a second. `limit`: 1 to 1000; `cursor`: a page's `next_cursor`.

        InvalidRecord for a bad limit or cursor, StoreUnavailable.
        """
        return read_page(self.store, _list(UserSession, user_id, limit), cursor)

    def create_auth_session(
        self,
        user_id: str,
        data: Mapping[str, Any] | None = None,
        *,
        expires_at: dt.datetime | None = None,
        ttl: dt.timedelta | None = None,
    ) -> AuthSession:
        """Begin the session of an authenticated device.

        `data`: its fields (ip_address, user_agent, device, mfa_verified; id, created_at and
        last_activity_at are made where not given). Exactly one of `expires_at` and `ttl`.

        Returns the session. RecordNotFound (there is no such user), AlreadyExists (a session has
        this id), Conflict, InvalidRecord, StoreUnavailable.
        """
        owner = check_id("user_id", user_id, ID_LENGTH)
        until = _deadline(timezone.now(), expires_at, ttl)
        fields = {} if data is None else data
        return self._begin(new_record(AuthSession, fields, user_id=owner, expires_at=until))

    def get_auth_session(self, session_id: str) -> AuthSession:
        """The session; reads its own writes.

        RecordNotFound where there is none, it has expired, or its user is not there any more;
        InvalidRecord, StoreUnavailable.
        """
        return self._served(AuthSession, session_id, timezone.now())

    def touch_auth_session(
        self,
        session_id: str,
        *,
        expires_at: dt.datetime | None = None,
        ttl: dt.timedelta | None = None,
    ) -> AuthSession:
        """Note that the device is active now, and give its session a new deadline where one is
        given.

        Returns the session as it is then. RecordNotFound as for `get_auth_session`; Conflict when
        it changes faster than it can be written; InvalidRecord, StoreUnavailable.
        """
        changes = {"last_activity_at": timezone.now()}
        return self._touch(AuthSession, session_id, changes, expires_at, ttl)

    def end_auth_session(self, session_id: str, user_id: str | None = None) -> None:
        """Remove a session; where `user_id` is given, only a session of that user.

        RecordNotFound where there is none, it has expired, or it is another user's; Conflict when
        it changes faster than it can be removed; InvalidRecord, StoreUnavailable.
        """
        self._end(AuthSession, session_id, user_id)

    def get_auth_sessions(
        self, user_id: str, limit: int = 50, cursor: str | None = None
    ) -> Page[AuthSession]:
        """The sessions of the user's devices, newest first.

        Eventually consistent on DynamoDB, where the list by user is a global index: it follows a
        write within about a second. `limit`: 1 to 1000; `cursor`: a page's `next_cursor`.

        InvalidRecord for a bad limit or cursor, StoreUnavailable.
        """
        return read_page(self.store, _list(AuthSession, user_id, limit), cursor)

    def end_all_of_user(self, user_id: str, *, until: dt.datetime | None = None) -> int:
        """Remove all sessions of a user, of both kinds; how many there were. Where `until` is
        given, only those that had begun by then.

        Those are found by the lists by user: on DynamoDB a session that was begun within the last
        second or so may be missed. Each session is removed by itself: after Conflict (one changes
        faster than it can be removed) or StoreUnavailable some may be left, and the call can be
        made again. InvalidRecord.
        """
        return self._end_all(UserSession, user_id, until) + self._end_all(
            AuthSession, user_id, until
        )

    acreate_user_session = twin(create_user_session)
    aget_user_session = twin(get_user_session)
    atouch_user_session = twin(touch_user_session)
    aend_user_session = twin(end_user_session)
    aget_user_sessions = twin(get_user_sessions)
    acreate_auth_session = twin(create_auth_session)
    aget_auth_session = twin(get_auth_session)
    atouch_auth_session = twin(touch_auth_session)
    aend_auth_session = twin(end_auth_session)
    aget_auth_sessions = twin(get_auth_sessions)
    aend_all_of_user = twin(end_all_of_user)

    def _begin(self, session: Session) -> Session:
        # Not one transaction with the writing: a session that is begun while its user is being
        # deleted is not served, which costs less than a condition on every user's record.
        check_there(session.user_id)
        return self.store.add(session)

    def _served(self, model: type[Session], session_id: str, now: dt.datetime) -> Session:
        """A session whose user is there, by a look at the user after the session."""
        session = self._live(model, session_id, now)
        if not is_there(session.user_id):
            raise RecordNotFound("there is no such session")
        return session

    def _live(self, model: type[Session], session_id: str, now: dt.datetime) -> Session:
        session = self.store.get(model, _key(model, session_id), live_at=now)
        if session is None:
            raise RecordNotFound("there is no such session")
        return session

    def _touch(
        self,
        model: type[Session],
        session_id: str,
        changes: dict[str, Any],
        expires_at: dt.datetime | None,
        ttl: dt.timedelta | None,
    ) -> Session:
        now = timezone.now()
        key = _key(model, session_id)
        if expires_at is not None or ttl is not None or not changes:
            changes = {**changes, "expires_at": _deadline(now, expires_at, ttl)}
        self._served(model, session_id, now)
        return self.store.update(model, key, changes)

    def _end(self, model: type[Session], session_id: str, user_id: str | None) -> None:
        owner = None if user_id is None else check_id("user_id", user_id, ID_LENGTH)
        session = self._live(model, session_id, timezone.now())
        if owner is not None and session.user_id != owner:
            raise RecordNotFound("there is no such session of this user")
        self._remove(model, session.pk, session.user_id)

    def _remove(self, model: type[Session], session_id: str, user_id: str) -> None:
        try:
            self.store.delete(model, _key(model, session_id), expect={"user_id": user_id})
        except Conflict as error:
            session = self.store.get(model, _key(model, session_id))
            if session is not None and session.user_id == user_id:
                raise  # it is still the user's: it must not pass for ended
            raise RecordNotFound("there is no such session of this user") from error

    def _end_all(self, model: type[Session], user_id: str, until: dt.datetime | None) -> int:
        query = replace(_list(model, user_id, MAX_LIMIT), high=until)
        ended = 0
        after: Position | None = None
        while True:
            sessions, after = self.store.query(replace(query, after=after))
            for session in sessions:
                try:
                    self._remove(model, session.pk, user_id)
                except RecordNotFound:
                    continue  # ended meanwhile; on DynamoDB the list may not have heard of it yet
                ended += 1
            if after is None:
                return ended


def _key(model: type[Session], session_id: str) -> dict[str, str]:
    (name,) = layout_of(model).table.key_fields
    return {name: check_id("session_id", session_id, ID_LENGTH)}


def _list(model: type[Session], user_id: str, limit: int) -> Query:
    owner = check_id("user_id", user_id, ID_LENGTH)
    return Query(model, "user_id", owner, "created_at", limit, live_at=timezone.now())


def _deadline(
    now: dt.datetime, expires_at: dt.datetime | None, ttl: dt.timedelta | None
) -> dt.datetime:
    """When a session ends that is to end at `expires_at`, or after `ttl`."""
    if (expires_at is None) == (ttl is None):
        raise InvalidRecord("expires_at", "or ttl must be given, and not both")
    if expires_at is not None:
        check_instant("expires_at", expires_at)
        if expires_at.replace(microsecond=0) <= now:
            raise InvalidRecord("expires_at", "has passed")
        return expires_at
    if not isinstance(ttl, dt.timedelta) or ttl < SHORTEST:
        raise InvalidRecord("ttl", "must be a timedelta of a second or more")
    try:
        return now + ttl
    except OverflowError:
        raise InvalidRecord("ttl", "ends beyond the year 9999") from None


session_service = SessionService()
