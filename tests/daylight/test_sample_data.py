"""Sample data: the same for the same seed, valid, consistent, of all ages, and never mixed with
records that are there already.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import math
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Model

from daylight import models, sample_data
from daylight.sample_data import counts, sample
from dbcore.items import layout_of
from dbcore.tables import Retention

NOW = dt.datetime(2026, 11, 23, 9, 30, 15, 123456, tzinfo=dt.UTC)
MODELS = [getattr(models, name) for name in models.__all__]
Made = dict[type[Model], list[Any]]


def make(rows: int = 2_000, seed: int = 1, now: dt.datetime = NOW) -> Made:
    return {model: list(records) for model, records in sample(rows, seed=seed, now=now)}


@pytest.fixture(scope="module")
def made() -> Made:
    return make()


def values(record: Model) -> dict[str, Any]:
    return {name: getattr(record, name) for name in layout_of(type(record)).by_name}


def everything(made: Made) -> list[tuple[str, dict[str, Any]]]:
    return [(model.__name__, values(r)) for model, records in made.items() for r in records]


def test_the_same_seed_makes_the_same_records_and_another_seed_others(made: Made) -> None:
    assert everything(make()) == everything(made)
    other = make(seed=2)
    assert {r.pk for r in other[models.User]}.isdisjoint(r.pk for r in made[models.User])
    assert {model: len(records) for model, records in other.items()} == counts(2_000)


def test_records_do_not_depend_on_how_far_other_tables_were_read(made: Made) -> None:
    for model, records in sample(2_000, seed=1, now=NOW):
        if model in (models.Plan, models.ApiUsage):
            few = [values(record) for record in itertools.islice(records, 3)]
            assert few == [values(record) for record in made[model][:3]]


@pytest.mark.parametrize("rows", [200, 777, 20_000])
def test_all_19_models_are_there_and_add_up_to_what_was_asked(rows: int) -> None:
    size = counts(rows)
    assert set(size) == set(MODELS)
    assert sum(size.values()) == rows
    assert min(size.values()) >= 2
    assert size[models.LocationHistory] == max(size.values()) or rows < 1_000


def test_too_few_rows_for_all_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 200"):
        counts(199)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_records_are_valid_for_django_and_for_dynamodb(
    db: None, made: Made, model: type[Model]
) -> None:
    records = made[model]
    for record in records[:10] + records[-10:]:
        record.full_clean()
    layout = layout_of(model)
    for record in records:
        assert layout.from_item(layout.to_item(values(record))) == values(record)
    assert len({json.dumps(layout.key_of(values(r)), sort_keys=True) for r in records}) == len(
        records
    )


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_some_records_are_due_and_most_are_not(made: Made, model: type[Model]) -> None:
    layout = layout_of(model)
    if not isinstance(layout.table.retention, Retention):
        return
    due = sum(layout.due_at(values(record)) <= NOW for record in made[model])
    # What expires soon after it was made is mostly due: caches, and windows of limits.
    assert 0 < due < len(made[model]) * (1 if layout.table.expires else 0.6)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_where_records_expire_some_have_and_some_have_not(made: Made, model: type[Model]) -> None:
    layout = layout_of(model)
    if layout.table.expires:
        expired = [layout.expires_at(values(r)) <= NOW.timestamp() for r in made[model]]
        assert any(expired)
        assert not all(expired)


def test_everything_belongs_to_a_user_who_had_registered_by_then(made: Made) -> None:
    registered = {user.id: user.created_at for user in made[models.User]}
    for model in (m for m in MODELS if m is not models.User):
        for record in made[model]:
            owner = getattr(record, "user_id", None)
            if owner is None:
                continue
            at = getattr(record, "timestamp", None) or record.created_at
            assert registered[owner] - dt.timedelta(hours=2) <= at <= NOW, record


def test_a_key_was_used_by_its_owner_while_it_was_valid(made: Made) -> None:
    keys = {key.id: key for key in made[models.ApiKey]}
    for key in keys.values():
        assert len(key.key_hash) == len(hashlib.sha256().hexdigest())
        assert key.key_hash != hashlib.sha256(key.key_preview.encode()).hexdigest()
    for usage in made[models.ApiUsage]:
        key = keys[usage.api_key_id]
        assert usage.user_id == key.user_id
        assert key.created_at <= usage.timestamp <= key.last_used_at
        assert key.expires_at is None or usage.timestamp <= key.expires_at


def test_roles_inherit_from_roles_and_grant_permissions_that_exist(made: Made) -> None:
    roles = {role.name for role in made[models.Role]}
    permissions = {permission.name for permission in made[models.Permission]}
    for role in made[models.Role]:
        assert set(role.inherited_roles) <= roles - {role.name}
        assert set(role.permissions) <= permissions
    assert any(role.inherited_roles for role in made[models.Role])


def test_a_metric_window_starts_when_it_says_and_its_histogram_counts_every_call(
    made: Made,
) -> None:
    for metric in made[models.PerformanceMetric]:
        start, _, host = metric.window.partition("#")
        assert host
        assert start == f"{metric.started_at:%Y-%m-%dT%H:%M:%S}.000000Z"
        assert sum(metric.duration["counts"]) == metric.count
        assert len(metric.duration["counts"]) == len(metric.duration["bounds"]) + 1


def test_a_walk_moves_in_time_and_no_faster_than_a_car(made: Made) -> None:
    points = made[models.LocationHistory]
    steps = 0
    for before, after in itertools.pairwise(points):
        if before.user_id != after.user_id or after.metadata.get("step") == 0:
            continue
        seconds = (after.timestamp - before.timestamp).total_seconds()
        if not 0 < seconds < 120:
            continue  # the next walk of the same user, whose first point has no metadata
        steps += 1
        assert _metres(before.location, after.location) / seconds < 15
    assert steps > len(points) * 0.9
    assert {p.activity for p in points} == {"", "still", "walking", "cycling", "driving"}


def _metres(a: dict[str, float], b: dict[str, float]) -> float:
    north = (b["lat"] - a["lat"]) * 111_320
    east = (b["lng"] - a["lng"]) * 111_320 * math.cos(math.radians(a["lat"]))
    return math.hypot(north, east)


def test_the_odd_values_that_migrations_stumble_over_are_there(made: Made) -> None:
    plans, profiles = made[models.Plan], made[models.UserProfile]
    assert any(p.location is None and p.activities == [] and p.description == "" for p in plans)
    assert any(p.avatar is None for p in profiles)
    assert any(p.avatar and ord(p.avatar[0]) > 0xFFFF for p in profiles), "emoji"
    assert max(len(json.dumps(p.settings)) for p in profiles) > 18_000
    traces = {u.event_data.get("trace", 0) for u in made[models.UsageAnalytics]}
    assert max(len(str(trace)) for trace in traces) == 15
    assert any(p.timestamp.microsecond for p in made[models.LocationHistory])
    scripts = {ord(p.first_name[0]) >> 8 for p in profiles}
    assert len(scripts) > 5


def test_the_command_fills_every_table_and_prints_how_many(
    db: None, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("make_sample_data", rows=500)
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines()[:-1])
    for model in MODELS:
        assert model._default_manager.count() == int(printed[model._meta.db_table])
    assert sum(map(int, printed.values())) == 500
    plan = models.Plan.objects.first()
    assert plan.key == f"{plan.user_id}/{plan.id}"


def test_the_command_never_mixes_sample_data_with_records_that_are_there(db: None) -> None:
    models.Role.objects.create(name="mine")
    with pytest.raises(CommandError, match=r"records in roles: nothing was written"):
        call_command("make_sample_data", rows=300)
    assert models.Role.objects.get().name == "mine"
    assert not models.User.objects.exists()


@pytest.mark.parametrize("answer", ["no", "", "y", EOFError()])
def test_clear_asks_and_anything_but_yes_deletes_nothing(
    db: None, monkeypatch: pytest.MonkeyPatch, answer: str | EOFError
) -> None:
    models.Role.objects.create(name="mine")

    def reply(_: str) -> str:
        if isinstance(answer, EOFError):
            raise answer
        return answer

    monkeypatch.setattr("builtins.input", reply)
    with pytest.raises(CommandError):
        call_command("make_sample_data", rows=300, clear=True)
    assert models.Role.objects.get().name == "mine"


def test_clear_without_questions_replaces_everything(db: None) -> None:
    models.Role.objects.create(name="mine")
    for _ in range(2):
        call_command("make_sample_data", "--rows=300", "--clear", "--accept-clear")
    assert not models.Role.objects.filter(name="mine").exists()
    assert sum(model._default_manager.count() for model in MODELS) == 300


def test_a_failure_half_way_leaves_the_tables_as_they_were(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.Role.objects.create(name="mine")

    def broken(*_: Any) -> Any:
        raise RuntimeError("half way")

    monkeypatch.setitem(sample_data._OF_KEYS, models.RateLimit, broken)
    with pytest.raises(RuntimeError, match="half way"):
        call_command("make_sample_data", "--rows=300", "--clear", "--accept-clear")
    assert models.Role.objects.get().name == "mine"
    assert not models.User.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--rows=10"], "at least 200"), (["--database=nowhere"], "no database 'nowhere'")],
)
def test_what_cannot_be_done_is_said(db: None, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("make_sample_data", *arguments)
