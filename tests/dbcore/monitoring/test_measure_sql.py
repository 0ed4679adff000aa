"""Every SQL statement is counted, whoever made it, and none is changed or broken by it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User as Admin
from django.contrib.sessions.models import Session
from django.db import DatabaseError, IntegrityError, connection, transaction

from daylight.models import Plan
from dbcore.monitoring import metrics
from dbcore.monitoring.labels import OTHER
from dbcore.monitoring.measure_sql import measure_query, watch
from dbcore.monitoring.pools import pools
from dbcore.monitoring.specs import DURATION, ROWS
from dbcore.monitoring.switch import unmeasured
from tests.dbcore.monitoring.conftest import samples


def calls() -> dict[tuple[str, str, str], float]:
    """How many, by table, operation and error; transactions' own statements left out."""
    found = samples(DURATION, "_count")
    return {
        (table, operation, error): n
        for (_, table, operation, error), n in found.items()
        if (table, operation) != (OTHER, OTHER)
    }


def plan(at: int) -> Plan:
    return Plan(user_id="u", id=f"p{at}", title="Lake", key=f"u{at}")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    request.getfixturevalue("db" if request.param == "sqlite" else "postgresql_tables")
    request.getfixturevalue("measured")
    metrics.renew()
    return str(request.param)


def test_queries_by_table_operation_and_rows(database: str) -> None:
    Plan.objects.bulk_create([plan(at) for at in range(3)])
    assert len(Plan.objects.filter(user_id="u")) == 3
    Plan.objects.update(title="Sea")
    Plan.objects.filter(id="p1").delete()
    assert calls() == {
        ("plans", "INSERT", ""): 1, ("plans", "SELECT", ""): 1,
        ("plans", "UPDATE", ""): 1, ("plans", "DELETE", ""): 1,
    }  # fmt: skip
    assert {system for system, *_ in samples(DURATION, "_count")} == {database}
    rows = {operation: n for (_, table, operation), n in samples(ROWS, "_sum").items()}
    read = {"SELECT": 3} if database == "postgresql" else {}  # SQLite does not say
    assert rows == {"INSERT": 3, "UPDATE": 3, "DELETE": 1, **read}


def test_executemany_is_one_call_with_all_its_rows(database: str) -> None:
    Plan.objects.bulk_create([plan(at) for at in range(3)])
    with connection.cursor() as cursor:
        values = [("a", "p0"), ("b", "p1")]
        cursor.executemany("UPDATE plans SET title = %s WHERE id = %s", values)
    assert calls()["plans", "UPDATE", ""] == 1
    assert samples(ROWS, "_sum")[database, "plans", "UPDATE"] == 2


def test_djangos_own_tables_are_counted_as_what_they_are(database: str) -> None:
    Admin.objects.count()
    Session.objects.filter(session_key="x").exists()
    assert calls() == {("auth_user", "SELECT", ""): 1, ("django_session", "SELECT", ""): 1}


def test_a_value_that_is_taken_is_refused_and_a_broken_query_is_an_error(database: str) -> None:
    Plan.objects.bulk_create([plan(0)])
    with pytest.raises(IntegrityError), transaction.atomic():
        plan(0).save(force_insert=True)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT nothing_of_ours FROM plans WHERE id = 'Secret-1'")
    found = calls()
    assert found["plans", "INSERT", "IntegrityError"] == 1
    (error,) = {error for _, operation, error in found if operation == "SELECT"}
    assert error in ("OperationalError", "ProgrammingError")
    taken = metrics.current().look()
    assert (
        taken[database, "plans", "INSERT"].errors,
        taken[database, "plans", "INSERT"].refused,
    ) == (0, 1)
    assert (
        taken[database, "plans", "SELECT"].errors,
        taken[database, "plans", "SELECT"].refused,
    ) == (1, 0)
    (shape,) = [
        each
        for each in metrics.current().shapes.top(failed=True)
        if each.shape.operation == "SELECT"
    ]
    assert shape.last_error == error and shape.last_error_at
    assert "Secret" not in str(shape)


def test_wrappers_of_others_come_and_go_around_a_new_connection(database: str) -> None:
    seen = []

    def other(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        seen.append(sql)
        return execute(sql, params, many, context)

    connection.execute_wrappers.remove(measure_query)
    with connection.execute_wrapper(other):
        watch(connection)  # as when it is opened here
        Plan.objects.count()
    counted = calls()["plans", "SELECT", ""]
    Plan.objects.count()
    assert len([each for each in seen if "plans" in each]) == 1
    assert (counted, calls()["plans", "SELECT", ""]) == (1, 2)


def test_ever_new_shapes_are_all_counted_and_not_all_kept(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MAX_SERIES", 20)
    for at in range(100):
        Plan.objects.filter(id="p").values_list(*["title"] * (at + 1)).first()
    assert calls()["plans", "SELECT", ""] == 100
    assert len(metrics.current().series) <= 21
    assert metrics.current().look()[database, "plans", "SELECT"].count == 100


def test_what_monitoring_does_itself_is_not_measured(database: str) -> None:
    with unmeasured():
        Plan.objects.count()
    assert calls() == {}


@pytest.mark.django_db
def test_metrics_that_are_switched_off_measure_nothing(settings) -> None:  # type: ignore[no-untyped-def]
    from dbcore.monitoring import installed
    from dbcore.wire import HOOKS

    settings.DB_METRICS_ENABLED = False
    before = list(HOOKS)
    installed.install()
    metrics.renew()
    Plan.objects.count()
    assert calls() == {} and before == HOOKS


@pytest.mark.django_db
def test_a_database_without_a_pool_has_none_to_show() -> None:
    assert [pool.name for pool in pools()] == ["dynamodb"]
