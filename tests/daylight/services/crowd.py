"""Processes of their own that call services at the same time: the crowd of test_concurrency.

`Crowd` is the tests' side. Run as a program, this file is a member: it reads one task a line, does
it in so many threads that begin together, and writes what each of them got.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 120  # seconds, after which a member is taken for stuck and killed

Calls = Callable[..., Any]


class Crowd:
    """So many processes on one store, which are started once and do one task after another."""

    def __init__(self, members: int, environment: Mapping[str, str]) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DYNAMO", "DATABASE"))}
        command = [sys.executable, "-m", "tests.daylight.services.crowd"]
        self._members = [
            subprocess.Popen(
                command, cwd=ROOT, env={**kept, **environment}, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )
            for _ in range(members)
        ]  # fmt: skip

    def all_do(self, call: str, *, threads: int = 1, **given: Any) -> list[Any]:
        """What every thread of every member got; they begin together."""
        return self._do(self._members, call, threads, given)

    def one_does(self, call: str, *, threads: int = 1, **given: Any) -> list[Any]:
        """What every thread of one member got."""
        return self._do(self._members[:1], call, threads, given)

    def _do(
        self, members: list[subprocess.Popen[str]], call: str, threads: int, given: dict[str, Any]
    ) -> list[Any]:
        stuck = threading.Timer(PATIENCE, self._kill)
        stuck.start()
        try:
            for at, member in enumerate(members):
                task = {"call": call, "threads": threads, "member": at, "given": given}
                assert member.stdin is not None
                print(json.dumps(task), file=member.stdin, flush=True)
            return [got for member in members for got in self._answer(member)]
        finally:
            stuck.cancel()

    @staticmethod
    def _answer(member: subprocess.Popen[str]) -> list[Any]:
        assert member.stdout is not None
        line = member.stdout.readline()
        assert line, f"a member ended, or was stuck and killed: {member.wait()}"
        got: list[Any] = json.loads(line)
        return got

    def _kill(self) -> None:
        for member in self._members:
            member.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self._members:
            member.communicate()  # the end of its tasks


# --- a member ---------------------------------------------------------------------------------
# Imports are within: the tests' side must not set Django up a second time.


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
        create_session, update_session, read_session, append_audit, read_audit,
    )
}  # fmt: skip


def in_threads(call: Calls, threads: int, member: int, given: Mapping[str, Any]) -> list[Any]:
    """What so many threads got from a call that they began together."""
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connections

    barrier = threading.Barrier(threads)

    def one(thread: int) -> Any:
        barrier.wait()
        try:
            return call(member, thread, **given)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))


def main() -> None:
    import django

    django.setup()
    for line in sys.stdin:
        task = json.loads(line)
        got = in_threads(CALLS[task["call"]], task["threads"], task["member"], task["given"])
        print(json.dumps(got), flush=True)


if __name__ == "__main__":
    main()
