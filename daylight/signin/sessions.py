"""Sessions of staff: SESSION_ENGINE. Their ids sign in whoever has one, so the database knows them
by digest alone, and each ends twelve hours after the sign-in, whatever is done meanwhile.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends import db
from django.utils import timezone

from dbcore.bearers import hash_of


def stored_key(key: str | None) -> str:
    """What a session's id is in the database: the first 40 digits of its hash, which is as much as
    the column takes. The audit trail has all of it."""
    return hash_of(key or "")[:40]


class SessionStore(db.SessionStore):
    """Django's sessions in its database, by the digests of their ids."""

    def _get_session_from_db(self) -> Any:
        found = self.model.objects.filter(
            session_key=stored_key(self.session_key), expire_date__gt=timezone.now()
        ).first()
        if found is None:
            self._session_key = None
        return found

    async def _aget_session_from_db(self) -> Any:
        found = await self.model.objects.filter(
            session_key=stored_key(self.session_key), expire_date__gt=timezone.now()
        ).afirst()
        if found is None:
            self._session_key = None
        return found

    def exists(self, session_key: str) -> bool:
        return super().exists(stored_key(session_key))

    async def aexists(self, session_key: str) -> bool:
        return await super().aexists(stored_key(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        made = super().create_model_instance(data)
        made.session_key = stored_key(made.session_key)
        return made

    async def acreate_model_instance(self, data: dict[str, Any]) -> Any:
        made = await super().acreate_model_instance(data)
        made.session_key = stored_key(made.session_key)
        return made

    def delete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            super().delete(stored_key(key))

    async def adelete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            await super().adelete(stored_key(key))


def _end_in_time(request: Any, **_: Any) -> None:
    # An instant, not so many seconds: those would begin anew whenever the session is saved.
    request.session.set_expiry(dt.timedelta(seconds=settings.SESSION_COOKIE_AGE))


user_logged_in.connect(_end_in_time, dispatch_uid="daylight.signin.sessions")
