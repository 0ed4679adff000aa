"""Whether the user that something belongs to is there. No answer may come from a cache: from the
moment of their deletion nobody comes in by a session or a key of theirs."""

from __future__ import annotations

from daylight.models import User
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import InvalidRecord, RecordNotFound


def is_there(user_id: str) -> bool:
    """Whether there is a user with this id now. StoreUnavailable."""
    try:
        return primary_store(cached=False).get(User, {"id": user_id}) is not None
    except InvalidRecord:
        return False  # no user can have such an id; a migrated record may


def check_there(user_id: str) -> None:
    """RecordNotFound where there is no user with this id; StoreUnavailable."""
    if not is_there(user_id):
        raise RecordNotFound(f"there is no user {user_id}")
