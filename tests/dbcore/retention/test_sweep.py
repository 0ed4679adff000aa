"""Sweeps, in either store: what is due goes, by way of a proven archive, and nothing else does."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.db import models as django_models
from django.utils import timezone

from daylight import models
from dbcore.attributes import Item
from dbcore.items import layout_of
from dbcore.models import AcceptedPolicy, Archive, LegalHold, RestoredRecord, Sweep, SweepMark
from dbcore.retention import policy
from dbcore.retention.archives import Manifest, get_shelf
from dbcore.retention.archiving import Archiving
from dbcore.retention.holds import place_hold, user_subject
from dbcore.retention.keepers.choice import primary_keeper
from dbcore.retention.keepers.interface import Keeper, Removal
from dbcore.retention.options import SweepOptions
from dbcore.retention.records import key_text
from dbcore.retention.report import SweepReport
from dbcore.retention.restore import RestoreOptions, restore
from dbcore.retention.rules import Rule
from dbcore.retention.selection import of_archives
from dbcore.retention.sweep import enforce_retention
from dbcore.table_sync import sync_tables
from dbcore.wire import HOOKS, Call
from tests.dbcore.retention.making import DAY, NOW, put, swept_models, there

pytestmark = pytest.mark.django_db(transaction=True)

EVERY_POLICY = pytest.mark.parametrize(
    "model", list(swept_models()), ids=lambda model: model.storage.name
)
SECOND = dt.timedelta(seconds=1)


@pytest.fixture(autouse=True)
def short_look_back(settings: Any, archive_dir: Path) -> None:
    """A first sweep looks ten years back by default: many requests, all of them empty here."""
    settings.RETENTION_LOOKBACK_DAYS = 50


def sweep(*tables: type[django_models.Model], **given: Any) -> SweepReport:
    names = tuple(model.storage.name for model in tables)  # type: ignore[attr-defined]
    given.setdefault("accept_large_sweep", True)
    report = enforce_retention(SweepOptions(tables=names, as_of=NOW, who="tests", **given))
    for line in report.lines:
        assert line.closes, line
    return report


def done(report: SweepReport) -> SweepReport:
    assert (report.status, report.exit_code) == ("completed", 0), report.as_json()
    return report


def due_at(model: type[django_models.Model]) -> dt.datetime:
    """The age at which the table's records have just come due."""
    (rule,) = policy.rules(NOW, [model.storage.name])  # type: ignore[attr-defined]
    return NOW if rule.days is None else NOW - rule.days * DAY


# --- Every policy -------------------------------------------------------------------------------


@EVERY_POLICY
def test_what_is_due_goes_and_what_is_not_stays(
    keeper: Keeper, model: type[django_models.Model]
) -> None:
    (rule,) = policy.rules(NOW, [model.storage.name])  # type: ignore[attr-defined]
    at = due_at(model)
    never = {"expires_at": NOW + DAY} if rule.policy and rule.expires and _has(model) else {}
    goes = [put(keeper, model, at, **never), put(keeper, model, at - 3 * DAY)]
    stays = [put(keeper, model, at + SECOND, **_alive(model)), put(keeper, model, NOW + DAY)]
    report = done(sweep(model))
    assert there(keeper, model, goes) == [False, False]
    assert there(keeper, model, stays) == [True, True]
    line = report.lines[0]
    assert (line.due, line.deleted) == (2, 2)
    assert line.archived == (2 if rule.archives else 0)


def _has(model: type[django_models.Model]) -> bool:
    return "expires_at" in layout_of(model).by_name


def _alive(model: type[django_models.Model]) -> dict[str, Any]:
    return {"expires_at": NOW + DAY} if _has(model) else {}


@EVERY_POLICY
def test_what_was_archived_comes_back_equal_and_is_not_swept_again_at_once(
    keeper: Keeper, model: type[django_models.Model]
) -> None:
    (rule,) = policy.rules(NOW, [model.storage.name])  # type: ignore[attr-defined]
    if not rule.archives:
        pytest.skip("what expires is not archived")
    layout = layout_of(model)
    before = [put(keeper, model, due_at(model) - days * DAY) for days in (0, 1, 7)]
    report = done(sweep(model))
    assert there(keeper, model, before) == [False] * 3
    (archive,) = report.lines[0].archives

    restore(of_archives([archive]), RestoreOptions(who="tests", why="a test"), now=NOW)
    after = keeper.read(layout, [layout.key_of_item(item) for item in before])
    assert after == before

    again = done(sweep(model))
    assert there(keeper, model, before) == [True] * 3
    assert (again.lines[0].in_grace, again.lines[0].deleted) == (3, 0)

    RestoredRecord.objects.update(grace_until=NOW - SECOND)
    third = done(sweep(model))
    assert (third.lines[0].deleted, third.lines[0].archived) == (3, 3)
    assert there(keeper, model, before) == [False] * 3


# --- What an archive says -----------------------------------------------------------------------


def test_an_archive_holds_just_what_was_deleted(keeper: Keeper) -> None:
    items = [put(keeper, models.Plan, NOW - days * DAY) for days in (366, 400, 365)]
    report = done(sweep(models.Plan))
    row = Archive.objects.get()
    assert report.lines[0].archives == [row.id]
    assert (row.state, row.count, row.deleted) == ("completed", 3, 3)
    assert (row.oldest, row.newest) == (NOW - 400 * DAY, NOW - 365 * DAY)
    found = get_shelf().open(Manifest.from_json(row.manifest), layout_of(models.Plan))
    assert {item["id"]["S"]: item for item in found} == {item["id"]["S"]: item for item in items}


def test_a_sweep_is_in_the_books(keeper: Keeper) -> None:
    put(keeper, models.Plan, NOW - 366 * DAY)
    report = done(sweep(models.Plan))
    row = Sweep.objects.get()
    assert (row.id, row.status, row.archived, row.deleted) == (report.sweep, "completed", 1, 1)
    assert row.report["totals"]["due"] == 1
    assert row.finished_at is not None


def test_a_large_table_is_archived_in_several_objects(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbcore.retention.table_sweep.ARCHIVE_RECORDS", 2)
    items = [put(keeper, models.Plan, NOW - 400 * DAY) for _ in range(5)]
    report = done(sweep(models.Plan))
    assert sorted(row.count for row in Archive.objects.all()) == [1, 2, 2]
    assert len(report.lines[0].archives) == 3
    assert there(keeper, models.Plan, items) == [False] * 5


# --- Nothing is deleted unproven ----------------------------------------------------------------


def test_an_archive_that_cannot_be_proven_deletes_nothing_and_the_next_sweep_does(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, archive_dir: Path
) -> None:
    items = [put(keeper, models.Plan, NOW - 400 * DAY) for _ in range(3)]
    shelf = type(get_shelf())
    write = shelf.write

    def torn(self: Any, *args: Any) -> Any:
        manifest = write(self, *args)
        path = archive_dir / manifest.object_name
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1])
        return manifest

    monkeypatch.setattr(shelf, "write", torn)
    report = sweep(models.Plan)
    assert (report.status, report.exit_code) == ("unproven", 2)
    assert there(keeper, models.Plan, items) == [True] * 3
    assert report.lines[0].unproven == 3

    monkeypatch.undo()
    report = done(sweep(models.Plan))
    assert len(report.discarded) == 1
    assert there(keeper, models.Plan, items) == [False] * 3
    assert [row.state for row in Archive.objects.all()] == ["completed"]


def test_books_from_a_backup_do_not_throw_away_the_only_copy(keeper: Keeper) -> None:
    layout = layout_of(models.Plan)
    before = [put(keeper, models.Plan, NOW - 400 * DAY) for _ in range(2)]
    done(sweep(models.Plan))
    # Django's database is put back to where the archive was being written.
    Archive.objects.update(state="writing", manifest={}, key_id="", deleted=0, proven_at=None)
    report = done(sweep(models.Plan))
    row = Archive.objects.get()
    assert (report.discarded, report.resumed) == ([], [row.id])
    assert (row.state, row.deleted) == ("completed", 2)
    restore(of_archives([row.id]), RestoreOptions(who="tests", why="a test"), now=NOW)
    assert keeper.read(layout, [layout.key_of_item(item) for item in before]) == before


def test_without_keys_nothing_is_touched(keeper: Keeper, settings: Any) -> None:
    items = [put(keeper, models.Plan, NOW - 400 * DAY)]
    settings.ARCHIVE_ENCRYPTION_KEYS = {}
    report = sweep(models.Plan)
    assert report.exit_code == 1
    assert "ARCHIVE_ENCRYPTION_KEYS" in report.error
    assert there(keeper, models.Plan, items) == [True]


def before_the_delete(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """`act` happens once: after the archive has been proven, before the first delete."""
    remove = Archiving.remove
    acts = [act]

    def late(self: Archiving, rule: Rule, items: Sequence[Item]) -> Counter[Removal]:
        while acts:
            acts.pop()()
        return remove(self, rule, items)

    monkeypatch.setattr(Archiving, "remove", late)


def test_what_changes_after_it_was_archived_stays_as_it_is_then(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = layout_of(models.Plan)
    items = [put(keeper, models.Plan, NOW - 400 * DAY) for _ in range(3)]
    changed = {**items[1], "title": {"S": "Back from the archive"}}
    before_the_delete(monkeypatch, lambda: keeper.replace(layout, items[1], changed))
    report = done(sweep(models.Plan))
    assert (report.lines[0].archived, report.lines[0].deleted, report.lines[0].changed) == (3, 2, 1)
    assert keeper.read(layout, [layout.key_of_item(items[1])]) == [changed]
    row = Archive.objects.get()
    assert (row.count, row.deleted, row.changed, row.state) == (3, 2, 1, "completed")
    # It is still due: the next sweep archives it as it is now.
    again = done(sweep(models.Plan))
    assert (again.lines[0].archived, again.lines[0].deleted) == (1, 1)


def test_a_hold_that_is_placed_after_the_archiving_is_respected(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [put(keeper, models.Plan, NOW - 400 * DAY) for _ in range(3)]
    subject = user_subject(items[2]["userId"]["S"])
    before_the_delete(
        monkeypatch,
        lambda: place_hold(subject, who="counsel", why="a case", until=None, now=timezone.now()),
    )
    report = done(sweep(models.Plan))
    assert (report.lines[0].deleted, report.lines[0].held) == (2, 1)
    assert there(keeper, models.Plan, items) == [False, False, True]


def test_what_cannot_be_read_as_a_record_is_named_and_left(keeper: Keeper) -> None:
    if keeper.name == "orm":
        pytest.skip("SQL's rows are read by their fields")
    good, bad = (put(keeper, models.Plan, NOW - 400 * DAY) for _ in range(2))
    layout = layout_of(models.Plan)
    assert keeper.replace(layout, bad, {**bad, "updatedAt": {"S": "yesterday"}})
    report = done(sweep(models.Plan))
    assert there(keeper, models.Plan, [good, bad]) == [False, True]
    assert report.lines[0].unreadable == 1
    (named,) = report.lines[0].unreadable_records
    assert named.key.endswith(f"/{bad['id']['S']}") and named.why.startswith("updated_at")


# --- Who stays ----------------------------------------------------------------------------------


def test_a_user_with_a_sign_of_life_stays_and_so_does_the_profile_of_one(keeper: Keeper) -> None:
    old = NOW - 2600 * DAY
    alive = put(keeper, models.User, old, last_login_at=NOW - 100 * DAY)
    quiet = put(keeper, models.User, old, last_login_at=None)
    ids = [each["id"]["S"] for each in (alive, quiet)]
    profiles = [put(keeper, models.UserProfile, old, user_id=each) for each in ids]
    orphan = put(keeper, models.UserProfile, old)
    report = done(sweep())
    assert there(keeper, models.User, [alive, quiet]) == [True, False]
    assert there(keeper, models.UserProfile, [*profiles, orphan]) == [True, False, False]
    assert report.line("user_profiles").kept == 1


@pytest.mark.parametrize("scope", ["user", "table", "record"])
def test_what_is_under_a_legal_hold_stays_until_it_is_lifted(keeper: Keeper, scope: str) -> None:
    held = put(keeper, models.Plan, NOW - 400 * DAY)
    subject = {
        "user": {"subject": held["userId"]["S"]},
        "table": {"table": "plans"},
        "record": {"table": "plans", "subject": key_text(layout_of(models.Plan), held)},
    }[scope]
    hold = LegalHold.objects.create(scope=scope, reason="a case", placed_by="counsel", **subject)
    report = done(sweep(models.Plan))
    assert there(keeper, models.Plan, [held]) == [True]
    assert (report.lines[0].due, report.lines[0].held, report.lines[0].archived) == (1, 1, 0)

    hold.lifted_at = timezone.now()
    hold.save()
    assert done(sweep(models.Plan)).lines[0].deleted == 1


def test_a_hold_that_has_ended_holds_no_longer(keeper: Keeper) -> None:
    held = put(keeper, models.Plan, NOW - 400 * DAY)
    LegalHold.objects.create(
        scope="table", table="plans", reason="a case", placed_by="counsel", until=NOW - DAY
    )
    assert done(sweep(models.Plan)).lines[0].deleted == 1
    assert there(keeper, models.Plan, [held]) == [False]


def test_tables_without_a_policy_are_never_swept(keeper: Keeper) -> None:
    old = NOW - 20_000 * DAY
    kept = {model: put(keeper, model, old) for model in (models.Role, models.Permission)}
    key = put(keeper, models.ApiKey, old)
    report = done(sweep())
    for model, item in kept.items():
        assert there(keeper, model, [item]) == [True]
    assert there(keeper, models.ApiKey, [key]) == [True]
    assert set(report.without_policy) >= {"roles", "permissions", "api_keys"}


# --- Rules that protect -------------------------------------------------------------------------


def test_a_sweep_of_too_much_of_a_table_stops_and_asks(keeper: Keeper) -> None:
    due = [put(keeper, models.Plan, NOW - 400 * DAY) for _ in range(2)]
    for _ in range(7):
        put(keeper, models.Plan, NOW)
    asked: list[str] = []

    def answer(question: str) -> bool:
        asked.append(question)
        return len(asked) > 1

    report = sweep(models.Plan, accept_large_sweep=False, ask=answer)
    assert report.exit_code == 1
    assert "2 records are due, more than 20% of plans" in report.lines[0].error
    assert there(keeper, models.Plan, due) == [True, True]
    done(sweep(models.Plan, accept_large_sweep=False, ask=answer))
    assert there(keeper, models.Plan, due) == [False, False]


def test_a_fifth_of_a_table_is_not_too_much(keeper: Keeper) -> None:
    put(keeper, models.Plan, NOW - 400 * DAY)
    for _ in range(4):
        put(keeper, models.Plan, NOW)
    assert done(sweep(models.Plan, accept_large_sweep=False)).lines[0].deleted == 1


def test_a_policy_is_not_shortened_by_a_slip(keeper: Keeper, settings: Any) -> None:
    item = put(keeper, models.Plan, NOW - 40 * DAY)
    settings.RETENTION_DAYS = {"plans": "36"}
    report = sweep(models.Plan)
    assert report.exit_code == 1
    assert "--accept-policy-change" in report.lines[0].error
    assert there(keeper, models.Plan, [item]) == [True]

    done(sweep(models.Plan, accept_policy_change=True))
    assert there(keeper, models.Plan, [item]) == [False]
    assert AcceptedPolicy.objects.get(table="plans").days == 36
    done(sweep(models.Plan))  # accepted once is enough


def test_a_longer_policy_needs_no_leave_and_keeps_what_the_code_would_not(
    keeper: Keeper, settings: Any
) -> None:
    items = [put(keeper, models.Plan, NOW - days * DAY) for days in (370, 400, 401)]
    settings.RETENTION_DAYS = {"plans": "400"}
    done(sweep(models.Plan))
    assert there(keeper, models.Plan, items) == [True, False, False]
    settings.RETENTION_DAYS = {}
    assert sweep(models.Plan).exit_code == 1  # back again is shorter


@pytest.mark.parametrize(
    ("days", "wanted"),
    [
        ({"plan": "400"}, "there is no such table"),
        ({"roles": "400"}, "has no policy"),
        ({"plans": "a year"}, "not a number of days"),
        ({"plans": "0"}, "at least one day"),
        ({"weather_cache": "400"}, "their own expiry"),
    ],
)
def test_settings_that_make_no_sense_stop_everything(
    keeper: Keeper, settings: Any, days: dict[str, str], wanted: str
) -> None:
    item = put(keeper, models.Plan, NOW - 400 * DAY)
    settings.RETENTION_DAYS = days
    report = sweep()
    assert report.exit_code == 1
    assert wanted in report.error
    assert there(keeper, models.Plan, [item]) == [True]


def test_bad_questions_are_refused_before_anything_is_deleted(keeper: Keeper) -> None:
    item = put(keeper, models.Plan, NOW - 400 * DAY)
    future = enforce_retention(SweepOptions(as_of=timezone.now() + DAY))
    assert (future.exit_code, "in the future" in future.error) == (1, True)
    unknown = enforce_retention(SweepOptions(tables=("diaries",), as_of=NOW))
    assert unknown.exit_code == 1
    assert "there is no table diaries" in unknown.error
    assert there(keeper, models.Plan, [item]) == [True]


def test_retention_that_is_switched_off_deletes_nothing(keeper: Keeper, settings: Any) -> None:
    item = put(keeper, models.Plan, NOW - 400 * DAY)
    settings.RETENTION_ENABLED = False
    report = done(sweep(models.Plan))
    assert "RETENTION_ENABLED is false" in report.notes[0]
    assert there(keeper, models.Plan, [item]) == [True]


# --- What it costs ------------------------------------------------------------------------------


def test_a_dry_run_counts_and_changes_nothing(keeper: Keeper, archive_dir: Path) -> None:
    items = [put(keeper, models.Plan, NOW - days * DAY) for days in (366, 364, 390)]
    report = done(sweep(models.Plan, dry_run=True))
    assert (report.lines[0].due, report.lines[0].would, report.lines[0].deleted) == (2, 2, 0)
    assert there(keeper, models.Plan, items) == [True] * 3
    assert not Archive.objects.exists()
    assert not Sweep.objects.exists()
    assert not SweepMark.objects.exists()
    assert not AcceptedPolicy.objects.exists()
    assert not [path for path in archive_dir.rglob("*") if path.is_file()]


def test_at_most_so_many_records_go_and_the_next_sweep_takes_the_rest(keeper: Keeper) -> None:
    items = [put(keeper, models.Plan, NOW - (400 + days) * DAY) for days in range(5)]
    first = done(sweep(models.Plan, max_records=2))
    assert (first.lines[0].deleted, first.lines[0].left) == (2, 3)
    assert there(keeper, models.Plan, items).count(True) == 3
    assert done(sweep(models.Plan)).lines[0].deleted == 3


def test_after_a_first_sweep_only_the_days_since_are_looked_at(
    keeper: Keeper, calls: list[Call], settings: Any
) -> None:
    put(keeper, models.Plan, NOW - 380 * DAY)
    assert "first sweep" in str(done(sweep(models.Plan)).lines[0].notes) or keeper.name == "orm"
    settings.RETENTION_LOOKBACK_DAYS = 3650
    put(keeper, models.Plan, NOW - 365 * DAY)
    calls.clear()
    assert done(sweep(models.Plan)).lines[0].deleted == 1
    assert len([call for call in calls if call.operation == "Query"]) < 100
    assert not [call for call in calls if call.operation == "Scan" and "plans" in call.table]


def test_a_mark_never_passes_what_was_left_behind(keeper: Keeper) -> None:
    held = put(keeper, models.Plan, NOW - 385 * DAY)  # due twenty days ago
    hold = LegalHold.objects.create(
        scope="user", subject=held["userId"]["S"], reason="a case", placed_by="counsel"
    )
    done(sweep(models.Plan))
    done(sweep(models.Plan))
    assert SweepMark.objects.get().swept_through == (NOW - 21 * DAY).date()
    hold.delete()
    assert done(sweep(models.Plan)).lines[0].deleted == 1
    assert SweepMark.objects.get().swept_through == (NOW - DAY).date()


def test_who_asks_to_look_less_far_back_hides_nothing_from_the_sweeps_after(
    keeper: Keeper,
) -> None:
    old = put(keeper, models.Plan, NOW - (365 + 20) * DAY)
    found = [done(sweep(models.Plan, look_back=days)).lines[0].due for days in (5, 5)]
    assert not SweepMark.objects.exists()
    if keeper.name == "dynamodb":
        assert found == [0, 0]
        assert there(keeper, models.Plan, [old]) == [True]
    assert done(sweep(models.Plan)).lines[0].deleted == (keeper.name == "dynamodb")
    mark = SweepMark.objects.get()
    assert mark.swept_through == (NOW - DAY).date()
    mark.swept_through, mark.looked_back_at = (NOW - 10 * DAY).date(), NOW - 3 * DAY
    mark.save()
    done(sweep(models.Plan, look_back=5))
    assert SweepMark.objects.get().swept_through == (NOW - 10 * DAY).date(), "days between unseen"
    done(sweep(models.Plan, look_back=10))
    assert SweepMark.objects.get().swept_through == (NOW - DAY).date()
    assert SweepMark.objects.get().looked_back_at == mark.looked_back_at
    done(sweep(models.Plan, look_back=50))
    assert SweepMark.objects.get().looked_back_at == NOW


def test_one_process_at_a_time_sweeps(keeper: Keeper) -> None:
    item = put(keeper, models.Plan, NOW - 400 * DAY)
    with keeper.lease("retention", "another"):
        report = sweep(models.Plan)
    assert report.exit_code == 1
    assert "another" in report.error
    assert there(keeper, models.Plan, [item]) == [True]
    done(sweep(models.Plan))


@pytest.fixture
def calls() -> Iterator[list[Call]]:
    """Every call on the wire."""
    found: list[Call] = []
    HOOKS.append(found.append)
    yield found
    HOOKS.remove(found.append)


@pytest.fixture(params=["sqlite", "dynamodb"])
def keeper(request: pytest.FixtureRequest, settings: Any) -> Keeper:
    """The primary store's keeper; the store is empty."""
    settings.DATABASE_PRIMARY = request.param
    if request.param == "dynamodb":
        request.getfixturevalue("dynamodb")
        sync_tables()
    return primary_keeper()
