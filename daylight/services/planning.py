"""A user's plans. Every call names the owner: no call can reach another user's plan, and none can
make one that ends before it starts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from daylight.models import Plan
from daylight.models.base import ID_LENGTH
from daylight.services.base import Service, check_id, check_mapping, new_record
from daylight.services.twins import twin
from dbcore.patience import ASKED
from dbcore.stores.errors import Conflict, InvalidRecord, RecordNotFound
from dbcore.stores.interface import Query
from dbcore.stores.pages import Page, read_page

TIMES = ("start_time", "end_time")


class PlanningService(Service):
    """Plans, newest first by the time they were made."""

    def create_plan(self, user_id: str, data: Mapping[str, Any]) -> Plan:
        """Write a new plan of this user.

        `data`: the plan's fields; `title` must be there, `id` is made when it is not.

        Returns the plan. AlreadyExists (the user has a plan with this id), Conflict, InvalidRecord
        (end_time: before start_time, among others), StoreUnavailable.
        """
        plan = new_record(Plan, data, user_id=check_id("user_id", user_id))
        _check_times(plan.__dict__)
        return self.store.add(plan)

    def get_user_plans(
        self, user_id: str, limit: int = 20, cursor: str | None = None
    ) -> Page[Plan]:
        """The user's plans, newest first; reads its own writes.

        `limit`: 1 to 1000; `cursor`: a page's `next_cursor`.

        InvalidRecord for a bad limit or cursor, StoreUnavailable.
        """
        query = Query(Plan, "user_id", check_id("user_id", user_id), "created_at", limit)
        return read_page(self.store, query, cursor)

    def get_plan_by_id(self, plan_id: str, user_id: str) -> Plan:
        """The user's plan; reads its own writes.

        RecordNotFound where there is none, or it is another user's; InvalidRecord,
        StoreUnavailable.
        """
        plan = self.store.get(Plan, self._key(plan_id, user_id))
        if plan is None:
            raise RecordNotFound(f"user {user_id} has no plan {plan_id}")
        return plan

    def update_plan(self, plan_id: str, user_id: str, updates: Mapping[str, Any]) -> Plan:
        """Change just these fields, atomically; the plan as it is then.

        RecordNotFound where there is none, or it is another user's; Conflict when it changes faster
        than it can be written; InvalidRecord for an unknown field, a key, a bad value, or an
        end_time before the start_time; StoreUnavailable.
        """
        key = self._key(plan_id, user_id)
        changes = check_mapping("updates", updates)
        for _ in ASKED:
            beside = self._time_beside(key, changes)
            _check_times({**beside, **changes})
            try:
                return self.store.update(Plan, key, changes, expect=beside)
            except Conflict:
                if not beside:
                    raise
        raise Conflict("the plan changes faster than it can be written")

    def delete_plan(self, plan_id: str, user_id: str) -> None:
        """Remove the user's plan.

        RecordNotFound where there is none, or it is another user's; Conflict when it changes faster
        than it can be removed; InvalidRecord, StoreUnavailable.
        """
        self.store.delete(Plan, self._key(plan_id, user_id))

    acreate_plan = twin(create_plan)
    aget_user_plans = twin(get_user_plans)
    aget_plan_by_id = twin(get_plan_by_id)
    aupdate_plan = twin(update_plan)
    adelete_plan = twin(delete_plan)

    def _time_beside(self, key: Mapping[str, str], changes: Mapping[str, Any]) -> dict[str, Any]:
        """The one time that stays where the other is changed: it must fit, and must not change
        meanwhile."""
        given = [name for name in TIMES if changes.get(name) is not None]
        left = [name for name in TIMES if name not in changes]
        if not given or not left:
            return {}
        plan = self.store.get(Plan, key)
        if plan is None:
            raise RecordNotFound(f"user {key['user_id']} has no plan {key['id']}")
        return {left[0]: getattr(plan, left[0])}

    @staticmethod
    def _key(plan_id: str, user_id: str) -> dict[str, str]:
        return {
            "user_id": check_id("user_id", user_id, ID_LENGTH),
            "id": check_id("plan_id", plan_id, ID_LENGTH),
        }


def _check_times(values: Mapping[str, Any]) -> None:
    """Raise InvalidRecord for an end before its start; what is no time is for the store to
    refuse."""
    start: Any = values.get("start_time")
    end: Any = values.get("end_time")
    for each in (start, end):
        if not isinstance(each, dt.datetime) or each.utcoffset() is None:
            return
    if end < start:
        raise InvalidRecord("end_time", "is before start_time")


planning_service = PlanningService()
