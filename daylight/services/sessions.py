"""Signed-in sessions of the app and authenticated devices. A session's id is given out once, when
it is begun, and never kept: only its hash is, by which the session is found. One that has expired
is never returned, whether or not the engine has deleted it: to every call it is not there. Nor is
one whose user has been deleted or is not active."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from django.utils import timezone

from daylight.models import AuthSession, UserSession
from daylight.models.base import ID_LENGTH
from daylight.services.base import Service, check_id, check_mapping, new_record
from daylight.services.bearers import (
    SESSION,
    fields_without_bearers,
    new_bearer,
    session_hash,
    without_bearers,
)
from daylight.services.presence import check_may_come_in, may_come_in
from daylight.services.twins import twin
from dbcore.bearers import hash_of
from dbcore.items import layout_of
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import Conflict, InvalidRecord, RecordNotFound
from dbcore.stores.interface import Position, Query
from dbcore.stores.pages import MAX_LIMIT, Page, read_page
from dbcore.stores.validation import check_instant

Session = TypeVar("Session", UserSession, AuthSession)
SHORTEST = dt.timedelta(seconds=1)  # deadlines count in whole seconds
LONGEST = dt.timedelta(days=400)  # as browsers cap cookies (RFC 6265bis, 5.5)


class SessionService(Service):
    """Sessions of both kinds. A session's id, which its device bears, is given out once, by the
    call that begins it; its record has the id's hash, by which nobody comes in. A session's
    deadline is given as `expires_at`, a datetime with a time zone that is to come, or as `ttl`, a
    timedelta of a second or more from now; it is at most 400 days away."""

    def create_user_session(
        self,
        user_id: str,
        data: dict[str, Any] | None = None,
        *,
        expires_at: dt.datetime | None = None,
        ttl: dt.timedelta | None = None,
    ) -> tuple[str, UserSession]:
        """Begin a session of the app, with its JSON `data` ({} where not given).

        Exactly one of `expires_at` and `ttl`; after 30 days it expires in any case.

        Returns its id, which cannot be had again, and its record. RecordNotFound (there is no such
        user, or they are not active), Conflict, InvalidRecord, StoreUnavailable.
        """
        now = timezone.now()
        session_id = new_bearer(SESSION)
        session = UserSession(
            session_id=hash_of(session_id),
            user_id=check_id("user_id", user_id, ID_LENGTH),
            data={} if data is None else without_bearers(data),
            expires_at=_deadline(now, expires_at, ttl),
            created_at=now,
        )
        return session_id, self._begin(session)

    def get_user_session(self, session_id: str) -> UserSession:
        """The session; reads its own writes.

        RecordNotFound where there is none, it has expired, or its user is not there any more or not
        active; InvalidRecord, StoreUnavailable.
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
        changes: dict[str, Any] = {} if data is None else {"data": without_bearers(data)}
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
    ) -> tuple[str, AuthSession]:
        """Begin the session of an authenticated device.

        `data`: its fields (ip_address, user_agent, device, mfa_verified; created_at and
        last_activity_at are made where not given). Exactly one of `expires_at` and `ttl`.

        Returns its id, which cannot be had again, and its record. RecordNotFound (there is no such
        user, or they are not active), Conflict, InvalidRecord, StoreUnavailable.
        """
        owner = check_id("user_id", user_id, ID_LENGTH)
        until = _deadline(timezone.now(), expires_at, ttl)
        session_id = new_bearer(SESSION)
        given = fields_without_bearers(check_mapping("data", {} if data is None else data))
        if "id" in given:
            raise InvalidRecord("id", "is made by the call, and given out once")
        own = {"id": hash_of(session_id), "user_id": owner, "expires_at": until}
        return session_id, self._begin(new_record(AuthSession, given, **own))

    def get_auth_session(self, session_id: str) -> AuthSession:
        """The session; reads its own writes.

        RecordNotFound where there is none, it has expired, or its user is not there any more or not
        active; InvalidRecord, StoreUnavailable.
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
        check_may_come_in(session.user_id)
        return self.store.add(session)

    def _served(self, model: type[Session], session_id: str, now: dt.datetime) -> Session:
        """A session whose user may come in, by a look at the user after the session."""
        session = self._live(model, session_id, now)
        if not may_come_in(session.user_id):
            raise RecordNotFound("there is no such session")
        return session

    def _live(self, model: type[Session], session_id: str, now: dt.datetime) -> Session:
        key = _key(model, session_hash(session_id))
        # Whatever the settings say of caches: one that has been ended lets nobody in.
        session = primary_store(cached=False).get(model, key, live_at=now)
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
        if expires_at is not None or ttl is not None or not changes:
            changes = {**changes, "expires_at": _deadline(now, expires_at, ttl)}
        session = self._served(model, session_id, now)
        return self.store.update(model, _key(model, session.pk), changes)

    def _end(self, model: type[Session], session_id: str, user_id: str | None) -> None:
        owner = None if user_id is None else check_id("user_id", user_id, ID_LENGTH)
        session = self._live(model, session_id, timezone.now())
        if owner is not None and session.user_id != owner:
            raise RecordNotFound("there is no such session of this user")
        self._remove(model, session.pk, session.user_id)

    def _remove(self, model: type[Session], hashed: str, user_id: str) -> None:
        try:
            self.store.delete(model, _key(model, hashed), expect={"user_id": user_id})
        except Conflict as error:
            session = self.store.get(model, _key(model, hashed))
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


def _key(model: type[Session], hashed: str) -> dict[str, str]:
    return {layout_of(model).table.hash_key: hashed}


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
        if expires_at - now > LONGEST:
            raise InvalidRecord("expires_at", f"is more than {LONGEST.days} days away")
        return expires_at
    if not isinstance(ttl, dt.timedelta) or ttl < SHORTEST:
        raise InvalidRecord("ttl", "must be a timedelta of a second or more")
    if ttl > LONGEST:
        raise InvalidRecord("ttl", f"is more than {LONGEST.days} days")
    return now + ttl


session_service = SessionService()
