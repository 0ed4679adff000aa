"""Whatever is not as it should be is found, named by key and attribute, and counted; and only when
it is asked for is it mended."""

from __future__ import annotations

import dataclasses
import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from daylight.models import ApiKey
from dbcore.models import Checkpoint, DeadLetter, LegalHold, MigrationRun
from dbcore.retention.holds import lift_hold, place_hold, user_subject
from dbcore.wire import HOOKS, get_wire
from dbcore.wire.calls import Call
from dbcore.wire.pipeline import Pipeline
from tests.dbcore.migration.conftest import Migrate
from tests.dbcore.migration.legacy_file import (
    SCHEMA,
    Legacy,
    build,
    insert,
    kept_id,
    open_file,
)
from tests.dbcore.migration.runs import Tables, assert_closes, counts, line
from tests.dbcore.migration.test_copy import make_records

WRITES = {"BatchWriteItem", "TransactWriteItems", "PutItem", "UpdateItem", "DeleteItem"}


@pytest.fixture
def copied(run: Migrate, good: Legacy) -> Legacy:
    """A file whose copy is complete."""
    assert run(good)["exit"] == 0
    return good


def verify(run: Migrate, file: Legacy, **options: Any) -> dict[str, Any]:
    report = run(file, verify_only=True, **options)
    assert_closes(report)
    return report


def test_a_true_copy_verifies_and_nothing_is_written(
    run: Migrate, tables: Tables, copied: Legacy
) -> None:
    calls: list[Call] = []
    runs, before = MigrationRun.objects.count(), tables.everything()
    checkpoints = list(Checkpoint.objects.order_by("id").values())
    HOOKS.append(calls.append)
    report = verify(run, copied)
    assert (report["exit"], report["verified"]) == (0, True)
    assert not WRITES & {call.operation for call in calls}
    assert tables.everything() == before
    assert MigrationRun.objects.count() == runs
    assert list(Checkpoint.objects.order_by("id").values()) == checkpoints
    for table in SCHEMA:
        rows = len(copied.good[table])
        assert counts(report, table) == {"read": rows, "unchanged": rows}


def test_a_record_that_a_hold_keeps_from_expiring_is_no_difference(
    run: Migrate, tables: Tables, copied: Legacy
) -> None:
    user = tables.scan("user_sessions")[0]["userId"]["S"]
    signed: dict[str, Any] = {"who": "counsel", "why": "case 7", "now": timezone.now()}
    hold = place_hold(user_subject(user), until=None, **signed).hold
    held = [each for each in tables.scan("user_sessions") if each["userId"]["S"] == user]
    assert held and all("ttl" not in each for each in held)
    assert verify(run, copied)["exit"] == 0
    LegalHold.objects.filter(pk=hold.pk).update(lifted_at=timezone.now())  # killed before the rest
    report = verify(run, copied)
    assert report["exit"] != 0 and counts(report, "user_sessions")["different"] == len(held)
    lift_hold(hold.pk, **signed)
    assert verify(run, copied)["exit"] == 0


def test_verification_reads_consistently(
    run: Migrate, copied: Legacy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An eventually consistent read might not see what was just written, or see what was."""
    bodies: list[tuple[str, bytes]] = []
    submit = Pipeline.submit

    def watched(self: Pipeline, operation: str, table: str, body: bytes, *a: Any, **k: Any) -> None:
        bodies.append((operation, body))
        submit(self, operation, table, body, *a, **k)

    monkeypatch.setattr(Pipeline, "submit", watched)
    assert run(copied)["exit"] == 0
    reads = [body for operation, body in bodies if operation in ("BatchGetItem", "Scan")]
    assert len(reads) > 10
    for body in reads:
        tables_named = body.count(b'"Keys":') or 1
        assert body.count(b'"ConsistentRead":true') == tables_named


def test_a_deleted_item_is_missing(run: Migrate, tables: Tables, copied: Legacy) -> None:
    tables.delete("user_profiles", userId="user-4")
    report = verify(run, copied)
    assert (report["exit"], report["status"]) == (2, "failed")
    assert counts(report, "user_profiles") == {"read": 12, "unchanged": 12, "missing": 1}
    assert report["findings"] == [
        {
            "kind": "missing",
            "source": "user_profiles",
            "table": "user_profiles",
            "key": {"userId": {"S": "user-4"}},
            "attributes": [],
        }
    ]


@pytest.mark.parametrize(
    ("table", "key", "change", "names"),
    [
        ("user_profiles", {"userId": "user-4"}, {"lastName": {"S": "Other"}}, ["lastName"]),
        ("user_profiles", {"userId": "user-3"}, {"avatar": {"S": "added"}}, ["avatar"]),
        ("user_profiles", {"userId": "user-4"}, {"avatar": None}, ["avatar"]),
        ("user_profiles", {"userId": "user-4"}, {"stranger": {"BOOL": True}}, ["stranger"]),
        ("users", {"id": "user-2"}, {"isActive": {"S": "true"}}, ["isActive"]),
        (
            "users",
            {"id": "user-2"},
            {"isActive": {"BOOL": False}, "passwordHash": {"S": ""}},
            ["isActive", "passwordHash"],
        ),
        ("users", {"id": "user-2"}, {"dueDay": None}, ["dueDay"]),
        ("user_sessions", {"sessionId": kept_id("session-00003")}, {"ttl": {"N": "1"}}, ["ttl"]),
    ],
)
def test_a_changed_attribute_is_named(
    run: Migrate,
    tables: Tables,
    copied: Legacy,
    table: str,
    key: dict[str, str],
    change: dict[str, Any],
    names: list[str],
) -> None:
    item = tables.get(table, **key)
    changed = {k: v for k, v in (item | change).items() if v is not None}
    assert changed != item
    tables.put(table, changed)
    report = verify(run, copied)
    assert report["exit"] == 2
    (finding,) = report["findings"]
    assert (finding["kind"], finding["attributes"]) == ("different", names)
    assert finding["key"] == {name: {"S": text} for name, text in key.items()}
    assert line(report, table)["different"] == 1


@pytest.mark.parametrize(
    "path", [("lat",), ("on",), ("tags", 0), ("n",)], ids=lambda path: str(path[0])
)
def test_a_change_deep_inside_a_value_is_seen(
    run: Migrate, tables: Tables, copied: Legacy, path: tuple[Any, ...]
) -> None:
    item = tables.get("location_history", userId="user-6", id="place-000006")
    found = item["location"]["M"]
    for step in path[:-1]:
        found = found[step]["L"]
    ((tag, old),) = found[path[-1]].items()
    new = {"N": lambda: str(Decimal(old) + Decimal("1e-9")), "S": lambda: old + " "}.get(
        tag, lambda: not old
    )()
    found[path[-1]] = {tag: new}
    tables.put("location_history", item)
    report = verify(run, copied)
    assert report["exit"] == 2
    (finding,) = report["findings"]
    assert finding["attributes"] == ["location"]
    assert finding["key"] == {"userId": {"S": "user-6"}, "id": {"S": "place-000006"}}


def test_a_digit_that_a_double_would_not_have_is_seen(
    run: Migrate, tables: Tables, copied: Legacy
) -> None:
    item = tables.get("location_history", userId="user-2", id="place-000016")
    exact = item["location"]["M"]["exact"]["N"]
    assert exact == "0.12345678901234567890123456789"
    item["location"]["M"]["exact"]["N"] = exact[:-1] + "8"
    tables.put("location_history", item)
    (finding,) = verify(run, copied)["findings"]
    assert (finding["kind"], finding["attributes"]) == ("different", ["location"])


def test_numbers_written_otherwise_are_no_difference(
    run: Migrate, tables: Tables, copied: Legacy
) -> None:
    item = tables.get("location_history", userId="user-6", id="place-000006")
    number = item["location"]["M"]["lng"]["N"]
    item["location"]["M"]["lng"]["N"] = f"{Decimal(number) * 10}E-1"
    tables.put("location_history", item)
    assert verify(run, copied)["exit"] == 0


def test_extra_items_are_found_by_their_key(run: Migrate, tables: Tables, copied: Legacy) -> None:
    place = tables.get("location_history", userId="user-6", id="place-000006")
    for key in ("place-x", "history_999", "history_1x", "history_007"):
        tables.put("location_history", place | {"userId": {"S": "unknown"}, "id": {"S": key}})
    # The keys of rows, but not together.
    tables.put("location_history", place | {"userId": {"S": "user-5"}})
    report = verify(run, copied)
    assert report["exit"] == 2
    assert line(report, "location_history")["extra"] == 5
    assert line(report, "history")["extra"] == 0
    assert {finding["kind"] for finding in report["findings"]} == {"extra"}
    assert sorted((f["key"]["userId"]["S"], f["key"]["id"]["S"]) for f in report["findings"]) == [
        ("unknown", "history_007"),
        ("unknown", "history_1x"),
        ("unknown", "history_999"),
        ("unknown", "place-x"),
        ("user-5", "place-000006"),
    ]
    assert verify(run, copied, allow_extra=True)["exit"] == 0


def test_an_extra_item_does_not_hide_a_missing_one(
    run: Migrate, tables: Tables, copied: Legacy
) -> None:
    session = tables.get("user_sessions", sessionId=kept_id("session-00003"))
    tables.delete("user_sessions", sessionId=kept_id("session-00003"))
    tables.put("user_sessions", session | {"sessionId": {"S": "other"}})
    report = verify(run, copied)
    account = line(report, "user_sessions")
    assert (account["missing"], account["extra"], report["exit"]) == (1, 1, 2)


def test_the_item_of_a_row_that_has_become_bad_is_extra(
    run: Migrate, tables: Tables, copied: Legacy
) -> None:
    copied.execute("UPDATE user_sessions SET data = 'broken' WHERE session_id = 'session-00003'")
    report = verify(run, copied)
    account = line(report, "user_sessions")
    assert (account["dead_lettered"], account["extra"], report["exit"]) == (1, 1, 2)
    assert report["dead_letters"][0]["key"] == kept_id("session-00003")
    assert DeadLetter.objects.count() == 0


def test_an_extra_item_whose_key_is_no_date_is_found_too(run: Migrate, tables: Tables) -> None:
    make_records()
    assert run(tables=("rate_limits",))["exit"] == 0
    (item,) = tables.scan("rate_limits")[:1]
    for window in ("soon", "2026-11-20T08:30:15Z", "2026-11-20T08:30:15.123456"):
        tables.put("rate_limits", item | {"windowStart": {"S": window}})
    report = run(tables=("rate_limits",), verify_only=True)
    assert (report["exit"], report["error"]) == (2, "")
    assert line(report, "rate_limits")["extra"] == 3


def test_a_guard_that_is_gone_is_a_difference_of_its_record(
    run: Migrate, tables: Tables, copied: Legacy
) -> None:
    tables.delete("unique", guard="users/email/person.4@example.org")
    report = verify(run, copied)
    (finding,) = report["findings"]
    assert report["exit"] == 2
    assert finding["key"] == {"id": {"S": "user-4"}}
    assert finding["attributes"] == ["unique email"]


def test_a_guard_of_another_record_is_a_difference_and_extra(
    run: Migrate, tables: Tables, copied: Legacy
) -> None:
    tables.put("unique", {"guard": {"S": "users/username/person5"}, "owner": {"S": "user-6"}})
    report = verify(run, copied)
    assert report["exit"] == 2
    different, extra = report["findings"]
    assert (different["kind"], different["attributes"]) == ("different", ["unique username"])
    assert different["key"] == {"id": {"S": "user-5"}}
    assert (extra["kind"], extra["key"]["guard"]) == ("extra", {"S": "users/username/person5"})
    # Its owner's row does not claim it: it can be given back.
    assert verify(run, copied, repair=True)["exit"] == 0
    assert tables.guards()["users/username/person5"] == "user-5"


def test_a_guard_that_nobody_needs_is_extra(run: Migrate, tables: Tables, copied: Legacy) -> None:
    """It would keep its value from everybody."""
    tables.put("unique", {"guard": {"S": "users/username/ghost"}, "owner": {"S": "user-6"}})
    tables.put("unique", {"guard": {"S": "roles/name/ghost"}, "owner": {"S": "role-1"}})
    report = verify(run, copied)
    (finding,) = report["findings"]
    assert (report["exit"], finding["kind"]) == (2, "extra")
    assert finding["key"]["guard"] == {"S": "users/username/ghost"}
    assert verify(run, copied, allow_extra=True)["exit"] == 0


def test_a_guard_whose_value_is_secret_is_named_by_its_owner(run: Migrate, tables: Tables) -> None:
    key = ApiKey.objects.create(
        id="key-1", name="k", key_hash="5ecre7" * 8, key_preview="dl_abc", user_id="u"
    )
    assert run(tables=("api_keys",))["exit"] == 0
    ghost = f"api_keys/key_hash/{'9h057' * 8}"
    tables.put("unique", {"guard": {"S": ghost}, "owner": {"S": "key-9"}})
    tables.put("api_keys", {**tables.scan("api_keys")[0], "keyHash": {"S": "5po117" * 8}})
    report = run(tables=("api_keys",), verify_only=True)
    extra = next(each for each in report["findings"] if each["kind"] == "extra")
    assert extra["key"] == {
        "guard": {"S": "api_keys/key_hash/(withheld)"}, "owner": {"S": "key-9"},
    }  # fmt: skip
    assert any(each["attributes"] == ["keyHash"] for each in report["findings"])
    told = json.dumps([report, *MigrationRun.objects.values_list("report", flat=True)])
    assert not any(secret in told for secret in (key.key_hash, "9h057", "5po117"))


def test_repair_cannot_take_a_value_from_a_record_that_others_made_and_says_so(
    run: Migrate, tables: Tables, copied: Legacy
) -> None:
    tables.put("unique", {"guard": {"S": "users/username/person5"}, "owner": {"S": "stranger"}})
    report = verify(run, copied, repair=True)
    assert report["exit"] == 2
    assert line(report, "users")["dead_lettered"] == 1
    (letter,) = DeadLetter.objects.all()
    assert (letter.key, letter.reason) == ("user-5", "username belongs to another user")
    assert [(x["key"], x["reason"]) for x in report["dead_letters"]] == [
        ("user-5", "username belongs to another user")
    ]
    assert tables.guards()["users/username/person5"] == "stranger"


def test_repair_mends_what_is_missing_or_different_and_nothing_else(
    run: Migrate, tables: Tables, copied: Legacy
) -> None:
    before = tables.everything()
    tables.delete("user_profiles", userId="user-4")
    tables.delete("users", id="user-7")
    tables.delete("unique", guard="users/email/person.4@example.org")
    place = tables.get("location_history", userId="user-6", id="place-000006")
    tables.change("location_history", place, activity={"S": "tampered with"})
    assert verify(run, copied)["exit"] == 2
    report = verify(run, copied, repair=True)
    assert (report["exit"], report["verified"], report["findings"]) == (0, True, [])
    assert tables.everything() == before
    assert counts(report, "users") == {"read": 12, "written": 2, "unchanged": 10}
    assert counts(report, "user_profiles") == {"read": 12, "written": 1, "unchanged": 11}
    assert counts(report, "location_history") == {"read": 30, "written": 1, "unchanged": 29}
    assert counts(report, "history") == {"read": 20, "unchanged": 20}


def test_repair_leaves_extra_items_alone(run: Migrate, tables: Tables, copied: Legacy) -> None:
    session = tables.get("user_sessions", sessionId=kept_id("session-00003"))
    tables.put("user_sessions", session | {"sessionId": {"S": "other"}})
    report = verify(run, copied, repair=True)
    assert (report["exit"], line(report, "user_sessions")["extra"]) == (2, 1)
    assert len(tables.scan("user_sessions")) == 13


def test_what_dynamodb_has_deleted_for_its_age_is_not_missing(
    run: Migrate, tables: Tables, copied: Legacy, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = [item for item in tables.scan("location_history") if int(item["ttl"]["N"]) < time.time()]
    assert len(gone) >= 2
    for item in gone:
        tables.delete("location_history", userId=item["userId"]["S"], id=item["id"]["S"])
    # An engine on this machine deletes nothing by itself.
    report = verify(run, copied)
    assert (report["exit"], len(report["findings"])) == (2, len(gone))
    wire = get_wire()
    far = dataclasses.replace(wire.endpoint, loopback=False)
    monkeypatch.setattr(wire, "endpoint", far)
    report = verify(run, copied)
    assert (report["exit"], report["findings"]) == (0, [])
    expired = line(report, "history")["expired"] + line(report, "location_history")["expired"]
    assert expired == len(gone)
    # Nor was anything deleted that was never there.
    Checkpoint.objects.update(complete=False)
    assert verify(run, copied)["exit"] == 2


def test_rows_that_were_never_copied_are_missing_every_one(
    run: Migrate, tables: Tables, good: Legacy, tmp_path: Path
) -> None:
    nothing = {"history": 0, "places": 0, "users": 0, "profiles": 0, "sessions": 0}
    run(build(tmp_path / "empty.sqlite3", bad=False, **nothing))
    report = verify(run, good)
    assert report["exit"] == 2
    for table in SCHEMA:
        assert line(report, table)["missing"] == len(good.good[table])
    assert len(report["findings"]) == sum(each["missing"] for each in report["tables"])


def test_a_verification_before_any_copy_makes_no_tables(
    run: Migrate, tables: Tables, good: Legacy
) -> None:
    report = verify(run, good)
    assert (report["exit"], report["status"]) == (1, "failed")
    assert f"{tables.prefix}users" in report["error"]
    assert tables.names() == []


def test_rows_that_are_dead_letters_are_listed_by_a_verification_alone(
    run: Migrate, tables: Tables, legacy: Legacy
) -> None:
    run(legacy)
    DeadLetter.objects.all().delete()
    report = verify(run, legacy)
    assert report["exit"] == 3
    reasons = sorted((letter["source"], letter["reason"]) for letter in report["dead_letters"])
    assert reasons == legacy.reasons()
    assert DeadLetter.objects.count() == 0


def test_verifying_one_table_does_not_call_the_other_source_of_its_target_extra(
    run: Migrate, copied: Legacy
) -> None:
    for table in ("history", "location_history", "users"):
        assert verify(run, copied, tables=(table,))["exit"] == 0


def test_a_row_added_to_the_source_since_is_missing_until_the_next_run(
    run: Migrate, copied: Legacy
) -> None:
    with open_file(copied.path) as file:
        insert(file, "user_profiles", copied.good["user_profiles"][0] | {"user_id": "new"})
    assert line(verify(run, copied), "user_profiles")["missing"] == 1
    report = run(copied)
    assert counts(report, "user_profiles") == {"read": 13, "written": 1, "unchanged": 12}
    assert report["exit"] == 0


def test_a_row_deleted_from_the_source_leaves_an_extra_item(run: Migrate, copied: Legacy) -> None:
    copied.execute("DELETE FROM user_sessions WHERE session_id = 'session-00003'")
    report = run(copied)
    assert (report["exit"], line(report, "user_sessions")["extra"]) == (2, 1)
