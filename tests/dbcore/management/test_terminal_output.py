"""Whatever somebody has written into a record, a file or a name, no command lets it move a cursor,
hide a line, begin one or set a link on the terminal of whoever runs it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from daylight.models import LocationHistory, Plan, User, UserProfile, UserSession
from dbcore.items import layout_of
from dbcore.models import Archive, DeadLetter
from dbcore.retention.keepers.interface import Keeper
from dbcore.wire import get_wire
from tests.daylight.admin_pages import measured
from tests.dbcore.migration.legacy_file import SCHEMA, open_file
from tests.dbcore.retention.making import DAY, NOW, put
from tests.support.archives import PLANS

EVIL = (
    "\x1b[2J\x1b[31m\r\a\b\x7f\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\\u202e\u2066"
    "\x9b31m\x85\u2028[red]m[/red] :bomb:\nforged: 0 dead letters"
)
EVIL_ID = "\x1b[31m\r\x9b1m\u202e[red]i[/red]\nforged"  # short enough for an id
SWEEP = (
    "--as-of", f"{NOW:%Y-%m-%dT%H:%M:%SZ}", "--accept-large-sweep", "--no-input", "--quiet"
)  # fmt: skip


class Said:
    """What commands have said, on either stream."""

    def __init__(self, capsys: Any) -> None:
        self._capsys = capsys
        self.all = ""

    def run(self, command: str, *arguments: str, **given: Any) -> str:
        """Call a command; what it said. Its exit status is not of interest here."""
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command(command, *arguments, stdout=out, stderr=err, **given)
        except SystemExit:
            pass
        except CommandError as error:
            err.write(str(error))
        seen = self._capsys.readouterr()
        said = "\n".join((out.getvalue(), err.getvalue(), seen.out, seen.err))
        odd = sorted({each for line in said.split("\n") for each in line if not each.isprintable()})
        assert odd == [], (command, arguments, odd)
        assert not any(line.startswith("forged") for line in said.split("\n")), said
        self.all += said
        return out.getvalue()


@pytest.fixture
def said(capsys: Any) -> Said:
    return Said(capsys)


@pytest.fixture
def legacy(tmp_path: Path) -> Path:
    """An earlier file with such values in every column, such columns and such tables."""
    path = tmp_path / "legacy.sqlite3"
    with open_file(path) as file:
        for table, columns in SCHEMA.items():
            file.execute(f'CREATE TABLE {table} ({columns}, "note {EVIL}" TEXT)')
            info = file.execute(f"PRAGMA table_info({table})").fetchall()
            for number in range(2):
                values = [number if "INT" in kind and key else _value(name, number)
                          for _, name, kind, _, _, key in info]  # fmt: skip
                if number:  # a date that is none: a dead letter
                    values[-2] = f"not a date {EVIL}"
                    values[1] = None if table == "history" else values[1]
                marks = ",".join("?" * len(values))
                file.execute(f"INSERT INTO {table} VALUES ({marks})", values)
        file.execute(f'CREATE TABLE "other {EVIL}" (x)')
    return path


def _value(name: str, number: int) -> Any:
    if name.endswith("_at") or name in ("ts", "timestamp"):
        return "2026-11-01T00:00:00Z"
    if name in ("is_active", "email_verified", "ok", "lat", "lng"):
        return 1
    if name in ("location", "metadata", "data", "preferences", "settings"):
        return json.dumps({f"k {EVIL}": EVIL}, ensure_ascii=False)
    return f"{name} {number} {EVIL}"


@pytest.mark.usefixtures("transactional_db", "dynamodb")
def test_a_migration_and_its_dead_letters(said: Said, legacy: Path) -> None:
    said.run("migrate_to_dynamo", "--source", str(legacy), "--dry-run")
    said.run("migrate_to_dynamo", "--source", str(legacy))
    assert DeadLetter.objects.count() >= 4
    listed = said.run("dead_letters")
    assert r"\u001b[2J" in listed
    assert r"[red]m[/red] :bomb:\nforged" in listed
    found = json.loads(said.run("dead_letters", "list", "--format", "json"))
    assert any(EVIL in each["key"] for each in found), "a program gets what is there"
    for letter in DeadLetter.objects.all():
        said.run("dead_letters", "show", str(letter.pk))
    said.run("dead_letters", "replay")
    for model in (User, UserProfile, UserSession, LocationHistory):
        _spoil(model)
    said.run("migrate_to_dynamo", "--source", str(legacy), "--verify-only")
    report = json.loads(
        said.run("migrate_to_dynamo", "--source", str(legacy), "--verify-only", "--format", "json")
    )
    keys = [each for finding in report["findings"] for each in finding["key"].values()]
    assert any(EVIL in each["S"] for each in keys)
    said.run("migrate_to_dynamo", "--source", f"{legacy}{EVIL}")
    said.run("migrate_to_dynamo", "--source", str(legacy), "--table", EVIL)


def _spoil(model: Any) -> None:
    """Take an item away, and put one there that no row is."""
    layout, wire = layout_of(model), get_wire()
    items = wire.call("Scan", {"TableName": layout.table_name})["Items"]
    key = layout.key_of_item(items[0])
    wire.call("DeleteItem", {"TableName": layout.table_name, "Key": key})
    extra = {**items[0], **{name: {"S": f"extra {EVIL}"} for name in key}}
    wire.call("PutItem", {"TableName": layout.table_name, "Item": extra})


def test_retention_in_either_store(said: Said, primary: Keeper, tmp_path: Path) -> None:
    user = f"u {EVIL_ID}"
    for number in range(2):
        put(primary, Plan, NOW - 400 * DAY, user_id=user, id=f"p{number} {EVIL}",
            title=EVIL)  # fmt: skip
    _unreadable(primary)
    said.run("legal_hold", "place", "--user", f"other {EVIL}", "--who", EVIL, "--why", EVIL)
    said.run("legal_hold", "place", "--record", "plans", user, f"p1 {EVIL}",
             "--who", EVIL, "--why", EVIL)  # fmt: skip
    said.run("legal_hold", "list")
    holds = json.loads(said.run("legal_hold", "list", "--format", "json"))
    assert {each["reason"] for each in holds} == {EVIL}
    said.run("enforce_retention", "--dry-run", *SWEEP)
    said.run("enforce_retention", *SWEEP)
    archive = Archive.objects.get()
    put(primary, Plan, NOW, user_id=user, id=f"p0 {EVIL}")
    assert "newer" in said.run("restore_archive", "--record", "plans", user, f"p0 {EVIL}")
    said.run("restore_archive", "--archive", archive.pk, "--overwrite", "--accept-overwrite")
    said.run("restore_archive", "--archive", EVIL)
    said.run("restore_archive", "--user", user, "--export-to", str(tmp_path / f"out {EVIL[:8]}"))
    said.run("reconcile_archives", "--deep")
    said.run("rotate_archive_keys")
    said.run("legal_hold", "lift", EVIL, "--who", EVIL, "--why", EVIL)
    said.run("erase_user", user, "--who", EVIL, "--why", EVIL, "--accept-erasure")


def _unreadable(keeper: Keeper) -> None:
    """A record that is due and that nobody can read."""
    if keeper.name != "dynamodb":
        return
    item = put(keeper, Plan, NOW - 400 * DAY, user_id=f"odd {EVIL}", id=f"odd {EVIL}")
    wire = get_wire()
    spoilt = {**item, "startTime": {"S": f"never {EVIL}"}}
    wire.call("PutItem", {"TableName": PLANS.table_name, "Item": spoilt})


def test_archives_of_which_names_and_manifests_are_forged(
    said: Said, in_sqlite: Keeper, archive_dir: Path
) -> None:
    put(in_sqlite, Plan, NOW - 400 * DAY)
    said.run("enforce_retention", *SWEEP)
    folder = next(each for each in archive_dir.iterdir() if each.is_dir())
    (folder / f"x{EVIL.replace('/', '')}.json.gz.aes").write_bytes(b"x")
    for manifest in archive_dir.rglob("*.manifest*"):
        manifest.chmod(0o600)
        manifest.write_text(json.dumps({"object": EVIL, "table": EVIL}))
    said.run("reconcile_archives")
    said.run("reconcile_archives", "--format", "json")
    said.run("rotate_archive_keys")
    Archive.objects.update(object_name=f"plans/{EVIL}")
    said.run("restore_archive", "--table", "plans")


def test_what_is_kept_of_a_user_written_to_a_terminal(
    in_dynamodb: Keeper, capsysbinary: Any
) -> None:
    user = f"u {EVIL_ID}"
    put(in_dynamodb, Plan, NOW, user_id=user, id=EVIL, title=EVIL, preferences={EVIL: [EVIL]})
    DeadLetter.objects.create(
        source="x", target="x", source_table="plans", table="plans", row_ref="1", key=EVIL,
        reason=EVIL, row={"user_id": user, f"title {EVIL}": EVIL},
    )  # fmt: skip
    call_command("export_user", user, "--who", "x")
    seen = capsysbinary.readouterr()
    for stream in (seen.out, seen.err):
        assert all(line.isprintable() for line in stream.decode().split("\n"))
    found = json.loads(seen.out)
    assert found["tables"]["plans"][0]["title"] == EVIL
    assert found["dead_letters"][0]["row"][f"title {EVIL}"] == EVIL


@pytest.mark.usefixtures("transactional_db", "dynamodb")
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_said_on_either_stream_that_an_error_quotes(said: Said, form: str) -> None:
    place = "postgres://ana:hunter2@db/x?password=hunter2"
    said.run("migrate_to_dynamo", "--source", place, "--format", form)
    assert "hunter2" not in said.all
    assert "db/x" in said.all


@pytest.mark.usefixtures("transactional_db")
def test_health_with_names_that_somebody_measured(
    said: Said, settings: Any, tmp_path: Path
) -> None:
    settings.DB_HEALTH_DEADLINE = 2.0
    settings.DATABASE_PRIMARY = "sqlite"
    settings.DYNAMODB_ENDPOINT = "local"
    settings.LOCAL_DYNAMODB_PATH = tmp_path / "none.db"
    measured(EVIL[-60:], timezone.now(), calls=30)
    assert "forged" in said.run("db_health", "--metrics", "--check", "disk")
    said.run("db_health", "--metrics", "--format", "json")
    said.run("monitor", "--once")
