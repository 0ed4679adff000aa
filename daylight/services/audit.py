"""The audit trail: who did what to which resource. Entries are added and read; nothing here, and
no call of a store, changes or removes one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from daylight.models import AuditLog
from daylight.services.base import Service, check_id, check_mapping, new_record
from daylight.services.bearers import fields_without_bearers
from daylight.services.checks import check_day
from daylight.services.twins import twin
from dbcore.stores.interface import Query
from dbcore.stores.pages import Page, read_page


class AuditService(Service):
    """Audit entries, newest first."""

    def record(self, event: Mapping[str, Any]) -> AuditLog:
        """Append an entry, whose fields `event` gives by name.

        event_type, resource, action, outcome (success, failure, partial) and source must be
        there; id and timestamp are made where not given. `session_id` is a session's record, or
        its id as its device bears it: the entry has its hash, as it has of every session's id and
        API key in its texts and JSON. Returns the entry. AlreadyExists (an entry with this id),
        Conflict, InvalidRecord (of the field that is missing, unknown or cannot be kept),
        StoreUnavailable.
        """
        given = fields_without_bearers(check_mapping("event", event))
        return self.store.add(new_record(AuditLog, given))

    def get_user_events(
        self,
        user_id: str,
        limit: int = 100,
        cursor: str | None = None,
        start: dt.datetime | None = None,
        end: dt.datetime | None = None,
    ) -> Page[AuditLog]:
        """What the user did, and colleagues with their records, from `start` to `end`, both
        inclusive where given.

        Eventually consistent on DynamoDB: the index follows a write within about a second.
        InvalidRecord (user_id, limit, cursor, start, end), StoreUnavailable.
        """
        owner = check_id("user_id", user_id)
        query = Query(AuditLog, "user_id", owner, "timestamp", limit, low=start, high=end)
        return read_page(self.store, query, cursor)

    def get_events_of_day(
        self, date: dt.date, limit: int = 100, cursor: str | None = None
    ) -> Page[AuditLog]:
        """What everybody did on this UTC date.

        Eventually consistent: on DynamoDB the day index follows a write within about a second, and
        in either store a replica may answer.
        InvalidRecord (date, limit, cursor), StoreUnavailable.
        """
        day = check_day("date", date)
        query = Query(AuditLog, "day", day, "timestamp", limit, consistent=False)
        return read_page(self.store, query, cursor)

    arecord = twin(record)
    aget_user_events = twin(get_user_events)
    aget_events_of_day = twin(get_events_of_day)


audit_service = AuditService()


def record_event(event: Mapping[str, Any]) -> None:
    """Append an entry about the records themselves: DBCORE_AUDIT (see dbcore/retention/audit.py).

    The entry is the concerned user's own where the event names one, so that their erasure clears
    it. An act that has only begun is `partial`; `details` has its phase. InvalidRecord,
    StoreUnavailable.
    """
    begun = event["phase"] == "begun"
    audit_service.record(
        {
            "event_type": event["kind"],
            "user_id": event["user"],
            "actor": event["actor"],
            "resource": event["resource"],
            "action": event["action"],
            "outcome": AuditLog.Outcome.PARTIAL if begun else event["outcome"],
            "risk_level": "high",
            "details": {
                "phase": event["phase"],
                "who": event["who"],
                "why": event["why"],
                "os_user": event["os_user"],
                "host": event["host"],
                **event["details"],
            },
            "correlation_id": event["act"],
            "source": "dbcore.retention" if event["kind"] == "data_protection" else "command",
        }
    )
