"""Rows with values that Django cannot read: the admin shows which they are beside all others, and
they are repaired there. Such a value comes from an earlier file, or from somebody with a database
tool.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission as AuthPermission
from django.contrib.auth.models import User as Colleague
from django.db import connection, models
from django.test import Client

from daylight.models import (
    ApiKey,
    ApiUsage,
    AuditLog,
    PerformanceMetric,
    Plan,
    RateLimit,
    Role,
    User,
)
from dbcore.admin import overview
from dbcore.models import AlertState, Archive, DeadLetter, MigrationRun, Sweep
from tests.daylight.admin_pages import fill, page, stored, untouched

DEEP, LONG = "[" * 990 + "]" * 990, f"[{'9' * 5000}]"
# Model, column, what the database is given for it in SQL, and why it cannot be read.
BROKEN = (
    (Plan, "created_at", "'not a date'", "is not a date"),
    (Plan, "created_at", "'2026-02-31 10:00:00'", "is not a date"),
    (Plan, "start_time", "'never'", "is not a date"),
    (Plan, "start_time", "1760000000000", "is not a date"),
    (Plan, "end_time", "x'ff00'", "is not a date"),
    (Plan, "title", "CAST(x'ff41' AS TEXT)", "is not text"),
    (Plan, "title", "x'41'", "is not text"),
    (Plan, "preferences", "'{broken'", "is not a JSON object or list"),
    (Plan, "preferences", "'\"text\"'", "is not a JSON object or list"),
    (Plan, "activities", f"'{'[' * 40}{']' * 40}'", "is nested deeper than 31 levels"),
    (Plan, "activities", f"'{LONG}'", "is not JSON that can be read"),
    (User, "is_active", "'maybe'", "is not true or false"),
    (User, "updated_at", "''", "is missing"),  # sqlite3 takes an empty text for null
    (ApiUsage, "status_code", "'many'", "is not a whole number"),
    (ApiUsage, "status_code", "5.5", "is not a whole number"),
    (ApiUsage, "response_time_ms", "9e999", "is not a number"),
    (ApiUsage, "response_time_ms", "'fast'", "is not a number"),
    (PerformanceMetric, "capacity", "'much'", "is not a decimal number"),
    (Colleague, "date_joined", "'once'", "is not a date"),
)  # fmt: skip


@pytest.fixture
def records(db: None) -> None:
    fill()


def spoil(record: models.Model, column: str, sql: str) -> None:
    """Give a row this value, past all checks."""
    table = connection.ops.quote_name(record._meta.db_table)
    key = connection.ops.quote_name(str(record._meta.pk.column))
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = ON")
        cursor.execute(f'UPDATE {table} SET "{column}" = {sql} WHERE {key} = %s', [record.pk])


def listed(client: Client, model: type[models.Model]) -> Any:
    response = client.get(page("changelist", model))
    assert response.status_code == 200
    return response.context["cl"]


def repair_page(client: Client, record: models.Model) -> str:
    """Where all pages of an unreadable record lead."""
    pages = [page(kind, type(record), record) for kind in ("change", "delete", "history")]
    (url,) = {client.get(each)["Location"] for each in pages}
    return str(url)


def named(value: Any) -> str:
    return str(getattr(value, "__name__", value))[:24]


@pytest.mark.parametrize(("model", "column", "sql", "why"), BROKEN, ids=named)
def test_the_list_shows_which_row_cannot_be_read_and_why_beside_all_others(
    admin_client: Client, records: None, model: type[models.Model], column: str, sql: str, why: str
) -> None:
    Colleague.objects.create_user("another")
    before = listed(admin_client, model)
    record = next(each for each in before.result_list if str(each) != "admin")
    spoil(record, column, sql)
    changes = listed(admin_client, model)
    ((row, url),) = changes.unreadable
    assert (row.key, dict(row.why)) == (str(record.pk), {column: why})
    assert changes.result_count == before.result_count
    assert record not in changes.result_list
    assert url == repair_page(admin_client, record)
    assert admin_client.get(url).status_code == 200


def test_json_that_is_deeper_than_python_goes_is_shown_too(
    admin_client: Client, records: None
) -> None:
    plan = Plan.objects.first()
    spoil(plan, "activities", f"'{DEEP}'")
    ((row, url),) = listed(admin_client, Plan).unreadable
    assert set(row.why) == {"activities"}, "by Python's version it reads no further or DynamoDB not"
    assert "[[[[" in admin_client.get(url).content.decode()


def test_a_broken_date_is_repaired_where_it_is_shown(admin_client: Client, records: None) -> None:
    plan = Plan.objects.first()
    before = stored(plan)
    spoil(plan, "created_at", "'the day <b>before</b>'")
    url = repair_page(admin_client, plan)
    text = admin_client.get(url).content.decode()
    assert "the day &lt;b&gt;before&lt;/b&gt;" in text
    assert plan.title not in text, "nothing else of the row is shown"
    form = untouched(admin_client, url)
    assert form["created_at_0"] == "", "no default passes for what it was"
    refused = admin_client.post(url, {**form, "created_at_0": "2026-02-31", "created_at_1": "8:00"})
    assert "created_at" in refused.context["form"].errors
    saved = {**form, "created_at_0": "2026-01-02", "created_at_1": "03:04:05"}
    assert admin_client.post(url, saved)["Location"] == page("change", Plan, plan)
    after = stored(plan)
    assert after["created_at"] == dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert after["updated_at"] > before["updated_at"]
    assert {name for name in after if after[name] != before[name]} == {"created_at", "updated_at"}
    entry = LogEntry.objects.get()
    assert entry.object_id == plan.pk and "created_at" in entry.get_change_message()
    assert not listed(admin_client, Plan).unreadable
    there = admin_client.get(url)
    assert there["Location"] == page("change", Plan, plan), "there is nothing to repair any more"


def test_several_columns_are_repaired_together_and_only_as_a_record_may_be(
    admin_client: Client, records: None
) -> None:
    plan = Plan.objects.first()
    spoil(plan, "preferences", "'{'")
    spoil(plan, "status", "x'00'")
    url = repair_page(admin_client, plan)
    form = untouched(admin_client, url)
    for preferences in ("5", "[" * 5000, f"[{'9' * 5000}]", '{"a": "\\u0000"}'):
        answer = admin_client.post(url, {**form, "status": "active", "preferences": preferences})
        assert answer.status_code == 200 and answer.context["form"].errors, preferences[:20]
        assert repair_page(admin_client, plan) == url
    admin_client.post(url, {**form, "status": "active", "preferences": '{"a": 1}'})
    plan.refresh_from_db()
    assert (plan.status, plan.preferences) == ("active", {"a": 1})


def test_what_changed_since_it_was_shown_is_not_written_over(
    admin_client: Client, records: None
) -> None:
    plan = Plan.objects.first()
    spoil(plan, "created_at", "'one thing'")
    url = repair_page(admin_client, plan)
    form = {**untouched(admin_client, url), "created_at_0": "2026-01-02", "created_at_1": "03:04"}
    spoil(plan, "created_at", "'another'")
    answer = admin_client.post(url, form)
    assert answer.context["form"].errors["seen"]
    assert "another" in answer.content.decode()


def test_a_key_that_is_made_of_what_is_repaired_follows_it(
    admin_client: Client, records: None
) -> None:
    at = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    RateLimit.objects.all().delete()
    made = {"limit": 5, "window_seconds": 60, "expires_at": at}
    broken, other = (
        RateLimit.objects.create(identifier="ip", window_start=at.replace(day=day), **made)
        for day in (1, 2)
    )
    spoil(broken, "window_start", "'soon'")
    url = repair_page(admin_client, broken)
    form = {**untouched(admin_client, url), "window_start_1": "0:00"}
    taken = admin_client.post(url, {**form, "window_start_0": "2026-01-02"})
    assert "Another record has this key" in str(taken.context["form"].errors)
    admin_client.post(url, {**form, "window_start_0": "2026-01-03"})
    keys = [each.key for each in RateLimit.objects.order_by("key")]
    assert keys == [other.key, "ip/2026-01-03T00:00:00.000000Z"]


def test_a_row_whose_key_is_no_text_is_found_by_its_place(
    admin_client: Client, records: None
) -> None:
    user = User.objects.first()
    spoil(user, "id", "CAST(x'ff0a41' AS TEXT)")
    ((row, url),) = listed(admin_client, User).unreadable
    assert row.key == "\\xff\nA" and dict(row.why) == {"id": "is not text"}
    admin_client.post(url, {**untouched(admin_client, url), "id": "user-1"})
    assert User.objects.get(pk="user-1").email == user.email


def test_a_secret_that_cannot_be_read_is_not_shown_either(
    admin_client: Client, records: None
) -> None:
    key = ApiKey.objects.first()
    spoil(key, "key_hash", "x'68756e746572'")  # "hunter"
    spoil(key, "created_at", "'token=f00dfeedf00dfeed'")
    url = repair_page(admin_client, key)
    answer = admin_client.get(url)
    text = answer.content.decode()
    assert "a secret, never shown" in text and "token=" in text
    assert "hunter" not in text and "68756e" not in text and "f00d" not in text
    assert "key_hash" not in answer.context["form"].fields
    form = {**untouched(admin_client, url), "created_at_0": "2026-01-02", "created_at_1": "03:04"}
    assert admin_client.post(url, {**form, "key_hash": "mine"})["Location"] == url
    ((row, _),) = listed(admin_client, ApiKey).unreadable
    assert set(row.why) == {"key_hash"}


@pytest.mark.parametrize(("model", "column"), [
    (AuditLog, "timestamp"), (DeadLetter, "created_at"), (MigrationRun, "started_at"),
], ids=named)  # fmt: skip
def test_what_nobody_may_change_is_shown_and_not_repaired(
    admin_client: Client, records: None, model: type[models.Model], column: str
) -> None:
    record = model._default_manager.first()
    spoil(record, column, "'long ago'")
    url = repair_page(admin_client, record)
    answer = admin_client.get(url)
    assert "long ago" in answer.content.decode() and not answer.context["can_repair"]
    forged = {"seen": answer.context["form"]["seen"].value(), f"{column}_0": "2026-01-02"}
    assert admin_client.post(url, {**forged, f"{column}_1": "0:00"}).status_code == 403
    assert len(listed(admin_client, model).unreadable) == 1


def test_a_dead_letters_row_is_never_shown_raw(admin_client: Client, records: None) -> None:
    letter = DeadLetter.objects.get()
    spoil(letter, "created_at", "'x'")
    spoil(letter, "row", "'[1'")
    with connection.cursor() as cursor:  # as DeadLetter's decoder would have it
        cursor.execute("UPDATE dbcore_deadletter SET row = CAST(x'ff' AS TEXT)")
    text = admin_client.get(repair_page(admin_client, letter)).content.decode()
    assert "a secret, never shown" in text and "xff" not in text


def test_who_may_only_look_looks_and_who_may_not_is_refused(
    client: Client, records: None, django_user_model: Any, admin_client: Client
) -> None:
    plan = Plan.objects.first()
    spoil(plan, "created_at", "'long ago'")
    url = repair_page(admin_client, plan)
    colleague = django_user_model.objects.create_user("colleague", password="x", is_staff=True)
    client = Client()
    client.force_login(colleague)
    assert client.get(url).status_code == 403
    colleague.user_permissions.set(AuthPermission.objects.filter(codename="view_plan"))
    answer = client.get(url)
    assert "long ago" in answer.content.decode() and not answer.context["can_repair"]
    assert client.post(url, {"created_at_0": "2026-01-02"}).status_code == 403
    client.logout()
    assert "/admin/login/" in client.get(url)["Location"]


@pytest.mark.parametrize("place", ["0", "-1", "99999999", "9" * 5000, "abc", "٣", "1.5"])
def test_where_no_row_is_there_is_no_page(admin_client: Client, records: None, place: str) -> None:
    assert admin_client.get(f"{page('changelist', Plan)}unreadable/{place}/").status_code == 404


def test_an_action_on_all_does_nothing_while_one_cannot_be_read(
    admin_client: Client, records: None
) -> None:
    role, count = Role.objects.first(), Role.objects.count()
    others = list(Role.objects.exclude(pk=role.pk).values_list("pk", flat=True))
    spoil(role, "created_at", "'x'")
    form = {"action": "delete_selected", "_selected_action": others, "post": "yes"}
    url = page("changelist", Role)
    answer = admin_client.post(url, {**form, "select_across": "1"}, follow=True)
    assert "cannot be read: nothing has been changed" in answer.content.decode()
    assert Role.objects.count() == count
    admin_client.post(url, {**form, "select_across": "0"})
    assert list(Role.objects.values_list("pk", flat=True)) == [role.pk]


def test_what_leads_to_an_unreadable_record_is_still_shown(
    admin_client: Client, records: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "run_checks", lambda **_: [])
    spoil(MigrationRun.objects.get(), "started_at", "'x'")
    spoil(Sweep.objects.get(), "started_at", "'x'")
    for record in (DeadLetter.objects.get(), Archive.objects.get()):
        assert admin_client.get(page("change", type(record), record)).status_code == 200
    spoil(AlertState.objects.get(), "since", "'x'")
    answer = admin_client.get("/admin/database/")
    assert "alerts that cannot be read" in answer.content.decode()


@pytest.mark.parametrize("roles", ["5", "null", '{"a": 1}', '["\\ud800", 5, null]', "[]"])
def test_json_of_another_shape_is_shown_as_it_is(
    admin_client: Client, records: None, roles: str
) -> None:
    spoil(Role.objects.first(), "inherited_roles", f"'{roles}'")
    assert not listed(admin_client, Role).unreadable


def test_on_postgresql_dates_that_python_has_not_and_numbers_that_it_does_not_read(
    postgresql_tables: None,
) -> None:
    fill()
    client = Client()
    client.force_login(Colleague.objects.create_superuser("boss", password="x"))
    plans = list(Plan.objects.all()[:4])
    broken = (
        ("created_at", "'12026-01-01 00:00:00+00'", "is not a date"),
        ("updated_at", "'infinity'", "is not a date"),
        ("start_time", "'0044-03-15 00:00:00+00 BC'", "is not a date"),
        ("preferences", f"'{LONG}'", "is not JSON that can be read"),
    )
    for plan, (column, sql, why) in zip(plans, broken, strict=True):
        spoil(plan, column, sql)
        rows = {row.key: dict(row.why) for row, _ in listed(client, Plan).unreadable}
        assert rows[plan.pk] == {column: why}
    assert len(rows) == 4
    spoil(metric := PerformanceMetric.objects.first(), "capacity", "'NaN'")
    assert repair_page(client, metric)
    url = repair_page(client, plans[0])
    assert "12026-01-01" in client.get(url).content.decode()
    form = {**untouched(client, url), "created_at_0": "2026-01-02", "created_at_1": "03:04"}
    assert client.post(url, form)["Location"] == page("change", Plan, plans[0])
    assert client.get(f"{page('changelist', DeadLetter)}unreadable/abc/").status_code == 404
