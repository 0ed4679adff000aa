"""Real processes and real threads at one store, all at once: nothing is lost, nothing is done
twice, and nothing is had by two."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbcore.bearers import hash_of
from dbcore.local_engine import LocalEngine
from tests.daylight.services.conftest import PRIMARIES
from tests.daylight.services.crowd import Crowd
from tests.support.postgres import Postgres

pytestmark = pytest.mark.django_db(transaction=True)
MEMBERS = 4  # processes
ROUNDS = 20


@pytest.fixture(scope="module", params=PRIMARIES)
def crowd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crowd]:
    """Four processes on one store, whose tables are empty."""
    folder: Path = tmp_path_factory.mktemp("crowd")
    environment = {
        "DJANGO_SETTINGS_MODULE": "settings.development",
        "DAYLIGHT_ENV_FILE": os.devnull,
        "DATABASE_PRIMARY": request.param,
        "DATABASE_URL": f"sqlite:///{folder / 'daylight.sqlite3'}",
        "APP_CACHE_TTL": "3600",  # what is stale stays so
        "PYTHONWARNINGS": "ignore",
    }
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        server.create_database(name := f"c{uuid.uuid4().hex[:8]}")
        environment["DATABASE_URL"] = server.url(name)
    if request.param == "dynamodb":
        engine: LocalEngine = request.getfixturevalue("dynamodb_engine")
        environment["DYNAMODB_ENDPOINT"] = engine.endpoint
        environment["DYNAMODB_TABLE_PREFIX"] = f"c{uuid.uuid4().hex[:8]}-"
    with Crowd(MEMBERS, environment) as members:
        members.one_does("prepare")
        yield members


def new_name(what: str) -> str:
    return f"{what}-{uuid.uuid4().hex[:8]}"


def test_of_users_made_at_once_with_one_address_exactly_one_is_made(crowd: Crowd) -> None:
    for _ in range(ROUNDS):
        email = f"{new_name('ana')}@example.org"
        got = crowd.all_do("create_user", email=email)
        assert Counter(got) == {"created": 1, "UniqueViolation": MEMBERS - 1}
        assert crowd.one_does("profiles_of", email=email) == [1]


def test_and_of_those_made_by_threads_of_one_process_too(crowd: Crowd) -> None:
    for _ in range(ROUNDS):
        email = f"{new_name('bea')}@example.org"
        got = crowd.one_does("create_user", threads=2, email=email)
        assert Counter(got) == {"created": 1, "UniqueViolation": 1}


def test_a_limit_of_50_lets_50_of_160_calls_pass(crowd: Crowd) -> None:
    got = crowd.all_do("hit", identifier=new_name("ip"), limit=50, calls=40)
    assert sorted(remaining for each in got for remaining in each) == list(range(50))


def test_and_so_it_does_with_threads_in_every_process(crowd: Crowd) -> None:
    got = crowd.all_do("hit", threads=4, identifier=new_name("ip"), limit=50, calls=10)
    assert sorted(remaining for each in got for remaining in each) == list(range(50))


def test_a_limit_that_is_not_reached_loses_no_call(crowd: Crowd) -> None:
    got = crowd.all_do("hit", identifier=new_name("ip"), limit=1000, calls=25)
    assert sorted(remaining for each in got for remaining in each) == list(range(900, 1000))


@pytest.mark.parametrize("by", ["threads", "processes"])
def test_changes_of_different_fields_of_one_record_are_all_there(crowd: Crowd, by: str) -> None:
    plan_id = new_name("plan")
    crowd.one_does("create_plan", plan_id=plan_id)
    if by == "threads":
        wrong = crowd.one_does("update_plan", threads=4, plan_id=plan_id, turns=15)
    else:
        wrong = crowd.all_do("update_plan", plan_id=plan_id, turns=15)
    assert wrong == [[]] * 4
    (plan,) = crowd.one_does("read_plan", plan_id=plan_id)
    assert plan == ["14", "14", [14], {"at": 14}]


def test_users_who_come_go_and_swap_addresses_are_whole_or_not_there(crowd: Crowd) -> None:
    names = [new_name("u") for _ in range(2)]
    errors = crowd.all_do("churn", threads=2, names=names, turns=40)
    told = {"AlreadyExists", "Conflict", "RecordNotFound", "UniqueViolation"}
    assert {error for each in errors for error in each} <= told
    assert sum(map(len, errors)) < 8 * 40, "nothing was ever done"
    assert crowd.one_does("half_written", names=names) == [[]]


def test_what_another_process_takes_away_lets_nobody_in_here_at_once(crowd: Crowd) -> None:
    (member,) = crowd.one_does("make_member", name=new_name("u"))
    for _ in range(2):
        found = crowd.another_does("let_in", **member)
    assert found == ["role", "session", "key", "address", "cache"]
    crowd.one_does("strip_role", name=member["name"])
    assert crowd.another_does("let_in", **member) == ["session", "key", "address", "cache"]
    crowd.one_does("delete_user", name=member["name"])
    assert crowd.another_does("let_in", **member) == ["cache"]


def test_a_session_whose_expiry_is_moved_while_it_is_used_lives_on(crowd: Crowd) -> None:
    session_id = hash_of(new_name("session"))
    crowd.one_does("create_session", session_id=session_id)
    crowd.all_do("update_session", threads=2, session_id=session_id, turns=12)
    live = crowd.one_does("read_session", session_id=session_id, live=10)
    assert live == [{"at": 11}]


def test_a_key_that_is_revoked_while_all_edit_it_stays_revoked(crowd: Crowd) -> None:
    for _ in range(3):
        name = new_name("u")
        ((_, key_id),) = crowd.one_does("issue_key", name=name)
        found = crowd.all_do("edit_key", threads=2, name=name, key_id=key_id, turns=16)
        assert crowd.one_does("key_status", key_id=key_id) == ["revoked"]
        for each in found:
            told = each[each.index("revoked") :] if "revoked" in each else []
            assert set(told) <= {"revoked", "InvalidRecord", "Conflict"}, "it was undone"


def test_what_four_processes_append_to_the_audit_trail_is_all_there(crowd: Crowd) -> None:
    user_id = new_name("ana")
    written = crowd.all_do("append_audit", threads=2, user_id=user_id, count=10)
    ids = [entry for each in written for entry in each]
    (found,) = crowd.one_does("read_audit", user_id=user_id)
    assert len(set(ids)) == 80
    assert sorted(found) == sorted(ids)
