"""`rotate_archive_keys`: every archive under the first key, whatever ended the run before."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from dbcore.models import Archive
from dbcore.retention.archives import Manifest, Shelf, get_shelf
from dbcore.retention.archives.files import FileArchives
from dbcore.retention.archives.manifest import manifest_text
from dbcore.retention.in_use import keepers_in_use
from dbcore.retention.rotate import rotate
from tests.support.archives import PLANS, draft_of, plans, row_of

pytestmark = pytest.mark.django_db

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32


@pytest.fixture
def archived(archive_dir: Path, settings: Any) -> list[Manifest]:
    """Three archives under the old key, with their rows; the new key is first now."""
    settings.ARCHIVE_ENCRYPTION_KEYS = {"old": OLD}
    found = [get_shelf().write(draft_of(), PLANS, plans()) for _ in range(3)]
    for manifest in found:
        row_of(manifest)
    settings.ARCHIVE_ENCRYPTION_KEYS = {"new": NEW, "old": OLD, "spare": OTHER}
    return found


def command(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("rotate_archive_keys", *arguments, stdout=out, stderr=err)
    return int(ended.value.code or 0), out.getvalue(), err.getvalue()


def test_all_are_wrapped_by_the_first_key_in_both_places_and_the_old_one_may_go(
    archived: list[Manifest], settings: Any
) -> None:
    code, out, _ = command("--quiet")
    assert code == 0
    assert out.splitlines() == [
        "3 archives: 3 wrapped anew by 'new', 0 were already",
        "  key 'new': 3 archives",
        "No archive needs these keys any more; they may be removed: 'old', 'spare'",
    ]
    settings.ARCHIVE_ENCRYPTION_KEYS = {"new": NEW}
    shelf = get_shelf()
    beside = {manifest.id: manifest for manifest in shelf.manifests()}
    for row in Archive.objects.all():
        assert (row.key_id, Manifest.from_json(row.manifest)) == ("new", beside[row.pk])
        assert shelf.prove(beside[row.pk], PLANS, plans()) == plans()
    code, out, _ = command("--quiet", "--format", "json")
    report = json.loads(out)
    assert (code, report["rewrapped"], report["already"], report["uses"]) == (0, [], 3, {"new": 3})


def test_a_dry_run_changes_nothing_and_says_what_would_be(archived: list[Manifest]) -> None:
    code, out, _ = command("--dry-run", "--quiet")
    assert code == 0
    assert "3 would be wrapped anew by 'new'" in out and "key 'old': 3 archives" in out
    assert "may be removed: 'spare'" in out
    assert {manifest.encryption.key_id for manifest in get_shelf().manifests()} == {"old"}
    assert set(Archive.objects.values_list("key_id", flat=True)) == {"old"}


class Killed(BaseException):
    """Stands for a kill: nothing after it runs."""


@pytest.mark.parametrize("effect", ["_save", "delete", "row"])
@pytest.mark.parametrize("done", [False, True])
def test_killed_at_the_second_archive_the_same_command_goes_on(
    archived: list[Manifest], monkeypatch: pytest.MonkeyPatch, effect: str, done: bool
) -> None:
    target: Any = Archive if effect == "row" else FileArchives
    name = "save" if effect == "row" else effect
    real, left = getattr(target, name), [1]

    def act(*given: Any, **named: Any) -> Any:
        if left[0] == 0:
            if done:
                real(*given, **named)
            raise Killed
        left[0] -= 1
        return real(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(target, name, act)
        with pytest.raises(Killed):
            rotate(get_shelf())
    for row in Archive.objects.all():  # each opens, by its row and by what stands beside it
        assert get_shelf().open(Manifest.from_json(row.manifest), PLANS) == plans()
    assert len(list(get_shelf().manifests())) == 3
    report = rotate(get_shelf())
    assert (report.exit_code, report.uses) == (0, {"new": 3})
    assert len(report.rewrapped) + report.already == 3 and len(report.rewrapped) < 3
    assert report.removable == ["old", "spare"]
    assert set(Archive.objects.values_list("key_id", flat=True)) == {"new"}
    for found in get_shelf().listed():
        assert found.versions == (2,)


def test_a_key_that_is_missing_is_named_with_its_archive_and_no_key_may_go(
    archived: list[Manifest], settings: Any
) -> None:
    settings.ARCHIVE_ENCRYPTION_KEYS = {"other": OTHER, "spare": NEW}
    late = get_shelf().write(draft_of(), PLANS, plans())
    row_of(late)
    code, out, _ = command("--quiet")
    assert code == 2
    for manifest in archived:
        assert f"{manifest.object_name}.manifest-0001.json: its key 'old' is not in ARCH" in out
    assert "Keep all keys until every archive can be read." in out
    assert "may be removed" not in out
    assert "4 archives: 0 wrapped anew by 'other', 1 were already" in out


def test_an_edited_manifest_is_left_as_it_is_and_the_others_are_done(
    archived: list[Manifest], archive_dir: Path
) -> None:
    edited = Manifest.from_json({**archived[1].as_json(), "target": "elsewhere"})
    path = archive_dir / archived[1].manifest_name
    path.write_bytes(manifest_text(edited))
    code, out, _ = command("--quiet")
    assert code == 2
    assert "3 archives: 2 wrapped anew" in out and "its manifest was edited" in out
    assert path.read_bytes() == manifest_text(edited)


def test_a_row_that_is_another_archives_is_not_written_over(archived: list[Manifest]) -> None:
    Archive.objects.filter(pk=archived[0].id).update(manifest=archived[1].as_json())
    report = rotate(get_shelf())
    assert report.exit_code == 2
    (problem,) = report.problems
    assert problem.archive == archived[0].object_name
    assert f"Django's database has the manifest of {archived[1].object_name}" in problem.what
    assert Archive.objects.get(pk=archived[0].id).manifest == archived[1].as_json()


def test_what_is_missing_on_the_shelf_is_named_and_what_a_sweep_was_writing_is_wrapped_anew(
    archived: list[Manifest], archive_dir: Path
) -> None:
    (archive_dir / archived[0].manifest_name).unlink()
    (archive_dir / archived[1].manifest_name).unlink()
    (archive_dir / archived[1].object_name).unlink()
    Archive.objects.filter(pk=archived[2].id).update(state=Archive.State.WRITING)
    (archive_dir / "plans" / "README").write_text("not ours")
    report = rotate(get_shelf())
    assert report.exit_code == 2 and report.removable == []
    assert [finding.what for finding in report.problems] == [
        f"{archived[0].object_name}: no manifest is beside it; reconcile_archives writes it again",
        f"{archived[1].object_name}: the object is missing, and so is its manifest",
    ]
    assert (report.archives, report.uses) == (2, {"old": 1, "new": 1})
    row = Archive.objects.get(pk=archived[2].id)
    assert (row.state, row.key_id) == (Archive.State.WRITING, "old")  # its proof is a sweep's


def test_a_key_stays_while_an_archive_needs_it_whose_proof_was_not_booked(
    archived: list[Manifest], archive_dir: Path
) -> None:
    unbooked = [each.id for each in archived[:2]]
    Archive.objects.filter(pk__in=unbooked).update(state=Archive.State.WRITING, manifest={})
    (archive_dir / archived[1].manifest_name).unlink()  # nobody can open that: it needs no key
    report = rotate(get_shelf(), dry_run=True)
    assert (report.exit_code, report.uses, report.removable) == (0, {"old": 2}, ["spare"])
    report = rotate(get_shelf())
    assert (report.uses, report.removable) == ({"new": 2}, ["old", "spare"])


def test_an_archive_without_a_row_is_wrapped_anew_as_well(archived: list[Manifest]) -> None:
    Archive.objects.all().delete()
    report = rotate(get_shelf())
    assert (report.exit_code, report.uses, report.removable) == (0, {"new": 3}, ["old", "spare"])


def test_while_a_sweep_has_the_lease_nothing_is_done(archived: list[Manifest]) -> None:
    (keeper,) = keepers_in_use()
    with keeper.lease("retention", "a sweep"):
        code, _, err = command("--quiet")
    assert code == 1
    assert "rotate_archive_keys: another retention is running: a sweep on" in err
    assert {manifest.encryption.key_id for manifest in get_shelf().manifests()} == {"old"}
    assert command("--quiet")[0] == 0


def test_without_a_key_it_fails_and_says_so(archive_dir: Path, settings: Any) -> None:
    settings.ARCHIVE_ENCRYPTION_KEYS = {}
    code, _, err = command("--quiet")
    assert code == 1 and "ARCHIVE_ENCRYPTION_KEYS is empty" in err


def test_a_storage_that_fails_ends_the_run_with_1_and_the_next_goes_on(
    archived: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(FileArchives, "_save", full)
        report = rotate(get_shelf())
    assert report.exit_code == 1 and "No space left on device" in report.error
    assert report.removable == []
    assert rotate(get_shelf()).uses == {"new": 3}


def test_progress_is_shown_where_it_is_not_quiet(
    archived: list[Manifest], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dbcore")
    command("--quiet")
    assert "stage begun" not in caplog.messages
    command()
    assert "stage begun" in caplog.messages
    (_, ended) = [each for each in caplog.records if each.message == "rotation of keys ended"]
    assert (ended.fields["archives"], ended.fields["already"]) == (3, 3)  # type: ignore[attr-defined]


def test_a_signal_ends_it_between_two_archives(
    archived: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrap = Shelf.rewrap

    def and_a_signal(self: Shelf, manifest: Manifest) -> Manifest:
        os.kill(os.getpid(), signal.SIGTERM)
        return rewrap(self, manifest)

    monkeypatch.setattr(Shelf, "rewrap", and_a_signal)
    report = rotate(get_shelf())
    assert report.exit_code == 1 and "a signal asked the run to stop" in report.error
    assert report.uses == {"new": 1}
