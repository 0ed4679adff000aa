"""What is shown and changed in the admin is in the audit trail: who, which record and whose it is,
and never what it says."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User as Colleague
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.urls import reverse

from daylight.models import ErrorLog, Plan, Role, User, UserProfile
from daylight.trail import entries
from daylight.trail.changes import Audited
from dbcore.local_engine import LocalEngine
from dbcore.models import DeadLetter
from dbcore.retention.erased import subject_of
from dbcore.table_sync import sync_tables
from tests.daylight.admin_pages import FormValues, page
from tests.daylight.signin.accounts import trail
from tests.daylight.test_admin_unreadable import repair_page, spoil


@pytest.fixture(params=["sqlite", "postgresql", "dynamodb"])
def boss(request: pytest.FixtureRequest, settings: Any) -> Client:
    """A colleague, with each store as the one that has the audit trail."""
    if request.param == "postgresql":
        request.getfixturevalue("postgresql_tables")
    else:
        request.getfixturevalue("transactional_db")
    if request.param == "dynamodb":
        engine: LocalEngine = request.getfixturevalue("dynamodb")
        assert engine.endpoint
        sync_tables()
    settings.DATABASE_PRIMARY = request.param
    ContentType.objects.clear_cache()  # of another database
    request.addfinalizer(ContentType.objects.clear_cache)
    client = Client(REMOTE_ADDR="198.51.100.7", headers={"user-agent": "Browser/1.0"})
    client.force_login(Colleague.objects.create_superuser("boss", password="x"))
    return client


def user(name: str, **given: Any) -> User:
    return User.objects.create(id=name, email=f"{name}@example.org", password_hash="x", **given)


def actor() -> str:
    return f"staff:{Colleague.objects.get().pk} boss"


def test_who_looks_at_a_users_record_is_told_with_whose_it_is_and_not_what_it_says(
    boss: Client,
) -> None:
    ana = user("ana")
    profile = UserProfile.objects.create(user_id="ana", first_name="Ana", last_name="Sommer")
    for model, record, resource in (
        (User, ana, "users/ana"),
        (UserProfile, profile, "user_profiles/ana"),
    ):
        answer = boss.get(page("change", model, record))
        entry = trail("view", "data_view")[-1]
        assert (entry.resource, entry.user_id, entry.actor) == (resource, "ana", actor())
        assert (entry.ip_address, entry.user_agent) == ("198.51.100.7", "Browser/1.0")
        assert entry.correlation_id == answer["X-Request-ID"]
        assert entry.session_id and entry.session_id not in boss.cookies["sessionid"].value
        assert not {"Ana", "Sommer", "ana@example.org"} & set(str(vars(entry)).split("'"))
    for kind in ("history", "delete"):
        boss.get(page(kind, User, ana))
    assert len([each for each in trail("view", "data_view") if each.resource == "users/ana"]) == 3


def test_a_list_is_told_once_with_whose_records_were_on_the_page(boss: Client) -> None:
    for name in ("ana", "bea"):
        user(name)
        for number in range(2):
            Plan.objects.create(user_id=name, id=f"{name}-{number}", title="secret title")
    url = page("changelist", Plan)
    boss.get(url, {"q": "secret", "status__exact": "draft"})
    boss.get(url)
    boss.get(url, {"q": "ana"})
    narrowed, everybody, alone = trail("list", "data_view")
    assert narrowed.details["by"] == ["q", "status__exact"] and "secret" not in str(vars(narrowed))
    assert (everybody.resource, everybody.user_id) == ("plans", None)
    assert everybody.details["records"] == 4
    assert set(everybody.details["subjects"]) == {subject_of(n)[:16] for n in ("ana", "bea")}
    assert (alone.user_id, alone.details["records"]) == ("ana", 2)


def test_a_row_that_cannot_be_read_is_told_of_with_whose_it_is(db: None) -> None:
    client = Client()
    client.force_login(Colleague.objects.create_superuser("boss", password="x"))
    plan, _ = [Plan.objects.create(user_id=name, id="p", title="Lake") for name in ("ana", "bea")]
    spoil(plan, "created_at", "'the day before'")
    spoil(plan, "preferences", "'{'")
    client.get(page("changelist", Plan))
    (listed,) = trail("list", "data_view")
    assert listed.details["records"] == 2
    assert set(listed.details["subjects"]) == {subject_of(n)[:16] for n in ("ana", "bea")}

    url = repair_page(client, plan)
    form = FormValues(client.get(url).content.decode()).values
    (viewed,) = trail("view", "data_view")
    assert (viewed.resource, viewed.user_id) == (f"plans/{plan.pk}", "ana")
    assert "the day before" not in str(vars(viewed))

    repaired = {**form, "created_at_0": "2026-01-02", "created_at_1": "03:04", "preferences": "{}"}
    assert client.post(url, repaired).status_code == 302
    (changed,) = trail("change", "data_change")
    assert (changed.resource, changed.user_id) == (f"plans/{plan.pk}", "ana")
    assert changed.details == {"fields": ["created_at", "preferences"]}


def test_what_is_changed_added_and_removed_is_told_before_it_counts(boss: Client) -> None:
    user("ana")
    plan = Plan.objects.create(user_id="ana", id="p", title="Lake")
    url = page("change", Plan, plan)
    form = FormValues(boss.get(url).content.decode()).values
    assert boss.post(url, {**form, "title": "Sea"}).status_code == 302
    (changed,) = trail("change", "data_change")
    assert (changed.resource, changed.user_id, changed.actor) == (
        f"plans/{plan.pk}",
        "ana",
        actor(),
    )
    assert changed.details == {"fields": ["Title"]} and "Sea" not in str(vars(changed))

    form = FormValues(boss.get(page("add", Role)).content.decode()).values
    assert boss.post(page("add", Role), {**form, "name": "planner"}).status_code == 302
    role = Role.objects.get()
    assert [each.resource for each in trail("add", "data_change")] == [f"roles/{role.pk}"]

    boss.post(page("delete", Plan, plan), {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": [role.pk], "post": "yes"}
    boss.post(page("changelist", Role), chosen)
    assert not Plan.objects.exists() and not Role.objects.exists()
    gone = trail("delete", "data_change")
    assert [each.resource for each in gone] == [f"plans/{plan.pk}", f"roles/{role.pk}"]
    assert {each.risk_level for each in gone} == {"high"}


def test_an_action_of_a_list_is_told_for_each_record_that_was_chosen(boss: Client) -> None:
    errors = [ErrorLog.objects.create(name="E", message="m", user_id="ana") for _ in range(3)]
    chosen = {"action": "mark_resolved", "_selected_action": [each.pk for each in errors[:2]]}
    boss.post(page("changelist", ErrorLog), chosen)
    assert ErrorLog.objects.filter(resolved=True).count() == 2
    told = trail("mark_resolved", "data_change")
    assert {each.resource for each in told} == {f"error_logs/{each.pk}" for each in errors[:2]}
    assert {each.user_id for each in told} == {"ana"}


def test_a_colleagues_account_and_the_books_are_told_of_like_records(boss: Client) -> None:
    guest = Colleague.objects.create_user("guest", password="x")
    url = reverse("admin:auth_user_change", args=[guest.pk])
    form = FormValues(boss.get(url).content.decode()).values
    boss.post(url, {**form, "is_staff": "on"})
    assert Colleague.objects.get(username="guest").is_staff
    entry = trail("change", "data_change")[-1]
    assert entry.resource == f"auth.user/{guest.pk}" and entry.details["fields"] == ["Staff status"]
    letter = DeadLetter.objects.create(
        source="s", target="t", source_table="users", table="users", row_ref="1", key="k", row={}
    )
    boss.get(page("change", DeadLetter, letter))
    assert trail("view", "data_view")[-1].resource == f"dbcore.deadletter/{letter.pk}"


def test_every_page_of_every_model_is_audited() -> None:
    assert all(isinstance(each, Audited) for each in admin.site._registry.values())
    assert Colleague in admin.site._registry


@pytest.fixture
def no_trail(request: pytest.FixtureRequest, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Afterwards the store has no audit trail any more."""

    def away() -> None:
        if settings.DATABASE_PRIMARY == "dynamodb":
            settings.DYNAMODB_ENDPOINT = "http://127.0.0.1:9"
            settings.DYNAMODB_DEADLINE = 0.5
            monkeypatch.setattr(entries, "PATIENCE", 0.1)
        else:
            _rename("audit_logs", "audit_logs_away")
            request.addfinalizer(lambda: _rename("audit_logs_away", "audit_logs"))

    return away


def _rename(one: str, other: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {one} RENAME TO {other}")


def test_without_the_audit_trail_pages_are_shown_and_nothing_is_changed(
    boss: Client, no_trail: Any, caplog: pytest.LogCaptureFixture
) -> None:
    role = Role.objects.create(name="planner")
    errors = [ErrorLog.objects.create(name="E", message="m") for _ in range(2)]
    guest = Colleague.objects.create_user("guest", password="earlier-than-this")
    password = {
        "usable_password": "true",
        **dict.fromkeys(("password1", "password2"), "later-horse-7"),
    }
    url = page("change", Role, role)
    form = FormValues(boss.get(url).content.decode()).values
    new = FormValues(boss.get(page("add", Role)).content.decode()).values
    no_trail()
    assert boss.get(url).status_code == 200
    assert boss.get(page("changelist", Role)).status_code == 200
    chosen: dict[str, Any] = {"_selected_action": [role.pk], "post": "yes"}
    marked = {"action": "mark_resolved", "_selected_action": [each.pk for each in errors]}
    answers = [
        boss.post(url, {**form, "name": "other"}),
        boss.post(page("add", Role), {**new, "name": "new"}),
        boss.post(page("delete", Role, role), {"post": "yes"}),
        boss.post(page("changelist", Role), {**chosen, "action": "delete_selected"}),
        boss.post(page("changelist", ErrorLog), marked),
        boss.post(reverse("admin:auth_user_password_change", args=[guest.pk]), password),
    ]
    assert {each.status_code for each in answers} == {503}
    assert all(b"Nothing was changed" in each.content for each in answers)
    assert list(Role.objects.values_list("name", flat=True)) == ["planner"]
    assert not ErrorLog.objects.filter(resolved=True).exists()
    guest.refresh_from_db()
    assert guest.check_password("earlier-than-this")
    lost = [each for each in caplog.records if each.message.startswith("audit trail lacks")]
    assert len(lost) == 9 and "planner" not in caplog.text
    client = Client()
    client.force_login(Colleague.objects.get(username="boss"))
    assert client.get("/admin/").status_code == 200, "nobody is kept from mending it"


def test_a_change_waits_no_longer_than_a_page_for_a_store_that_hangs(
    transactional_db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = Role.objects.create(name="planner")
    client = Client()
    client.force_login(Colleague.objects.create_superuser("boss", password="x"))
    form = FormValues(client.get(page("change", Role, role)).content.decode()).values
    answered = threading.Event()
    settings.DATABASE_PRIMARY = "dynamodb"
    monkeypatch.setattr(entries, "PATIENCE", 0.1)
    monkeypatch.setattr(entries.audit_service, "record", lambda entry: answered.wait(60))
    try:
        answer = client.post(page("change", Role, role), {**form, "name": "other"})
        assert answer.status_code == 503 and not answered.is_set()
    finally:
        answered.set()
    role.refresh_from_db()
    assert role.name == "planner"
