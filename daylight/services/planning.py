"""A user's plans. Every call names the owner: no call can reach another user's plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daylight.models import Plan
from daylight.models.base import ID_LENGTH
from daylight.services.base import Service, check_id, new_record
from dbcore.stores.errors import RecordNotFound
from dbcore.stores.interface import Query
from dbcore.stores.pages import Page, read_page


class PlanningService(Service):
    """Plans, newest first by the time they were made."""

    def create_plan(self, user_id: str, data: Mapping[str, Any]) -> Plan:
        """Write a new plan of this user.

        `data`: the plan's fields; `title` must be there, `id` is made when it is not.

        Returns the plan. AlreadyExists (the user has a plan with this id), InvalidRecord,
        StoreUnavailable.
        """
        return self.store.add(new_record(Plan, data, user_id=check_id("user_id", user_id)))

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
        than it can be written; InvalidRecord for an unknown field, a key, or a bad value;
        StoreUnavailable.
        """
        return self.store.update(Plan, self._key(plan_id, user_id), updates)

    def delete_plan(self, plan_id: str, user_id: str) -> None:
        """Remove the user's plan.

        RecordNotFound where there is none, or it is another user's; InvalidRecord,
        StoreUnavailable.
        """
        self.store.delete(Plan, self._key(plan_id, user_id))

    @staticmethod
    def _key(plan_id: str, user_id: str) -> dict[str, str]:
        return {
            "user_id": check_id("user_id", user_id, ID_LENGTH),
            "id": check_id("plan_id", plan_id, ID_LENGTH),
        }


planning_service = PlanningService()
