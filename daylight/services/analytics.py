"""What users did: events are added and listed, never changed here."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone

from daylight.models import AuthSession, UsageAnalytics, UserSession
from daylight.services.base import Service, check_id
from daylight.services.bearers import fields_without_bearers
from daylight.services.checks import check_day, check_whole
from daylight.services.twins import twin
from dbcore.stores.interface import Query
from dbcore.stores.pages import Page, read_page

MAX_DAYS = 3660  # ten years, more than is kept


class AnalyticsService(Service):
    """Usage events, newest first."""

    def record_usage_event(
        self,
        user_id: str,
        event_type: str,
        event_data: Any = None,
        session_id: str | UserSession | AuthSession | None = None,
        user_agent: str | None = None,
    ) -> UsageAnalytics:
        """Write that the user did something, now.

        `event_data` is a JSON object or list, {} where not given. `session_id` is a session's
        record, or its id as its device bears it: the event has its hash. Returns the event.
        InvalidRecord (of the field that cannot be kept; `item` where all of it is too big),
        Conflict, StoreUnavailable.
        """
        given = {
            "event_type": event_type,
            "event_data": {} if event_data is None else event_data,
            "session_id": session_id,
            "user_agent": user_agent,
        }
        owner = check_id("user_id", user_id)
        return self.store.add(UsageAnalytics(user_id=owner, **fields_without_bearers(given)))

    def get_user_analytics(
        self, user_id: str, days: int = 30, limit: int = 100, cursor: str | None = None
    ) -> Page[UsageAnalytics]:
        """The user's events of the last `days` days (1 to 3660); reads its own writes.

        A cursor continues a list of the same user and as many days; the days move on with the
        clock from page to page. InvalidRecord (user_id, days, limit, cursor), StoreUnavailable.
        """
        since = timezone.now() - dt.timedelta(days=check_whole("days", days, MAX_DAYS))
        owner = check_id("user_id", user_id)
        query = Query(UsageAnalytics, "user_id", owner, "timestamp", limit, low=since)
        return read_page(self.store, query, cursor, moving=f"{days} days")

    def get_daily_analytics(
        self, date: dt.date, limit: int = 100, cursor: str | None = None
    ) -> Page[UsageAnalytics]:
        """The events of all users on this UTC date.

        Eventually consistent: on DynamoDB the day index follows a write within about a second, and
        in either store a replica may answer.
        InvalidRecord (date, limit, cursor), StoreUnavailable.
        """
        day = check_day("date", date)
        query = Query(UsageAnalytics, "day", day, "timestamp", limit, consistent=False)
        return read_page(self.store, query, cursor)

    arecord_usage_event = twin(record_usage_event)
    aget_user_analytics = twin(get_user_analytics)
    aget_daily_analytics = twin(get_daily_analytics)


analytics_service = AnalyticsService()
