"""The admin's lists and pages over all models. A list must find what is there, and a page must
never change what nobody changed in it.
"""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib import admin
from django.db import models
from django.test import Client
from django.utils import timezone

from daylight.admin import lists
from daylight.admin.base import LargeTableAdmin
from daylight.models import AuditLog, AuthSession, ErrorLog, Plan, RateLimit, UserSession
from daylight.trail import pages
from dbcore.items import layout_of
from dbcore.models import (
    AlertDelivery,
    AlertState,
    Archive,
    Checkpoint,
    DeadLetter,
    LegalHold,
    MigrationRun,
    RestoredRecord,
    Sweep,
)
from dbcore.stores import lookups
from tests.daylight.admin_pages import RECORDS, REGISTERED, fill, found, page, stored, untouched

EDITABLE = [model for model in RECORDS if model not in (AuditLog, AuthSession, UserSession)]
EXPIRING = [model for model in RECORDS if model.storage.expires]  # type: ignore[attr-defined]

every_model = pytest.mark.parametrize("model", list(REGISTERED), ids=lambda m: m.__name__)


@pytest.fixture
def records(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    fill()
    # Whoever looks at the audit trail adds to it, while a test counts what is there.
    monkeypatch.setattr(pages, "tell", lambda *_, **__: None)


def test_every_table_and_all_book_keeping_is_registered() -> None:
    assert len(RECORDS) == 19
    assert len(REGISTERED) == 31


@every_model
def test_the_list_opens_and_shows_every_column(
    admin_client: Client, records: None, model: type[models.Model]
) -> None:
    response = admin_client.get(page("changelist", model))
    changes = response.context["cl"]
    assert changes.result_count == model._default_manager.count() > 0
    assert b"Daylight" in response.content
    row = response.content.decode().split("<tbody>")[1].split("</tr>")[0]
    for column in REGISTERED[model].get_list_display(response.wsgi_request):
        assert f'class="field-{column}' in row or f" field-{column}" in row


@every_model
def test_every_search_field_finds_its_record(
    admin_client: Client, records: None, model: type[models.Model]
) -> None:
    fields = REGISTERED[model].get_search_fields(admin_client.get("/admin/").wsgi_request)
    assert fields or model is Checkpoint
    for field in fields:
        attribute = field.partition("__")[0]
        record = next(r for r in model._default_manager.all() if getattr(r, attribute))
        value = getattr(record, attribute)
        term = value.pk if isinstance(value, models.Model) else str(value)
        assert record in found(admin_client, model, {"q": term}), field
    assert not found(admin_client, model, {"q": "no such text anywhere"})


@every_model
def test_every_choice_of_every_filter_opens_and_the_values_of_one_add_up(
    admin_client: Client, records: None, model: type[models.Model]
) -> None:
    changes = admin_client.get(page("changelist", model)).context["cl"]
    for spec in changes.filter_specs:
        counts = []
        for choice in list(spec.choices(changes)):
            response = admin_client.get(page("changelist", model) + choice["query_string"])
            assert response.status_code == 200, choice
            counts.append(response.context["cl"].result_count)
        assert counts[0] == changes.result_count, "the first choice is All"
        if not isinstance(spec, admin.DateFieldListFilter):
            # Every record has exactly one value: none is lost, none is in two choices.
            assert sum(counts[1:]) == counts[0], spec.title


@every_model
def test_the_date_hierarchy_leads_down_to_a_record(
    admin_client: Client, records: None, model: type[models.Model]
) -> None:
    model_admin = REGISTERED[model]
    name = model_admin.date_hierarchy
    if name is None:
        assert isinstance(model_admin, LargeTableAdmin)
        return
    record = model._default_manager.first()
    at: dt.datetime = getattr(record, name)
    steps = {f"{name}__year": at.year, f"{name}__month": at.month, f"{name}__day": at.day}
    for depth in (1, 2, 3):
        query = dict(list(steps.items())[:depth])
        assert record in found(admin_client, model, query)
    elsewhere = found(admin_client, model, {f"{name}__year": at.year + 1})
    assert record not in elsewhere


@every_model
def test_a_record_opens_with_its_key_in_the_page(
    admin_client: Client, records: None, model: type[models.Model]
) -> None:
    for record in model._default_manager.all()[:3]:
        for kind in ("change", "history"):
            response = admin_client.get(page(kind, model, record))
            assert response.status_code == 200


@pytest.mark.parametrize("model", EDITABLE, ids=lambda m: m.__name__)
def test_saving_a_page_that_nobody_touched_changes_nothing(
    admin_client: Client, records: None, model: type[models.Model]
) -> None:
    for record in model._default_manager.all()[:5]:
        before, url = stored(record), page("change", model, record)
        response = admin_client.post(url, untouched(admin_client, url))
        assert response.status_code == 302, response.context["adminform"].form.errors
        assert stored(record) == before
    assert model._default_manager.count() == model._default_manager.values("pk").distinct().count()


def test_changing_the_title_of_a_plan_changes_that_and_when_it_was_updated(
    admin_client: Client, records: None
) -> None:
    plan = Plan.objects.exclude(start_time=None).first()
    Plan.objects.filter(pk=plan.pk).update(description="two\nlines ")
    before, url = stored(plan), page("change", Plan, plan)
    response = admin_client.post(url, {**untouched(admin_client, url), "title": "Anders"})
    assert response.status_code == 302
    after = stored(plan)
    assert {name for name in after if after[name] != before[name]} == {"title", "updated_at"}
    assert after["title"] == "Anders"
    assert after["updated_at"] > before["updated_at"]


def test_a_plan_is_added_with_its_joined_key_and_opens(admin_client: Client, db: None) -> None:
    url = page("add", Plan)
    form = {**untouched(admin_client, url), "user_id": "a/b%", "title": "Neu"}
    response = admin_client.post(url, {**form, "_continue": "1", "activities": ""})
    plan = Plan.objects.get()
    assert response.status_code == 302
    assert response["Location"] == page("change", Plan, plan)
    assert plan.key == f"a%2Fb%25/{plan.id}"
    assert plan.id == form["id"]
    assert plan.activities == []
    assert plan.location is None
    assert admin_client.get(response["Location"]).status_code == 200


def test_a_rate_limit_is_added_and_saved_again(admin_client: Client, db: None) -> None:
    form = {
        "identifier": "ip/203.0.113.9",
        "window_start_0": "2026-11-22",
        "window_start_1": "08:00:00",
        "count": "3",
        "limit": "100",
        "window_seconds": "60",
        "expires_at_0": "2026-11-22",
        "expires_at_1": "08:02:00",
    }
    assert admin_client.post(page("add", RateLimit), form).status_code == 302
    record = RateLimit.objects.get()
    assert record.key == "ip%2F203.0.113.9/2026-11-22T08:00:00.000000Z"
    url = page("change", RateLimit, record)
    admin_client.post(url, {**untouched(admin_client, url), "count": "4"})
    assert [each.count for each in RateLimit.objects.all()] == [4]


@pytest.mark.parametrize("model", EXPIRING, ids=lambda m: m.__name__)
def test_the_expiry_filter_and_the_live_column_agree(
    admin_client: Client, records: None, model: type[models.Model]
) -> None:
    now = timezone.now()
    live = found(admin_client, model, {"expiry": "live"})
    expired = found(admin_client, model, {"expiry": "expired"})
    assert all(lists.is_live(record, now) for record in live)
    assert not any(lists.is_live(record, now) for record in expired)
    assert len(live) + len(expired) == model._default_manager.count()


def test_a_record_expires_in_the_second_of_its_deadline(db: None) -> None:
    deadline = dt.datetime(2026, 11, 22, 8, 0, 0, 900_000, tzinfo=dt.UTC)
    at = {"identifier": "i", "window_start": deadline, "limit": 1, "window_seconds": 1}
    record = RateLimit.objects.create(**at, expires_at=deadline)
    for seconds, is_live in ((-1, True), (-0.9, False), (-0.5, False), (1, False)):
        now = deadline + dt.timedelta(seconds=seconds)
        assert lists.is_live(record, now) is is_live
        condition = lookups.live(layout_of(RateLimit), now)
        assert RateLimit.objects.filter(condition).exists() is is_live
        assert RateLimit.objects.exclude(condition).exists() is not is_live


def test_a_sweep_leads_to_its_archives_and_an_archive_shows_no_digests(
    admin_client: Client, records: None
) -> None:
    sweep, archive = Sweep.objects.get(), Archive.objects.get()
    Archive.objects.create(table="users", object_name="users/1", target="sqlite", store="orm")
    listed = admin_client.get(page("changelist", Sweep)).content.decode()
    assert f'?sweep__id__exact={sweep.pk}">1</a>' in listed
    assert found(admin_client, Archive, {"sweep__id__exact": sweep.pk}) == [archive]
    text = admin_client.get(page("change", Archive, archive)).content.decode()
    assert "&quot;count&quot;: 2" in text and "AAECAwQFBgc=" not in text
    restored = admin_client.get(page("changelist", RestoredRecord)).content.decode()
    assert page("change", Archive, archive) in restored


def test_holds_in_force_are_told_from_those_that_have_ended(
    admin_client: Client, records: None
) -> None:
    standing = LegalHold.objects.get()
    now = timezone.now()
    lifted = LegalHold.objects.create(scope="user", subject="u", lifted_at=now)
    over = LegalHold.objects.create(scope="user", subject="u", until=now)
    assert set(found(admin_client, LegalHold, {"state": "in_force"})) == {standing}
    assert set(found(admin_client, LegalHold, {"state": "ended"})) == {lifted, over}


def test_an_alert_leads_to_what_was_told_of_it_and_to_nothing_else(
    admin_client: Client, records: None
) -> None:
    delivery, now = AlertDelivery.objects.get(), timezone.now()
    AlertDelivery.objects.create(
        channel="slack", incident="incident-2", created_at=now, next_at=now, message={}
    )
    listed = admin_client.get(page("changelist", AlertState)).content.decode()
    assert "?incident__exact=incident-1" in listed
    assert "plans lacks its index &lt;b&gt;" in listed
    assert found(admin_client, AlertDelivery, {"incident__exact": "incident-1"}) == [delivery]
    told = admin_client.get(page("changelist", AlertDelivery)).content.decode()
    assert "unhealthy_check tables started" in told


def test_the_dead_letter_page_shows_the_whole_row_and_the_reason_as_text(
    admin_client: Client, records: None
) -> None:
    text = admin_client.get(page("change", DeadLetter, DeadLetter.objects.get())).content.decode()
    assert "email is &lt;b&gt;missing&lt;/b&gt;" in text
    assert "&quot;$bytes&quot;: &quot;AP8=&quot;" in text
    assert "\n  &quot;id&quot;: &quot;user_41&quot;," in text, "indented"
    assert "&quot;half&quot;: &quot;\\ud83d&quot;" in text, "half an emoji is not UTF-8"
    assert "<script>alert" not in text
    assert page("change", MigrationRun, MigrationRun.objects.get()) in text


def test_the_run_page_shows_its_report_as_tables_and_leads_to_its_dead_letters(
    admin_client: Client, records: None
) -> None:
    run = MigrationRun.objects.get()
    DeadLetter.objects.create(
        source="other", target="ddb", source_table="x", table="x", row_ref="1", key="k", row={}
    )
    text = admin_client.get(page("change", MigrationRun, run)).content.decode()
    assert "<th>dead lettered</th>" in text
    assert '<td>users</td><td class="db-number">12,345</td>' in text
    assert "&lt;i&gt;title&lt;/i&gt;" in text
    link = f"{page('changelist', DeadLetter)}?run__id__exact={run.pk}"
    assert f'href="{link}"' in text
    letters = admin_client.get(link).context["cl"].queryset
    assert [letter.key for letter in letters] == ["user_41"]


def test_selected_errors_are_marked_as_resolved_and_no_others(
    admin_client: Client, records: None
) -> None:
    ErrorLog.objects.update(resolved=False)
    chosen = ErrorLog.objects.all()[:2]
    form = {"action": "mark_resolved", "_selected_action": [each.pk for each in chosen]}
    admin_client.post(page("changelist", ErrorLog), form)
    assert set(ErrorLog.objects.filter(resolved=True)) == set(chosen)
    assert ErrorLog.objects.filter(resolved=False).exists()
