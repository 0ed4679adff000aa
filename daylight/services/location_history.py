"""Where a user has been. Every call names the owner: no call can reach another user's record."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from django.utils import timezone

from daylight.models import LocationHistory
from daylight.models.base import ID_LENGTH
from daylight.services.base import Service, check_id
from daylight.services.twins import twin
from dbcore.stores.errors import InvalidRecord, RecordNotFound
from dbcore.stores.interface import Query
from dbcore.stores.pages import Page, read_page


class LocationHistoryService(Service):
    """Location records, newest first. One that is over 90 days old is never returned, whether or
    not the engine has deleted it."""

    def add_location_history(
        self,
        user_id: str,
        location: dict[str, Any],
        activity: str,
        metadata: dict[str, Any] | None = None,
    ) -> LocationHistory:
        """Write that the user is here now.

        `location` and `metadata` are JSON objects ({} where metadata is not given); `activity` is a
        text of at most 64 characters, which may be empty.

        Returns the record. Conflict, InvalidRecord, StoreUnavailable.
        """
        record = LocationHistory(
            user_id=check_id("user_id", user_id, ID_LENGTH),
            location=_check_object("location", location),
            activity=activity,
            metadata={} if metadata is None else _check_object("metadata", metadata),
        )
        return self.store.add(record)

    def get_user_location_history(
        self, user_id: str, limit: int = 50, cursor: str | None = None
    ) -> Page[LocationHistory]:
        """All of the user's records; reads its own writes.

        `limit`: 1 to 1000; `cursor`: a page's `next_cursor`.

        InvalidRecord for a bad limit or cursor, StoreUnavailable.
        """
        return read_page(self.store, _list(user_id, limit), cursor)

    def get_location_history_by_date_range(
        self,
        user_id: str,
        start: dt.datetime,
        end: dt.datetime,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[LocationHistory]:
        """The user's records from `start` to `end`, both inclusive; reads its own writes.

        `start` and `end` are datetimes with a time zone; a cursor belongs to its range.

        InvalidRecord for a naive time, a start after its end, a bad limit or cursor;
        StoreUnavailable.
        """
        for name, value in (("start", start), ("end", end)):
            if value is None:
                raise InvalidRecord(name, "is missing")
        query = replace(_list(user_id, limit), low=start, high=end)
        return read_page(self.store, query, cursor)

    def delete_location_history(self, history_id: str, user_id: str) -> None:
        """Remove one of the user's records.

        RecordNotFound where there is none, it has expired, or it is another user's; Conflict when
        it changes faster than it can be removed; InvalidRecord, StoreUnavailable.
        """
        key = {
            "user_id": check_id("user_id", user_id, ID_LENGTH),
            "id": check_id("history_id", history_id, ID_LENGTH),
        }
        if self.store.get(LocationHistory, key, live_at=timezone.now()) is None:
            raise RecordNotFound(f"user {user_id} has no location record {history_id}")
        self.store.delete(LocationHistory, key)

    aadd_location_history = twin(add_location_history)
    aget_user_location_history = twin(get_user_location_history)
    aget_location_history_by_date_range = twin(get_location_history_by_date_range)
    adelete_location_history = twin(delete_location_history)


def _list(user_id: str, limit: int) -> Query:
    owner = check_id("user_id", user_id, ID_LENGTH)
    return Query(LocationHistory, "user_id", owner, "timestamp", limit, live_at=timezone.now())


def _check_object(field: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRecord(field, "is not a JSON object")
    return value


location_history_service = LocationHistoryService()
