"""What the members of the crowd do: each call gets its member's and its thread's number, and gives
what JSON can carry. Imports are within: the tests' side must not set Django up a second time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Calls = Callable[..., Any]


def prepare(member: int, thread: int) -> None:
    """Make the store's tables."""
    from django.conf import settings
    from django.core.management import call_command

    from dbcore.table_sync import sync_tables

    if settings.DATABASE_PRIMARY == "dynamodb":
        sync_tables()
    else:
        call_command("migrate", verbosity=0)


def create_user(member: int, thread: int, email: str) -> str:
    """Make a user with this address; the error's name where that is refused."""
    from daylight.services.accounts import user_service
    from dbcore.stores.errors import StoreError

    spelt = email.upper() if (member + thread) % 2 else email
    try:
        user_service.create_user({"email": spelt, "password_hash": "x"})
    except StoreError as error:
        return type(error).__name__
    return "created"


def profiles_of(member: int, thread: int, email: str) -> int:
    """How many profiles belong to the address's one user: 1, or something is half-written."""
    from daylight.models import UserProfile
    from daylight.services.accounts import user_service
    from dbcore.stores.choice import primary_store

    user = user_service.get_user_by_email(email)
    return int(primary_store().get(UserProfile, {"user_id": user.id}) is not None)


def hit(member: int, thread: int, identifier: str, limit: int, calls: int) -> list[int]:
    """What remained after each call that was allowed."""
    from datetime import UTC, datetime

    from daylight.services.rate_limits import rate_limit_service

    # Far ahead: an engine may delete at any time what has expired.
    now = datetime(2100, 9, 22, 12, tzinfo=UTC)
    results = [rate_limit_service.hit(identifier, limit, 3600, now) for _ in range(calls)]
    return [result.remaining for result in results if result.allowed]


PLAN_FIELDS = ("title", "description", "activities", "preferences")


def create_plan(member: int, thread: int, plan_id: str) -> None:
    from daylight.services.planning import planning_service

    planning_service.create_plan("ana", {"id": plan_id, "title": "Lake"})


def update_plan(member: int, thread: int, plan_id: str, turns: int) -> list[Any]:
    """Change one field, this thread's own, again and again; what it was each time afterwards."""
    from daylight.services.planning import planning_service

    field = PLAN_FIELDS[(member + thread) % len(PLAN_FIELDS)]
    form = {"activities": lambda at: [at], "preferences": lambda at: {"at": at}}.get(field, str)
    wrong = []
    for at in range(turns):
        plan = planning_service.update_plan(plan_id, "ana", {field: form(at)})
        if getattr(plan, field) != form(at):
            wrong.append([field, at])
    return wrong


def read_plan(member: int, thread: int, plan_id: str) -> list[Any]:
    from daylight.services.planning import planning_service

    plan = planning_service.get_plan_by_id(plan_id, "ana")
    return [getattr(plan, field) for field in PLAN_FIELDS]


def create_session(member: int, thread: int, session_id: str) -> None:
    from daylight.models import UserSession
    from dbcore.stores.choice import primary_store

    primary_store().add(
        UserSession(
            session_id=session_id, user_id="ana", expires_at=_after(-1), created_at=_after(-2)
        )
    )


def update_session(member: int, thread: int, session_id: str, turns: int) -> None:
    """One thread moves the expiry on, the others change what is not the expiry."""
    from daylight.models import UserSession
    from dbcore.stores.choice import primary_store

    for at in range(turns):
        changes = {"data": {"at": at}} if thread else {"expires_at": _after(at)}
        primary_store().update(UserSession, {"session_id": session_id}, changes)


def read_session(member: int, thread: int, session_id: str, live: int) -> Any:
    """The session's data, if it has not expired after so many hours."""
    from daylight.models import UserSession
    from dbcore.stores.choice import primary_store

    key = {"session_id": session_id}
    found = primary_store().get(UserSession, key, live_at=_after(live))
    return None if found is None else found.data


def _after(hours: int) -> Any:
    """So many hours after a moment far ahead."""
    from datetime import UTC, datetime, timedelta

    return datetime(2100, 9, 22, tzinfo=UTC) + timedelta(hours=hours)


def churn(member: int, thread: int, names: list[str], turns: int) -> list[str]:
    """Make users, change their addresses and delete them, at random and always the same few; the
    errors' names."""
    import random

    from daylight.services.accounts import user_service
    from dbcore.stores.errors import StoreError

    draw = random.Random(10 * member + thread)
    errors = []
    for _ in range(turns):
        name, email = draw.choice(names), f"{draw.choice(names)}@example.org"
        email = draw.choice([email, email.upper()])
        act = draw.choice(["make", "make", "change", "delete", "delete"])
        try:
            if act == "make":
                user_service.create_user({"id": name, "email": email, "password_hash": "x"})
            elif act == "change":
                user_service.update_user(name, {"email": email, "username": draw.choice(names)})
            else:
                user_service.delete_user(name)
        except StoreError as error:
            errors.append(type(error).__name__)
    return errors


def half_written(member: int, thread: int, names: list[str]) -> list[str]:
    """What is wrong with these users: a profile too few or too many, an address or a username that
    is not found or is kept by nobody."""
    from daylight.models import User, UserProfile
    from dbcore.stores.choice import primary_store

    store, wrong = primary_store(cached=False), []
    for name in names:
        user = store.get(User, {"id": name})
        if (user is None) is not (store.get(UserProfile, {"user_id": name}) is None):
            wrong.append(f"half of {name}")
        for field in ("email", "username"):
            value = getattr(user, field, None)
            found = store.get_by_unique(User, field, value) if value else user
            if value and (found is None or found.id != name):
                wrong.append(f"{field} of {name}")
        if user is not None:
            store.delete(User, {"id": name})
            store.delete(UserProfile, {"user_id": name})
    for name in names:  # nothing keeps a value that nobody has
        email = f"{name}@example.org"
        store.add(User(id=name, email=email, username=name, password_hash="x"))
    return wrong


def make_member(member: int, thread: int, name: str) -> dict[str, str]:
    """A user, a role that allows them to read plans, and what they come in by."""
    from datetime import timedelta

    from daylight.services.access import access_service
    from daylight.services.accounts import user_service
    from daylight.services.api_keys import api_key_service
    from daylight.services.sessions import session_service

    user_service.create_user({"id": name, "email": f"{name}@example.org", "password_hash": "x"})
    access_service.create_permission({"name": name, "resource": "plans", "action": "read"})
    access_service.create_role({"id": name, "name": name, "permissions": [name]})
    session_id, _ = session_service.create_auth_session(name, ttl=timedelta(hours=1))
    return {"name": name, "session_id": session_id, "key": api_key_service.issue(name, "CI")[0]}


def let_in(member: int, thread: int, name: str, session_id: str, key: str) -> list[str]:
    """What still counts, once this process's cache has had everything."""
    from daylight.services.access import access_service
    from daylight.services.accounts import user_service
    from daylight.services.api_keys import api_key_service
    from daylight.services.sessions import session_service
    from dbcore.stores.caching import COUNTERS
    from dbcore.stores.errors import RecordNotFound

    counts = ["role"] if access_service.is_allowed([name], "plans", "read") else []
    for what, call, given in (
        ("session", session_service.get_auth_session, session_id),
        ("key", api_key_service.verify, key),
        ("address", user_service.get_user_by_email, f"{name}@example.org"),
    ):
        try:
            call(given)
        except RecordNotFound:
            continue
        counts.append(what)
    for _ in range(2):
        access_service.get_role(name)
        user_service.get_user_by_id(name)
    return [*counts, "cache"] if COUNTERS.stats()["hits"] else counts


def strip_role(member: int, thread: int, name: str) -> None:
    from daylight.services.access import access_service

    access_service.update_role(name, {"permissions": []})


def delete_user(member: int, thread: int, name: str) -> None:
    from daylight.services.accounts import user_service

    user_service.delete_user(name)


def issue_key(member: int, thread: int, name: str) -> list[str]:
    """A key of a new user: its text and its record's id."""
    from daylight.services.accounts import user_service
    from daylight.services.api_keys import api_key_service

    user_service.create_user({"id": name, "email": f"{name}@example.org", "password_hash": "x"})
    text, record = api_key_service.issue(name, "CI")
    return [text, record.id]


def edit_key(member: int, thread: int, name: str, key_id: str, turns: int) -> list[str]:
    """One thread revokes the key in the middle; the others edit it all the time. What each found
    that the key was, or which error it got."""
    from daylight.models import ApiKey
    from daylight.services.api_keys import api_key_service
    from dbcore.stores.choice import primary_store
    from dbcore.stores.errors import StoreError

    found = []
    for at in range(turns):
        changes = {"status": ("active", "suspended")[at % 2]} if at % 3 else {"name": f"n{at}"}
        try:
            if (member, thread, at) == (0, 0, turns // 2):
                found.append(api_key_service.revoke(key_id, name).status)
            else:
                found.append(primary_store().update(ApiKey, {"id": key_id}, changes).status)
        except StoreError as error:
            found.append(type(error).__name__)
    return found


def key_status(member: int, thread: int, key_id: str) -> str:
    from daylight.models import ApiKey
    from dbcore.stores.choice import primary_store

    found = primary_store().get(ApiKey, {"id": key_id})
    assert found is not None
    return str(found.status)


def append_audit(member: int, thread: int, user_id: str, count: int) -> list[str]:
    """Append entries; their ids."""
    from daylight.services.audit import audit_service

    event = {"event_type": "e", "resource": "r", "action": "a", "outcome": "success", "source": "s"}
    return [audit_service.record({**event, "user_id": user_id}).id for _ in range(count)]


def read_audit(member: int, thread: int, user_id: str) -> list[str]:
    """The ids of a user's entries, in pages."""
    from daylight.services.audit import audit_service

    found: list[str] = []
    cursor = None
    while True:
        page = audit_service.get_user_events(user_id, 7, cursor)
        found += [entry.id for entry in page]
        cursor = page.next_cursor
        if cursor is None:
            return found


CALLS: dict[str, Calls] = {
    each.__name__: each
    for each in (
        prepare, create_user, profiles_of, hit, create_plan, update_plan, read_plan,
        create_session, update_session, read_session, append_audit, read_audit, churn,
        half_written, make_member, let_in, strip_role, delete_user, issue_key, edit_key,
        key_status,
    )
}  # fmt: skip
