"""What a sweep makes of the archives that an earlier one had begun: they are finished where they
stand, and are evidence where they do not; none that may be an only copy is thrown away."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from daylight import models
from dbcore.attributes import Item
from dbcore.models import Archive, Sweep
from dbcore.retention.archives import get_shelf
from dbcore.retention.archiving import Archiving
from dbcore.retention.holds import place_hold, user_subject
from dbcore.retention.keepers.interface import Keeper, Removal
from dbcore.retention.reconcile import reconcile
from dbcore.retention.report import SweepReport
from dbcore.retention.restore import RestoreOptions, restore
from dbcore.retention.rotate import rotate
from dbcore.retention.rules import Rule
from dbcore.retention.selection import of_archives
from dbcore.retention.text_report import print_report
from tests.dbcore.retention.making import DAY, NOW, put, there
from tests.dbcore.retention.test_sweep import done, sweep

Plan, Location = models.Plan, models.Location
SIGNED = RestoreOptions(who="tests", why="a test")


class Killed(BaseException):
    """Not an error that anything catches."""


def old_plans(keeper: Keeper, count: int) -> list[Item]:
    """Plans that are due, in the order in which they came due."""
    return [put(keeper, Plan, NOW - (400 - number) * DAY) for number in range(count)]


def killed_after(count: int, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """A sweep of plans that is killed when so many are deleted; its archive."""

    def remove(self: Archiving, rule: Rule, items: Sequence[Item]) -> Counter[Removal]:
        self._keeper.remove(rule, items[:count])
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Archiving, "remove", remove)
        with pytest.raises(Killed):
            sweep(Plan)
    return Archive.objects.get(table="plans", state="proven")


def as_while_it_was_written(row: Archive) -> None:
    """Django's database is put back to where the archive was being written."""
    Archive.objects.filter(pk=row.pk).update(
        state="writing", manifest={}, key_id="", deleted=0, proven_at=None, completed_at=None
    )


def swept(keeper: Keeper, count: int) -> tuple[list[Item], Archive]:
    items = old_plans(keeper, count)
    done(sweep(Plan))
    return items, Archive.objects.get()


def flip(path: Path) -> bytes:
    """Change one bit; the bytes before."""
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    return good


def text_of(report: SweepReport) -> str:
    out = io.StringIO()
    print_report(report, out)
    return " ".join(out.getvalue().split())


def state(row: Archive) -> str:
    return Archive.objects.get(pk=row.pk).state


# --- Never proven, as far as the books know ------------------------------------------------------


def test_another_key_under_the_same_id_throws_no_archive_away(
    primary: Keeper, settings: Any, archive_dir: Path
) -> None:
    items, row = swept(primary, 3)
    as_while_it_was_written(row)
    good = settings.ARCHIVE_ENCRYPTION_KEYS
    settings.ARCHIVE_ENCRYPTION_KEYS = {next(iter(good)): b"x" * 32}
    report = sweep(Plan)
    assert (report.status, report.exit_code) == ("unproven", 2)
    assert (report.discarded, report.damaged) == ([], [row.id])
    assert "cannot be opened" in text_of(report) and "nothing of it was deleted" not in text_of(
        report
    )
    assert (archive_dir / row.object_name).exists() and state(row) == "writing"

    settings.ARCHIVE_ENCRYPTION_KEYS = good
    assert done(sweep(Plan)).resumed == [row.id]
    restore(of_archives([row.id]), SIGNED, now=NOW)
    assert there(primary, Plan, items) == [True] * 3


def test_one_flipped_bit_throws_no_archive_away(primary: Keeper, archive_dir: Path) -> None:
    items, row = swept(primary, 3)
    as_while_it_was_written(row)
    good = flip(archive_dir / row.object_name)
    report = sweep(Plan)
    assert (report.exit_code, report.discarded, report.damaged) == (2, [], [row.id])
    assert state(row) == "damaged"
    (damage,) = report.damages
    assert (damage.count, damage.live, damage.elsewhere, damage.missing) == (3, 0, 0, 3)

    # Its object is put back: nothing is lost.
    (archive_dir / row.object_name).write_bytes(good)
    assert reconcile(get_shelf(), deep=True).exit_code == 0
    restore(of_archives([row.id]), SIGNED, now=NOW)
    assert there(primary, Plan, items) == [True] * 3


def test_an_archive_whose_object_has_gone_is_told_of_and_not_forgotten(
    in_sqlite: Keeper, archive_dir: Path
) -> None:
    _, row = swept(in_sqlite, 2)
    as_while_it_was_written(row)
    (archive_dir / row.object_name).unlink()
    report = sweep(Plan)
    assert (report.exit_code, report.damages[0].missing) == (2, 2)
    assert state(row) == "damaged"
    assert list((archive_dir / row.object_name).parent.glob("*.manifest-*"))


def test_what_a_killed_write_has_left_is_thrown_away_and_named(
    in_sqlite: Keeper, archive_dir: Path
) -> None:
    """An object without a manifest: nobody can open that."""
    _, row = swept(in_sqlite, 1)
    as_while_it_was_written(row)
    for path in (archive_dir / row.object_name).parent.glob("*.manifest-*"):
        path.unlink()
    assert done(sweep(Plan)).discarded == [row.id]
    assert not (archive_dir / row.object_name).exists()
    assert not Archive.objects.exists()


def test_a_torn_archive_of_which_some_records_are_not_live_is_kept(
    primary: Keeper, archive_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = old_plans(primary, 3)
    row = killed_after(1, monkeypatch)
    as_while_it_was_written(row)
    flip(archive_dir / row.object_name)
    report = sweep(Plan)
    (damage,) = report.damages
    assert (damage.live, damage.missing) == (2, 1)
    assert (archive_dir / row.object_name).exists()
    # What is left of its records has gone to an archive that is whole.
    assert (report.total("archived"), report.total("deleted")) == (2, 2)
    assert there(primary, Plan, items) == [False] * 3


def test_keys_may_be_changed_while_a_killed_sweep_is_not_finished(
    in_sqlite: Keeper, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise Killed

    old_plans(in_sqlite, 2)
    with monkeypatch.context() as patch:
        patch.setattr(Archiving, "book_proof", killed)
        with pytest.raises(Killed):
            sweep(Plan)
    settings.ARCHIVE_ENCRYPTION_KEYS = {"new": b"n" * 32, **settings.ARCHIVE_ENCRYPTION_KEYS}
    assert rotate(get_shelf()).removable == list(settings.ARCHIVE_ENCRYPTION_KEYS)[1:]
    settings.ARCHIVE_ENCRYPTION_KEYS = {"new": b"n" * 32}
    report = done(sweep(Plan))
    assert (len(report.resumed), report.resumed_deleted) == (1, 2)


# --- Proven, and its deletes cut short -----------------------------------------------------------


def test_what_was_restored_stays_though_its_sweep_is_resumed(
    primary: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = old_plans(primary, 5)
    row = killed_after(3, monkeypatch)
    restore(of_archives([row.id]), SIGNED, now=NOW)
    report = done(sweep(Plan))
    assert there(primary, Plan, items) == [True] * 5
    assert (report.resumed, report.resumed_deleted) == ([row.id], 0)
    assert (report.lines[0].due, report.lines[0].in_grace) == (5, 5)
    row.refresh_from_db()
    assert (row.state, row.deleted, row.kept) == ("completed", 0, 5)


def test_a_resumed_sweep_deletes_no_more_than_was_asked_for(
    primary: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = old_plans(primary, 5)
    row = killed_after(2, monkeypatch)
    first = done(sweep(Plan, max_records=2))
    assert (first.resumed, first.resumed_deleted, first.total("deleted")) == ([], 2, 0)
    assert there(primary, Plan, items).count(True) == 1
    assert (first.lines[0].left, state(row)) == (1, "proven")
    assert Sweep.objects.get(pk=first.sweep).resumed_deleted == 2
    assert "1 of its records are left for the next sweep" in text_of(first)

    put(primary, Plan, NOW - 366 * DAY)
    second = done(sweep(Plan, max_records=2))
    assert (second.resumed, second.resumed_deleted, second.total("deleted")) == ([row.id], 1, 1)
    assert second.as_json()["totals"]["resumed_deleted"] == 1
    row.refresh_from_db()
    assert (row.state, row.count, row.deleted) == ("completed", 5, 5)


def test_a_hold_on_what_is_left_of_an_archive_is_in_its_counts(
    primary: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = old_plans(primary, 4)
    row = killed_after(2, monkeypatch)
    # One is deleted already, and one is not: what has gone is counted as gone.
    for item in (items[0], items[3]):
        subject = user_subject(item["userId"]["S"])
        place_hold(subject, who="counsel", why="a case", until=None, now=timezone.now())
    done(sweep(Plan))
    assert there(primary, Plan, items) == [False, False, False, True]
    row.refresh_from_db()
    assert (row.state, row.deleted, row.held) == ("completed", 3, 1)


# --- Damaged -------------------------------------------------------------------------------------


def test_a_damaged_archive_is_told_of_as_it_is_once_and_comes_back_with_its_object(
    primary: Keeper, archive_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = old_plans(primary, 4)
    row = killed_after(3, monkeypatch)
    good = flip(archive_dir / row.object_name)
    report = sweep(Plan)
    assert (report.status, report.exit_code, report.damaged) == ("unproven", 2, [row.id])
    told = text_of(report)
    assert "Of its 4 records 1 are still in the store, 0 in other archives, and 3 in nei" in told
    assert "reconcile_archives --deep" in told and "nothing of it was deleted" not in told
    assert there(primary, Plan, items) == [False] * 4  # the fourth by way of a whole archive

    again = done(sweep(Plan))
    assert f"archive {row.id} of plans is still booked as damaged" in again.notes[0]
    assert (again.damaged, state(row)) == ([], "damaged")
    assert reconcile(get_shelf(), deep=True).exit_code == 2

    (archive_dir / row.object_name).write_bytes(good)
    mended = reconcile(get_shelf(), deep=True)
    assert mended.exit_code == 0 and "it is proven again" in mended.mended[0].what
    assert done(sweep(Plan)).notes == [] and state(row) == "completed"
    restore(of_archives([row.id]), SIGNED, now=NOW)
    assert there(primary, Plan, items) == [True] * 4


def test_what_another_archive_has_too_is_not_missing(
    in_sqlite: Keeper, archive_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_plans(in_sqlite, 3)
    first = killed_after(1, monkeypatch)
    # The two that are left go by way of another archive, while the first cannot be read at all.
    path = archive_dir / first.object_name
    good = flip(path)
    sweep(Plan)
    path.write_bytes(good)
    Archive.objects.filter(pk=first.pk).update(state="removed")
    flip(path)
    (damage,) = sweep(Plan).damages
    assert (damage.live, damage.elsewhere, damage.missing) == (0, 2, 1)


def test_one_damaged_archive_stops_neither_its_table_nor_another(
    primary: Keeper, archive_dir: Path
) -> None:
    _, row = swept(primary, 2)
    Archive.objects.update(state="removed")  # killed before its object was moved
    flip(archive_dir / row.object_name)
    plan = put(primary, Plan, NOW - 366 * DAY)
    location = put(primary, Location, NOW - 1100 * DAY)
    report = sweep()
    assert (report.exit_code, report.damaged) == (2, [row.id])
    assert there(primary, Plan, [plan]) == there(primary, Location, [location]) == [False]
    assert state(row) == "damaged"
    done(sweep())


def test_one_archive_that_cannot_be_read_stops_nothing_and_is_finished_later(
    in_sqlite: Keeper, archive_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_plans(in_sqlite, 3)
    row = killed_after(1, monkeypatch)
    path = archive_dir / row.object_name
    good = path.read_bytes()
    path.unlink()
    path.mkdir()
    location = put(in_sqlite, Location, NOW - 1100 * DAY)
    report = sweep()
    assert (report.status, report.exit_code, report.damaged) == ("failed", 1, [])
    assert "Is a directory" in report.unfinished[row.id]
    assert f"archive {row.id} is not finished: plans: plans/" in text_of(report)
    assert there(in_sqlite, Location, [location]) == [False]
    assert state(row) == "proven"

    path.rmdir()
    path.write_bytes(good)
    assert done(sweep()).resumed == [row.id]


def test_a_row_whose_manifest_is_broken_is_damaged_until_reconciled(
    in_sqlite: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_plans(in_sqlite, 2)
    row = killed_after(1, monkeypatch)
    Archive.objects.filter(pk=row.pk).update(manifest={"count": 2})
    report = sweep(Plan)
    assert (report.exit_code, report.damages[0].missing, state(row)) == (2, 1, "damaged")
    assert reconcile(get_shelf(), deep=True).exit_code == 0
    done(sweep(Plan))
    assert state(row) == "completed"
