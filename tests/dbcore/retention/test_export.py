"""The export of a user: everything that is kept of them and nothing of anybody else, in one file
that its owner alone can read."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from django.core.management import CommandError, call_command

from daylight.models import ApiKey, Plan, User
from dbcore.attributes import timestamp_text
from dbcore.items import layout_of
from dbcore.models import DeadLetter, Erasure
from dbcore.retention import export
from dbcore.retention.erased import pseudonym_of
from dbcore.retention.erasure import erase_user
from dbcore.retention.errors import RetentionError
from dbcore.retention.export import ExportReport, export_user, without_personal_records
from dbcore.retention.keepers.choice import keeper_named
from dbcore.retention.keepers.interface import Keeper
from dbcore.retention.plain_files import new_file
from tests.dbcore.retention.lives import archived, audit_trail, live, places_that_name, user_named
from tests.dbcore.retention.making import DAY, NOW, put
from tests.dbcore.retention.test_restore import damage
from tests.support.archives import Bucket

USER, OTHER = "u/1 with ü", "u"
PLANS = layout_of(Plan)


def exported(user: str = USER, **options: Any) -> tuple[ExportReport, Any]:
    out = io.BytesIO()
    report = export_user(user, out, who="A. Clerk", why="request 3", now=NOW, **options)
    return report, json.loads(out.getvalue())


def letter(user: str, number: int) -> None:
    DeadLetter.objects.create(
        source="s", target="t", source_table="users", table="users", row_ref=str(number),
        key=user, reason="email is missing", row={"id": user, "password_hash": "hash-of-it"},
        copy_pass="c",
    )  # fmt: skip


# --- What is in it ------------------------------------------------------------------------------


def test_it_has_every_record_of_the_user_and_of_nobody_else(primary: Keeper) -> None:
    mine = live(primary, USER)
    live(primary, OTHER)
    report, found = exported()
    assert (found["user"], found["exported_at"]) == (USER, timestamp_text(NOW))
    assert found["store"] == primary.name
    assert {name: len(records) for name, records in found["tables"].items()} == {
        name: len(items) + (name == "audit_logs")  # the entry that this export has begun
        for name, items in mine.items()
    }
    for name, records in found["tables"].items():
        for each in records:
            owner = "id" if name == "users" else "user_id"
            assert each[owner] == USER
    assert report.exit_code == 0 and report.records == sum(report.tables.values())
    assert set(found["tables_without_personal_records"]) == set(without_personal_records())
    assert len(found["tables"]) + len(without_personal_records()) == 19


def test_a_record_is_told_field_by_field_in_json_values(primary: Keeper) -> None:
    item = put(primary, Plan, NOW - DAY, user_id=USER, id="p", start_time=None)
    _, found = exported()
    (plan,) = found["tables"]["plans"]
    values = PLANS.from_item(item)
    times = {"end_time", "created_at", "updated_at"}
    for name, value in values.items():
        assert plan[name] == (timestamp_text(value) if name in times else value)
    assert plan.keys() == values.keys(), "neither derived attributes nor Django's joined key"


def test_secrets_are_withheld_and_named(primary: Keeper) -> None:
    user_named(primary, USER, password_hash="hash-of-it")
    put(primary, ApiKey, NOW, user_id=USER, key_hash="hash-of-key")
    archived(primary, User, {"id": "gone", "password_hash": "hash-of-it"})
    letter(USER, 1)
    for user in (USER, "gone"):
        _, found = exported(user)
        assert "hash-of" not in json.dumps(found)
        assert found["withheld"] == {"api_keys": ["key_hash"], "users": ["password_hash"]}
    assert "password_hash" not in found["archived"]["users"][0]["record"]


def test_archived_records_are_in_it_with_their_archive(primary: Keeper, archive_dir: Path) -> None:
    first = archived(primary, Plan, {"user_id": USER, "id": "a"}, {"user_id": OTHER, "id": "a"})
    second = archived(primary, Plan, {"user_id": USER, "id": "b"})
    third = archived(primary, User, {"id": USER})
    damage(archived(primary, Plan, {"user_id": OTHER}), archive_dir)  # not theirs: not opened
    report, found = exported()
    plans = {(each["archive"], each["record"]["id"]) for each in found["archived"]["plans"]}
    assert plans == {(first.pk, "a"), (second.pk, "b")}
    assert [each["archive"] for each in found["archived"]["users"]] == [third.pk]
    assert found["unread"] == [] and report.archived == {"plans": 2, "users": 1}
    report, found = exported(archives=False)
    assert found["archived"] is None and report.archived == {}


def test_dead_letters_of_the_user_are_in_it(primary: Keeper) -> None:
    letter(USER, 1)
    letter(OTHER, 2)
    report, found = exported()
    (dead,) = found["dead_letters"]
    kept = {"id": USER, "password_hash": "(withheld)"}
    assert (dead["key"], dead["reason"], dead["row"]) == (USER, "email is missing", kept)
    assert report.dead_letters == 1


def test_what_another_has_written_otherwise_is_in_it_as_it_is(in_dynamodb: Keeper) -> None:
    item = put(in_dynamodb, Plan, NOW, user_id=USER, id="p")
    strange = {"colour": {"S": "red"}, "tags": {"SS": ["a"]}, "title": {"N": "7"}}
    assert in_dynamodb.replace(PLANS, item, {**item, **strange})
    _, found = exported()
    (plan,) = found["tables"]["plans"]
    assert (plan["colour"], plan["tags"], plan["title"]) == ("red", {"SS": ["a"]}, {"N": "7"})


def test_records_from_before_the_migration_are_in_it(in_dynamodb: Keeper) -> None:
    put(in_dynamodb, Plan, NOW, user_id=USER, id="new")
    put(keeper_named("orm"), Plan, NOW, user_id=USER, id="old")
    report, found = exported()
    assert [each["id"] for each in found["tables"]["plans"]] == ["new"]
    assert [each["id"] for each in found["other_stores"]["orm"]["plans"]] == ["old"]
    assert report.tables["plans"] == 2


def test_a_damaged_archive_is_named_and_the_rest_is_there(
    primary: Keeper, archive_dir: Path
) -> None:
    bad = archived(primary, Plan, {"user_id": USER, "id": "a"})
    archived(primary, Plan, {"user_id": USER, "id": "b"})
    damage(bad, archive_dir)
    report, found = exported()
    assert report.exit_code == 2
    assert [(each["archive"], each["table"]) for each in found["unread"]] == [(bad.pk, "plans")]
    assert [each["record"]["id"] for each in found["archived"]["plans"]] == ["b"]
    assert audit_trail(primary, "export")[-1]["outcome"] == "partial"


def test_a_frozen_archive_is_named_and_asked_to_thaw(
    transactional_db: None, archive_bucket: Bucket, settings: Any
) -> None:
    settings.DATABASE_PRIMARY = "sqlite"
    frozen = archived(keeper_named("orm"), User, {"id": USER})
    report, found = exported()
    assert report.exit_code == 3
    assert found["archived"] == {} and found["unread"][0]["archive"] == frozen.pk
    assert "thaw" in found["unread"][0]["why"]
    assert exported()[0].exit_code == 0  # moto thaws at once


def test_of_nobody_there_is_nothing_and_what_is_no_id_is_refused(primary: Keeper) -> None:
    report, found = exported("nobody", archives=False)
    assert (report.exit_code, report.tables["users"]) == (0, 0)
    assert found["tables"]["plans"] == found["dead_letters"] == []
    with pytest.raises(RetentionError):
        exported("")


def test_of_an_erased_user_archives_give_nothing_and_no_entry_names_them(
    primary: Keeper, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = archived(primary, Plan, {"user_id": USER, "id": "a", "title": "what they had planned"})
    erase_user(USER, who="w", why="y", pauses=(0.0,))
    report, found = exported()
    assert (found["archived"], found["erased"]["archives"]) == ({}, [kept.pk])
    assert (report.exit_code, report.archived, report.left_out) == (0, {}, [kept.pk])
    assert found["erased"]["since"] == timestamp_text(Erasure.objects.get().started_at)
    call_command("restore_archive", "--user", USER, "--who", "w", "--why", "y")
    assert places_that_name(primary, USER) == []
    pseudonym = pseudonym_of(Erasure.objects.get())
    about = [each["user_id"] for each in audit_trail(primary, "export", "restore")]
    assert about == [pseudonym] * 4
    run(USER)
    told = capsys.readouterr()
    assert "was erased on" in told.err and kept.pk in told.err
    assert "what they had planned" not in told.out


def test_an_erasure_that_comes_during_an_export_is_not_undone_by_its_end(
    in_sqlite: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_named(in_sqlite, USER)
    usual = export._Export.write

    def write(self: Any, archives: bool) -> None:
        usual(self, archives)
        erase_user(USER, who="w", why="y", pauses=(0.0,))

    monkeypatch.setattr(export._Export, "write", write)
    exported()
    assert places_that_name(in_sqlite, USER) == []


def test_the_export_is_on_record_and_the_entry_is_the_users_own(primary: Keeper) -> None:
    user_named(primary, USER)
    exported()
    begun, ended = audit_trail(primary, "export")
    assert (begun["outcome"], ended["outcome"]) == ("partial", "success")
    assert begun["user_id"] == ended["user_id"] == USER
    assert USER not in json.dumps([begun["resource"], begun["details"], ended["details"]])
    assert (begun["details"]["who"], begun["details"]["why"]) == ("A. Clerk", "request 3")


class Counting(io.RawIOBase):
    """Where an export goes, and how much of it had come when the store had given so much."""

    def __init__(self) -> None:
        self.bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.bytes += len(data)
        return len(data)


def test_records_are_written_as_they_are_read(
    primary: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        put(primary, Plan, NOW, user_id=USER, description="x" * 10_000)
    out, usual, seen = Counting(), type(primary).owned_by, []

    def owned_by(keeper: Any, layout: Any, owner: str) -> Any:
        for item in usual(keeper, layout, owner):
            if layout is PLANS:
                seen.append(out.bytes)
            yield item

    monkeypatch.setattr(type(primary), "owned_by", owned_by)
    export_user(USER, out, archives=False)  # type: ignore[arg-type]
    assert len(seen) == 3
    assert seen[1] > seen[0] + 10_000 and seen[2] > seen[1] + 10_000


# --- The file -----------------------------------------------------------------------------------


def run(*arguments: str) -> int:
    try:
        call_command("export_user", *arguments)
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def test_the_file_is_new_whole_and_readable_by_its_owner_alone(
    primary: Keeper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(primary, Plan, NOW, user_id=USER)
    path = tmp_path / "export.json"
    assert run(USER, "--output", str(path), "--why", "asked") == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(json.loads(path.read_text())["tables"]["plans"]) == 1
    told = capsys.readouterr()
    assert (
        "not looked into, since their records belong to no user: events_cache" in told.err
        and told.out == ""
    )
    before = path.read_bytes()
    with pytest.raises(CommandError, match="is there already"):
        run(USER, "--output", str(path))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["export.json"]


def test_without_a_file_the_document_is_standard_output_alone(
    primary: Keeper, capfdbinary: pytest.CaptureFixture[bytes], archive_dir: Path
) -> None:
    damage(archived(primary, Plan, {"user_id": USER}), archive_dir)
    capfdbinary.readouterr()
    assert run(USER) == 2
    told = capfdbinary.readouterr()
    assert json.loads(told.out)["user"] == USER
    assert b"NOT PROVEN" in told.err
    assert run("nobody", "--no-archives") == 0
    assert b"there is no user 'nobody'" in capfdbinary.readouterr().err


def test_a_failed_export_leaves_no_file(in_sqlite: Keeper, tmp_path: Path) -> None:
    def fail(file: BinaryIO) -> None:
        file.write(b"half of it")
        raise RuntimeError("no more")

    path = tmp_path / "export.json"
    with pytest.raises(RuntimeError), new_file(path) as file:
        fail(file)
    assert not path.exists()
    assert [each for each in tmp_path.iterdir() if each.is_file()] == []
    with pytest.raises(RetentionError, match="cannot be written"), new_file(tmp_path / "no" / "f"):
        pass


def test_two_exports_to_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    with pytest.raises(RetentionError, match="cannot be written"), new_file(path) as one:
        one.write(b"one")
        with new_file(path) as other:
            other.write(b"other")
    assert path.read_bytes() == b"other"


def test_killed_while_it_writes_no_file_has_its_name(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; "
        "from dbcore.retention.plain_files import new_file\n"
        "with new_file(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half of it'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "export.json"
    root = Path(__file__).resolve().parents[3]
    killed = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup()\n{code}", str(path)],
        cwd=root, env={"PATH": "", "DJANGO_SETTINGS_MODULE": "settings.test"}, check=False,
    )  # fmt: skip
    assert killed.returncode == -9
    assert not path.exists()
    (part,) = tmp_path.iterdir()
    assert stat.S_IMODE(part.stat().st_mode) == 0o600
