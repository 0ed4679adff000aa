"""The steps of the differential test: every call of every service with what it is given, and what
else may happen between two calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.daylight.services import differential_values as v

users, limits, cursors = v.users, v.limits, v.cursors
listed = {"limit": limits, "cursor": cursors}
_roles = st.lists(v.of(v.NAMES), max_size=2)
_tokens = v.of([v.Past("ApiKey borne", back) for back in range(3)], ["dl_x", "", "\ud800", None, 5])
_session = v.ids_of("UserSession borne", [v.Past("UserSession")])
_device = v.ids_of("AuthSession borne", [v.Past("AuthSession")])
_of_session = v.of(
    [None, "a", v.Past("UserSession borne"), v.Past("UserSession"), v.Past("AuthSession")],
    ["", 5, "a\0b", "\ud800"],
)
_plan, _key = v.ids_of("Plan", v.own_ids), v.ids_of("ApiKey")
_role, _permission = v.ids_of("Role", v.own_ids), v.ids_of("Permission", v.own_ids)
_history, _error = v.ids_of("LocationHistory"), v.ids_of("ErrorLog")
_kind = v.of(["a", "ü😀", "x" * 64], [None, 5, "x" * 65, "a\0b", "\ud800", ""])
_text = v.of(["walk", "", "ü😀", "x" * 64], [None, 5, "x" * 65, "a\0b", "\ud800"])
_maybe_text = v.of([None, "a", ""], [5, "a\0b", "\ud800"])
_context = v.of([None, {}, {"owner": True}, {"owner": 1}, {"n": 1.0}], ["x", 5])
_names, _place = v.of(v.NAMES, v.BAD_IDS), v.of(["p", "q", "P"], v.BAD_IDS)
_texts = v.of([[], ["a"], ("a", "b")], ["a", None, [5], [""], {"a"}, ["\0"]])
_severity = v.of([None, None, "medium", "high"], ["", "lost", 5, "\0"])
_exception = v.of(
    [v.Raised(ValueError, text) for text in ("no", "\0", "\ud800", "x" * 20_000)],
    [None, "text"],
    12,
)
_ended_by = v.of([None, *v.USERS], v.BAD_IDS)

# Every call of every service, and what it is given.
CALLS: dict[str, dict[str, dict[str, st.SearchStrategy[Any]]]] = {
    "user_service": {
        "create_user": {"data": v.user_data},
        "get_user_by_id": {"user_id": users},
        "get_user_by_email": {"email": v.of(v.EMAILS, v.BAD_EMAILS)},
        "update_user": {"user_id": users, "updates": v.user_updates},
        "get_user_profile": {"user_id": users},
        "update_user_profile": {"user_id": users, "updates": v.profile_updates},
        "delete_user": {"user_id": users},
    },
    "session_service": {
        "create_user_session": {
            "user_id": users, "data": v.maybe_json, "until": v.lives,
        },
        "get_user_session": {"session_id": _session},
        "touch_user_session": {
            "session_id": _session, "data": v.maybe_json, "until": v.changed_lives,
        },
        "end_user_session": {"session_id": _session, "user_id": _ended_by},
        "get_user_sessions": {"user_id": users, **listed},
        "create_auth_session": {"user_id": users, "data": v.auth_data, "until": v.lives},
        "get_auth_session": {"session_id": _device},
        "touch_auth_session": {"session_id": _device, "until": v.changed_lives},
        "end_auth_session": {"session_id": _device, "user_id": _ended_by},
        "get_auth_sessions": {"user_id": users, **listed},
        "end_all_of_user": {"user_id": users},
    },
    "location_history_service": {
        "add_location_history": {
            "user_id": users, "location": v.objects, "activity": _text, "metadata": v.maybe_objects,
        },
        "get_user_location_history": {"user_id": users, **listed},
        "get_location_history_by_date_range": {
            "user_id": users, "start": v.starts, "end": v.ends, **listed,
        },
        "delete_location_history": {"history_id": _history, "user_id": users},
    },
    "planning_service": {
        "create_plan": {"user_id": users, "data": v.plan_data},
        "get_user_plans": {"user_id": users, **listed},
        "get_plan_by_id": {"plan_id": _plan, "user_id": users},
        "update_plan": {"plan_id": _plan, "user_id": users, "updates": v.plan_updates},
        "delete_plan": {"plan_id": _plan, "user_id": users},
    },
    "analytics_service": {
        "record_usage_event": {
            "user_id": users, "event_type": _kind, "event_data": v.maybe_json,
            "session_id": _of_session, "user_agent": _maybe_text,
        },
        "get_user_analytics": {"user_id": users, "days": v.wholes, **listed},
        "get_daily_analytics": {"date": v.days, **listed},
    },
    "error_logging_service": {
        "log_error": {
            "exception": _exception, "context": v.maybe_json, "user_id": _ended_by,
            "severity": v.of(["medium", "high", "low", "critical"], ["", "lost", None]),
        },
        "get_error_logs": {"severity": _severity, **listed},
        "resolve_error": {"error_id": _error},
    },
    "cache_service": {
        f"{verb}_{kind}_cache": {key: _place, **given}
        for kind, key in [
            ("weather", "location_key"), ("traffic", "route_key"), ("events", "area_key"),
        ]
        for verb, given in [
            ("set", {"data": v.jsons, "ttl_minutes": v.minutes}), ("get", {}), ("delete", {}),
        ]
    },
    "audit_service": {
        "record": {"event": v.audit_data},
        "get_user_events": {
            "user_id": users, "start": v.maybe_starts, "end": v.maybe_ends, **listed,
        },
        "get_events_of_day": {"date": v.days, **listed},
    },
    "access_service": {
        "create_role": {"data": v.role_data},
        "get_role": {"role_id": _role},
        "get_role_by_name": {"name": _names},
        "update_role": {"role_id": _role, "updates": v.role_updates},
        "delete_role": {"role_id": _role},
        "create_permission": {"data": v.permission_data},
        "get_permission": {"permission_id": _permission},
        "get_permission_by_name": {"name": _names},
        "update_permission": {"permission_id": _permission, "updates": v.permission_updates},
        "delete_permission": {"permission_id": _permission},
        "is_allowed": {
            "user_roles": _roles, "resource": v.of(["plans", "x"], ["", 5]),
            "action": v.of(["read", "x"], ["", 5]), "context": _context,
        },
    },
    "api_key_service": {
        "issue": {
            "user_id": users, "name": _names, "scopes": _texts, "ip_whitelist": _texts,
            "expires_at": v.maybe_ends, "description": _text,
        },
        "verify": {"key": _tokens, "now": v.nows},
        "revoke": {"key_id": _key, "user_id": users},
        "revoke_all_of_user": {"user_id": users},
        "list_keys": {"user_id": users, **listed},
        "record_usage": {"key_id": _key, "user_id": users, "usage": v.usage_data},
        "get_key_usage": {"api_key_id": _key, **listed},
    },
    "rate_limit_service": {
        "hit": {
            "identifier": v.of(["a", "A", "x" * 240], ["", None, "x" * 241, "\0"]),
            "limit": v.of([1, 2, 3], [0, -1, 10**10, True, None, 1.5]),
            "window_seconds": v.of([1, 60, 86400], [0, 10**9, True, None]),
            "now": v.nows,
        },
    },
}  # fmt: skip

# Machines for what belongs together: so that its records meet often. And one for everything.
SUBJECTS = [
    ("user_service", "session_service"),
    ("location_history_service", "planning_service", "analytics_service"),
    ("cache_service", "rate_limit_service", "error_logging_service", "audit_service"),
    ("access_service",),
    ("api_key_service",),
    tuple(CALLS),
]


# What else may happen between two calls.
PASSING = {
    "move_on": {
        "by": v.of([v.SECOND, v.INSTANT, v.SECOND / 2, v.SECOND, 60 * v.SECOND, v.DAY, -v.SECOND]),
    },
    "move_to_a_deadline": {
        "back": st.integers(0, 3),
        "by": v.of([-v.INSTANT, v.SECOND * 0, -v.SECOND, -v.INSTANT, -60 * v.SECOND]),
    },
    "go_on": {"back": st.integers(0, 2), "limit": v.of([None, None, None, 1, 2, 1000, 0])},
    "compare": {},
}  # fmt: skip
MAKING = ("create", "add", "set", "issue", "record", "log", "hit")
WEIGHTS = {"delete": 1, "end": 1}  # of what is not making; else 2


@dataclass(frozen=True)
class Step:
    """A call of a service, or what else may happen."""

    service: str
    call: str
    given: dict[str, Any]
    times: int = 1

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        """How Hypothesis shows it: on one line, whatever its values were made from."""
        given = ", ".join(f"{name}={value!r}" for name, value in self.given.items())
        often = f"  # {self.times} times" if self.times > 1 else ""
        printer.text(f"{self.service}.{self.call}({given}){often}".lstrip("."))


@st.composite
def steps_of(draw: st.DrawFn, services: tuple[str, ...]) -> Step:
    """Any step: what makes records, and at once several of them, most often."""
    choices: list[Any] = []
    for passing, given in PASSING.items():
        weight = 1 if passing == "compare" else 1 + len(services)
        choices += [("", passing, given)] * weight
    for service in services:
        for call, given in CALLS[service].items():
            verb = call.partition("_")[0]
            weight = 4 if verb in MAKING else WEIGHTS.get(verb, 2)
            choices += [(service, call, given)] * weight
    service, call, given = draw(v.one_of(choices))
    drawn = {name: draw(each) for name, each in given.items()}
    several = service and call.startswith(MAKING)
    return Step(service, call, drawn, draw(v.of([1, 1, 2, 4])) if several else 1)
