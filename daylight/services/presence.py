"""Whether the user that something belongs to may come in. No answer may come from a cache: from the
moment of their deletion, or from that on in which they are not active, nobody comes in by a session
or a key of theirs."""

from __future__ import annotations

from daylight.models import User
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import InvalidRecord, RecordNotFound


def may_come_in(user_id: str) -> bool:
    """Whether there is a user with this id now, who is active. StoreUnavailable."""
    try:
        user = primary_store(cached=False).get(User, {"id": user_id})
    except InvalidRecord:
        return False  # no user can have such an id; a migrated record may
    return user is not None and user.is_active is True


def check_may_come_in(user_id: str) -> None:
    """RecordNotFound where there is no active user with this id; StoreUnavailable."""
    if not may_come_in(user_id):
        raise RecordNotFound(f"there is no active user {user_id}")
