"""Ids of sessions in an earlier file: who is signed in stays so, and nothing that the migration
leaves behind lets anybody in."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import connections
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.executor import MigrationExecutor

from daylight.models import AuditLog, AuthSession, UsageAnalytics, User, UserSession
from daylight.services.sessions import session_service
from dbcore.migration.errors import SourceError
from dbcore.migration.sources import hashes, open_source
from dbcore.migration.sources.sqlite import SqliteSource
from dbcore.models import Checkpoint, DeadLetter
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import RecordNotFound
from tests.dbcore.migration.conftest import Migrate
from tests.dbcore.migration.legacy_file import (
    NOW,
    SCHEMA,
    Legacy,
    Undecodable,
    execute,
    insert,
    iso,
    kept_id,
    open_file,
)
from tests.dbcore.migration.runs import Tables, counts, line
from tests.support.databases import complete
from tests.support.postgres import Postgres

# Of every form that ids have had; the last has that of a hash.
IDS = ["8d116ece-1738-47d9-bd9c-172411e20b8f", "s:Zażółć.😀", "x" * 3000, "ab" * 32]
BEFORE = "0001"  # the last migration that left ids as they were
WITHOUT_ROWID = ", PRIMARY KEY (session_id)) WITHOUT ROWID"


def session(session_id: Any, **changes: Any) -> dict[str, Any]:
    ends = iso(NOW + dt.timedelta(days=20))
    row = {"session_id": session_id, "user_id": "ana", "data": '{"n":1}'}
    return row | {"expires_at": ends, "created_at": iso(NOW)} | changes


def file_of(path: Path, rows: list[dict[str, Any]], columns: str = "") -> Path:
    """A file with a table of sessions, Node's own unless other columns are given."""
    with open_file(path) as file:
        file.execute(f"CREATE TABLE user_sessions ({columns or SCHEMA['user_sessions'] + ')'}")
        for row in rows:
            insert(file, "user_sessions", row)
    return path


def without_rowid() -> str:
    return SCHEMA["user_sessions"].replace(" PRIMARY KEY", "") + WITHOUT_ROWID


def books() -> str:
    """All that Django's database has of migrations."""
    return serializers.serialize("json", [*DeadLetter.objects.all(), *Checkpoint.objects.all()])


@pytest.mark.parametrize("columns", ["", without_rowid()], ids=["rowid", "without rowid"])
def test_who_is_signed_in_stays_so_and_nothing_that_is_left_lets_anybody_in(
    run: Migrate, tables: Tables, tmp_path: Path, settings: Any, columns: str
) -> None:
    bad = [session("dead-" + each, expires_at=None) for each in IDS]
    path = file_of(tmp_path / "old.sqlite3", [*map(session, IDS), *bad], columns)
    report = run(path)
    assert report["exit"] == 3, report["error"]
    assert counts(report, "user_sessions") == {"read": 8, "written": 4, "dead_lettered": 4}
    settings.DATABASE_PRIMARY = "dynamodb"
    settings.APP_CACHE_ENABLED = False
    call_command("sync_tables", verbosity=0)
    primary_store().add(User(id="ana", email="ana@example.org", password_hash="x"))
    for each in IDS:
        assert session_service.get_user_session(each).session_id == kept_id(each)
        for other in (kept_id(each), each.upper() + "x"):
            with pytest.raises(RecordNotFound):
                session_service.get_user_session(other)
    left = json.dumps([tables.scan("user_sessions"), report], ensure_ascii=False) + books()
    assert not [each for each in IDS if each in left]
    assert {letter.key for letter in DeadLetter.objects.all()} == {
        kept_id("dead-" + each) for each in IDS
    }
    again = run(path, verify_only=True)
    assert (again["exit"], line(again, "user_sessions")["different"]) == (3, 0)


def test_an_id_that_its_row_tells_of_again_is_hashed_there_too(
    run: Migrate, tables: Tables, tmp_path: Path
) -> None:
    told = [session(each, data=json.dumps({"of": [f"sid={each}; n"]})) for each in IDS]
    told[1]["data"] = json.dumps({"n": 1})  # of those, the only one that is short
    bad = session("dead-" + IDS[0], data=f"no JSON of dead-{IDS[0]}", user_id=None)
    undecodable = session("dead-" + IDS[3], data=Undecodable(b"\xe9 dead-" + IDS[3].encode()))
    assert run(file_of(tmp_path / "old.sqlite3", [*told, bad, undecodable]))["exit"] == 3
    kept = tables.items("user_sessions", "sessionId")
    for each in (IDS[0], *IDS[2:]):
        assert kept[kept_id(each)]["data"] == {"of": [f"sid={kept_id(each)}; n"]}
    assert kept[kept_id(IDS[1])]["data"] == {"n": 1}
    left = json.dumps(tables.scan("user_sessions")) + books()
    assert not [each for each in (IDS[0], *IDS[2:]) if each in left]
    coded = DeadLetter.objects.get(key=kept_id("dead-" + IDS[3])).row["data"]
    assert base64.b64decode(*coded.values()) == b"\xe9 " + kept_id("dead-" + IDS[3]).encode()


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_an_id_has_one_hash_whatever_the_file_is_encoded_in(
    run: Migrate, tables: Tables, tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "old.sqlite3"
    with open_file(path) as file:
        file.execute(f"PRAGMA encoding = '{encoding}'")
        file.execute(f"CREATE TABLE user_sessions (n, {SCHEMA['user_sessions']})")
        for number, each in enumerate([*IDS, 7]):
            insert(file, "user_sessions", session(each, n=number))
    assert run(path)["exit"] == 0
    assert tables.items("user_sessions", "sessionId").keys() == {
        *map(kept_id, IDS), kept_id("7"),
    }  # fmt: skip


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_a_table_without_row_numbers_goes_on_from_a_place_that_is_no_secret(
    run: Migrate, tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(SqliteSource.pages, "__defaults__", (None, page))
    ids = [f"session-{at}" for at in range(9)]
    path = file_of(tmp_path / "old.sqlite3", [session(each) for each in ids], without_rowid())
    assert run(path)["exit"] == 0
    hashes_ = sorted(map(kept_id, ids))
    position = Checkpoint.objects.get(source_table="user_sessions").position
    assert position == [hashes_[-1], "text"]
    Checkpoint.objects.update(complete=False, position=[hashes_[4], "text"])
    for each in hashes_[5:]:
        tables.delete("user_sessions", sessionId=each)
    report = run(path)
    assert report["resumed"] and report["exit"] == 0
    assert sorted(tables.items("user_sessions", "sessionId")) == hashes_


def test_a_dead_letter_of_a_table_without_row_numbers_is_replayed(
    run: Migrate, tables: Tables, tmp_path: Path
) -> None:
    path = file_of(tmp_path / "old.sqlite3", [session("dead", data="no JSON")], without_rowid())
    run(path)
    execute(path, "UPDATE user_sessions SET data = '{}'")
    call_command("dead_letters", "replay")
    assert DeadLetter.objects.filter(resolved_at=None).count() == 0
    assert list(tables.items("user_sessions", "sessionId")) == [kept_id("dead")]


@pytest.mark.parametrize(
    ("session_id", "reason"),
    [
        ("", "session_id is empty, which a key may not be"),
        (None, "session_id is missing"),
        (b"\x00secret", "session_id is bytes, not text"),
    ],
)
def test_what_is_no_id_is_refused_for_what_it_is(
    run: Migrate, tables: Tables, tmp_path: Path, session_id: Any, reason: str
) -> None:
    report = run(file_of(tmp_path / "old.sqlite3", [session(session_id)]))
    (letter,) = report["dead_letters"]
    assert letter["reason"] == reason
    assert "secret" not in books() and "AHNlY3JldA" not in books()


def test_items_that_no_row_has_are_told_from_those_that_one_has(
    run: Migrate, tables: Tables, good: Legacy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each item's row is looked for by its hash: the whole table is not hashed for every one."""
    made = []
    monkeypatch.setattr(hashes, "hash_of", lambda text: made.append(text) or kept_id(text))
    run(good)
    made.clear()
    one = tables.scan("user_sessions")[0]
    for name in ("other", "another"):
        tables.put("user_sessions", one | {"sessionId": {"S": kept_id(name)}})
    report = run(good, verify_only=True)
    assert (report["exit"], line(report, "user_sessions")["extra"]) == (2, 2)
    assert len(made) < 12 * 5


def test_a_session_that_begins_while_the_file_is_read_is_found(tmp_path: Path) -> None:
    path = file_of(tmp_path / "old.sqlite3", [session("one")])
    execute(path, "PRAGMA journal_mode=WAL")
    writer = sqlite3.connect(path)
    insert(writer, "user_sessions", session("before"))
    writer.commit()  # the file is in use from now on
    source = open_source(str(path))
    (plan,) = source.plans
    try:
        assert len(source.find(plan, {"session_id": kept_id("one")})) == 1
        insert(writer, "user_sessions", session("two"))
        writer.commit()
        assert len(source.find(plan, {"session_id": kept_id("two")})) == 1
        assert source.find(plan, {"session_id": "two"}) == []
    finally:
        source.close()
        writer.close()


# --- Django's own databases, whose sessions are hashed already -----------------------------------


@contextlib.contextmanager
def own_database(given: dict[str, Any]) -> Iterator[None]:
    """A database of which `manage.py migrate` has made the tables; its alias is `own`."""
    connections.databases["own"] = complete(given)
    try:
        call_command("migrate", database="own", verbosity=0)
        yield
    finally:
        connections["own"].close()
        del connections["own"]
        del connections.databases["own"]


def in_file(path: Path) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}


@pytest.fixture(params=["sqlite", "postgresql"])
def djangos(request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: Any) -> Any:
    """A database of Django's own."""
    given = in_file(tmp_path / "own.sqlite3")
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        server.create_database(name := f"h{uuid.uuid4().hex[:8]}")
        given = server.settings(name)
    with django_db_blocker.unblock(), own_database(given):
        yield


def test_a_database_of_djangos_is_not_taken_for_an_earlier_file(
    tmp_path: Path, django_db_blocker: Any
) -> None:
    path = tmp_path / "own.sqlite3"
    with django_db_blocker.unblock(), own_database(in_file(path)):
        with pytest.raises(SourceError, match=r"is a database of Django's.*--database"):
            open_source(str(path))
        source = open_source(database="own")
        assert not any(plan.hashed for plan in source.plans)
        source.close()


def test_one_that_an_earlier_release_has_left_is_migrated_first_and_its_users_stay_signed_in(
    djangos: None,
) -> None:
    call_command("migrate", "daylight", BEFORE, database="own", verbosity=0)
    with pytest.raises(SourceError, match=r"run `manage\.py migrate --database own`"):
        open_source(database="own")
    state = MigrationExecutor(connections["own"]).loader.project_state(("daylight", "0001_initial"))
    then: Any = state.apps.get_model
    at = {"expires_at": NOW, "created_at": NOW}
    ids = ["8d116ece", "Zażółć.😀", None, ""]
    for session_id in ids[:2]:
        then("daylight", "usersession")(session_id=session_id, user_id="ana", **at).save(
            using="own"
        )
        then("daylight", "authsession")(id=session_id, user_id="ana", **at).save(using="own")
    for number, session_id in enumerate(ids):
        of = {"id": str(number), "event_type": "e", "user_id": "ana", "session_id": session_id}
        then("daylight", "usageanalytics")(**of).save(using="own")
        done = {"resource": "r", "action": "a", "outcome": "success", "source": "s"}
        then("daylight", "auditlog")(**of, **done).save(using="own")
    for _ in range(2):
        call_command("migrate", database="own", verbosity=0)
    hashed = {kept_id(each) for each in ids[:2] if each}
    for model, field, others in (
        (UserSession, "session_id", set()), (AuthSession, "id", set()),
        (UsageAnalytics, "session_id", {None, ""}), (AuditLog, "session_id", {None, ""}),
    ):  # fmt: skip
        found = model._base_manager.using("own").values_list(field, flat=True)
        assert set(found) == hashed | others, model
    # Nor does a way back and on again hash them twice.
    with pytest.raises(IrreversibleError, match=r"user_sessions has ids.*restore the backup"):
        call_command("migrate", "daylight", BEFORE, database="own", verbosity=0)
    call_command("migrate", database="own", verbosity=0)
    assert set(AuthSession.objects.using("own").values_list("id", flat=True)) == hashed
