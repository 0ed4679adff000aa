"""The PynamoDB mirrors: the schema that the tables have, and what a team would do with them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import models as django_models
from pynamodb.exceptions import DeleteError, DoesNotExist, PutError, TransactWriteError, UpdateError
from pynamodb.transactions import TransactWrite
from pytest_django import Settings

from daylight import mirrors, models
from dbcore.dynamo.guards import guard_table
from dbcore.errors import InvalidValue
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.mirrors import Mirror, WireConnection, mirror_of
from dbcore.schema import create_table_request
from dbcore.wire import HOOKS, Call, get_wire

MODELS = [getattr(models, name) for name in models.__all__]
EVERY_MODEL = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
Model = type[django_models.Model]
DAY = dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC)
Plans: Any = mirrors.Plans
AuditLogs: Any = mirrors.AuditLogs
UserSessions: Any = mirrors.UserSessions


def hours(number: int) -> dt.datetime:
    return DAY + dt.timedelta(hours=number)


def make_tables(*wanted: Model) -> None:
    for model in wanted:
        get_wire().call("CreateTable", create_table_request(layout_of(model)))


def a_plan(**changes: Any) -> models.Plan:
    usual = {"user_id": "u1", "id": "p1", "title": "Walk", "created_at": DAY, "updated_at": DAY}
    return models.Plan(**(usual | changes))


@pytest.fixture
def plans(dynamodb: LocalEngine) -> Iterator[Any]:
    """The plans table, with one user's four plans and another's one."""
    make_tables(models.Plan)
    for number in range(4):
        made = hours(10 - number)  # the last id was made first
        Plans.from_record(a_plan(id=f"p{number}", created_at=made)).save()
    Plans.from_record(a_plan(user_id="u2")).save()
    yield Plans


# --- The schema ---------------------------------------------------------------------------------


def test_there_is_a_mirror_of_each_model_by_name() -> None:
    found = {each.layout.model for each in vars(mirrors).values() if isinstance(each, type)}
    assert found == set(MODELS)
    assert mirrors.Plans is mirror_of(models.Plan)


def by_name(indexes: list[dict[str, Any]]) -> dict[str, Any]:
    """Indexes as name -> keys and projection, whether PynamoDB or CreateTable words them."""
    found = {}
    for each in indexes:
        index = {key.lower().replace("_", ""): value for key, value in each.items()}
        keys = {key["KeyType"]: key["AttributeName"] for key in index["keyschema"]}
        found[index["indexname"]] = (keys, index["projection"]["ProjectionType"])
    return found


@EVERY_MODEL
def test_a_mirrors_schema_is_that_of_its_table(model: Model) -> None:
    request = create_table_request(layout_of(model))
    schema = mirror_of(model)._get_schema()

    def keys(each: list[dict[str, str]]) -> dict[str, str]:
        return {key["KeyType"]: key["AttributeName"] for key in each}

    assert keys(schema["key_schema"]) == keys(request["KeySchema"])
    assert sorted(map(str, schema["attribute_definitions"])) == sorted(
        map(str, request["AttributeDefinitions"])
    )
    for pynamo, aws in (("local", "Local"), ("global", "Global")):
        wanted = request.get(f"{aws}SecondaryIndexes", [])
        assert by_name(schema[f"{pynamo}_secondary_indexes"]) == by_name(wanted)


@EVERY_MODEL
def test_a_mirror_has_the_fields_names_and_dynamodbs_attribute_names(model: Model) -> None:
    layout = layout_of(model)
    attributes = mirror_of(model).get_attributes()
    assert {name: attributes[name].attr_name for name in layout.by_name} == {
        name: column.attribute for name, column in layout.by_name.items()
    }
    assert set(attributes) - set(layout.by_name) <= {"ttl", "day", "due_day"}


def test_a_mirror_uses_the_table_and_the_endpoint_that_the_settings_name_now(
    settings: Settings,
) -> None:
    for prefix in ("one-", "two-"):
        settings.DYNAMODB_TABLE_PREFIX = prefix
        connection = Plans._get_connection()
        assert connection.table_name == f"{prefix}plans"
        assert isinstance(connection.connection, WireConnection)
    assert "127.0.0.1:9" in repr(connection.connection)


# --- Reading ------------------------------------------------------------------------------------


def test_a_users_list_is_read_through_the_local_index_in_order_and_consistently(
    plans: Any,
) -> None:
    found = plans.UserPlansIndex.query("u1", consistent_read=True)
    assert [each.id for each in found] == ["p3", "p2", "p1", "p0"]
    latest = plans.UserPlansIndex.query("u1", scan_index_forward=False, limit=1)
    assert [each.id for each in latest] == ["p0"]
    between = plans.UserPlansIndex.query("u1", plans.created_at.between(hours(8), hours(9)))
    assert [each.id for each in between] == ["p2", "p1"]


def test_a_table_is_read_by_its_own_key_with_conditions_on_the_sort_key(plans: Any) -> None:
    assert [each.id for each in plans.query("u1", plans.id > "p1")] == ["p2", "p3"]
    assert [each.id for each in plans.query("u1", plans.id.startswith("p"), limit=2)] == [
        "p0",
        "p1",
    ]
    only = plans.query("u1", filter_condition=plans.created_at == hours(8))
    assert [each.id for each in only] == ["p2"]


def test_pages_of_a_query_are_joined_and_can_be_gone_on_from(plans: Any) -> None:
    pages = plans.query("u1", page_size=1)
    assert next(pages).id == "p0"
    later = plans.query("u1", last_evaluated_key=pages.last_evaluated_key)
    assert [each.id for each in later] == ["p1", "p2", "p3"]
    assert len(list(plans.scan(page_size=2))) == 5


def test_several_records_are_got_and_put_in_one_batch(plans: Any) -> None:
    with plans.batch_write() as batch:
        batch.save(plans.from_record(a_plan(id="new", location={"lat": 1.5}, activities=[1])))
        batch.delete(plans.get("u1", "p0"))
    found = plans.batch_get([("u1", "new"), ("u1", "p0"), ("u2", "p1")])
    assert {each.id: each.activities for each in found} == {"new": [1], "p1": []}


def test_a_global_index_finds_records_by_another_key(dynamodb: LocalEngine) -> None:
    make_tables(models.UserSession)
    for number in range(3):
        made = hours(number)
        session = models.UserSession(
            session_id=f"s{number}", user_id=f"u{number % 2}", created_at=made, expires_at=made
        )
        UserSessions.from_record(session).save()
    found = list(UserSessions.UserSessionsIndex.query("u0", UserSessions.created_at >= DAY))
    assert [each.session_id for each in found] == ["s0", "s2"]
    assert found[0].data == {}
    assert found[1].ttl == int(hours(2).timestamp())


def audit(key: str, **changes: Any) -> models.AuditLog:
    usual = {"id": key, "timestamp": DAY, "resource": "r", "source": "s", "event_type": "e"}
    return models.AuditLog(**(usual | changes))


def test_a_days_records_are_found_through_the_days_shards_in_order(dynamodb: LocalEngine) -> None:
    make_tables(models.AuditLog)
    for number in range(12):
        AuditLogs.from_record(audit(f"a{number}", timestamp=hours(number))).save()
    AuditLogs.from_record(audit("next", timestamp=hours(24))).save()
    found: list[str] = []
    for shard in range(8):
        part = list(AuditLogs.DateIndex.query(f"2026-11-22#{shard}"))
        assert [each.timestamp for each in part] == sorted(each.timestamp for each in part)
        found += [each.id for each in part]
    assert sorted(found) == sorted(f"a{number}" for number in range(12))


def test_a_record_without_the_key_of_an_index_is_not_in_it(dynamodb: LocalEngine) -> None:
    make_tables(models.AuditLog)
    AuditLogs.from_record(audit("nobody", user_id=None)).save()
    AuditLogs.from_record(audit("ann", user_id="ann")).save()
    assert [each.id for each in AuditLogs.UserAuditIndex.query("ann")] == ["ann"]
    assert len(list(AuditLogs.UserAuditIndex.scan())) == 1
    assert AuditLogs.get("nobody").user_id is None


def test_what_is_due_is_found_through_the_index_of_the_due_day(plans: Any) -> None:
    plan = plans.get("u2", "p1")
    assert plan.due_day.startswith("2027-11-22#")
    found = [(each.user_id, each.id) for each in plans.DueDayIndex.query(plan.due_day)]
    assert ("u2", "p1") in found
    assert all(each.due_day == plan.due_day for each in plans.DueDayIndex.query(plan.due_day))


# --- Writing ------------------------------------------------------------------------------------


def test_json_is_set_as_a_whole_and_stays_dynamodbs_own(plans: Any) -> None:
    plan = plans.get("u1", "p0")
    for value in ({"lat": 39.9, "tags": ["a", None, True]}, [1, {"": "x"}], {}, [], {"S": "x"},
                  {"M": {"a": 1}}):  # fmt: skip
        plan.update(actions=[plans.location.set(value)])
        assert plan.location == value
        assert plans.get("u1", "p0").location == value
    plan.update(actions=[plans.location.set({"lat": 1.5})])
    key = layout_of(models.Plan).key_of({"user_id": "u1", "id": "p0"})
    stored = get_wire().call("GetItem", {"TableName": plans.Meta.table_name, "Key": key})["Item"]
    assert stored["location"] == {"M": {"lat": {"N": "1.5"}}}


def test_a_place_inside_json_is_set_removed_and_asked_for(plans: Any) -> None:
    plan = plans.get("u1", "p0")
    plan.update(actions=[plans.location.set({"lat": 1, "at": {"lng": 2}, "tags": ["a", "b"]})])
    plan.update(
        actions=[
            plans.location["lat"].set(39.9),
            plans.location["at"]["lng"].set("east"),
            plans.location["tags"][0].remove(),
        ],
        condition=plans.location["at"]["lng"] == 2,
    )
    wanted = {"lat": 39.9, "at": {"lng": "east"}, "tags": ["b"]}
    assert plans.get("u1", "p0").location == wanted
    found = plans.query("u1", filter_condition=plans.location["lat"] > 39)
    assert [each.id for each in found] == ["p0"]
    with pytest.raises(UpdateError, match="ConditionalCheckFailed"):
        plan.update(
            actions=[plans.location["lat"].set(0)], condition=plans.location["lat"].does_not_exist()
        )


@pytest.mark.parametrize(
    "value", [{"lat": 39.9, "at": {"lng": [1]}}, {"S": "x"}, {}, [], ["a", {}]]
)
def test_json_is_compared_as_a_whole(plans: Any, value: Any) -> None:
    plan = plans.get("u1", "p0")
    plan.update(actions=[plans.location.set(value)])
    found = plans.query("u1", filter_condition=plans.location == value)
    assert [each.id for each in found] == ["p0"]
    assert list(plans.query("u1", filter_condition=plans.location == {"other": 1})) == []
    others = plans.query("u1", filter_condition=plans.location != value)
    assert "p0" not in [each.id for each in others]


def test_fields_are_updated_with_conditions_in_their_own_types(plans: Any) -> None:
    plan = plans.get("u1", "p0")
    plan.update(
        actions=[plans.title.set("😀"), plans.end_time.set(hours(5)), plans.description.remove()],
        condition=(plans.created_at == hours(10)) & plans.end_time.does_not_exist(),
    )
    assert (plan.title, plan.end_time, plan.description) == ("😀", hours(5), None)


def test_a_value_that_dynamodb_cannot_keep_is_refused_before_it_is_sent(plans: Any) -> None:
    calls: list[Call] = []
    HOOKS.append(calls.append)
    plan = plans(user_id="u1", id="bad", title="x", created_at=DAY, updated_at=DAY, status="active",
                 description="", activities=[float("nan")], preferences={})  # fmt: skip
    with pytest.raises(InvalidValue, match="NaN"):
        plan.save()
    with pytest.raises(InvalidValue, match="without a time zone"):
        plans.end_time.set(dt.datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(InvalidValue, match="title is missing"):
        plans.from_record(a_plan(title=None))
    assert calls == []


def test_a_mirror_made_by_hand_is_a_record(plans: Any) -> None:
    plans(user_id="u1", id="own", title="x", created_at=DAY, updated_at=DAY, status="active",
          description="", activities=[], preferences={"a": 1}).save()  # fmt: skip
    record = plans.get("u1", "own").to_record()
    assert isinstance(record, models.Plan)
    assert record.preferences == {"a": 1}
    assert record.location is None


# --- Errors -------------------------------------------------------------------------------------


def test_a_failed_condition_is_pynamodbs_put_error_and_names_the_table(plans: Any) -> None:
    plan = plans.from_record(a_plan(id="p0", title="other"))
    with pytest.raises(PutError) as failed:
        plan.save(condition=plans.id.does_not_exist())
    assert failed.value.cause_response_code == "ConditionalCheckFailedException"
    assert plans.Meta.table_name in str(failed.value)
    assert plans.get("u1", "p0").title == "Walk"
    with pytest.raises(DeleteError, match="ConditionalCheckFailed"):
        plan.delete(condition=plans.title == "nothing")


def test_a_record_that_is_not_there_does_not_exist(plans: Any) -> None:
    with pytest.raises(DoesNotExist):
        plans.get("u1", "nothing")
    # The mirror's own exception too, which one catches where several are read.
    with pytest.raises(Plans.DoesNotExist):
        plans.get("nobody", "p0")


def test_a_missing_table_is_named_in_the_error(dynamodb: LocalEngine) -> None:
    with pytest.raises(PutError, match="ResourceNotFoundException") as failed:
        Plans.from_record(a_plan()).save()
    assert "plans" in str(failed.value)


def test_why_a_transaction_was_cancelled_is_told_action_by_action(
    plans: Any, settings: Settings
) -> None:
    connection = WireConnection(region=settings.DYNAMODB_REGION)
    with (
        pytest.raises(TransactWriteError) as failed,
        TransactWrite(connection=connection) as transaction,
    ):
        transaction.save(plans.from_record(a_plan(id="fresh")))
        taken = plans.from_record(a_plan(id="p0"))
        transaction.save(taken, condition=plans.id.does_not_exist())
    reasons = failed.value.cancellation_reasons
    assert reasons[0] is None
    assert reasons[1] is not None
    assert reasons[1].code == "ConditionalCheckFailed"
    with pytest.raises(DoesNotExist):
        plans.get("u1", "fresh")


# --- The wire -----------------------------------------------------------------------------------


def test_every_call_of_a_mirror_goes_through_the_wire(dynamodb: LocalEngine) -> None:
    make_tables(models.Plan)
    calls: list[Call] = []
    HOOKS.append(calls.append)
    plan = Plans.from_record(a_plan())
    plan.save()
    plan.refresh(consistent_read=True)
    plan.update(actions=[Plans.title.set("Run")])
    Plans.get("u1", "p1")
    list(Plans.query("u1"))
    list(Plans.UserPlansIndex.query("u1"))
    list(Plans.scan())
    list(Plans.batch_get([("u1", "p1")]))
    with Plans.batch_write() as batch:
        batch.save(plan)
    plan.delete()
    assert [call.operation for call in calls] == [
        "PutItem", "GetItem", "UpdateItem", "GetItem", "Query", "Query", "Scan", "BatchGetItem",
        "BatchWriteItem", "DeleteItem",
    ]  # fmt: skip
    assert {call.table for call in calls} == {Plans.Meta.table_name}
    assert all(call.error is None for call in calls)
    assert guard_table() not in {call.table for call in calls}
    assert issubclass(Plans, Mirror)
