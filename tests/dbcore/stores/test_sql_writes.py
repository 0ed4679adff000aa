"""SQL writes that others come between, on PostgreSQL, where several write at once; and a connection
that is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection, connections, transaction

from daylight.models import User
from dbcore.patience import ASKED
from dbcore.stores import orm
from dbcore.stores.errors import Conflict, StoreUnavailable
from dbcore.stores.interface import Update
from dbcore.stores.orm import OrmStore
from tests.support.postgres import USER, Postgres

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgresql_tables"),
]  # fmt: skip
store = OrmStore()


def make_user(name: str, **given: Any) -> User:
    return User(**{"id": name, "email": f"{name}@example.org", "password_hash": "x", **given})


@pytest.fixture
def other(postgres: Postgres) -> Iterator[psycopg.Connection[Any]]:
    """Another process."""
    with postgres.connect(USER) as connected:
        yield connected


@contextmanager
def meanwhile(
    patch: pytest.MonkeyPatch, other: psycopg.Connection[Any], *statements: str
) -> Iterator[list[str]]:
    """Once the database has refused a value for being another's, and before the store has looked
    whose it is, another process does one of these; those that it has not done yet."""
    left, usual = list(statements), orm.OrmStore._taken

    def taken(*given: Any) -> Any:
        if left:
            other.execute(left.pop(0))
        return usual(*given)

    patch.setattr(orm.OrmStore, "_taken", taken)
    yield left


FREED = "UPDATE users SET email = 'bea@new.org' WHERE id = 'bea'"
TAKEN = "UPDATE users SET email = 'bea@example.org' WHERE id = 'bea'"


def test_an_address_that_is_freed_meanwhile_is_taken(
    monkeypatch: pytest.MonkeyPatch, other: psycopg.Connection[Any]
) -> None:
    store.add(make_user("ana"))
    store.add(make_user("bea"))
    with meanwhile(monkeypatch, other, FREED) as left:
        ana = store.update(User, {"id": "ana"}, {"email": "bea@example.org"})
        assert ana.email == "bea@example.org" and not left
    assert store.get_by_unique(User, "email", "bea@example.org") == ana


def test_a_new_user_gets_an_address_that_is_freed_meanwhile(
    monkeypatch: pytest.MonkeyPatch, other: psycopg.Connection[Any]
) -> None:
    store.add(make_user("bea"))
    with meanwhile(monkeypatch, other, FREED) as left:
        cat = store.add(make_user("cat", email="BEA@example.org"))
        assert not left
    assert store.get_by_unique(User, "email", "bea@example.org") == cat


def test_an_address_that_comes_and_goes_is_a_conflict_at_last(
    monkeypatch: pytest.MonkeyPatch, other: psycopg.Connection[Any]
) -> None:
    store.add(make_user("ana"))
    store.add(make_user("bea"))
    usual = orm.OrmStore._locked

    def locked(*given: Any) -> Any:
        other.execute(TAKEN)
        return usual(*given)

    monkeypatch.setattr(orm.OrmStore, "_locked", locked)
    with meanwhile(monkeypatch, other, *[FREED] * ASKED.tries) as left:
        with pytest.raises(Conflict):
            store.update(User, {"id": "ana"}, {"email": "bea@example.org"})
        assert not left
    assert store.get(User, {"id": "ana"}).email == "ana@example.org"


def waiting(other: psycopg.Connection[Any]) -> bool:
    """Whether somebody waits for a lock."""
    (count,) = other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() or (0,)
    return bool(count)


def test_a_transaction_that_the_database_ends_for_anothers_sake_is_done_again(
    monkeypatch: pytest.MonkeyPatch, other: psycopg.Connection[Any], postgres: Postgres
) -> None:
    for name in ("ana", "bea"):
        store.add(make_user(name))
    with connection.cursor() as cursor:
        cursor.execute("SET deadlock_timeout = '10ms'")  # so the one that is ended is ours
    other.execute("SET deadlock_timeout = '60s'")
    other.execute("BEGIN")
    other.execute("UPDATE users SET password_hash = 'theirs' WHERE id = 'bea'")
    usual, order = orm.OrmStore._locked, []
    theirs = threading.Thread(
        target=lambda: (
            other.execute("UPDATE users SET password_hash = 'theirs' WHERE id = 'ana'"),
            other.execute("COMMIT"),
        )
    )

    def locked(own: OrmStore, layout: Any, key: Any, expect: Any) -> Any:
        order.append(key["id"])
        if order == ["ana", "bea"]:  # we have ana, they have bea, and now they want ana too
            theirs.start()
            with postgres.connect(USER) as watching:
                while not waiting(watching):
                    assert theirs.is_alive()
        return usual(own, layout, key, expect)

    monkeypatch.setattr(orm.OrmStore, "_locked", locked)
    changes = {"username": None, "password_hash": "ours"}
    store.transact([Update(User, {"id": name}, changes) for name in ("ana", "bea")])
    theirs.join()
    assert order == ["ana", "bea"] * (len(order) // 2) and len(order) >= 4
    assert {user.password_hash for user in User.objects.all()} == {"ours"}


def test_users_who_swap_addresses_at_once_get_them_or_an_error_of_ours() -> None:
    for name in "12":
        store.add(make_user(name))

    def swap(seed: int) -> set[str]:
        ends = set()
        try:
            for at in range(40):
                email = ("e@b.org", "f@b.org", f"x{seed}@b.org")[(at * 7 + seed) % 3]
                try:
                    store.update(User, {"id": "12"[(at + seed) % 2]}, {"email": email})
                except Exception as error:
                    ends.add(type(error).__name__)
        finally:
            connections.close_all()
        return ends

    with ThreadPoolExecutor(6) as threads:
        ends = set().union(*threads.map(swap, range(6)))
    assert ends <= {"UniqueViolation", "Conflict"}


def end_connections(postgres: Postgres) -> None:
    with postgres.connect("postgres") as watching:
        watching.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (USER,)
        )


def test_after_a_lost_connection_the_next_call_finds_the_database_again(postgres: Postgres) -> None:
    store.add(make_user("ana"))
    for call in (
        lambda: store.get(User, {"id": "ana"}),
        lambda: store.update(User, {"id": "ana"}, {"password_hash": "y"}),
    ):
        end_connections(postgres)
        with pytest.raises(StoreUnavailable):
            call()
        assert call().id == "ana"  # no request has begun or ended since


def test_a_callers_transaction_is_not_ended_behind_its_back(postgres: Postgres) -> None:
    store.add(make_user("ana"))
    with pytest.raises(RuntimeError, match="gives up"), transaction.atomic():
        end_connections(postgres)
        with pytest.raises(StoreUnavailable):
            store.get(User, {"id": "ana"})
        with pytest.raises(StoreUnavailable):  # and not, in a new connection, outside of it
            store.update(User, {"id": "ana"}, {"password_hash": "y"})
        raise RuntimeError("the caller gives up")
    assert store.get(User, {"id": "ana"}).password_hash == "x"
