"""Entries of the audit trail about requests: whom the site has authenticated, and from where.

Where the audit trail takes no entry, what changes or removes something is not done; what looks, or
signs in and out, goes on, and the log has an error: an outage of the store must not keep those out
who are to mend it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from logging import ERROR
from typing import Any

from django.conf import settings
from django.db import models
from django.http import HttpRequest
from django.utils import timezone

from daylight.services.audit import audit_service
from daylight.signin.addresses import client_address
from dbcore.items import layout_of
from dbcore.logs import Event, ids
from dbcore.monitoring.deadlines import in_time
from dbcore.operators import operator
from dbcore.retention.audit import AuditFailed
from dbcore.retention.erased import known_as, subject_of
from dbcore.schema import has_storage
from dbcore.stores.choice import DYNAMODB

SOURCE = "admin"
PATIENCE = 3.0  # seconds that a page waits for DynamoDB to take an entry
MAX_TEXT = 255  # characters of a resource and an actor
MAX_AGENT = 500  # of what a browser says of itself
MAX_SUBJECTS = 200  # of a list: more are not on one page
SUBJECT_LENGTH = 16  # hexadecimal digits: enough to tell users apart

MISSING = Event(
    "daylight.trail", (ERROR,), "audit trail lacks an entry of a request", ("action", "error"),
    "the store did not take it; a change was not made then, all else was",
)  # fmt: skip

# The request that is served, for what is told of without one.
current: ContextVar[HttpRequest | None] = ContextVar("daylight_request", default=None)


def must_tell(request: HttpRequest | None, **given: Any) -> None:
    """Write an entry, before what it is about counts. AuditFailed: it is not to be done."""
    try:
        _record(_entry(request, **given))
    except Exception as error:
        MISSING.log(action=given["action"], error=error)
        raise AuditFailed(
            "Nothing was changed, since it cannot be written to the audit trail. "
            "Try again once the store answers: `./manage.py db_health` says what is wrong."
        ) from error


def tell(request: HttpRequest | None, **given: Any) -> None:
    """Write an entry; where that fails, or takes too long, an error to the log."""
    try:
        _record(_entry(request, **given))
    except Exception as error:
        MISSING.log(action=given["action"], error=error)


def _record(entry: dict[str, Any]) -> None:
    if settings.DATABASE_PRIMARY != DYNAMODB:
        audit_service.record(entry)
        return
    # It tries for half a minute, as long as a worker may live that waits for it; and after one that
    # is late the next ones are not even begun.
    answer = in_time({"audit": lambda: audit_service.record(entry)}, PATIENCE)["audit"]
    if isinstance(answer, BaseException):
        raise answer


def _entry(
    request: HttpRequest | None,
    *,
    kind: str,
    action: str,
    resource: str = "admin",
    outcome: str = "success",
    risk: str = "low",
    owner: str | None = None,
    actor: str | None = None,
    details: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """An entry as the service takes it. `owner`: the user whose record it is about."""
    return {
        "event_type": kind,
        "action": action[:64],
        "resource": resource[:MAX_TEXT],
        "outcome": outcome,
        "risk_level": risk,
        "user_id": None if owner is None else known_as(owner),
        "actor": (actor or _actor(request))[:MAX_TEXT],
        "details": details or {},
        "source": SOURCE,
        "timestamp": timezone.now(),
        **({} if request is None else _where(request)),
    }


def _actor(request: HttpRequest | None) -> str:
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return staff(user)
    return str(operator()) if request is None else "nobody"


def staff(user: Any) -> str:
    """A colleague, as entries name them."""
    return f"staff:{user.pk} {user.get_username()}"


def _where(request: HttpRequest) -> dict[str, Any]:
    session = getattr(request, "session", None)
    key = None if session is None else session.session_key
    agent = request.headers.get("User-Agent", "")[:MAX_AGENT]
    return {
        "ip_address": client_address(request),
        "session_id": key,  # of which the trail keeps the hash
        "user_agent": "".join(each if each.isprintable() else "?" for each in agent),
        "correlation_id": ids().get("request_id"),
    }


def described(record: models.Model) -> dict[str, Any]:
    """Which record an entry is about: its table and key, and whose it is."""
    return {"resource": f"{table_of(type(record))}/{record.pk}", "owner": owner_of(record)}


def table_of(model: type[models.Model]) -> str:
    """A table, as entries name it."""
    return layout_of(model).table.name if has_storage(model) else str(model._meta.label_lower)


def owner_of(record: models.Model) -> str | None:
    """The user to whom a record belongs."""
    field = layout_of(type(record)).table.owner if has_storage(type(record)) else None
    owner = None if field is None else getattr(record, field)
    return str(owner) if owner else None


def described_list(
    model: type[models.Model], records: Iterable[models.Model], narrowed_by: list[str]
) -> dict[str, Any]:
    """Which records of a list: their table, how many, and whose. Where they are several users', as
    digests: an entry that is no user's cannot be cleared when one of them is erased."""
    rows = list(records)
    owners = list(dict.fromkeys(filter(None, map(owner_of, rows))))
    whose = [subject_of(each)[:SUBJECT_LENGTH] for each in owners[:MAX_SUBJECTS]]
    subjects = {"subjects": whose} if len(owners) > 1 else {}
    return {
        "resource": table_of(model),
        "owner": owners[0] if len(owners) == 1 else None,
        "details": {"records": len(rows), "by": narrowed_by, **subjects},
    }
