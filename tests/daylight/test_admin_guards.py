"""What the admin must refuse: secrets on a page, changes to what is only to be read, another
record's key, values that DynamoDB could not keep.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.hashers import check_password, is_password_usable
from django.contrib.auth.models import Permission as AuthPermission
from django.contrib.contenttypes.models import ContentType
from django.db import connections, models
from django.test import Client

from daylight.admin import lists
from daylight.models import (
    ApiKey,
    AuditLog,
    AuthSession,
    LocationHistory,
    Plan,
    UsageAnalytics,
    User,
    UserSession,
)
from daylight.services.api_keys import REVOKED, api_key_service
from daylight.trail import pages
from dbcore.items import layout_of
from dbcore.models import Checkpoint, DeadLetter, MigrationRun
from dbcore.schema import storage_models
from dbcore.stores.choice import primary_store
from tests.daylight.admin_pages import fill, found, page, stored, untouched
from tests.support.postgres import Postgres

VIEW_ONLY = [AuditLog, MigrationRun, Checkpoint, DeadLetter]


@pytest.fixture
def records(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    fill()
    # Whoever looks at the audit trail adds to it, while a test counts what is there.
    monkeypatch.setattr(pages, "tell", lambda *_, **__: None)


def test_the_key_of_a_record_cannot_be_changed(admin_client: Client, records: None) -> None:
    plan = Plan.objects.first()
    url = page("change", Plan, plan)
    admin_client.post(url, {**untouched(admin_client, url), "user_id": "other", "id": "other"})
    assert not Plan.objects.filter(user_id="other").exists()
    assert Plan.objects.filter(pk=plan.pk, user_id=plan.user_id, id=plan.id).exists()


def test_a_record_added_under_a_taken_key_is_refused_and_overwrites_nothing(
    admin_client: Client, records: None
) -> None:
    plan = Plan.objects.first()
    before, url = stored(plan), page("add", Plan)
    form = {**untouched(admin_client, url), "user_id": plan.user_id, "id": plan.id, "title": "x"}
    response = admin_client.post(url, form)
    assert "id" in response.context["adminform"].form.errors
    assert stored(plan) == before


@pytest.mark.parametrize("text", ["5", '"text"', "NaN", '{"n": 1e999}', '["\\ud800"]', "[" * 40])
def test_json_that_dynamodb_could_not_keep_is_refused(
    admin_client: Client, records: None, text: str
) -> None:
    plan = Plan.objects.first()
    before, url = stored(plan), page("change", Plan, plan)
    text += "]" * text.count("[[") * 2
    response = admin_client.post(url, {**untouched(admin_client, url), "preferences": text})
    assert response.status_code == 200
    assert response.context["adminform"].form.errors
    assert stored(plan) == before


def test_a_new_user_cannot_sign_in_until_a_password_is_set(admin_client: Client, db: None) -> None:
    url = page("add", User)
    form = {**untouched(admin_client, url), "email": "neu@example.org", "password_hash": "chosen"}
    assert admin_client.post(url, form).status_code == 302
    user = User.objects.get()
    assert not is_password_usable(user.password_hash)
    assert not check_password("chosen", user.password_hash)


@pytest.mark.parametrize(
    ("model", "field"),
    [(each, field) for each in storage_models() for field in layout_of(each).table.secret],
    ids=str,
)
def test_a_hash_is_on_no_page_and_cannot_be_searched(
    admin_client: Client, records: None, model: type[models.Model], field: str
) -> None:
    record = model._default_manager.first()
    secret = getattr(record, field)
    urls = [page("changelist", model), f"{page('changelist', model)}?all="]
    urls += [page(kind, model, record) for kind in ("change", "history", "delete")]
    for url in urls:
        text = admin_client.get(url).content.decode()
        assert secret[-12:] not in text
        assert secret[:20] not in text
    assert "set (never shown)" in admin_client.get(page("change", model, record)).content.decode()
    assert not found(admin_client, model, {"q": secret})
    guess = {f"{field}__startswith": secret[0]}
    assert admin_client.get(page("changelist", model), guess).status_code == 400
    url = page("change", model, record)
    admin_client.post(url, {**untouched(admin_client, url), field: "mine"})
    assert stored(record)[field] == secret


def test_what_a_table_declares_secret_is_hidden_by_that_alone(
    admin_client: Client, records: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = layout_of(Plan)
    monkeypatch.setattr(layout, "table", replace(layout.table, secret=("title", "status")))
    plan = Plan.objects.first()
    assert plan is not None
    Plan.objects.filter(pk=plan.pk).update(title="Elderberry")
    urls = [page("changelist", Plan), page("change", Plan, plan)]
    texts = [admin_client.get(url).content.decode() for url in urls]
    assert all("set (never shown)" in text for text in texts)
    assert "Elderberry" not in admin_client.get(urls[1]).context["adminform"].form.as_p()
    assert 'name="title"' not in texts[1]
    assert "By status" not in texts[0]
    assert not found(admin_client, Plan, {"q": "Elderberry"})
    for guess in ("title__startswith", "status__exact", "title"):
        assert admin_client.get(urls[0], {guess: "E"}).status_code == 400
    ordered = [each.pk for each in found(admin_client, Plan, {"o": "1"})]
    assert ordered == [each.pk for each in found(admin_client, Plan, {"o": "-1"})]


@pytest.mark.parametrize("who", ["viewer", "superuser"])
def test_a_dead_letter_shows_no_secret_on_any_page_and_answers_no_question_about_its_row(
    client: Client, records: None, django_user_model: Any, who: str
) -> None:
    letter = DeadLetter.objects.get()
    row = {"id": "u-1", "password_hash": "pbkdf2$s1cr3t", "passwordHash": "pbkdf2$s1cr3t",
           "reset_token": "s1cr3t", "notes": '{"api_key": "s1cr3t", "n": 7}'}  # fmt: skip
    DeadLetter.objects.filter(pk=letter.pk).update(row=row)
    user = django_user_model.objects.create_user(who, password="x", is_staff=True)
    user.is_superuser = who == "superuser"
    user.save()
    user.user_permissions.set(AuthPermission.objects.filter(codename="view_deadletter"))
    client.force_login(user)
    lists = page("changelist", DeadLetter)
    for url in (lists, f"{lists}?q=u-1", page("change", DeadLetter, letter),
                page("history", DeadLetter, letter)):  # fmt: skip
        text = client.get(url).content.decode()
        assert "s1cr3t" not in text
    shown = client.get(page("change", DeadLetter, letter)).content.decode()
    assert "&quot;password_hash&quot;: &quot;(withheld)&quot;" in shown
    assert "u-1" in shown
    assert "n\\&quot;: 7" in shown
    assert not found(client, DeadLetter, {"q": "s1cr3t"})
    for guess in ("row__password_hash__startswith", "row__contains", "row__has_key", "row",
                  "row__icontains", "row__notes__contains"):  # fmt: skip
        assert client.get(lists, {guess: '{"id": "u-1"}'}).status_code == 400
    assert DeadLetter.objects.get().row == row, "kept whole"


@pytest.mark.parametrize("model", VIEW_ONLY, ids=lambda m: m.__name__)
def test_even_a_superuser_only_reads_the_audit_trail_and_the_book_keeping(
    admin_client: Client, records: None, model: type[models.Model]
) -> None:
    record = model._default_manager.first()
    before, count = stored(record), model._default_manager.count()
    url = page("change", model, record)
    assert admin_client.post(url, {"resource": "x", "reason": "x", "error": "x"}).status_code == 403
    assert admin_client.post(page("delete", model, record), {"post": "yes"}).status_code == 403
    assert admin_client.get(page("add", model)).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [record.pk], "post": "yes"}
    admin_client.post(page("changelist", model), chosen)
    assert model._default_manager.count() == count
    assert stored(record) == before


def test_an_api_key_is_neither_made_nor_deleted_here(admin_client: Client, records: None) -> None:
    key = ApiKey.objects.first()
    assert admin_client.get(page("add", ApiKey)).status_code == 403
    assert admin_client.post(page("delete", ApiKey, key), {"post": "yes"}).status_code == 403
    assert ApiKey.objects.filter(pk=key.pk).exists()


def test_a_revoked_api_key_stays_revoked_whatever_form_was_open_before(
    admin_client: Client, records: None
) -> None:
    key = ApiKey.objects.filter(status="active").first()
    url = page("change", ApiKey, key)
    form = untouched(admin_client, url)
    assert form["status"] == "active"
    primary_store().update(ApiKey, {"id": key.pk}, {"status": "revoked"})
    for status in ("active", "suspended"):
        answer = admin_client.post(url, {**form, "status": status, "name": f"was {status}"})
        assert answer.status_code == 302
        assert ApiKey.objects.get(pk=key.pk).status == "revoked"
        assert ApiKey.objects.get(pk=key.pk).name == f"was {status}", "what else it has may change"
    assert "status" not in untouched(admin_client, url)


@pytest.fixture
def other_content_types() -> Iterator[None]:
    """Those of the database that is Django's default for this test."""
    ContentType.objects.clear_cache()
    yield
    ContentType.objects.clear_cache()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("postgresql_tables", "other_content_types")
def test_one_that_is_revoked_while_a_form_is_being_saved_is_revoked(
    postgres: Postgres, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, key = _issued()
    url = page("change", ApiKey, key)
    form = {**untouched(admin_client, url), "name": "other"}
    usual = ApiKey.save

    def revoke() -> None:
        try:
            primary_store().update(ApiKey, {"id": key.pk}, REVOKED)
        finally:
            connections.close_all()

    revoking = threading.Thread(target=revoke)

    def save(record: ApiKey, **given: Any) -> None:
        if threading.current_thread() is not revoking:
            revoking.start()
            with postgres.connect("daylight") as other:
                while revoking.is_alive() and not _waits(other):
                    time.sleep(0.01)
        usual(record, **given)

    monkeypatch.setattr(ApiKey, "save", save)
    assert admin_client.post(url, form).status_code == 302
    revoking.join(30)
    found = ApiKey.objects.get()
    assert (found.name, found.status) == ("other", "revoked")


def _issued() -> tuple[str, ApiKey]:
    User.objects.create(id="ana", email="ana@example.org", password_hash="x")
    return api_key_service.issue("ana", "CI")


def _waits(connection: Any) -> bool:
    """Whether somebody waits for a lock."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return bool(connection.execute(asked).fetchone()[0])


@pytest.mark.parametrize("model", [UserSession, AuthSession], ids=lambda m: m.__name__)
def test_a_session_is_ended_here_and_neither_begun_nor_given_to_another(
    admin_client: Client, records: None, model: type[models.Model]
) -> None:
    session = model._default_manager.first()
    before, url = stored(session), page("change", model, session)
    assert admin_client.get(page("add", model)).status_code == 403
    form = {"session_id": "ab" * 32, "id": "ab" * 32, "user_id": "me", "expires_at_0": "2030-01-01"}
    assert admin_client.post(page("add", model), form).status_code == 403
    assert admin_client.post(url, form).status_code == 403
    assert stored(session) == before
    assert admin_client.get(url).status_code == 200
    assert admin_client.post(page("delete", model, session), {"post": "yes"}).status_code == 302
    assert not model._default_manager.filter(pk=session.pk).exists()


def test_an_id_that_a_device_bears_can_be_typed_into_no_record(
    admin_client: Client, records: None
) -> None:
    event = UsageAnalytics.objects.first()
    before, url = stored(event), page("change", UsageAnalytics, event)
    borne = "ds_" + "x" * 43
    answer = admin_client.post(url, {**untouched(admin_client, url), "session_id": borne})
    assert "session_id" in answer.context["adminform"].form.errors
    assert stored(event) == before


def test_a_large_table_says_that_it_counted_no_further_and_offers_no_mass_deletion(
    admin_client: Client, records: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "COUNT_LIMIT", 55)
    response = admin_client.get(page("changelist", LocationHistory))
    assert "over 55" in response.content.decode()
    assert "delete_selected" not in response.content.decode()
    assert len(response.context["cl"].result_list) == 50
    last = admin_client.get(page("changelist", LocationHistory), {"p": 2})
    assert len(last.context["cl"].result_list) == 5
    few = admin_client.get(page("changelist", LocationHistory), {"activity": ""})
    assert "over 55" not in few.content.decode()


def test_a_colleague_who_may_only_view_reads_indented_json_and_saves_nothing(
    client: Client, records: None, django_user_model: Any
) -> None:
    colleague = django_user_model.objects.create_user("colleague", password="x", is_staff=True)
    colleague.user_permissions.set(AuthPermission.objects.filter(codename="view_plan"))
    client.force_login(colleague)
    plan = Plan.objects.exclude(preferences={}).first()
    before, url = stored(plan), page("change", Plan, plan)
    assert "{\n  &quot;weather&quot;: {\n" in client.get(url).content.decode()
    assert client.post(url, {"title": "mine"}).status_code == 403
    assert stored(plan) == before
    assert client.get(page("changelist", User)).status_code == 403
