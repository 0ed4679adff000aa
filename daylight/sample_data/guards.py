"""Sample audit trail, roles, permissions, API keys, their use and limits: who may do what, and
who did. No hash here is of a key that anybody was given.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from daylight.models import ApiKey, ApiUsage, AuditLog, Permission, RateLimit, Role
from daylight.sample_data.draw import Draw
from daylight.sample_data.people import DAY, Person
from daylight.sample_data.words import ENDPOINTS, RESOURCES, ROLES, USER_AGENTS
from dbcore.bearers import hash_of

LIMIT_WINDOW = 60  # seconds
MINUTE = dt.timedelta(minutes=1)


def permissions(draw: Draw) -> Iterator[Permission]:
    """Every action on every resource, once."""
    for resource, actions in RESOURCES.items():
        for action in actions:
            at = draw.between(draw.now - 3400 * DAY, draw.now - 3300 * DAY)
            yield Permission(
                id=draw.new_id(at),
                name=f"{resource}:{action}",
                description="" if draw.often(0.2) else f"May {action} {resource}.",
                resource=resource,
                action=action,
                conditions={} if action == "read" else {"owner": True, "hours": [8, 20]},
                created_at=at,
                updated_at=draw.between(at, draw.now),
            )


def roles(draw: Draw) -> Iterator[Role]:
    """Roles that inherit from one another, by name."""
    for name, (description, scope, inherited, added) in ROLES.items():
        at = draw.between(draw.now - 3300 * DAY, draw.now - 3200 * DAY)
        yield Role(
            id=draw.new_id(at),
            name=name,
            description=description,
            permissions=list(added),
            inherited_roles=list(inherited),
            scope=scope,
            metadata={} if draw.often(0.5) else {"color": "#2b6cb0", "order": len(inherited)},
            created_at=at,
            updated_at=draw.between(at, draw.now),
        )


def audit(draw: Draw, people: list[Person], count: int) -> Iterator[AuditLog]:
    """What people did, from their first day to the last they were seen: part of it is over
    seven years old."""
    for _ in range(count):
        person = draw.one(people)
        at = draw.between(person.user.created_at, person.last_seen)
        resource = draw.one(tuple(RESOURCES))
        action = draw.one(RESOURCES[resource])
        system = draw.often(0.05)  # done by Daylight itself, for nobody
        yield AuditLog(  # type: ignore[misc]  # user_id may be null
            id=draw.new_id(at),
            timestamp=at,
            event_type=draw.one(("data_access", "data_change", "authentication", "permission")),
            user_id=None if system else person.id,
            session_id=None if system else draw.session_hash(at - 9 * MINUTE),
            resource=f"{resource}/{draw.hexadecimal(8)}",
            action=action,
            outcome=draw.one((*AuditLog.Outcome.values, "success", "success")),
            risk_level=draw.one(("low", "low", "medium", "high")),
            ip_address=None if system else draw.address(),
            user_agent=None if system else draw.one(USER_AGENTS),
            details={"reason": draw.one(("", "asked by user")), "counts": [1, [2, [3]]]},
            changes={} if action == "read" else {"status": {"from": "active", "to": None}},
            compliance_labels=draw.some(("gdpr", "soc2", "iso27001"), 2),
            correlation_id=None if draw.often(0.3) else draw.hexadecimal(32),
            source="scheduler" if system else draw.one(("web", "api", "mobile")),
        )


def api_keys(draw: Draw, people: list[Person], count: int) -> Iterator[ApiKey]:
    """Keys of which only the hash is known; used, expired, suspended and revoked ones."""
    for index in range(count):
        person = draw.one(people)
        created = draw.ago(900, since=person.user.created_at)
        secret = f"dl_live_{draw.hexadecimal(40)}"
        expires = None if draw.often(0.4) else created + draw.one((90, 365, 1095)) * DAY
        used = draw.between(created, min(draw.now, expires or draw.now))
        yield ApiKey(
            id=draw.new_id(created),
            name=draw.one(("CI", "Home Assistant", "Widget 📱", "日历同步", "Export")),
            key_hash=hash_of(secret),
            key_preview=secret[:12],
            user_id=person.id,
            scopes=draw.some(("plans:read", "plans:write", "locations:read"), 3),
            allowed_endpoints=[] if draw.often(0.5) else ["/v1/plans", "/v1/plans/{id}"],
            allowed_methods=draw.some(("GET", "POST", "DELETE"), 3),
            ip_whitelist=[] if draw.often(0.8) else [draw.address()],
            status=draw.one(("active", "active", "active", *ApiKey.Status.values)),
            environment=draw.one(("production", "production", "staging")),
            expires_at=expires,
            # The first key has been used, so that there is one whose usage can be told.
            last_used_at=None if index and draw.often(0.1) else used,
            description=draw.one(("", "Made on the phone.")),
            tags=draw.some(("personal", "team", "🔑"), 2),
            created_at=created,
            updated_at=draw.between(created, draw.now),
        )


def api_usage(draw: Draw, keys: list[ApiKey], count: int) -> Iterator[ApiUsage]:
    """Requests, each between its key's first day and its last use."""
    used = [(key, key.last_used_at) for key in keys if key.last_used_at is not None]
    for _ in range(count):
        key, last = draw.one(used)
        at = draw.between(max(key.created_at, last - 500 * DAY), last)
        method, endpoint = draw.one(ENDPOINTS)
        status = draw.one((200, 200, 200, 201, 404, 429, 500))
        code = {404: "not_found", 429: "rate_limited", 500: "internal"}.get(status)
        yield ApiUsage(
            api_key_id=key.id,
            id=draw.new_id(at),
            user_id=key.user_id,
            endpoint=endpoint,
            method=method,
            status_code=status,
            response_time_ms=draw.chance.lognormvariate(3, 1),
            request_size=draw.chance.randint(0, 2_000),
            response_size=draw.chance.randint(2, 90_000),
            rate_limit_hit=status == 429,
            ip_address=draw.address(),
            user_agent=draw.one((None, *USER_AGENTS)),
            error_code=code,
            error_message="" if status == 404 else code and f"{code} — try again",
            timestamp=at,
        )


def rate_limits(draw: Draw, keys: list[ApiKey], count: int) -> Iterator[RateLimit]:
    """The running minute of each key, and earlier ones; no window of a key twice."""
    this_minute = draw.now.replace(second=0, microsecond=0)
    for index in range(count):
        minutes_ago, key = divmod(index, len(keys))
        start = this_minute - 7 * minutes_ago * MINUTE
        yield RateLimit(
            identifier=f"key/{keys[key].id}" if index % 3 else f"ip/{draw.address()}%{index}",
            window_start=start,
            count=draw.chance.randint(1, 120),
            limit=100,
            window_seconds=LIMIT_WINDOW,
            expires_at=start + dt.timedelta(seconds=2 * LIMIT_WINDOW),
        )
