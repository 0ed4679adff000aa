"""What a running application asks of its store, once each: every service's reads and writes."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress

from django.utils import timezone

from daylight import database as d
from dbcore.stores.errors import RecordNotFound

HOUR = dt.timedelta(hours=1)


def serve() -> None:
    """Every kind of read and write that requests make."""
    ana, _ = d.user_service.create_user({"email": "ana@example.org", "password_hash": "x"})
    users(ana.id)
    sessions(ana.id)
    keys(ana.id)
    records(ana.id)
    roles()
    d.user_service.delete_user(ana.id)


def users(user: str) -> None:
    service = d.user_service
    assert service.get_user_by_email("ANA@example.org").id == user
    service.get_user_by_id(user)
    service.update_user(user, {"email": "other@example.org"})
    service.update_user_profile(user, {"last_name": "Lake"})
    service.get_user_profile(user)


def sessions(user: str) -> None:
    service = d.session_service
    mine, _ = service.create_user_session(user, {}, ttl=HOUR)
    service.get_user_session(mine)
    service.touch_user_session(mine, ttl=HOUR)
    service.get_user_sessions(user)
    service.end_user_session(mine)
    auth, _ = service.create_auth_session(user, ttl=HOUR)
    service.get_auth_session(auth)
    service.touch_auth_session(auth, ttl=HOUR)
    service.get_auth_sessions(user)
    service.end_all_of_user(user)


def keys(user: str) -> None:
    service = d.api_key_service
    text, key = service.issue(user, "phone")
    service.verify(text)
    usage = {"endpoint": "/", "method": "GET", "status_code": 200, "response_time_ms": 1.0}
    service.record_usage(key.id, user, usage)
    service.get_key_usage(key.id)
    service.list_keys(user)
    service.revoke(key.id, user)
    service.revoke_all_of_user(user)
    d.rate_limit_service.hit(key.id, 10, 60)


def records(user: str) -> None:
    now = timezone.now()
    plan = d.planning_service.create_plan(user, {"title": "Lake"})
    d.planning_service.get_plan_by_id(plan.id, user)
    d.planning_service.update_plan(plan.id, user, {"title": "Sea"})
    d.planning_service.get_user_plans(user)
    d.planning_service.delete_plan(plan.id, user)
    place = d.location_history_service.add_location_history(user, {"at": 1}, "walking")
    d.location_history_service.get_user_location_history(user)
    d.location_history_service.get_location_history_by_date_range(user, now - HOUR, now + HOUR)
    d.location_history_service.delete_location_history(place.id, user)
    d.cache_service.set_weather_cache("here", {"sun": True})
    d.cache_service.get_weather_cache("here")
    d.cache_service.delete_weather_cache("here")
    d.analytics_service.record_usage_event(user, "opened")
    d.analytics_service.get_user_analytics(user)
    d.analytics_service.get_daily_analytics(now.date())
    event = {"event_type": "login", "resource": "r", "action": "a", "outcome": "success"}
    d.audit_service.record({**event, "source": "web", "user_id": user})
    d.audit_service.get_user_events(user)
    d.audit_service.get_events_of_day(now.date())
    error = d.error_logging_service.log_error(ValueError("no"))
    d.error_logging_service.get_error_logs()
    d.error_logging_service.resolve_error(error.id)


def roles() -> None:
    service = d.access_service
    role = service.create_role({"name": "guide", "permissions": ["walk"]})
    service.get_role_by_name("guide")
    service.update_role(role.id, {"name": "leader"})
    made = service.create_permission({"name": "walk", "resource": "plan", "action": "read"})
    service.is_allowed(["leader"], "plan", "read")
    service.delete_permission(made.id)
    service.delete_role(role.id)
    with suppress(RecordNotFound):
        service.get_role(role.id)
