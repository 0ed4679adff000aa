"""One page: calls of services, and which process answers."""

from __future__ import annotations

import os
from typing import Any

from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import path

from tests.daylight.served.stores import STORES, services


def session() -> int | None:
    """The database server's process for this connection, where it has one."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def page(request: HttpRequest, store: str, name: str) -> JsonResponse:
    """Writes a plan and a profile, and reads them back in each way."""
    users, plans = services(store)
    plan = plans.create_plan(name, {"title": f"of {name}"})
    users.update_user_profile("shared", {"last_name": name})
    found: dict[str, Any] = {
        "process": os.getpid(),
        "session": session(),
        "title": plans.get_plan_by_id(plan.id, name).title,
        "plans": [each.title for each in plans.get_user_plans(name)],
        "before": plans.get_plan_by_id("before", "parent").title,
        "email": users.get_user_by_id("shared").email,
        "profile": users.get_user_profile("shared").user_id,
        "hits": STORES[store].counters.hits,
    }
    return JsonResponse(found)


urlpatterns = [path("<str:store>/<str:name>", page)]
