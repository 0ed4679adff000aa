"""Users and their profiles, made and removed together. An e-mail address has one owner, case
aside. Nothing here may leave a user without their profile, or a profile without its user."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.utils import timezone

from daylight.models import User, UserProfile
from daylight.models.base import ID_LENGTH
from daylight.services.api_keys import api_key_service
from daylight.services.base import Service, check_id, check_mapping, new_record
from daylight.services.sessions import session_service
from daylight.services.twins import twin
from dbcore.patience import ASKED
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import Conflict, RecordNotFound, StoreError
from dbcore.stores.interface import Add, Delete, Write
from dbcore.stores.withheld import withheld

PROFILE = "profile"


class UserService(Service):
    """Users and profiles. `get_user_by_email` always asks the store, consistently; look-ups by id
    may come from the cache of records."""

    def create_user(self, data: Mapping[str, Any]) -> tuple[User, UserProfile]:
        """Write a new user and their profile: both or neither.

        `data`: the user's fields, and under "profile" a mapping of the profile's, which may be left
        out. `email` and `password_hash` (the password arrives hashed) must be there; `id` is made
        when it is not.

        Returns the user and the profile. AlreadyExists (a user or a profile has this id),
        UniqueViolation (email, case aside, or username), Conflict, InvalidRecord, StoreUnavailable.
        """
        fields = dict(check_mapping("data", data))
        given = check_mapping(PROFILE, fields.pop(PROFILE, {}))
        user = new_record(User, fields)
        profile = new_record(UserProfile, given, user_id=user.id)
        self.store.transact([Add(user), Add(profile)])
        return user, profile

    def get_user_by_id(self, user_id: str) -> User:
        """The user, without `password_hash`, which is None: `get_user_by_email` has it.

        RecordNotFound, InvalidRecord, StoreUnavailable.
        """
        user = self.store.get(User, {"id": _id(user_id)})
        if user is None:
            raise RecordNotFound(f"there is no user {user_id}")
        return withheld(user)

    def get_user_by_email(self, email: str) -> User:
        """The user who has this e-mail address, case aside.

        RecordNotFound; InvalidRecord for what is not an address; StoreUnavailable.
        """
        user = self.store.get_by_unique(User, "email", email)
        if user is None:
            raise RecordNotFound("there is no user with this e-mail address")
        return user

    def update_user(self, user_id: str, updates: Mapping[str, Any]) -> User:
        """Change just these fields, atomically. A changed e-mail address or username is given up
        and the new one taken in one transaction.

        Returns the user as they are then. RecordNotFound, UniqueViolation (email, username),
        Conflict when the user changes faster than can be written, InvalidRecord (an unknown field,
        the id, a bad value), StoreUnavailable.
        """
        return self.store.update(User, {"id": _id(user_id)}, updates)

    def get_user_profile(self, user_id: str) -> UserProfile:
        """The user's profile. RecordNotFound, InvalidRecord, StoreUnavailable."""
        profile = self.store.get(UserProfile, {"user_id": _id(user_id)})
        if profile is None:
            raise RecordNotFound(f"there is no profile of user {user_id}")
        return profile

    def update_user_profile(self, user_id: str, updates: Mapping[str, Any]) -> UserProfile:
        """Change just these fields, atomically.

        Returns the profile as it is then. RecordNotFound, Conflict when it changes faster than can
        be written, InvalidRecord (an unknown field, the id, a bad value), StoreUnavailable.
        """
        return self.store.update(UserProfile, {"user_id": _id(user_id)}, updates)

    def delete_user(self, user_id: str) -> None:
        """End the user's sessions, revoke their API keys, and remove the user with their profile,
        which is one transaction; the e-mail address is free again. Other records of the user stay
        until their retention ends.

        From then on no session and no key of theirs is served, found here or not. Do not give
        their id to somebody else: what is left under it would be theirs. After Conflict (the user
        is deleted and made anew faster than they can be removed) and StoreUnavailable the user may
        be there without sessions and keys, and the call can be made again.

        RecordNotFound, Conflict, InvalidRecord, StoreUnavailable.
        """
        key = {"id": _id(user_id)}
        for _ in ASKED:
            user = primary_store(cached=False).get(User, key)
            if user is None:
                raise RecordNotFound(f"there is no user {user_id}")
            _shut_out(user_id)
            try:
                self.store.transact(_removal(user))
            except (Conflict, RecordNotFound):  # another deletion was first: look again
                continue
            # What was begun meanwhile is served to nobody, unless the id is given away again. Not
            # what a new user of this id has begun since.
            with suppress(StoreError):
                _shut_out(user_id, until=timezone.now())
            return
        raise Conflict("the user changes faster than they can be removed")

    acreate_user = twin(create_user)
    aget_user_by_id = twin(get_user_by_id)
    aget_user_by_email = twin(get_user_by_email)
    aupdate_user = twin(update_user)
    aget_user_profile = twin(get_user_profile)
    aupdate_user_profile = twin(update_user_profile)
    adelete_user = twin(delete_user)


def _shut_out(user_id: str, until: dt.datetime | None = None) -> None:
    """End the user's sessions and revoke their keys, those that were begun by then."""
    session_service.end_all_of_user(user_id, until=until)
    api_key_service.revoke_all_of_user(user_id, until=until)


def _removal(user: User) -> list[Write]:
    """The removal of this very user, with the profile. One who has the id by then is another, and
    may have a profile where this one, who was migrated, has none."""
    expect = {"created_at": user.created_at}
    writes: list[Write] = [Delete(User, {"id": user.id}, expect)]
    profile = {"user_id": user.id}
    if primary_store(cached=False).get(UserProfile, profile) is not None:
        writes.append(Delete(UserProfile, profile))
    return writes


def _id(user_id: str) -> str:
    return check_id("user_id", user_id, ID_LENGTH)


user_service = UserService()
