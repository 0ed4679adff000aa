"""A process of the application: every service writes records with secrets in them, reads them, and
fails with them. Prints what was given out, as JSON."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
from contextlib import suppress

import django

from tests.daylight.planted.secrets import ADMIN_PASSWORD, EMAIL, HASH, LATITUDE, TOKEN

HOUR = dt.timedelta(hours=1)
JSON = {
    "api_token": TOKEN, "client_secret": TOKEN, "nested": [{"refreshToken": TOKEN}],
    "text": f"password={TOKEN}", "header": {"Cookie": f"sid={TOKEN}"},
}  # fmt: skip
PLACE = {"lat": float(LATITUDE), "lng": 11.5005422, **JSON}


def live(user_email: str) -> dict[str, list[str]]:
    """Everything that a request may do."""
    from daylight import database as d
    from dbcore.bearers import hash_of
    from dbcore.stores.errors import StoreError

    user, _ = d.user_service.create_user({"email": user_email, "password_hash": HASH})
    d.user_service.update_user_profile(user.id, {"preferences": JSON, "settings": JSON})
    app, _ = d.session_service.create_user_session(user.id, JSON, ttl=HOUR)
    device, _ = d.session_service.create_auth_session(user.id, {"device": JSON}, ttl=HOUR)
    key, record = d.api_key_service.issue(user.id, "phone")
    for _ in range(3):
        d.user_service.get_user_by_email(user_email)
        d.user_service.get_user_by_id(user.id)
        d.user_service.get_user_profile(user.id)
        d.session_service.get_user_session(app)
        d.session_service.get_auth_session(device)
        d.api_key_service.verify(key)
    plan = d.planning_service.create_plan(user.id, {"title": "Lake", "location": PLACE})
    d.planning_service.get_plan_by_id(plan.id, user.id)
    d.location_history_service.add_location_history(user.id, PLACE, "walking", JSON)
    d.cache_service.set_weather_cache("here", PLACE)
    d.cache_service.get_weather_cache("here")
    d.cache_service.set_traffic_cache("there", PLACE)
    d.cache_service.set_events_cache("around", PLACE)
    d.analytics_service.record_usage_event(user.id, "opened", JSON, app, f"agent {key}")
    d.audit_service.record({
        "event_type": "e", "resource": f"session/{app}", "action": "a", "outcome": "success",
        "source": "web", "user_id": user.id, "session_id": device, "details": JSON,
    })  # fmt: skip
    usage = {"endpoint": f"/?key={key}", "method": "GET", "status_code": 500,
             "response_time_ms": 1.5, "error_message": f"no session {app}"}  # fmt: skip
    d.api_key_service.record_usage(record.id, user.id, usage)
    d.rate_limit_service.hit(f"session:{app}", 5, 60)
    d.rate_limit_service.hit(f"key:{key}", 5, 60)
    failure = ValueError(f"cannot sign in: password={TOKEN} session {app} key {key}")
    d.error_logging_service.log_error(failure, JSON, user.id)
    logging.getLogger("a.view").error("failed for %s with %s", {"password_hash": HASH}, failure)
    for fails in (
        lambda: d.user_service.create_user({"email": user_email, "password_hash": HASH}),
        lambda: d.user_service.update_user(user.id, {"password_hash": None}),
        lambda: d.session_service.get_user_session(f"{app}x"),
        lambda: d.api_key_service.verify(f"{key}x"),
        lambda: d.user_service.get_user_by_email(f"other.{user_email}"),
    ):
        with suppress(StoreError):
            fails()
    return {"session id": [app, device], "api key": [key], "hash of an api key": [hash_of(key)],
            "user": [user.id]}  # fmt: skip


def grow_old() -> None:
    """Records in Django's database that are long due."""
    from django.utils import timezone

    from daylight.models import AuditLog, LocationHistory, Plan, UsageAnalytics

    then = timezone.now() - 3000 * 24 * HOUR
    old = {"created_at": then, "updated_at": then}
    Plan.objects.create(user_id="old", title="Lake", location=PLACE, **old)
    LocationHistory.objects.create(user_id="old", location=PLACE, timestamp=then, activity="")
    UsageAnalytics.objects.create(user_id="old", event_type="e", event_data=JSON, timestamp=then)
    AuditLog.objects.create(
        event_type="e", resource="r", action="a", outcome="success", source="s", user_id="old",
        details=JSON, timestamp=then,
    )  # fmt: skip


def staff() -> None:
    """Colleagues: one without rights, one who may look, one who may do everything."""
    from django.contrib.auth.models import Permission, User

    for name in ("outsider", "viewer", "operator"):
        user = User.objects.create_user(name, password=ADMIN_PASSWORD, is_staff=True)
        user.is_superuser = name == "operator"
        user.save()
        if name == "viewer":
            user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))


if __name__ == "__main__":
    django.setup()
    primary = os.environ["DATABASE_PRIMARY"]
    if primary == "sqlite":
        staff()
        grow_old()
    print(json.dumps(live(f"{primary}.{EMAIL}")))
