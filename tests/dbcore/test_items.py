"""How each model's records look as items: nothing lost, nothing listed twice, limits kept."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import models as django_models
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from daylight import models
from dbcore.attributes import MAX_ITEM_BYTES, item_bytes, timestamp_text
from dbcore.dynamo.guards import Guard, guards_of
from dbcore.errors import InvalidValue
from dbcore.items import DERIVED, layout_of, shard_of
from tests import strategies

MODELS = [getattr(models, name) for name in models.__all__]
EVERY_MODEL = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
NOON = dt.datetime(2026, 11, 22, 12, 0, 0, 999999, tzinfo=dt.UTC)
Model = type[django_models.Model]


def record(model: Model, **changes: Any) -> dict[str, Any]:
    """A plain valid record."""
    plain: dict[type, Any] = {
        django_models.DateTimeField: NOON,
        django_models.JSONField: {},
        django_models.BooleanField: False,
        django_models.FloatField: 1.5,
        django_models.DecimalField: 1,
    }
    values: dict[str, Any] = {}
    for column in layout_of(model).columns:
        kind = type(column.field)
        whole = isinstance(column.field, django_models.IntegerField)
        values[column.name] = 7 if whole else plain.get(kind, f"a {column.name}")
        if kind is django_models.DecimalField:
            values[column.name] = column.codec.from_attribute({"N": "1"})
    return values | changes


def item_of(model: Model, **changes: Any) -> dict[str, Any]:
    return layout_of(model).to_item(record(model, **changes))


def test_there_are_19_models_and_each_has_a_layout_of_its_own() -> None:
    assert len(MODELS) == 19
    assert len({layout_of(model).table_name for model in MODELS}) == 19


@EVERY_MODEL
def test_a_record_comes_back_from_its_item_as_it_was(model: Model) -> None:
    layout = layout_of(model)

    @settings(max_examples=25, deadline=None)
    @given(strategies.records(model))
    def holds(values: dict[str, Any]) -> None:
        item = layout.to_item(values)
        assert layout.from_item(item) == values
        assert layout.key_of_item(item) == layout.key_of(values)
        absent = {layout.by_name[name].attribute for name, v in values.items() if v is None}
        assert not absent & item.keys()

    holds()


@EVERY_MODEL
def test_every_field_but_djangos_own_key_is_an_attribute_once(model: Model) -> None:
    layout = layout_of(model)
    names = [column.attribute for column in layout.columns]
    assert len(set(names)) == len(names)
    assert not set(names) & set(DERIVED)
    fields = {field.name for field in model._meta.concrete_fields}
    assert set(layout.by_name) == fields - {"key"}


@EVERY_MODEL
def test_a_record_without_a_value_that_it_must_have_is_refused(model: Model) -> None:
    for column in layout_of(model).columns:
        if column.nullable:
            assert column.attribute not in item_of(model, **{column.name: None})
        else:
            with pytest.raises(InvalidValue, match=f"^{column.name} is missing$"):
                item_of(model, **{column.name: None})


def test_a_refusal_reads_on_from_the_fields_name() -> None:
    with pytest.raises(InvalidValue, match=r"^latitude has NaN, which"):
        item_of(models.Location, latitude=float("nan"))
    with pytest.raises(InvalidValue, match=r"^title has a lone surrogate"):
        item_of(models.Plan, title="\ud800")


@EVERY_MODEL
def test_keys_of_tables_and_indexes_are_neither_empty_nor_too_long(model: Model) -> None:
    layout = layout_of(model)
    for name, limit in layout.key_limits.items():
        if isinstance(layout.by_name[name].field, django_models.DateTimeField):
            continue
        assert limit in (1024, 2048)
        with pytest.raises(InvalidValue, match=f"^{name} is empty, which a key may not be"):
            item_of(model, **{name: ""})
        item_of(model, **{name: "x" * limit})
        item_of(model, **{name: "😀" * (limit // 4)})
        with pytest.raises(InvalidValue, match=f"^{name} is over {limit} bytes"):
            item_of(model, **{name: "x" * (limit + 1)})
        with pytest.raises(InvalidValue, match=f"^{name} is over {limit} bytes"):
            item_of(model, **{name: "😀" * (limit // 4) + "x"})


@pytest.mark.parametrize(
    ("model", "limits"),
    [
        (models.User, {"id": 2048}),
        (models.Plan, {"user_id": 2048, "id": 1024, "created_at": 1024}),
        (models.UserSession, {"session_id": 2048, "user_id": 2048, "created_at": 1024}),
        (models.ApiKey, {"id": 2048, "user_id": 2048}),
        (models.AuditLog, {"id": 2048, "user_id": 2048, "timestamp": 1024}),
        (models.RateLimit, {"identifier": 2048, "window_start": 1024}),
        (models.ErrorLog, {"id": 2048, "severity": 2048, "timestamp": 1024}),
    ],
)
def test_the_limits_of_keys_follow_from_the_tables_declaration(
    model: Model, limits: dict[str, int]
) -> None:
    assert layout_of(model).key_limits == limits


def test_a_key_of_an_index_that_is_null_leaves_the_item_out_of_the_index() -> None:
    assert "userId" not in item_of(models.AuditLog, user_id=None)
    with pytest.raises(InvalidValue, match="user_id is empty"):
        item_of(models.AuditLog, user_id="")


def test_an_item_may_have_400_kilobytes_and_not_a_byte_more() -> None:
    room = MAX_ITEM_BYTES - item_bytes(item_of(models.Plan, description=""))
    assert item_bytes(item_of(models.Plan, description="x" * room)) == 400 * 1024
    for text in ("x" * (room + 1), "é" * (room // 2 + 1)):
        with pytest.raises(InvalidValue, match=r"^item is over 400 KB$"):
            item_of(models.Plan, description=text)


# --- What is derived ----------------------------------------------------------------------------


def test_a_record_expires_at_the_earliest_of_its_deadlines_in_whole_seconds() -> None:
    created = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    month = 30 * 86400
    begin = int(created.timestamp())

    def ttl(expires: dt.datetime) -> str:
        return str(item_of(models.UserSession, created_at=created, expires_at=expires)["ttl"]["N"])

    assert ttl(created + dt.timedelta(days=29)) == str(begin + 29 * 86400)
    assert ttl(created + dt.timedelta(days=31)) == str(begin + month)
    assert ttl(created + dt.timedelta(seconds=1, microseconds=999999)) == str(begin + 1)
    assert ttl(created.astimezone(dt.timezone(dt.timedelta(hours=9)))) == str(begin)


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        (dt.datetime(1970, 1, 1, tzinfo=dt.UTC), 0),
        (dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC), -1),
        (dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=dt.UTC), -1),
        (dt.datetime(1, 1, 1, tzinfo=dt.UTC), -62135596800),
        (dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC), 253402300799),
    ],
)
def test_expiry_is_rounded_down_also_before_1970(moment: dt.datetime, seconds: int) -> None:
    assert item_of(models.WeatherCache, expires_at=moment)["ttl"] == {"N": str(seconds)}


@EVERY_MODEL
def test_expiry_day_and_due_day_follow_from_the_fields(model: Model) -> None:
    layout = layout_of(model)
    table = layout.table

    @settings(max_examples=15, deadline=None)
    @given(strategies.records(model))
    def holds(values: dict[str, Any]) -> None:
        derived = layout.derived(values)
        assert ("ttl" in derived) == bool(table.expires)
        assert ("day" in derived) == (table.day_index is not None)
        if not table.needs_due_day:
            assert "dueDay" not in derived
        if table.expires:
            shift = [dt.timedelta(days=each.days).total_seconds() for each in table.expires]
            epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
            instants = [values[each.field] - epoch for each in table.expires]
            second = dt.timedelta(seconds=1)
            wanted = min(at // second + int(more) for at, more in zip(instants, shift, strict=True))
            assert int(derived["ttl"]["N"]) == wanted

    holds()


@given(st.integers(-1439, 1439), strategies.key_texts())
def test_a_day_is_the_day_in_utc_wherever_the_record_was_made(minutes: int, key: str) -> None:
    zone = dt.timezone(dt.timedelta(minutes=minutes))
    for model in (models.AuditLog, models.UsageAnalytics, models.ApiUsage):
        here = item_of(model, id=key, timestamp=NOON.astimezone(zone))
        assert here == item_of(model, id=key, timestamp=NOON)
        assert here["day"]["S"] == f"2026-11-22#{shard_of(key)}"
        assert here["timestamp"]["S"].startswith(here["day"]["S"][:10])


@pytest.mark.parametrize(
    ("key", "shard"),
    [("", 0), ("a", 3), ("b", 1), ("0190d5a2-0000-7000-8000-000000000000", 1), ("é", 6), ("😀", 4)],
)
def test_the_shard_of_a_key_never_changes_for_it_is_stored(key: str, shard: int) -> None:
    assert shard_of(key) == shard


def test_days_are_spread_over_all_shards() -> None:
    assert {shard_of(f"id-{number}") for number in range(200)} == set(range(8))


def test_a_due_day_counts_from_the_latest_of_the_fields_that_are_set() -> None:
    day = dt.datetime(2026, 1, 1, 23, 59, 59, 999999, tzinfo=dt.UTC)
    later = day + dt.timedelta(days=10)
    shard = shard_of("a id")
    for ends, updated, wanted in (
        (None, day, "2027-01-01"),
        (later, day, "2027-01-11"),
        (day, later, "2027-01-11"),
    ):
        item = item_of(models.Plan, end_time=ends, updated_at=updated)
        assert item["dueDay"] == {"S": f"{wanted}#{shard}"}
    east = day.astimezone(dt.timezone(dt.timedelta(hours=14)))
    assert item_of(models.Plan, end_time=None, updated_at=east)["dueDay"]["S"][:10] == "2027-01-01"


def test_what_would_be_due_after_the_year_9999_is_never_due() -> None:
    last = dt.datetime(9999, 6, 1, tzinfo=dt.UTC)
    assert "dueDay" not in item_of(models.Plan, end_time=None, updated_at=last)


@pytest.mark.parametrize("model", [models.Role, models.ApiKey, models.AuditLog])
def test_records_that_stay_or_have_a_day_have_no_due_day(model: Model) -> None:
    assert "dueDay" not in item_of(model)


def test_a_record_that_expires_is_due_on_that_day_or_by_its_policy_if_that_is_sooner() -> None:
    soon, late = NOON + dt.timedelta(days=2), NOON + dt.timedelta(days=200)
    for expires, wanted in ((soon, "2026-11-24"), (late, "2026-11-29")):
        item = item_of(models.WeatherCache, timestamp=NOON, expires_at=expires)
        assert item["dueDay"]["S"][:10] == wanted
    assert item_of(models.RateLimit, expires_at=soon)["dueDay"]["S"][:10] == "2026-11-24"


# --- What is unique -----------------------------------------------------------------------------


def test_unique_fields_follow_from_the_models() -> None:
    found = {
        model.__name__: {field.name: field.ignores_case for field in layout_of(model).unique}
        for model in MODELS
        if layout_of(model).unique
    }
    assert found == {
        "User": {"username": False, "email": True},
        "ApiKey": {"key_hash": False},
        "Role": {"name": False},
        "Permission": {"name": False},
    }


def guards(model: Model, **changes: Any) -> dict[str, Guard]:
    return {each.key: each for each in guards_of(layout_of(model), record(model, **changes))}


def test_a_guard_says_which_record_has_a_value() -> None:
    found = guards(models.User, id="u1", email="Ann@Example.com", username="Ann")
    assert set(found) == {"users/username/Ann", "users/email/ann@example.com"}
    guard = found["users/email/ann@example.com"]
    assert guard.item == {"guard": {"S": guard.key}, "owner": {"S": "u1"}}


def test_a_unique_value_that_is_not_set_needs_no_guard() -> None:
    assert set(guards(models.User, username=None, email="a@b.c")) == {"users/email/a@b.c"}


@given(
    st.lists(st.tuples(st.text("a/%25F", max_size=4), st.text("a/%25F", max_size=4)), max_size=6)
)
def test_guards_of_different_values_have_different_keys(pairs: list[tuple[str, str]]) -> None:
    layout = layout_of(models.Role)
    keys: dict[str, tuple[str, str]] = {}
    for name, owner in pairs:
        (guard,) = guards_of(layout, record(models.Role, name=name, id=owner))
        assert keys.setdefault(guard.key, (name, "")) == (name, "")
        assert guard.key.count("/") == 2


def test_a_guards_actions_are_conditional_on_whose_it_is(settings: Settings) -> None:
    settings.DYNAMODB_TABLE_PREFIX = "x-"
    (guard,) = guards(models.ApiKey, id="k1", key_hash="h").values()
    put, delete = guard.put_action()["Put"], guard.delete_action()["Delete"]
    assert put["TableName"] == delete["TableName"] == "x-unique"
    assert put["Item"]["guard"] == delete["Key"]["guard"] == {"S": "api_keys/key_hash/h"}
    assert put["ConditionExpression"] == delete["ConditionExpression"]
    assert put["ExpressionAttributeValues"] == {":me": {"S": "k1"}}


# --- The key that Django needs ------------------------------------------------------------------


@given(st.text("ab/%2F5", min_size=1, max_size=5), st.text("ab/%2F5", min_size=1, max_size=5))
def test_two_records_with_different_keys_never_share_djangos(user: str, own: str) -> None:
    field: Any = models.Plan._meta.pk
    key = field.value_of([user, own])
    one, two = (part.replace("%2F", "/").replace("%25", "%") for part in key.split("/"))
    assert (one, two) == (user, own)


def test_djangos_key_has_a_time_in_dynamodbs_form() -> None:
    field: Any = models.RateLimit._meta.pk
    east = NOON.astimezone(dt.timezone(dt.timedelta(hours=5)))
    assert field.value_of(["ip", east]) == f"ip/{timestamp_text(NOON)}"
