"""What was archived comes back, into either store, and only what may: proven, verified, never over
a newer record unless told, and without those who were erased."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import stat
from collections.abc import Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from daylight.models import AuditLog, Plan, UsageAnalytics, User
from dbcore.attributes import Item
from dbcore.dynamo.leases import LeaseHeld
from dbcore.errors import ConfigurationError
from dbcore.items import ItemLayout, layout_of
from dbcore.models import Archive, Erasure, RestoredRecord
from dbcore.retention import erasure
from dbcore.retention.archives import Manifest, Shelf
from dbcore.retention.erasure import erase_user
from dbcore.retention.errors import RetentionError, StorageFailed
from dbcore.retention.export import export_user
from dbcore.retention.holds import place_hold, record_subject
from dbcore.retention.keepers.choice import keeper_named
from dbcore.retention.keepers.dynamo import DynamoKeeper
from dbcore.retention.keepers.interface import Keeper
from dbcore.retention.records import key_text
from dbcore.retention.restore import RestoreOptions, restore
from dbcore.retention.restore_report import RestoreReport
from dbcore.retention.selection import Selection, of_archives, of_record, of_table, of_user
from dbcore.stopping import Interrupted, Stop
from dbcore.table_sync import sync_tables
from tests.dbcore.retention.lives import archived, audit_trail, is_kept_from_placing, swept
from tests.dbcore.retention.making import DAY, NOW, put
from tests.support.archives import Bucket, use_bucket

PLANS = layout_of(Plan)
SECOND = dt.timedelta(seconds=1)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "PAUSES", (0.0, 0.0))


def back(selection: Selection, **options: Any) -> RestoreReport:
    report = restore(selection, RestoreOptions(who="A. Clerk", why="asked", **options))
    for line in report.lines.values():
        assert line.closes, line
    return report


def live(keeper: Keeper, *keys: tuple[str, str]) -> list[Item | None]:
    """Plans, by user and id."""
    return keeper.read(PLANS, [{"userId": {"S": user}, "id": {"S": each}} for user, each in keys])


def damage(archive: Archive, folder: Path) -> None:
    path = folder / archive.object_name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))


# --- Choosing -----------------------------------------------------------------------------------


def test_an_archive_comes_back_whole_and_in_grace(primary: Keeper, settings: Any) -> None:
    settings.RETENTION_GRACE_DAYS = 12
    archive = archived(primary, Plan, {"user_id": "u", "id": "a/b"}, {"user_id": "v", "id": "c"})
    before = timezone.now()
    report = back(of_archives([archive.pk]))
    assert (report.exit_code, report.counts()) == (0, {"archives": 1, "found": 2, "restored": 2})
    assert None not in live(primary, ("u", "a/b"), ("v", "c"))
    graces = {row.key: row for row in RestoredRecord.objects.all()}
    assert graces.keys() == {"u/a%2Fb", "v/c"}
    for row in graces.values():
        assert (row.table, row.archive) == ("plans", archive.pk)
        assert before + 12 * DAY <= row.grace_until <= timezone.now() + 12 * DAY
    again = back(of_archives([archive.pk]))
    assert (again.exit_code, again.counts()) == (0, {"archives": 1, "found": 2, "present": 2})


def test_of_a_table_comes_back_what_is_of_the_time_that_is_asked_for(primary: Keeper) -> None:
    for days, name in ((400, "old"), (380, "middle"), (370, "young")):
        put(primary, Plan, NOW - days * DAY, user_id="u", id=name)
    swept(PLANS, 3)
    instant = NOW - 380 * DAY
    report = back(of_table("plans", instant, instant + SECOND))
    assert report.counts()["restored"] == 1
    assert [each is not None for each in live(primary, ("u", "old"), ("u", "middle"))] == [
        False,
        True,
    ]
    assert back(of_table("plans", last=instant)).counts() == {
        "archives": 1, "found": 1, "restored": 1,
    }  # fmt: skip
    assert live(primary, ("u", "young")) == [None]
    assert back(of_table("plans")).counts() == {
        "archives": 1, "found": 3, "restored": 1, "present": 2,
    }  # fmt: skip


def test_archives_of_another_time_are_not_even_opened(primary: Keeper, archive_dir: Path) -> None:
    damage(archived(primary, Plan, {"user_id": "u"}), archive_dir)
    at = NOW - 366 * DAY
    with pytest.raises(RetentionError, match="no archive may hold any"):
        back(of_table("plans", at + SECOND))
    assert back(of_table("plans", at)).exit_code == 2


def test_one_record_comes_back_by_its_key_and_its_neighbours_do_not(primary: Keeper) -> None:
    archived(primary, Plan, {"user_id": "u", "id": "a"}, {"user_id": "u", "id": "b"})
    report = back(of_record("plans", ["u", "b"]))
    assert report.counts() == {"archives": 1, "found": 1, "restored": 1}
    assert [each is None for each in live(primary, ("u", "a"), ("u", "b"))] == [True, False]
    with pytest.raises(RetentionError, match="plans u/c: no archive may hold any"):
        back(of_record("plans", ["u", "c"]))


def test_all_of_a_user_comes_back_from_every_table(primary: Keeper) -> None:
    archived(primary, Plan, {"user_id": "u"}, {"user_id": "u"}, {"user_id": "v"})
    archived(primary, UsageAnalytics, {"user_id": "u"})
    archived(primary, UsageAnalytics, {"user_id": "v"})
    report = back(of_user("u"))
    assert {name: line.restored for name, line in report.lines.items()} == {
        "plans": 2, "usage_analytics": 1,
    }  # fmt: skip
    assert len(list(primary.owned_by(PLANS, "u"))) == 2
    assert list(primary.owned_by(PLANS, "v")) == []


def test_of_a_record_in_two_archives_the_later_one_comes_back(primary: Keeper) -> None:
    archived(primary, Plan, {"user_id": "u", "id": "p", "title": "first"})
    archived(primary, Plan, {"user_id": "u", "id": "p", "title": "second"})
    for overwrite in (False, True):
        report = back(of_table("plans"), overwrite=overwrite)
        assert (report.exit_code, report.counts()["older"]) == (0, 1)
        (plan,) = live(primary, ("u", "p"))
        assert plan is not None and plan["title"] == {"S": "second"}


@pytest.mark.parametrize("origin", ["sqlite", "dynamodb"])
def test_records_come_back_into_the_other_store_as_they_were(
    origin: str, dynamodb: Any, transactional_db: None, archive_dir: Path, settings: Any
) -> None:
    settings.DATABASE_PRIMARY = origin
    settings.RETENTION_LOOKBACK_DAYS = 50
    sync_tables()
    orm, dynamo = keeper_named("orm"), keeper_named("dynamodb")
    here, there = (orm, dynamo) if origin == "sqlite" else (dynamo, orm)
    for model in (Plan, User):
        layout = layout_of(model)
        days = layout.table.retention.days  # type: ignore[union-attr]
        before = put(here, model, NOW - (days + 1) * DAY)
        archive = swept(layout, 1)
        assert back(of_archives([archive.pk]), into=there.name).exit_code == 0
        assert there.read(layout, [layout.key_of_item(before)]) == [before]
        assert here.read(layout, [layout.key_of_item(before)]) == [None]


# --- What is there already ----------------------------------------------------------------------


def test_a_newer_record_is_left_alone_unless_told(primary: Keeper) -> None:
    archive = archived(primary, Plan, {"user_id": "u", "id": "p"}, {"user_id": "u", "id": "q"})
    newer = put(primary, Plan, NOW, user_id="u", id="p")
    report = back(of_archives([archive.pk]))
    assert (report.exit_code, report.total("newer"), report.total("restored")) == (3, 1, 1)
    assert [(each.key, each.outcome) for each in report.reasons] == [("u/p", "newer")]
    assert live(primary, ("u", "p")) == [newer]
    assert [row.key for row in RestoredRecord.objects.all()] == ["u/q"], "no grace for the newer"
    report = back(of_archives([archive.pk]), overwrite=True)
    assert (report.exit_code, report.total("restored"), report.total("present")) == (0, 1, 1)
    assert live(primary, ("u", "p")) != [newer]


def test_a_record_that_a_legal_hold_is_on_is_never_written_over(primary: Keeper) -> None:
    archive = archived(primary, Plan, {"user_id": "u", "id": "p"}, {"user_id": "u", "id": "q"})
    newer = put(primary, Plan, NOW, user_id="u", id="p")
    for name in ("p", "q"):
        place_hold(
            record_subject("plans", ["u", name]), who="c", why="case 7", until=None,
            now=timezone.now(),
        )  # fmt: skip
    report = back(of_archives([archive.pk]), overwrite=True)
    assert (report.exit_code, report.total("held"), report.total("restored")) == (3, 1, 1)
    assert "case 7" in report.reasons[0].why
    assert live(primary, ("u", "p")) == [newer]


def test_no_hold_is_placed_between_the_look_for_holds_and_the_overwriting(
    in_dynamodb: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archived(in_dynamodb, Plan, {"user_id": "u", "id": "p"})
    put(in_dynamodb, Plan, NOW, user_id="u", id="p")
    usual, kept = DynamoKeeper.put_back, []

    def put_back(keeper: Any, *given: Any, **options: Any) -> Any:
        kept.append(is_kept_from_placing("u"))
        return usual(keeper, *given, **options)

    monkeypatch.setattr(DynamoKeeper, "put_back", put_back)
    back(of_archives([archive.pk]), overwrite=True)
    assert kept == [True]
    assert not is_kept_from_placing("u")


def test_a_unique_value_that_another_has_by_now_stays_theirs(primary: Keeper) -> None:
    archive = archived(primary, User, {"id": "u", "email": "Anna@example.org"}, {"id": "v"})
    put(primary, User, NOW, id="w", email="anna@example.ORG")
    report = back(of_archives([archive.pk]))
    assert (report.exit_code, report.total("taken"), report.total("restored")) == (3, 1, 1)
    (reason,) = report.reasons
    assert (reason.key, reason.outcome) == ("u", "taken") and "email" in reason.why
    assert [row.key for row in RestoredRecord.objects.all()] == ["v"]


def test_what_sql_cannot_hold_is_left_out_and_says_why(in_dynamodb: Keeper, dynamodb: Any) -> None:
    item = put(in_dynamodb, Plan, NOW - 400 * DAY, user_id="u", id="p")
    assert in_dynamodb.replace(PLANS, item, {**item, "colour": {"S": "red"}})
    archive = swept(PLANS, 1)
    report = back(of_archives([archive.pk]), into="orm")
    assert (report.exit_code, report.total("unfit")) == (3, 1)
    assert "colour" in report.reasons[0].why
    assert back(of_archives([archive.pk])).exit_code == 0
    (plan,) = live(in_dynamodb, ("u", "p"))
    assert plan is not None and plan["colour"] == {"S": "red"}


def test_a_dry_run_tells_what_would_come_back_and_brings_nothing(primary: Keeper) -> None:
    archive = archived(
        primary, Plan, {"user_id": "u", "id": "a"}, {"user_id": "u", "id": "b"},
        {"user_id": "u", "id": "c"},
    )  # fmt: skip
    back(of_record("plans", ["u", "b"]))
    newer = put(primary, Plan, NOW, user_id="u", id="c")
    before = len(audit_trail(primary))
    RestoredRecord.objects.all().delete()
    report = back(of_archives([archive.pk]), dry_run=True)
    assert (report.total("restored"), report.total("present"), report.total("newer")) == (1, 1, 1)
    assert back(of_archives([archive.pk]), dry_run=True, overwrite=True).total("restored") == 2
    assert live(primary, ("u", "a"), ("u", "c")) == [None, newer]
    assert not RestoredRecord.objects.exists() and len(audit_trail(primary)) == before


# --- Proof --------------------------------------------------------------------------------------


def test_nothing_of_a_damaged_archive_comes_back_and_the_others_do(
    primary: Keeper, archive_dir: Path
) -> None:
    bad = archived(primary, Plan, {"user_id": "u", "id": "a"})
    good = archived(primary, Plan, {"user_id": "u", "id": "b"})
    damage(bad, archive_dir)
    report = back(of_table("plans"))
    assert (report.exit_code, report.total("restored")) == (2, 1)
    (unread,) = report.unproven
    assert (unread.archive, unread.table) == (bad.pk, "plans")
    assert bad.object_name in unread.why
    assert [each is None for each in live(primary, ("u", "a"), ("u", "b"))] == [True, False]
    assert good.pk not in unread.why
    assert audit_trail(primary, "restore")[-1]["outcome"] == "failure"


@pytest.mark.parametrize("flaw", ["manifest", "object", "table"])
def test_one_archive_that_cannot_be_read_is_named_and_the_others_are_read(
    in_sqlite: Keeper, archive_dir: Path, flaw: str
) -> None:
    bad = archived(in_sqlite, Plan, {"user_id": "u", "id": "a"})
    archived(in_sqlite, Plan, {"user_id": "u", "id": "b"})
    if flaw == "manifest":
        Archive.objects.filter(pk=bad.pk).update(manifest={})
    elif flaw == "table":
        Archive.objects.filter(pk=bad.pk).update(table="diaries")
    else:
        (archive_dir / bad.object_name).unlink()
        (archive_dir / bad.object_name).mkdir()
    selections = [of_user("u"), of_record("plans", ["u", "b"])]
    if flaw == "object":  # of the record alone nothing is sought in it: its manifest says so
        selections = [of_user("u"), of_table("plans")]
    if flaw == "table":
        selections = [of_user("u")]
    for selection in selections:
        report = back(selection, overwrite=True)
        assert (report.exit_code, report.total("restored") + report.total("present")) == (2, 1)
        assert [each.archive for each in report.unproven] == [bad.pk]

    out = BytesIO()
    export = export_user("u", out, who="w", why="y")
    assert ([each.archive for each in export.unproven], export.archived) == ([bad.pk], {"plans": 1})
    erasing = erase_user("u", who="w", why="y", dry_run=True)
    assert {each.archive: each.known for each in erasing.archives}[bad.pk] is (flaw != "manifest")
    with pytest.raises(RetentionError, match="nothing belongs to a user 'nobody'"):
        erase_user("nobody", who="w", why="y", dry_run=True)


def test_a_storage_that_does_not_answer_ends_a_restore_at_once(
    in_sqlite: Keeper, archive_bucket: Bucket, settings: Any, no_delay: None
) -> None:
    archived(in_sqlite, Plan, {"user_id": "u", "id": "a"})
    use_bucket(settings, archive_bucket, endpoint_url="http://127.0.0.1:9")
    with pytest.raises(StorageFailed, match="Could not connect"):
        back(of_table("plans"))


def test_an_archive_that_was_never_proven_is_refused(primary: Keeper) -> None:
    archive = archived(primary, Plan, {"user_id": "u"})
    Archive.objects.filter(pk=archive.pk).update(state="writing")
    with pytest.raises(RetentionError, match="never proven"):
        of_archives([archive.pk])
    with pytest.raises(RetentionError, match="no archive may hold any"):
        back(of_table("plans"))
    with pytest.raises(RetentionError, match="no archive 'x'"):
        of_archives(["x"])


def test_a_record_that_reads_back_otherwise_than_it_was_written_is_found(
    in_sqlite: Keeper,
) -> None:
    archive = archived(in_sqlite, Plan, {"user_id": "u", "id": "a"}, {"user_id": "u", "id": "b"})
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER meddle AFTER INSERT ON plans WHEN NEW.id = 'b' BEGIN "
            "UPDATE plans SET title = 'x' WHERE id = 'b'; END"
        )
    try:
        report = back(of_archives([archive.pk]))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER meddle")
    assert (report.exit_code, report.total("restored"), report.total("differing")) == (2, 2, 1)
    assert [(each.key, each.why) for each in report.reasons] == [("u/b", "title")]


def test_a_frozen_archive_is_asked_to_thaw_and_keeps_no_other_from_coming_back(
    transactional_db: None, archive_bucket: Bucket, settings: Any
) -> None:
    settings.DATABASE_PRIMARY = "sqlite"
    keeper = keeper_named("orm")
    frozen = archived(keeper, User, {"id": "u"})
    archived(keeper, Plan, {"user_id": "u"})
    key = f"kept/{frozen.object_name}"
    assert archive_bucket.head(key)["StorageClass"] == "DEEP_ARCHIVE"
    report = back(of_user("u"), dry_run=True)
    assert (report.exit_code, "Restore" in archive_bucket.head(key)) == (1, False)
    report = back(of_user("u"))
    assert (report.exit_code, report.total("restored")) == (1, 1)
    assert report.frozen[0].archive == frozen.pk and "thaw" in report.frozen[0].why
    assert "Restore" in archive_bucket.head(key)
    report = back(of_user("u"))  # moto thaws at once
    assert (report.exit_code, report.total("restored"), report.total("present")) == (0, 1, 1)


# --- Erasures -----------------------------------------------------------------------------------


def test_records_of_an_erased_user_stay_out_of_store_and_files(
    primary: Keeper, tmp_path: Path
) -> None:
    archive = archived(primary, Plan, {"user_id": "u"}, {"user_id": "v"})
    erase_user("u", who="w", why="y")
    report = back(of_archives([archive.pk]))
    assert (report.exit_code, report.total("erased"), report.total("restored")) == (0, 1, 1)
    assert list(primary.owned_by(PLANS, "u")) == []
    report = back(of_archives([archive.pk]), folder=tmp_path / "out")
    assert (report.total("erased"), report.total("restored")) == (1, 1)
    assert back(of_user("u")).counts() == {"archives": 1, "found": 1, "erased": 1}


def test_an_audit_entry_of_an_erased_user_comes_back_as_the_live_ones_are(primary: Keeper) -> None:
    layout = layout_of(AuditLog)
    archive = archived(
        primary, AuditLog, {"id": "old", "user_id": "u"}, {"id": "o", "user_id": "v"}
    )
    put(primary, AuditLog, NOW, id="young", user_id="u")
    erase_user("u", who="w", why="y")
    for expected in ("restored", "present"):
        report = back(of_archives([archive.pk]))
        assert (report.exit_code, report.total("redacted"), report.total(expected)) == (0, 1, 2)
    old, young, other = (
        layout.from_item(item)
        for item in primary.read(layout, [{"id": {"S": each}} for each in ("old", "young", "o")])
        if item is not None
    )
    assert old["user_id"] == young["user_id"] and old["user_id"].startswith("erased-")
    assert (old["details"], old["ip_address"]) == ({}, None)
    assert other["user_id"] == "v" and other["details"] != {}


def test_an_erasure_that_has_only_begun_is_honoured(primary: Keeper) -> None:
    archive = archived(primary, Plan, {"user_id": "u"})
    erase_user("u", who="w", why="y")
    Erasure.objects.update(status="started", completed_at=None)
    assert back(of_archives([archive.pk])).counts() == {"archives": 1, "found": 1, "erased": 1}


# --- Files for DynamoDB's ImportTable -----------------------------------------------------------


def test_an_archive_is_exported_as_lines_of_dynamodbs_json(primary: Keeper, tmp_path: Path) -> None:
    folder = tmp_path / "secure" / "plans"
    archive = archived(primary, Plan, {"user_id": "u", "id": "a"}, {"user_id": "v", "id": "b"})
    report = back(of_archives([archive.pk]), folder=folder)
    (name,) = report.files
    assert name == str(folder / f"plans-{archive.pk}.json.gz")
    items = [
        json.loads(line)["Item"] for line in gzip.decompress(Path(name).read_bytes()).splitlines()
    ]
    assert {key_text(PLANS, item) for item in items} == {"u/a", "v/b"}
    assert stat.S_IMODE(Path(name).stat().st_mode) == 0o600
    assert live(primary, ("u", "a")) == [None], "nothing comes into the store"
    first = Path(name).read_bytes()
    again = back(of_archives([archive.pk]), folder=folder)
    assert (again.total("present"), Path(name).read_bytes()) == (2, first)
    assert [each["action"] for each in audit_trail(primary)] == ["export_archives"] * 4


def test_a_file_with_other_records_is_no_export(in_sqlite: Keeper, tmp_path: Path) -> None:
    archive = archived(in_sqlite, Plan, {"user_id": "u", "id": "a"}, {"user_id": "v", "id": "b"})
    (one,) = back(of_record("plans", ["u", "a"]), folder=tmp_path).files
    for content in (Path(one).read_bytes(), b"junk"):
        Path(one).write_bytes(content)
        for dry_run in (True, False):
            report = back(of_archives([archive.pk]), folder=tmp_path, dry_run=dry_run)
            assert (report.exit_code, report.total("newer"), report.files) == (3, 2, [])
            assert "another directory" in report.reasons[0].why
        assert Path(one).read_bytes() == content
    assert back(of_archives([archive.pk]), folder=tmp_path / "new").exit_code == 0


# --- Cut short ----------------------------------------------------------------------------------


def test_a_signal_between_two_batches_ends_it_and_the_same_call_finishes(
    primary: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbcore.retention.restore.AT_ONCE", 2)
    archive = archived(primary, Plan, *({"user_id": "u", "id": f"p{n}"} for n in range(5)))

    class Second(Stop):
        checks = 0

        def check(self) -> None:
            self.checks += 1
            if self.checks == 4:
                raise Interrupted("a signal")

    options = RestoreOptions(who="w", why="y")
    with pytest.raises(Interrupted):
        restore(of_archives([archive.pk]), options, stop=Second())
    there = [each for each in live(primary, *(("u", f"p{n}") for n in range(5))) if each]
    assert 0 < len(there) < 5
    graces = {row.key for row in RestoredRecord.objects.all()}
    assert {key_text(PLANS, item) for item in there} <= graces
    report = back(of_archives([archive.pk]))
    assert report.counts() == {
        "archives": 1, "found": 5, "restored": 5 - len(there), "present": len(there),
    }  # fmt: skip


def test_a_record_has_its_grace_before_it_is_there(
    primary: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archived(primary, Plan, {"user_id": "u", "id": "p"})

    def dies(*_: Any, **__: Any) -> Sequence[Any]:
        assert RestoredRecord.objects.get().key == "u/p"
        raise RuntimeError("the process dies here")

    monkeypatch.setattr(type(primary), "put_back", dies)
    with pytest.raises(RuntimeError):
        back(of_archives([archive.pk]))
    monkeypatch.undo()
    assert live(primary, ("u", "p")) == [None]
    assert back(of_archives([archive.pk])).counts()["restored"] == 1


def test_one_at_a_time_works_on_a_store(primary: Keeper) -> None:
    archive = archived(primary, Plan, {"user_id": "u"})
    with primary.lease("retention", "a sweep"), pytest.raises(LeaseHeld, match="a sweep"):
        back(of_archives([archive.pk]))
    assert list(primary.owned_by(PLANS, "u")) == []


@pytest.mark.parametrize("days", [-1, 36_501])
def test_a_grace_that_makes_no_sense_is_refused_before_anything_is_done(
    in_sqlite: Keeper, settings: Any, days: int
) -> None:
    archive = archived(in_sqlite, Plan, {"user_id": "u"})
    settings.RETENTION_GRACE_DAYS = days
    with pytest.raises(ConfigurationError, match="RETENTION_GRACE_DAYS"):
        back(of_archives([archive.pk]))
    assert audit_trail(in_sqlite) == []


def test_a_restore_is_on_record(primary: Keeper) -> None:
    archive = archived(primary, Plan, {"user_id": "u", "id": "p"})
    back(of_archives([archive.pk]))
    back(of_user("u"))
    trail = audit_trail(primary, "restore")
    assert [each["outcome"] for each in trail] == ["partial", "success"] * 2
    assert trail[1]["details"]["counts"] == {"archives": 1, "found": 1, "restored": 1}
    assert trail[0]["details"]["archives"] == [archive.pk]
    assert [each["user_id"] for each in trail] == [None, None, "u", "u"]
    assert (trail[0]["details"]["who"], trail[0]["details"]["why"]) == ("A. Clerk", "asked")


# --- The command --------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("restore_archive", *arguments, "--quiet", stdout=out, stderr=StringIO())
    except SystemExit as left:
        return int(left.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_the_command_restores_and_says_what_became_of_it(
    primary: Keeper, archive_dir: Path, tmp_path: Path
) -> None:
    archive = archived(primary, Plan, {"user_id": "u", "id": "p"}, {"user_id": "u", "id": "q"})
    code, text = run("--archive", archive.pk, "--dry-run")
    assert code == 0 and "2 found: 2 restored" in text and "(dry run)" in text
    code, text = run("--record", "plans", "u", "p", "--format", "json")
    found = json.loads(text)
    assert (code, found["exit"], found["tables"][0]["restored"]) == (0, 0, 1)
    put(primary, Plan, NOW, user_id="u", id="q")
    day = (NOW - 366 * DAY).date().isoformat()
    code, text = run("--table", "plans", "--from", day, "--to", day)
    assert code == 3 and "newer: plans u/q" in text
    with pytest.raises(CommandError, match="Nobody is asked: say --accept-overwrite"):
        run("--user", "u", "--overwrite")
    assert run("--user", "u", "--overwrite", "--accept-overwrite")[0] == 0
    assert run("--archive", archive.pk, "--export-to", str(tmp_path / "out"))[0] == 0
    damage(archive, archive_dir)
    code, text = run("--archive", archive.pk)
    assert code == 2 and "NOT PROVEN" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say one of"),
        (["--table", "plans", "--user", "u"], "say one of"),
        (["--user", "u", "--from", "2026-01-01"], "with --table alone"),
        (["--table", "plan"], "no table 'plan'"),
        (["--table", "plans", "--from", "2026-01-02", "--to", "2026-01-01"], "is no time"),
        (["--table", "plans"], "no archive may hold any"),
        (["--record", "plans", "u"], "user_id id"),
        (["--archive", "x"], "no archive 'x'"),
        (["--archive", "x", "--export-to", "d", "--overwrite"], "neither --into nor --overwrite"),
        (["--table", "plans", "--to", "2026-13-01"], "no date"),
    ],
)  # fmt: skip
def test_the_command_says_what_is_wrong(in_sqlite: Keeper, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(*arguments)


def test_a_restore_that_fails_says_so_in_json_too(
    in_sqlite: Keeper, archive_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*arguments: str) -> Any:
        out = StringIO()
        with pytest.raises(CommandError) as failed:
            call_command(
                "restore_archive", *arguments, "--format", "json", "--quiet",
                stdout=out, stderr=StringIO(),
            )  # fmt: skip
        found = json.loads(out.getvalue())
        assert (found["exit"], found["error"]) == (1, str(failed.value))
        return found

    assert told("--archive", "x")["tables"] == []
    for name in ("a", "b"):
        archived(in_sqlite, Plan, {"user_id": "u", "id": name})
    opened = Shelf.open
    seen: list[str] = []

    def then_down(self: Shelf, manifest: Manifest, layout: ItemLayout) -> list[Item]:
        seen.append(manifest.id)
        if len(seen) > 1:
            raise StorageFailed("the storage failed") from EndpointConnectionError(endpoint_url="s")
        return opened(self, manifest, layout)

    monkeypatch.setattr(Shelf, "open", then_down)
    assert told("--table", "plans")["tables"][0]["restored"] == 1  # what was back by then
