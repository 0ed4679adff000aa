"""Dead letters are listed, shown whole, and replayed after a repair of the source; what a later run
finds good is a dead letter no more."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from dbcore.letters import WITHHELD
from dbcore.migration.copy import TableCopy
from dbcore.models import DeadLetter, MigrationRun
from tests.dbcore.migration.conftest import Migrate
from tests.dbcore.migration.legacy_file import LONG_RANGE_KEY, Legacy, kept_id
from tests.dbcore.migration.runs import Project, Tables, stored


def command(*arguments: str) -> tuple[int, str]:
    """`dead_letters …` in this process: its exit code and output."""
    out = io.StringIO()
    try:
        call_command("dead_letters", *arguments, stdout=out)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue()
    return 0, out.getvalue()


@pytest.fixture
def letters(run: Migrate, legacy: Legacy) -> Legacy:
    """A file whose dead letters are in the books."""
    assert run(legacy)["exit"] == 3
    return legacy


def letter(key: str) -> DeadLetter:
    return DeadLetter.objects.get(key=key)


def letter_row(number: int) -> dict[str, Any]:
    """A letter's row as it is kept."""
    row: dict[str, Any] = DeadLetter.objects.get(pk=number).row
    return row


def test_the_list_names_every_letter_with_its_reason(letters: Legacy) -> None:
    code, text = command()
    assert code == 0
    lines = text.splitlines()
    assert lines[-1] == f"{len(letters.bad)} dead letters"
    for bad in letters.bad:
        assert any(f"{bad.table} {bad.key or 'row '}" in each and each.endswith(bad.reason)
                   for each in lines)  # fmt: skip


def seen(row: dict[str, Any]) -> dict[str, Any]:
    """A row as people may see it."""
    secret = {"password_hash", "session_id"}
    return {
        name: WITHHELD if name in secret and value else value for name, value in stored(row).items()
    }


def test_the_list_as_json_has_every_row_but_for_its_secrets(letters: Legacy) -> None:
    code, text = command("list", "--format", "json")
    found = json.loads(text)
    assert (code, len(found)) == (0, len(letters.bad))
    by_key = {(each["source"], each["key"]): each for each in found}
    for bad in letters.bad:
        if bad.key is not None:
            each = by_key[bad.table, bad.key]
            assert (each["reason"], each["row"]) == (bad.reason, seen(bad.row))
            assert letter_row(each["id"]) == stored(bad.row), "kept whole"
            assert each["resolved_at"] is None
            assert each["database"].endswith(str(letters.path))


def test_the_list_may_be_of_some_tables_by_either_name(letters: Legacy) -> None:
    def listed(*tables: str) -> set[str]:
        options = [part for table in tables for part in ("--table", table)]
        return {each["source"] for each in json.loads(command("list", "--format", "json",
                                                              *options)[1])}  # fmt: skip

    assert listed("users") == {"users"}
    assert listed("history") == {"history"}
    assert listed("location_history") == {"history", "location_history"}
    assert listed("users", "user_sessions") == {"users", "user_sessions"}
    assert listed("nothing") == set()


def test_one_letter_is_shown_whole_also_what_json_cannot_carry(letters: Legacy) -> None:
    for key, column in (
        ("bad-latin", "activity"),
        ("bad-blob", "activity"),
        ("bad-big", "metadata"),
        (LONG_RANGE_KEY[:1000], "id"),
    ):
        code, text = command("show", str(letter(key).pk))
        shown = json.loads(text)
        (bad,) = (each for each in letters.bad if each.key == key)
        assert (code, shown["reason"]) == (0, bad.reason)
        assert shown["row"] == seen(bad.row)
        assert shown["row"][column]


def test_a_letter_that_is_not_there_cannot_be_shown(letters: Legacy) -> None:
    with pytest.raises(CommandError, match="no dead letter 99999"):
        command("show", "99999")
    with pytest.raises(CommandError, match="which one"):
        command("show")


def test_replay_after_a_repair_writes_what_is_good_now(
    letters: Legacy, tables: Tables, run: Migrate
) -> None:
    letters.execute("UPDATE location_history SET location = '{\"lat\": 1.5}' WHERE id = 'bad-json'")
    letters.execute("UPDATE users SET email = 'free@x.org' WHERE id = 'same-email'")
    letters.execute("UPDATE history SET lat = 9.25 WHERE lat > 1e300")
    letters.execute("DELETE FROM user_sessions WHERE session_id = 'scalar'")
    letters.execute("UPDATE user_profiles SET preferences = '[' WHERE user_id = 'bad-json'")
    code, text = command("replay", "--format", "json")
    assert code == 3
    total = len(letters.bad)
    assert json.loads(text) == {
        "tried": total,
        "written": 3,
        "unchanged": 0,
        "newer": 0,
        "gone": 1,
        "still_dead": total - 4,
        "status": "completed_with_dead_letters",
        "error": "",
        "notes": [],
    }
    record = MigrationRun.objects.order_by("started_at").last()
    assert record is not None and record.status == "completed_with_dead_letters"
    assert (record.rows_read, record.rows_written) == (total, 3)
    assert record.options["replay"]
    place = tables.items("location_history", "id")["bad-json"]
    assert float(place["location"]["lat"]) == 1.5
    assert tables.guards()["users/email/free@x.org"] == "same-email"
    open_now = {(x.source_table, x.key) for x in DeadLetter.objects.filter(resolved_at=None)}
    assert len(open_now) == total - 4
    assert ("location_history", "bad-json") not in open_now
    assert ("user_sessions", kept_id("scalar")) not in open_now
    assert DeadLetter.objects.get(source_table="user_profiles", key="bad-json").row[
        "preferences"
    ] == "["  # fmt: skip
    # Listed no more, but for those who ask.
    assert command()[1].splitlines()[-1] == f"{total - 4} dead letters"
    assert command("list", "--all")[1].count("(resolved)") == 4
    report = run(letters)
    assert report["exit"] == 3
    assert sum(each["written"] for each in report["tables"]) == 0
    assert len(report["dead_letters"]) == total - 4


def test_replay_of_one_table_leaves_the_others_alone(letters: Legacy) -> None:
    letters.execute("DELETE FROM users WHERE id = 'maybe'")
    letters.execute("DELETE FROM user_sessions WHERE session_id = 'scalar'")
    code, text = command("replay", "--table", "users")
    assert code == 3
    assert text.startswith("tried 4: 0 written, 0 already there, ")
    assert "1 gone from the source, 3 still dead letters" in text
    assert DeadLetter.objects.filter(resolved_at=None, key=kept_id("scalar")).exists()


def test_replay_of_nothing_but_good_rows_ends_well_and_again_tries_none(
    letters: Legacy, tables: Tables
) -> None:
    letters.execute("UPDATE user_sessions SET data = '{}' WHERE session_id = 'scalar'")
    letters.execute("UPDATE user_sessions SET expires_at = created_at WHERE expires_at IS NULL")
    letters.execute("UPDATE user_sessions SET user_id = 'u' WHERE user_id = ''")
    assert command("replay", "--table", "user_sessions")[0] == 0
    assert len(tables.scan("user_sessions")) == 43
    code, text = command("replay", "--table", "user_sessions")
    assert (code, text.split(":")[0]) == (0, "tried 0")


def test_replay_never_gives_a_value_to_two(letters: Legacy, tables: Tables) -> None:
    """Repaired to a value that yet another user has."""
    before = tables.guards()
    letters.execute("UPDATE users SET email = 'PERSON.6@example.org' WHERE id = 'no-email'")
    code, _ = command("replay", "--table", "users")
    assert code == 3
    assert tables.guards() == before
    found = letter("no-email")
    assert found.reason == "email belongs to another user (case apart)"
    assert found.row["email"] == "PERSON.6@example.org"


def test_replay_finds_the_row_though_its_key_has_been_repaired(
    letters: Legacy, tables: Tables
) -> None:
    letters.execute("UPDATE location_history SET id = 'given' WHERE id IS NULL")
    letters.execute("UPDATE location_history SET id = 'short' WHERE length(id) > 1000")
    command("replay", "--table", "location_history")
    assert {"given", "short"} <= set(tables.items("location_history", "id"))


def test_a_later_run_resolves_what_was_repaired_or_removed(
    run: Migrate, letters: Legacy, tables: Tables
) -> None:
    letters.execute("UPDATE users SET is_active = 1 WHERE id = 'maybe'")
    letters.execute("DELETE FROM history WHERE type IS NULL")
    report = run(letters)
    assert len(report["dead_letters"]) == len(letters.bad) - 2
    resolved = DeadLetter.objects.exclude(resolved_at=None)
    assert {each.reason for each in resolved} == {
        "is_active is not true or false", "type is missing",
    }  # fmt: skip
    assert DeadLetter.objects.count() == len(letters.bad)
    assert "maybe" in tables.items("users", "id")


def test_a_row_that_breaks_again_is_a_letter_again_and_not_two(
    run: Migrate, letters: Legacy
) -> None:
    letters.execute("UPDATE users SET is_active = 1 WHERE id = 'maybe'")
    run(letters)
    assert letter("maybe").resolved_at is not None
    letters.execute("UPDATE users SET is_active = 'perhaps' WHERE id = 'maybe'")
    run(letters)
    again = letter("maybe")
    assert (again.resolved_at, again.row["is_active"]) == (None, "perhaps")


def test_replay_without_the_source_says_so(letters: Legacy, tmp_path: Path) -> None:
    letters.path.rename(tmp_path / "elsewhere.sqlite3")
    code, text = command("replay", "--format", "json")
    assert code == 1 and "does not exist" in json.loads(text)["error"]
    assert DeadLetter.objects.filter(resolved_at=None).count() == len(letters.bad)


def test_letters_of_another_target_are_not_tried(letters: Legacy, settings: Any) -> None:
    settings.DYNAMODB_TABLE_PREFIX += "other-"
    assert command("replay")[1].startswith("tried 0:")


def test_the_command_itself_replays_a_file_named_from_another_folder(
    project: Project, legacy: Legacy, tmp_path: Path
) -> None:
    done = project.migrate(Path(legacy.path.name))
    assert done.code == 3, done.err
    legacy.execute("UPDATE users SET is_active = 1 WHERE id = 'maybe'")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    project.env["DATABASE_URL"] = f"sqlite:///{project.books}"
    project.folder = elsewhere
    assert project.run("migrate", "--verbosity", "0").code == 0  # also the audit trail's table
    replayed = project.run("dead_letters", "replay", "--table", "users", "--format", "json")
    assert replayed.code == 3, replayed.err
    assert json.loads(replayed.out) == {
        "tried": 4, "written": 1, "unchanged": 0, "newer": 0, "gone": 0, "still_dead": 3,
        "status": "completed_with_dead_letters", "error": "", "notes": [],
    }  # fmt: skip
    assert "replay ended" in replayed.err and "audit" not in replayed.err


def test_a_replay_that_is_told_to_stop_ends_between_two_letters_and_the_next_goes_on(
    letters: Legacy, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = TableCopy.copy_rows
    tried: list[int] = []

    def copy_rows(copy: TableCopy, rows: Any) -> None:
        usual(copy, rows)
        tried.append(1)
        if len(tried) == 3:
            os.kill(os.getpid(), signal.SIGHUP)

    monkeypatch.setattr(TableCopy, "copy_rows", copy_rows)
    code, text = command("replay", "--format", "json")
    found = json.loads(text)
    assert (code, found["status"], found["tried"]) == (1, "interrupted", 3)
    assert "run the same command to go on" in found["error"]
    code, text = command("replay", "--format", "json")
    assert (code, json.loads(text)["tried"]) == (3, len(letters.bad))
    assert [each.status for each in MigrationRun.objects.order_by("-started_at")[:2]] == [
        "completed_with_dead_letters", "interrupted",
    ]  # fmt: skip
