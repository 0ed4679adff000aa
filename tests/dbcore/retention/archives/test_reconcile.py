"""`reconcile_archives`: what one side has lost comes back from the other, once proven."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from dbcore.models import Archive, Sweep
from dbcore.retention.archives import Manifest, content, get_shelf
from dbcore.retention.archives.manifest import manifest_text
from dbcore.retention.errors import NotProven
from dbcore.retention.reconcile import ReconcileReport, reconcile
from dbcore.tables import Tier
from tests.support.archives import PLANS, Bucket, draft_of, plans, row_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def archived(archive_dir: Path) -> list[Manifest]:
    """Two archives with their rows."""
    found = [get_shelf().write(draft_of(), PLANS, plans()) for _ in range(2)]
    for manifest in found:
        row_of(manifest)
    return found


def command(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("reconcile_archives", "--quiet", *arguments, stdout=out, stderr=err)
    return int(ended.value.code or 0), out.getvalue(), err.getvalue()


def everything(archive_dir: Path) -> Any:
    """All there is, on both sides."""
    files = {path: path.read_bytes() for path in archive_dir.rglob("*") if path.is_file()}
    return files, list(Archive.objects.order_by("pk").values())


def whats(report: ReconcileReport, kind: str) -> list[str]:
    return [finding.what for finding in getattr(report, kind)]


def test_where_all_is_well_nothing_is_changed(archived: list[Manifest], archive_dir: Path) -> None:
    before = everything(archive_dir)
    assert command() == (0, "2 archives compared\n", "")
    assert command("--deep")[1] == "2 archives compared, 2 of them opened and proven\n"
    assert everything(archive_dir) == before


def test_an_empty_shelf_is_well(archive_dir: Path) -> None:
    assert command("--deep")[0] == 0
    assert not archive_dir.exists()


def test_every_row_comes_back_from_the_manifests(archived: list[Manifest]) -> None:
    before = {row["id"]: row for row in Archive.objects.values()}
    Archive.objects.all().delete()
    report = reconcile(get_shelf())
    assert report.exit_code == 0
    assert whats(report, "mended") == ["its row in Django's database is written again"] * 2
    after = {row["id"]: row for row in Archive.objects.values()}
    unknown = {"state", "proven_at", "completed_at", "deleted", "sweep_id"}
    for key, row in after.items():
        assert {name for name in row if row[name] != before[key][name]} <= unknown
        # Nothing is deleted on its account any more, and no sweep discards it.
        assert row["state"] == Archive.State.REMOVED and row["deleted"] == 0
    assert reconcile(get_shelf()).mended == []


def test_a_row_that_is_written_again_knows_its_sweep_if_that_is_there(
    archived: list[Manifest],
) -> None:
    Archive.objects.all().delete()
    Sweep.objects.create(
        id=archived[0].sweep, store="orm", target="t", as_of=archived[0].created_at, host="h", pid=1
    )
    reconcile(get_shelf())
    assert Archive.objects.get(pk=archived[0].id).sweep_id == archived[0].sweep
    assert Archive.objects.get(pk=archived[1].id).sweep_id is None


def test_a_manifest_comes_back_from_its_row(archived: list[Manifest], archive_dir: Path) -> None:
    path = archive_dir / archived[0].manifest_name
    before = path.read_bytes()
    path.unlink()
    report = reconcile(get_shelf())
    assert (report.exit_code, whats(report, "mended")) == (
        0, ["its manifest is written beside it again"],
    )  # fmt: skip
    assert path.read_bytes() == before
    assert get_shelf().prove(archived[0], PLANS, plans()) == plans()


def test_a_dry_run_says_what_it_would_mend_and_does_not(
    archived: list[Manifest], archive_dir: Path
) -> None:
    (archive_dir / archived[0].manifest_name).unlink()
    Archive.objects.filter(pk=archived[1].id).delete()
    before = everything(archive_dir)
    code, out, _ = command("--dry-run", "--deep")
    assert code == 0
    assert f"would be mended: {archived[0].object_name}: its manifest is" in out
    assert f"would be mended: {archived[1].object_name}: its row in" in out
    assert everything(archive_dir) == before
    assert command("--format", "json")[0] == 0
    assert command()[1] == "2 archives compared\n"


def test_a_row_whose_columns_were_changed_takes_them_from_the_manifest(
    archived: list[Manifest],
) -> None:
    edited = {**archived[0].as_json(), "count": 7}
    Archive.objects.filter(pk=archived[0].id).update(count=7, manifest=edited, newest=None)
    report = reconcile(get_shelf())
    assert whats(report, "mended") == [
        "its row in Django's database takes from its manifest: count, newest, manifest"
    ]
    row = Archive.objects.get(pk=archived[0].id)
    assert (row.count, row.newest) == (3, archived[0].newest)
    assert Manifest.from_json(row.manifest) == archived[0]


def test_a_rewrap_that_was_killed_is_tidied_up(
    archived: list[Manifest], archive_dir: Path, settings: Any
) -> None:
    settings.ARCHIVE_ENCRYPTION_KEYS = {"new": b"n" * 32, **settings.ARCHIVE_ENCRYPTION_KEYS}
    new = get_shelf().write_rewrapped(archived[0])
    report = reconcile(get_shelf())
    assert whats(report, "mended") == [
        "superseded manifests are removed",
        "its row in Django's database takes from its manifest: key_id, manifest",
    ]
    assert not (archive_dir / archived[0].manifest_name).exists()
    assert Manifest.from_json(Archive.objects.get(pk=new.id).manifest) == new
    assert reconcile(get_shelf(), deep=True).mended == []


def unlink_object(place: Path, manifest: Manifest) -> None:
    (place / manifest.object_name).unlink()


def unlink_both(place: Path, manifest: Manifest) -> None:
    (place / manifest.object_name).unlink()
    (place / manifest.manifest_name).unlink()


def flip(place: Path, manifest: Manifest) -> None:
    body = bytearray((place / manifest.object_name).read_bytes())
    body[5] ^= 1
    (place / manifest.object_name).write_bytes(body)


def truncate(place: Path, manifest: Manifest) -> None:
    body = (place / manifest.object_name).read_bytes()
    (place / manifest.object_name).write_bytes(body[:-1])


def edit(place: Path, manifest: Manifest) -> None:
    edited = Manifest.from_json({**manifest.as_json(), "target": "elsewhere"})
    (place / manifest.manifest_name).write_bytes(manifest_text(edited))


def orphan(place: Path, manifest: Manifest) -> None:
    (place / manifest.manifest_name).unlink()
    Archive.objects.filter(pk=manifest.id).delete()


def edit_row(place: Path, manifest: Manifest) -> None:
    (place / manifest.manifest_name).unlink()
    edited = {**manifest.as_json(), "target": "elsewhere"}
    Archive.objects.filter(pk=manifest.id).update(manifest=edited)


def empty_row(place: Path, manifest: Manifest) -> None:
    (place / manifest.manifest_name).unlink()
    Archive.objects.filter(pk=manifest.id).update(manifest={})


def rename_row(place: Path, manifest: Manifest) -> None:
    Archive.objects.filter(pk=manifest.id).update(id="another")


def move_row(place: Path, manifest: Manifest) -> None:
    Archive.objects.filter(pk=manifest.id).update(object_name="plans/elsewhere.json.gz.aes")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (unlink_object, "the object is missing; its manifest is there"),
        (unlink_both, "the object is missing, and so is its manifest"),
        (flip, "its SHA-256 is not the one in its manifest"),
        (truncate, "bytes, and its manifest says"),
        (edit, "its manifest was edited"),
        (orphan, "neither is a manifest beside it nor is it in Django's database"),
        (edit_row, "its manifest was edited"),
        (empty_row, "what Django's database has is not a manifest"),
        (rename_row, "in Django's database its id is another"),
        (move_row, "in Django's database plans/elsewhere.json.gz.aes has its id"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--deep",), ("--dry-run",)])
def test_what_cannot_be_proven_is_named_and_left_as_it_is(
    archived: list[Manifest], archive_dir: Path,
    damage: Callable[[Path, Manifest], None], said: str, options: tuple[str, ...],
) -> None:  # fmt: skip
    damage(archive_dir, archived[0])
    before = everything(archive_dir)
    code, out, err = command(*options)
    assert (code, err) == (2, "")
    assert "not proven: " in out and archived[0].object_name in out and said in out
    assert everything(archive_dir) == before


def test_one_that_cannot_be_proven_does_not_keep_the_others_from_being_mended(
    archived: list[Manifest], archive_dir: Path
) -> None:
    flip(archive_dir, archived[0])
    Archive.objects.filter(pk=archived[1].id).delete()
    report = reconcile(get_shelf())
    assert report.exit_code == 2 and len(report.mended) == 1
    assert Archive.objects.filter(pk=archived[1].id).exists()


def test_what_a_sweep_was_writing_is_left_for_the_next_one(
    archived: list[Manifest], archive_dir: Path
) -> None:
    Archive.objects.update(state=Archive.State.WRITING, manifest={})
    orphaned, unwritten = archived
    (archive_dir / orphaned.manifest_name).unlink()
    unlink_both(archive_dir, unwritten)
    before = everything(archive_dir)
    report = reconcile(get_shelf(), deep=True)
    assert report.exit_code == 0 and report.mended == []
    assert {note.archive for note in report.notes} == {each.object_name for each in archived}
    assert all("the next sweep discards it" in note.what for note in report.notes)
    assert everything(archive_dir) == before


def test_what_a_sweep_had_written_whole_is_not_said_to_be_thrown_away(
    archived: list[Manifest],
) -> None:
    Archive.objects.update(state=Archive.State.WRITING, manifest={})
    report = reconcile(get_shelf(), deep=True)
    assert (report.exit_code, len(report.notes)) == (0, 2)
    assert all("the next sweep proves it" in note.what for note in report.notes)


def test_a_file_that_is_no_archive_is_only_noted(
    archived: list[Manifest], archive_dir: Path
) -> None:
    (archive_dir / "README").write_text("not ours")
    code, out, _ = command()
    assert (code, "note: README: it is no archive" in out) == (0, True)
    assert "2 archives compared" in out


def test_a_table_that_no_model_keeps_any_more_cannot_be_opened(
    archived: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbcore.retention.records.storage_models", list)
    assert reconcile(get_shelf()).exit_code == 0
    report = reconcile(get_shelf(), deep=True)
    assert report.exit_code == 2 and report.proven == 0
    assert "there is no table 'plans'" in whats(report, "problems")[0]


def test_a_deep_look_opens_what_the_checksum_cannot_tell(
    archived: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer with a fault of its own: object and manifest fit, the content does not."""
    with monkeypatch.context() as patch:
        patch.setattr(content, "to_lines", lambda items: b"[1]\n")
        row_of(get_shelf().write(draft_of(), PLANS, plans()))
    assert reconcile(get_shelf()).exit_code == 0
    report = reconcile(get_shelf(), deep=True)
    assert (report.exit_code, report.proven) == (2, 2)
    assert "not DynamoDB JSON lines" in whats(report, "problems")[0]


def test_a_shelf_that_fails_ends_with_1(archive_dir: Path) -> None:
    archive_dir.write_bytes(b"")
    code, out, err = command()
    assert (code, out) == (1, "") and "is not a directory" in err


# --- In a bucket --------------------------------------------------------------------------------


def test_in_a_bucket_what_is_frozen_is_compared_by_checksum_and_not_thawed(
    archive_bucket: Bucket,
) -> None:
    shelf = get_shelf()
    policy = {"days": 1095, "since": ["updated_at"], "tier": "cold"}
    frozen = shelf.write(draft_of(tier=Tier.COLD, policy=policy), PLANS, plans())
    warm = shelf.write(draft_of(), PLANS, plans())
    for manifest in (frozen, warm):
        shelf.settle(manifest)
    row_of(frozen)
    code, out, _ = command("--deep", "--format", "json")
    report = json.loads(out)
    assert (code, report["archives"], report["proven"], report["frozen"]) == (0, 2, 1, 1)
    assert [each["archive"] for each in report["mended"]] == [warm.object_name]
    assert "Restore" not in archive_bucket.head(f"kept/{frozen.object_name}")
    archive_bucket.put(f"kept/{warm.object_name}", b"torn", ChecksumAlgorithm="SHA256")
    archive_bucket.s3.delete_object(Bucket=archive_bucket.name, Key=f"kept/{frozen.manifest_name}")
    report = reconcile(shelf)
    assert report.exit_code == 2
    assert whats(report, "mended") == ["its manifest is written beside it again"]
    with pytest.raises(NotProven, match="it has 4 bytes"):
        shelf.open(warm, PLANS)
