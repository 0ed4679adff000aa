"""Users and their profiles, made and removed together. An e-mail address has one owner, case
aside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daylight.models import User, UserProfile
from daylight.models.base import ID_LENGTH
from daylight.services.base import Service, check_id, check_mapping, new_record
from daylight.services.sessions import session_service
from dbcore.stores.errors import RecordNotFound
from dbcore.stores.interface import Add, Delete, Write

PROFILE = "profile"


class UserService(Service):
    """Users and profiles. All reads see the writes before them."""

    def create_user(self, data: Mapping[str, Any]) -> tuple[User, UserProfile]:
        """Write a new user and their profile: both or neither.

        `data`: the user's fields, and under "profile" a mapping of the profile's, which may be left
        out. `email` and `password_hash` (the password arrives hashed) must be there; `id` is made
        when it is not.

        Returns the user and the profile. AlreadyExists (a user or a profile has this id),
        UniqueViolation (email, case aside, or username), InvalidRecord, StoreUnavailable.
        """
        fields = dict(check_mapping("data", data))
        given = check_mapping(PROFILE, fields.pop(PROFILE, {}))
        user = new_record(User, fields)
        profile = new_record(UserProfile, given, user_id=user.id)
        self.store.transact([Add(user), Add(profile)])
        return user, profile

    def get_user_by_id(self, user_id: str) -> User:
        """The user. RecordNotFound, InvalidRecord, StoreUnavailable."""
        user = self.store.get(User, {"id": _id(user_id)})
        if user is None:
            raise RecordNotFound(f"there is no user {user_id}")
        return user

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
        """End the user's sessions and remove the user with their profile, which is one transaction;
        the e-mail address is free again. Other records of the user stay until their retention ends.

        Sessions are found as `session_service.end_all_of_user` finds them: on DynamoDB one that was
        begun within the last second or so may outlive the user until it expires. After
        StoreUnavailable the user may be there without sessions, and the call can be made again.

        RecordNotFound, Conflict, InvalidRecord, StoreUnavailable.
        """
        user = self.get_user_by_id(user_id)
        session_service.end_all_of_user(user.id)
        writes: list[Write] = [Delete(User, {"id": user.id})]
        # A user that was migrated may have no profile.
        if self.store.get(UserProfile, {"user_id": user.id}) is not None:
            writes.append(Delete(UserProfile, {"user_id": user.id}))
        self.store.transact(writes)
        session_service.end_all_of_user(user.id)  # those that were begun meanwhile


def _id(user_id: str) -> str:
    return check_id("user_id", user_id, ID_LENGTH)


user_service = UserService()
