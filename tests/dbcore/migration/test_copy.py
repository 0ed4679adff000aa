"""A legacy file and a Django database copied to the last row: what was good is there, equal; what
was not is a dead letter, whole; and running again writes nothing that has not changed."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from daylight import models
from dbcore.migration.encoding import RowEncoder
from dbcore.migration.plan import LegacyTable
from dbcore.migration.sources.django_db import DjangoSource
from dbcore.migration.sources.opening import _table_of, open_source
from dbcore.migration.sources.sqlite import SqliteSource
from dbcore.models import Checkpoint, DeadLetter
from dbcore.schema import storage_models
from dbcore.table_sync import sync_tables
from tests.dbcore.migration.conftest import Migrate
from tests.dbcore.migration.legacy_file import (
    LONG_HASH_KEY,
    NOW,
    SCHEMA,
    Legacy,
    Undecodable,
    build,
    execute,
    insert,
    iso,
    kept_id,
    open_file,
)
from tests.dbcore.migration.runs import Project, Tables, assert_closes, counts, line, stored, value

UTC = dt.UTC


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- What the tests expect, worked out without the project's code --------------------------------


def instant(text: Any) -> dt.datetime:
    """A time of a legacy file."""
    if re.fullmatch(r"\d+", text):
        return dt.datetime(1970, 1, 1, tzinfo=UTC) + dt.timedelta(milliseconds=int(text))
    found = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def time_text(text: Any) -> str:
    return instant(text).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def json_value(text: str | None) -> Any:
    """JSON with every number exact."""
    return {} if text is None else json.loads(text, parse_float=Decimal, parse_int=Decimal)


def ninety_days_on(text: Any) -> Decimal:
    return Decimal(int(instant(text).timestamp() // 1) + 90 * 86400)


def real(number: float | None) -> Decimal | None:
    return None if number is None else Decimal(repr(number))


def day_of(expires: Decimal, key: str) -> str:
    """The due day of a record that expires then, and its shard of that day."""
    day = dt.datetime.fromtimestamp(int(expires), dt.UTC).date()
    return f"{day}#{zlib.crc32(key.encode()) % 8}"


def place_item(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "userId": row["user_id"],
        "id": row["id"],
        "location": json_value(row["location"]),
        "activity": row["activity"],
        "timestamp": time_text(row["timestamp"]),
        "metadata": json_value(row["metadata"]),
        "createdAt": time_text(row["created_at"]),
        "updatedAt": time_text(row["updated_at"]),
        "ttl": ninety_days_on(row["timestamp"]),
        "dueDay": day_of(ninety_days_on(row["timestamp"]), row["id"]),
    }


def history_item(row: dict[str, Any]) -> dict[str, Any]:
    when = time_text(row["ts"])
    return {
        "userId": "unknown",
        "id": f"history_{row['id']}",
        "location": {"lat": real(row["lat"]), "lng": real(row["lng"])},
        "activity": row["type"],
        "timestamp": when,
        "metadata": {"provider": row["provider"], "ok": row["ok"], "error": row["error"]},
        "createdAt": when,
        "updatedAt": when,
        "ttl": ninety_days_on(row["ts"]),
        "dueDay": day_of(ninety_days_on(row["ts"]), f"history_{row['id']}"),
    }


def user_item(row: dict[str, Any]) -> dict[str, Any]:
    """All but the due day."""
    found = {
        "id": row["id"],
        "email": row["email"],
        "username": row["username"],
        "passwordHash": row["password_hash"],
        "isActive": bool(row["is_active"]),
        "emailVerified": bool(row["email_verified"]),
        "createdAt": time_text(row["created_at"]),
        "updatedAt": time_text(row["updated_at"]),
        "lastLoginAt": row["last_login_at"] and time_text(row["last_login_at"]),
    }
    return {name: value for name, value in found.items() if value is not None}


def profile_item(row: dict[str, Any]) -> dict[str, Any]:
    found = {
        "userId": row["user_id"],
        "firstName": row["first_name"],
        "lastName": row["last_name"],
        "avatar": row["avatar"],
        "timezone": row["timezone"],
        "preferences": json_value(row["preferences"]),
        "settings": json_value(row["settings"]),
        "createdAt": time_text(row["created_at"]),
        "updatedAt": time_text(row["updated_at"]),
    }
    return {name: value for name, value in found.items() if value is not None}


def session_item(row: dict[str, Any]) -> dict[str, Any]:
    thirty_days = instant(row["created_at"]) + dt.timedelta(days=30)
    ends = Decimal(int(min(thirty_days, instant(row["expires_at"])).timestamp() // 1))
    return {
        "sessionId": kept_id(row["session_id"]),
        "userId": row["user_id"],
        "data": json_value(row["data"]),
        "expiresAt": time_text(row["expires_at"]),
        "createdAt": time_text(row["created_at"]),
        "ttl": ends,
        "dueDay": day_of(ends, kept_id(row["session_id"])),
    }


def without_due_day(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return by_key({k: v for k, v in item.items() if k != "dueDay"} for item in items)


def by_key(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: item.get("id") or item.get("sessionId", item["userId"]))


def assert_equal_items(tables: Tables, legacy: Legacy) -> None:
    places = list(tables.items("location_history", "userId", "id").values())
    wanted = [*map(place_item, legacy.good["location_history"]),
              *map(history_item, legacy.good["history"])]  # fmt: skip
    assert by_key(places) == by_key(wanted)
    for table, key, make in (
        ("users", "id", user_item),
        ("user_profiles", "userId", profile_item),
        ("user_sessions", "sessionId", session_item),
    ):
        found = tables.items(table, key)
        wanted_items = {item[key]: item for item in map(make, legacy.good[table])}
        assert found.keys() == wanted_items.keys()
        for name, item in found.items():
            if (
                table != "user_sessions"
            ):  # what a policy alone makes due: tests/dbcore/test_items.py
                assert item.pop("dueDay")
            assert item == wanted_items[name]


def guards_of(legacy: Legacy) -> dict[str, str]:
    wanted = {}
    for row in legacy.good["users"]:
        wanted[f"users/email/{row['email'].lower()}"] = row["id"]
        if row["username"] is not None:
            wanted[f"users/username/{row['username']}"] = row["id"]
    return wanted


# --- A legacy file ------------------------------------------------------------------------------


def test_every_good_row_arrives_equal_and_every_bad_one_is_kept_whole(
    run: Migrate, tables: Tables, legacy: Legacy
) -> None:
    before = digest(legacy.path)
    report = run(legacy)
    assert (report["exit"], report["status"]) == (3, "completed_with_dead_letters")
    assert report["verified"]
    assert_closes(report)
    for table in SCHEMA:
        good = len(legacy.good[table])
        bad = legacy.count(table) - good
        assert counts(report, table) == {
            "read": good + bad, "written": good, "dead_lettered": bad,
        }  # fmt: skip
    assert_equal_items(tables, legacy)
    assert tables.guards() == guards_of(legacy)
    assert digest(legacy.path) == before

    kept = {(letter.source_table, letter.key): letter for letter in DeadLetter.objects.all()}
    assert len(kept) == len(legacy.bad) == len(report["dead_letters"])
    listed = {(x["source"], x["key"]): x["reason"] for x in report["dead_letters"]}
    for bad in legacy.bad:
        key = bad.key or next(key for _, key in kept if key.startswith("row "))
        letter = kept[bad.table, key]
        assert letter.reason == listed[bad.table, key] == bad.reason
        assert letter.row == stored(bad.row)
        assert letter.resolved_at is None
    assert report["unknown"] == []


def test_a_second_run_writes_nothing_and_finds_the_same_dead_letters(
    run: Migrate, tables: Tables, legacy: Legacy
) -> None:
    first = run(legacy)
    before = tables.everything()
    second = run(legacy)
    assert second["exit"] == 3
    for table in SCHEMA:
        account = counts(first, table)
        account["unchanged"] = account.pop("written")
        assert counts(second, table) == account
    assert second["dead_letters"] == first["dead_letters"]
    assert tables.everything() == before
    assert DeadLetter.objects.count() == len(legacy.bad)


def test_a_file_without_a_bad_row_is_complete(run: Migrate, tables: Tables, good: Legacy) -> None:
    report = run(good)
    assert (report["exit"], report["status"], report["verified"]) == (0, "completed", True)
    assert report["dead_letters"] == []
    assert_equal_items(tables, good)


def test_one_request_at_a_time_gives_the_same_items(
    run: Migrate, tables: Tables, legacy: Legacy
) -> None:
    assert run(legacy, concurrency=1)["exit"] == 3
    assert_equal_items(tables, legacy)
    assert tables.guards() == guards_of(legacy)


def test_a_copy_without_verification_says_that_it_is_not_verified(
    run: Migrate, tables: Tables, good: Legacy
) -> None:
    report = run(good, verify=False)
    assert (report["exit"], report["verified"]) == (0, False)
    assert_equal_items(tables, good)


def test_tables_and_columns_that_nobody_knows_are_named_and_left(
    run: Migrate, tables: Tables, good: Legacy
) -> None:
    good.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
    good.execute("INSERT INTO notes VALUES (1, 'left alone')")
    good.execute("ALTER TABLE users ADD COLUMN nickname TEXT")
    good.execute("UPDATE users SET nickname = 'Ada', email = NULL WHERE id = 'user-1'")
    report = run(good)
    assert report["unknown"] == ["notes", "users.nickname"]
    assert report["exit"] == 3
    assert all("nickname" not in item for item in tables.scan("users"))
    assert DeadLetter.objects.get().row["nickname"] == "Ada"


@pytest.mark.parametrize(
    ("name", "sources"),
    [
        ("history", ["history"]),
        ("location_history", ["history", "location_history"]),
        ("users", ["users"]),
    ],
)
def test_a_table_may_be_chosen_by_its_source_or_target_name(
    run: Migrate, tables: Tables, good: Legacy, name: str, sources: list[str]
) -> None:
    report = run(good, tables=(name,))
    assert [each["source"] for each in report["tables"]] == sources
    assert report["exit"] == 0
    others = [f"{tables.prefix}{x}" for x in ("user_profiles", "user_sessions")]
    assert not set(others) & set(tables.names())


def test_tables_copied_one_by_one_are_verified_together(
    run: Migrate, tables: Tables, good: Legacy
) -> None:
    """What the other source table wrote to the same target is not extra."""
    assert run(good, tables=("history",))["exit"] == 0
    execute(good.path, "DELETE FROM location_history WHERE id LIKE '%5'")
    good.good["location_history"] = [
        row for row in good.good["location_history"] if not row["id"].endswith("5")
    ]
    report = run(good)
    assert report["exit"] == 0
    assert_equal_items(tables, good)


def test_a_table_that_is_not_there_fails_and_names_those_that_are(
    run: Migrate, good: Legacy
) -> None:
    report = run(good, tables=("plans",))
    assert (report["exit"], report["status"]) == (1, "failed")
    assert "--table plans" in report["error"]
    for table in SCHEMA:
        assert table in report["error"]


def test_expired_rows_are_left_out_on_request_and_counted(
    run: Migrate, tables: Tables, good: Legacy
) -> None:
    days = dt.timedelta(days=90)
    alive = [row for row in good.good["history"] if instant(row["ts"]) + days > NOW]
    report = run(good, tables=("history",), skip_expired=True)
    gone = len(good.good["history"]) - len(alive)
    assert 0 < gone < len(good.good["history"])
    assert counts(report, "history") == {
        "read": len(good.good["history"]), "written": len(alive), "skipped": gone,
    }  # fmt: skip
    assert report["exit"] == 0
    found = sorted(item["id"] for item in tables.items("location_history", "id").values())
    assert found == sorted(f"history_{row['id']}" for row in alive)


def test_expired_rows_whose_items_are_gone_are_copied_again_unless_left_out(
    run: Migrate, tables: Tables, good: Legacy
) -> None:
    run(good)
    rows = good.good["location_history"]
    expired = [row for row in rows if instant(row["timestamp"]) + dt.timedelta(days=90) <= NOW]
    old = expired[0]
    tables.delete("location_history", userId=old["user_id"], id=old["id"])
    report = run(good, tables=("location_history",), skip_expired=True, allow_extra=True)
    assert report["exit"] == 0
    assert counts(report, "location_history") == {
        "read": 30, "unchanged": 30 - len(expired), "skipped": len(expired),
    }  # fmt: skip
    report = run(good)
    assert report["exit"] == 0
    assert counts(report, "location_history") == {"read": 30, "written": 1, "unchanged": 29}
    assert_equal_items(tables, good)


def test_expired_rows_of_a_table_never_copied_are_copied_though_it_has_other_items(
    run: Migrate, tables: Tables, good: Legacy
) -> None:
    assert run(good, tables=("history",))["exit"] == 0
    report = run(good, tables=("location_history",))
    assert "skipped" not in counts(report, "location_history")
    assert_closes(report)
    assert len(tables.scan("location_history")) == 20 + 30


def test_a_row_that_changed_in_the_source_is_copied_on_the_next_run(
    run: Migrate, tables: Tables, good: Legacy
) -> None:
    run(good)
    later = iso(NOW + dt.timedelta(seconds=1))
    good.execute(
        "UPDATE location_history SET activity = 'moved', updated_at = ? WHERE id = ?",
        later, "place-000003",
    )  # fmt: skip
    good.execute(
        "UPDATE user_sessions SET data = '{\"n\": 1.5}' WHERE session_id = 'session-00002'"
    )
    report = run(good)
    assert report["exit"] == 0
    assert counts(report, "location_history") == {"read": 30, "written": 1, "unchanged": 29}
    assert counts(report, "user_sessions") == {"read": 12, "written": 1, "unchanged": 11}
    moved = tables.items("location_history", "id")["place-000003"]
    assert (moved["activity"], moved["updatedAt"]) == ("moved", time_text(later))
    assert tables.items("user_sessions", "sessionId")[kept_id("session-00002")]["data"] == {
        "n": Decimal("1.5")
    }


def test_an_item_changed_in_dynamodb_since_is_never_overwritten_but_by_repair(
    run: Migrate, tables: Tables, good: Legacy
) -> None:
    run(good)
    mine = {"updatedAt": {"S": "2999-01-01T00:00:00.000000Z"}, "timezone": {"S": "Mars/Olympus"}}
    before = tables.get("user_profiles", userId="user-3")
    tables.change("user_profiles", before, **mine)
    for _ in range(2):
        report = run(good)
        assert (report["exit"], report["status"]) == (2, "failed")
        assert counts(report, "user_profiles") == {
            "read": 12, "unchanged": 11, "skipped": 1, "different": 1,
        }  # fmt: skip
        (finding,) = report["findings"]
        assert finding["key"] == {"userId": {"S": "user-3"}}
        assert {"timezone", "updatedAt"} <= set(finding["attributes"])
        assert tables.get("user_profiles", userId="user-3") == before | mine
    report = run(good, repair=True)
    assert report["exit"] == 0
    assert counts(report, "user_profiles") == {"read": 12, "written": 1, "unchanged": 11}
    assert tables.get("user_profiles", userId="user-3") == before


def test_a_newer_item_is_not_overwritten_by_a_resumed_run_either(
    run: Migrate, tables: Tables, good: Legacy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also far behind the checkpoint, where a first copy would write without looking."""
    run(good, tables=("user_profiles",))
    mine = {"updatedAt": {"S": "2999-01-01T00:00:00.000000Z"}}
    newer = tables.get("user_profiles", userId="user-11") | mine
    tables.put("user_profiles", newer)
    Checkpoint.objects.update(complete=False, position=1, acknowledged=1)
    monkeypatch.setattr("dbcore.migration.copy.WINDOW_ROWS", 2)
    monkeypatch.setattr(SqliteSource.pages, "__defaults__", (None, 2))
    Checkpoint.objects.all().delete()
    checkpoint_of_an_interrupted_second_pass(run, good)
    report = run(good, tables=("user_profiles",))
    assert report["resumed"]
    assert report["exit"] == 2
    assert tables.get("user_profiles", userId="user-11") == newer


def checkpoint_of_an_interrupted_second_pass(run: Migrate, file: Legacy) -> None:
    run(file, tables=("user_profiles",))
    Checkpoint.objects.update(complete=False, position=2, acknowledged=2)


def test_a_changed_email_moves_its_guard_and_frees_the_old_one(
    run: Migrate, tables: Tables, good: Legacy
) -> None:
    run(good)
    assert tables.guards() == guards_of(good)
    good.execute("UPDATE users SET email = 'New@Example.org', username = NULL WHERE id = 'user-2'")
    assert run(good)["exit"] == 0
    guards = tables.guards()
    assert guards["users/email/new@example.org"] == "user-2"
    assert "users/email/person.2@example.org" not in guards
    assert "users/username/person2" not in guards
    good.execute("UPDATE users SET email = 'person.2@EXAMPLE.org' WHERE id = 'user-5'")
    assert run(good)["exit"] == 0
    assert tables.guards()["users/email/person.2@example.org"] == "user-5"


def test_two_users_that_swap_their_names_both_arrive(
    run: Migrate, tables: Tables, good: Legacy
) -> None:
    run(good)
    for name, user in (("x", 1), ("person1", 2), ("person2", 1)):
        good.execute("UPDATE users SET username = ? WHERE id = ?", name, f"user-{user}")
    swapped = {"user-1": "person2", "user-2": "person1"}
    for row in good.good["users"]:
        row["username"] = swapped.get(row["id"], row["username"])
    report = run(good)
    assert report["exit"] == 0, (report["dead_letters"], report["findings"])
    assert counts(report, "users") == {"read": 12, "written": 2, "unchanged": 10}
    assert_equal_items(tables, good)
    assert tables.guards() == guards_of(good)


def test_a_guard_that_was_lost_is_put_back_by_the_next_run(
    run: Migrate, tables: Tables, good: Legacy
) -> None:
    run(good)
    tables.delete("unique", guard="users/email/person.4@example.org")
    report = run(good)
    assert report["exit"] == 0
    assert counts(report, "users") == {"read": 12, "written": 1, "unchanged": 11}
    assert tables.guards() == guards_of(good)


def test_of_two_rows_with_one_email_the_first_has_it_whatever_the_order_of_answers(
    run: Migrate, tables: Tables, tmp_path: Path
) -> None:
    legacy = build(tmp_path / "twins.sqlite3", users=0, bad=False)
    with open_file(legacy.path) as file:
        base = build(tmp_path / "one.sqlite3", users=1, bad=False).good["users"][0]
        for number in range(120):
            row = base | {"id": f"u{number:03}", "email": f"Twin{number // 2}@x.org",
                          "username": None}  # fmt: skip
            insert(file, "users", row)
    for _ in range(2):
        report = run(legacy, tables=("users",))
        assert report["exit"] == 3
        assert line(report, "users")["dead_lettered"] == 60
        assert sorted(tables.items("users", "id")) == [f"u{n:03}" for n in range(0, 120, 2)]
    assert set(tables.guards().values()) == {f"u{n:03}" for n in range(0, 120, 2)}


def test_a_name_too_long_to_be_kept_unique_is_a_dead_letter_and_stops_nothing(
    run: Migrate, good: Legacy
) -> None:
    good.execute("UPDATE users SET username = ? WHERE id = 'user-4'", LONG_HASH_KEY)
    for _ in range(2):
        report = run(good)
        assert report["exit"] == 3, report["error"]
        (letter,) = report["dead_letters"]
        assert letter["key"] == "user-4"
        assert letter["reason"] == "username is too long to be kept unique"


def delete_sessions(tables: Tables) -> str:
    name = tables.prefix + "user_sessions"
    tables.client.delete_table(TableName=name)
    return name


def test_a_table_that_was_deleted_is_copied_to_again_when_a_person_has_made_it_again(
    run: Migrate, tables: Tables, good: Legacy
) -> None:
    run(good)
    gone = delete_sessions(tables)
    for options in ({}, {"verify_only": True}):
        report = run(good, **options)
        assert report["exit"] == 1 and gone in report["error"]
        assert gone not in tables.names()
    assert "manage.py sync_tables" in run(good)["error"]
    sync_tables(tables=["user_sessions"])
    report = run(good)
    assert report["exit"] == 0
    assert counts(report, "user_sessions") == {"read": 12, "written": 12}
    assert counts(report, "user_profiles") == {"read": 12, "unchanged": 12}
    assert_equal_items(tables, good)


def test_a_checkpoint_of_a_table_deleted_since_is_not_gone_on_from(
    run: Migrate, tables: Tables, good: Legacy
) -> None:
    run(good)
    Checkpoint.objects.update(complete=False, position=5, acknowledged=5)
    delete_sessions(tables)
    sync_tables(tables=["user_sessions"])
    report = run(good, tables=("user_sessions",))
    assert report["exit"] == 0
    assert not report["resumed"]
    assert_equal_items(tables, good)


def test_another_file_at_the_same_path_is_read_from_its_first_row(
    run: Migrate, tables: Tables, tmp_path: Path
) -> None:
    path = tmp_path / "legacy.sqlite3"
    build(path, bad=False)
    run(path)
    Checkpoint.objects.update(complete=False, position=30, acknowledged=30)
    path.unlink()
    other = build(path, bad=False, seed=2, sessions=50)
    report = run(path)
    assert not report["resumed"]
    assert_closes(report)
    assert line(report, "user_sessions")["read"] == 50
    sessions = tables.items("user_sessions", "sessionId")
    for row in other.good["user_sessions"]:
        assert sessions[kept_id(row["session_id"])] == session_item(row)


# --- Unusual tables -----------------------------------------------------------------------------


@pytest.mark.parametrize("page", [1, 7, 1000])
def test_tables_without_row_numbers_are_read_by_their_key(
    run: Migrate, tables: Tables, tmp_path: Path, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteSource.pages, "__defaults__", (None, page))
    made = build(tmp_path / "made.sqlite3", bad=False, profiles=0, history=0, users=0)
    for at, row in enumerate(made.good["location_history"][:5]):
        row["id"] = ("[1]", '["a"]', "[", "{}", "é\U0001f600")[at]
    path = tmp_path / "legacy.sqlite3"
    with open_file(path) as file:
        for table, extra in (
            ("location_history", ", PRIMARY KEY (user_id, id)) WITHOUT  ROWID"),
            ("user_sessions", ", PRIMARY KEY (session_id)) WITHOUT ROWID"),
        ):
            columns = SCHEMA[table].replace(" PRIMARY KEY", "")
            file.execute(f"CREATE TABLE {table} ({columns}{extra}")
            for row in made.good[table]:
                insert(file, table, row)
        # Any SQLite value may be in a key.
        odd = made.good["user_sessions"][0]
        for key in (b"[\xff", b"\x00", 7, 1.5):
            insert(file, "user_sessions", odd | {"session_id": key})
        insert(file, "user_sessions", odd | {"session_id": Undecodable(b"\xff\xfe")})
    report = run(path)
    assert report["exit"] == 3, report["error"]
    assert_closes(report)
    # TEXT columns turn the numbers into text.
    assert counts(report, "user_sessions") == {"read": 45, "written": 42, "dead_lettered": 3}
    assert counts(report, "location_history") == {"read": 60, "written": 60}
    made.good["user_sessions"] += [odd | {"session_id": "7"}, odd | {"session_id": "1.5"}]
    again = run(path)
    assert counts(again, "user_sessions") == {"read": 45, "unchanged": 42, "dead_lettered": 3}
    sessions = tables.items("user_sessions", "sessionId")
    assert sessions == {
        kept_id(r["session_id"]): session_item(r) for r in made.good["user_sessions"]
    }
    places = tables.items("location_history", "userId", "id")
    wanted = {(r["user_id"], r["id"]): place_item(r) for r in made.good["location_history"]}
    assert places == wanted


@pytest.mark.parametrize("table", ["location_history", "history", "users", "user_sessions"])
def test_of_rows_with_one_key_the_first_is_copied_and_the_others_are_dead_letters(
    run: Migrate, tables: Tables, tmp_path: Path, table: str
) -> None:
    made = build(tmp_path / "made.sqlite3", bad=False)
    path = tmp_path / "legacy.sqlite3"
    rows = made.good[table][:10]
    with open_file(path) as file:
        file.execute(f"CREATE TABLE {table} ({SCHEMA[table].replace(' PRIMARY KEY', '')})")
        for row in rows:
            insert(file, table, row)
        changed = {"history": {"type": "twin"}, "users": {"password_hash": "twin"}}.get(
            table, {"user_id": rows[0].get("user_id"), "created_at": rows[1].get("created_at")}
        )
        for _ in range(2):
            insert(file, table, rows[0] | changed)
    for _ in range(2):
        report = run(path)
        assert report["exit"] == 3, report["error"]
        account = line(report, table)
        assert (account["read"], account["dead_lettered"]) == (12, 2)
        assert account["written"] + account["unchanged"] == 10
        reasons = {letter["reason"] for letter in report["dead_letters"]}
        assert reasons == {"key belongs to another row (row 1)"}
        keys = {letter["key"] for letter in report["dead_letters"]}
        assert keys == ({str(rows[0]["id"])} if "id" in rows[0] else {"row 11", "row 12"})
    target = "location_history" if table == "history" else table
    make = {"history": history_item, "users": user_item, "user_sessions": session_item,
            "location_history": place_item}[table]  # fmt: skip
    name = "sessionId" if table == "user_sessions" else "id"
    found = tables.items(target, name).values()
    assert without_due_day(found) == without_due_day(map(make, rows))


def test_a_column_named_rowid_and_rows_with_negative_numbers_lose_nothing(
    run: Migrate, tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteSource.pages, "__defaults__", (None, 4))
    made = build(tmp_path / "made.sqlite3", bad=False)
    path = tmp_path / "legacy.sqlite3"
    with open_file(path) as file:
        file.execute(f"CREATE TABLE user_profiles (RowId TEXT, {SCHEMA['user_profiles']})")
        for row in made.good["user_profiles"]:
            insert(file, "user_profiles", {"RowId": "the same everywhere"} | row)
        file.execute(f"CREATE TABLE history ({SCHEMA['history']})")
        numbers = [-(2**63), -17, -3, -2, -1, 0, 1, 5, 2**62]
        rows = [made.good["history"][at] | {"id": n} for at, n in enumerate(numbers)]
        for row in rows:
            insert(file, "history", row)
    report = run(path)
    assert report["exit"] == 0, report["error"]
    assert report["unknown"] == ["user_profiles.RowId"]
    assert counts(report, "user_profiles") == {"read": 40, "written": 40}
    assert counts(report, "history") == {"read": 9, "written": 9}
    wanted = {f"history_{row['id']}": history_item(row) for row in rows}
    assert tables.items("location_history", "id") == wanted


def test_a_table_whose_columns_hide_its_row_numbers_is_refused_not_read_in_part(
    run: Migrate, tmp_path: Path
) -> None:
    path = tmp_path / "legacy.sqlite3"
    with open_file(path) as file:
        file.execute(f"CREATE TABLE users (rowid, _rowid_, oid, {SCHEMA['users']})")
    report = run(path)
    assert report["exit"] == 1
    assert str(path) in report["error"]
    assert "rename" in report["error"]


def test_words_in_a_schema_do_not_make_a_table_without_row_numbers(
    run: Migrate, tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteSource.pages, "__defaults__", (None, 2))
    made = build(tmp_path / "made.sqlite3", bad=False)
    path = tmp_path / "legacy.sqlite3"
    with open_file(path) as file:
        file.execute(
            f"CREATE TABLE user_profiles ({SCHEMA['user_profiles']},"
            " note TEXT DEFAULT 'without rowid')"
        )
        for row in made.good["user_profiles"]:
            insert(file, "user_profiles", row)
        for _ in range(5):
            insert(file, "user_profiles", made.good["user_profiles"][0] | {"user_id": None})
    report = run(path)
    assert counts(report, "user_profiles") == {"read": 45, "written": 40, "dead_lettered": 5}


def test_empty_tables_are_copied_as_nothing(run: Migrate, tables: Tables, tmp_path: Path) -> None:
    legacy = build(
        tmp_path / "legacy.sqlite3",
        history=0, places=0, users=0, profiles=0, sessions=0, bad=False,
    )  # fmt: skip
    for _ in range(2):
        report = run(legacy)
        assert report["exit"] == 0
        assert [each["read"] for each in report["tables"]] == [0] * len(SCHEMA)
    assert not any(tables.everything().values())


def test_columns_that_a_file_does_not_have_are_null_where_they_may_be(
    run: Migrate, tables: Tables, tmp_path: Path
) -> None:
    made = build(tmp_path / "made.sqlite3", bad=False)
    path = tmp_path / "legacy.sqlite3"
    with open_file(path) as file:
        for table, missing in (
            ("users", ["username", "last_login_at"]),
            ("user_profiles", ["avatar", "settings"]),
            ("user_sessions", ["user_id"]),
        ):
            columns = [c for c in SCHEMA[table].split(", ") if c.split()[0] not in missing]
            file.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
            for row in made.good[table]:
                for name in missing:
                    row[name] = None
                insert(file, table, {k: v for k, v in row.items() if k not in missing})
    report = run(path)
    assert report["exit"] == 3
    assert counts(report, "user_sessions") == {"read": 40, "dead_lettered": 40}
    assert {x["reason"] for x in report["dead_letters"]} == {"user_id is missing"}
    users = tables.items("users", "id")
    assert without_due_day(users.values()) == by_key(map(user_item, made.good["users"]))
    profiles = without_due_day(tables.items("user_profiles", "userId").values())
    assert profiles == by_key(map(profile_item, made.good["user_profiles"]))


# --- Django databases ---------------------------------------------------------------------------


def make_records(database: str = "default") -> None:
    """Records with every kind of field, a few of several models."""
    when = dt.datetime(2026, 11, 20, 8, 30, 15, 123456, tzinfo=UTC)
    soon = timezone.now() + dt.timedelta(days=3)
    make = {"using": database}
    for at in range(30):
        models.RateLimit(
            identifier=f"ip/10.0.0.{at}%",
            window_start=when + dt.timedelta(minutes=at, microseconds=-at % 3 * 123456),
            count=2**40 + at, limit=100, window_seconds=60, expires_at=soon,
        ).save(**make)  # fmt: skip
        models.AuditLog(
            id=f"audit-{at}", timestamp=when + dt.timedelta(hours=at), event_type="login",
            user_id=None if at % 2 else f"user-{at}", resource="session", action="create",
            outcome="success", ip_address="2001:db8::1" if at % 3 else None,
            details={"n": at, "deep": [{"x": 0.1}, None, "ü"]}, changes={},
            compliance_labels=["gdpr", at], source="web",
        ).save(**make)  # fmt: skip
        models.PerformanceMetric(
            series="users#get", window=f"{at:02}#host/a", started_at=soon, count=at,
            capacity=Decimal("12.5") * at, duration={"0.1": at}, window_seconds=60,
        ).save(**make)  # fmt: skip
        models.Plan(
            user_id=f"user/{at % 3}", id=f"plan-{at}", title="Größe %", status="active",
            location={"lat": 1.5} if at % 2 else None, activities=[1, "two", {"three": 3.25}],
            created_at=when, updated_at=when + dt.timedelta(seconds=at),
        ).save(**make)  # fmt: skip
        models.Role(
            id=f"role-{at}", name=f"Role {at}", created_at=when, updated_at=when,
            permissions=["a", "b"],
        ).save(**make)  # fmt: skip


@pytest.fixture(scope="module")
def records_file(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """A Django alias, `records`, that is a SQLite file."""
    path = tmp_path_factory.mktemp("records") / "records.sqlite3"
    connections.databases["records"] = {**connections.databases["default"], "NAME": str(path)}
    with django_db_blocker.unblock():
        call_command("migrate", database="records", verbosity=0)
        yield
        connections["records"].close()
    del connections["records"]
    del connections.databases["records"]


@pytest.mark.django_db(transaction=True, databases=["default", "records"])
def test_a_django_database_is_copied_field_by_field(
    records_file: None, run: Migrate, tables: Tables
) -> None:
    make_records("records")
    report = run(database="records")
    assert report["exit"] == 0, (report["error"], report["findings"][:3])
    assert_closes(report)
    assert sum(each["written"] for each in report["tables"]) == 150
    assert len(report["tables"]) == 19
    limits = tables.items("rate_limits", "identifier")
    assert limits["ip/10.0.0.4%"]["windowStart"] == "2026-11-20T08:34:15.370368Z"
    assert limits["ip/10.0.0.4%"]["count"] == Decimal(2**40 + 4)
    audit = tables.items("audit_logs", "id")
    assert audit["audit-3"]["details"] == {
        "n": Decimal(3), "deep": [{"x": Decimal("0.1")}, None, "ü"],
    }  # fmt: skip
    assert "userId" not in audit["audit-3"]
    assert audit["audit-4"]["userId"] == "user-4"
    assert "ipAddress" not in audit["audit-3"]
    assert audit["audit-4"]["ipAddress"] == "2001:db8::1"
    assert audit["audit-4"]["timestamp"] == "2026-11-20T12:30:15.123456Z"
    assert re.fullmatch(r"2026-11-20#[0-7]", audit["audit-4"]["day"])
    metrics = tables.items("performance_metrics", "window")
    assert metrics["03#host/a"]["capacity"] == Decimal("37.5")
    plans = tables.items("plans", "userId", "id")
    assert plans["user/1", "plan-4"]["activities"] == [Decimal(1), "two",
                                                       {"three": Decimal("3.25")}]  # fmt: skip
    assert "location" not in plans["user/1", "plan-4"]
    assert tables.guards() == {f"roles/name/Role {at}": f"role-{at}" for at in range(30)}
    again = run(database="records")
    assert again["exit"] == 0
    assert sum(each["written"] for each in again["tables"]) == 0


def keyed(items: list[dict[str, Any]], key: list[str]) -> dict[tuple[Any, ...], Any]:
    """Items in plain values (25 is 25.0) by their key."""
    plain = [{name: value(attribute) for name, attribute in item.items()} for item in items]
    return {tuple(item[name] for name in key): item for item in plain}


@pytest.mark.django_db(transaction=True, databases=["default", "records"])
def test_the_orm_reads_the_same_items_as_the_file_reader(records_file: None) -> None:
    make_records("records")
    by_file = open_source(None, "records")
    described: list[LegacyTable] = [_table_of(model) for model in storage_models()]
    by_orm = DjangoSource("records", described, name="by orm")
    assert isinstance(by_file, SqliteSource)
    with contextlib.closing(by_file):
        plans = {plan.source_table: plan for plan in by_file.plans}
        total = 0
        for plan in by_orm.plans:
            other = plans[plan.source_table]
            encoder, other_encoder = RowEncoder(plan, by_orm), RowEncoder(other, by_file)
            items = [encoder.item(r)[1] for page in by_orm.pages(plan, size=7) for r in page]
            wanted = [other_encoder.item(r)[1] for p in by_file.pages(other) for r in p]
            key = [column.attribute for column in plan.layout.key]
            assert keyed(items, key) == keyed(wanted, key)
            assert by_orm.count(plan) == by_file.count(other) == len(items)
            total += len(items)
        assert total == 150


def test_a_database_in_memory_is_copied_through_the_orm(run: Migrate, tables: Tables) -> None:
    make_records()
    report = run()
    assert report["exit"] == 0, report["error"]
    assert sum(each["written"] for each in report["tables"]) == 150
    plans = tables.items("plans", "userId", "id")
    assert plans["user/1", "plan-4"]["title"] == "Größe %"
    assert tables.items("performance_metrics", "window")["03#host/a"]["capacity"] == Decimal("37.5")
    assert sum(each["written"] for each in run()["tables"]) == 0


def test_json_read_through_the_orm_is_neither_rounded_nor_read_twice(
    run: Migrate, tables: Tables
) -> None:
    make_records()
    with connections["default"].cursor() as cursor:
        for number, text in (
            (1, '{"n": 0.12345678901234567890123456789}'),
            (2, '"{\\"a\\": 1}"'),
            (4, '{"n": 123456789012345678901234567890123456789012345}'),
        ):
            cursor.execute(
                "UPDATE audit_logs SET details = %s WHERE id = %s", [text, f"audit-{number}"]
            )
    report = run(tables=("audit_logs",))
    assert report["exit"] == 3, report["error"]
    assert sorted((x["key"], x["reason"]) for x in report["dead_letters"]) == [
        ("audit-2", "details is not a JSON object or list"),
        ("audit-4", "details has a number beyond 38 digits"),
    ]
    exact = tables.items("audit_logs", "id")["audit-1"]["details"]
    assert exact == {"n": Decimal("0.12345678901234567890123456789")}
    assert DeadLetter.objects.get(key="audit-2").row["details"] == '"{\\"a\\": 1}"'


def test_records_with_one_key_under_two_primary_keys_are_not_merged(
    run: Migrate, tables: Tables
) -> None:
    make_records()
    models.Plan.objects.filter(id="plan-6").update(id="plan-3")
    assert models.Plan.objects.filter(user_id="user/0", id="plan-3").count() == 2
    report = run(tables=("plans",))
    (letter,) = report["dead_letters"]
    assert letter["reason"].startswith("key belongs to another row")
    assert_closes(report)


def test_the_default_database_is_its_own_bookkeeper_and_its_copy_goes_on(project: Project) -> None:
    assert project.run("migrate", "--verbosity", "0").code == 0
    made = project.run("make_sample_data", "--rows", "600")
    assert made.code == 0, made.err
    first = project.migrate()
    assert first.code == 0, first.err
    with contextlib.closing(sqlite3.connect(project.books)) as books, books:
        total = sum(
            books.execute(f"SELECT count(*) FROM {each['source']}").fetchone()[0]
            for each in first.report["tables"]
        )
        # As a run leaves it that was stopped on the way.
        books.execute(
            "UPDATE dbcore_checkpoint SET complete = 0, position = '10', acknowledged = 10"
            " WHERE source_table = 'plans'"
        )
    assert sum(each["read"] for each in first.report["tables"]) == total > 500
    second = project.migrate()
    assert second.code == 0, second.err
    assert second.report["resumed"]
    assert sum(each["unchanged"] for each in second.report["tables"]) == total
