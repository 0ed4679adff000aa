"""Whatever is asked of the admin's lists and typed into its forms, it answers without a 500; what
made no sense is left out and said so, and its words are in no log.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.contrib.auth.models import User as Colleague
from django.test import Client
from hypothesis import HealthCheck, given, settings

from daylight.models import ApiUsage, ErrorLog, Plan, User, UserSession
from dbcore.admin import GuardedAdmin, ReadableAdmin
from dbcore.admin.guarded import NOT_HERE, NOT_SELECTED
from dbcore.models import AlertDelivery, DeadLetter
from dbcore.monitoring.lines.formatting import LineFormatter
from tests.daylight import odd_values
from tests.daylight.admin_pages import fill, found, page, stored, untouched

# Query strings; posted forms, of which each has up to eight odd values; selections in lists. On
# PostgreSQL, which refuses other values, a tenth of them.
LISTS, FORMS, SELECTIONS = 1400, 400, 200


@pytest.fixture
def boss(monkeypatch: pytest.MonkeyPatch, db: None) -> Client:
    return who_sees_all(monkeypatch)


@pytest.fixture(params=["sqlite", "postgresql"])
def boss_of(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Client:
    request.getfixturevalue("db" if request.param == "sqlite" else "postgresql_tables")
    return who_sees_all(monkeypatch)


def who_sees_all(monkeypatch: pytest.MonkeyPatch) -> Client:
    fill()
    # The frame of a page is the same whatever is asked, and takes half of its time.
    monkeypatch.setattr(admin.site, "enable_nav_sidebar", False)
    monkeypatch.setattr(admin.site, "get_app_list", lambda request, app_label=None: [])
    monkeypatch.setattr(ReadableAdmin, "list_per_page", 5)
    client = Client()
    client.force_login(Colleague.objects.create_superuser("boss", password="x"))
    return client


def always_answered(client: Client, method: str, asked: Any, examples: int) -> None:
    """Ask all of this: the same examples in every run."""

    @settings(
        max_examples=examples, derandomize=True, database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(asked)
    def ask(each: tuple[str, str]) -> None:
        url, pairs = each
        assert odd_values.status_of(client, method, url, pairs) < 500

    ask()


@pytest.mark.django_db
def test_every_page_of_the_admin_is_guarded(client: Client) -> None:
    client.get("/admin/")  # reads the site's addresses
    assert all(isinstance(each, GuardedAdmin) for each in admin.site._registry.values())


@pytest.mark.slow
def test_lists(boss: Client) -> None:
    always_answered(boss, "GET", odd_values.list_queries(odd_values.list_pages()), LISTS)


@pytest.mark.slow
def test_forms(boss: Client) -> None:
    always_answered(boss, "POST", odd_values.forms(odd_values.form_pages(boss)), FORMS)


@pytest.mark.slow
def test_selections(boss: Client) -> None:
    always_answered(boss, "POST", odd_values.selections(odd_values.list_pages()), SELECTIONS)


def test_on_postgresql(postgresql_tables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    boss, lists = who_sees_all(monkeypatch), odd_values.list_pages()
    always_answered(boss, "GET", odd_values.list_queries(lists), LISTS // 10)
    always_answered(boss, "POST", odd_values.forms(odd_values.form_pages(boss)), FORMS // 10)
    always_answered(boss, "POST", odd_values.selections(lists), SELECTIONS // 10)


# --- What was found -------------------------------------------------------------------------------
REFUSED_QUERIES = (
    (Plan, {"created_at__year": "99999999"}), (Plan, {"created_at__year": "9" * 30}),
    (Plan, {"created_at__year": "9999"}),
    (Plan, {"created_at__year": "9999", "created_at__month": "12"}),
    (Plan, {"created_at__year": "2026", "created_at__month": "13"}),
    (Plan, {"created_at__month": "1"}), (Plan, {"start_time__year": "0"}),
    (Plan, {"start_time__gte": "2026-01-01"}), (Plan, {"start_time__gte": "99999-01-01 00:00Z"}),
    (Plan, {"start_time__gte": "9999-12-31 23:59:59-23:59"}),
    (Plan, {"pk__iregex": "["}), (Plan, {"title__regex": "("}), (Plan, {"id__range": "1,2"}),
    (Plan, {"user_id__startswith": "u"}), (Plan, {"preferences__contains": "{}"}),
    (Plan, {"id__range": "1"}), (Plan, {"nothing": "1"}), (Plan, {"": "1"}),
    (Plan, {"_changelist_filters": "a=b"}), (Plan, {"p": "0"}), (Plan, {"p": "9" * 30}),
    (DeadLetter, {"run__id__iregex": "["}), (DeadLetter, {"state": "nonsense"}),
    (UserSession, {"expiry": "nonsense"}), (UserSession, {"expires_at__date__year": "99999999"}),
    (ApiUsage, {"status_code": "abc"}), (ApiUsage, {"ip_address": "abc"}),
    (ApiUsage, {"request_size__in": "9" * 25}), (Colleague, {"last_login__year": "99999999"}),
)  # fmt: skip


def test_a_query_that_makes_no_sense_is_left_out_and_said_so(boss_of: Client) -> None:
    for model, query in REFUSED_QUERIES:
        url = page("changelist", model)
        assert boss_of.get(url, query).get("Location") == f"{url}?e=1", query
        assert boss_of.post(url, {}, QUERY_STRING=urlencode(query)).status_code < 500
    shown = boss_of.get(f"{page('changelist', Plan)}?e=1")
    assert NOT_HERE in {str(each) for each in messages.get_messages(shown.wsgi_request)}
    assert shown.context["cl"].result_count == Plan.objects.count()


def test_what_must_not_be_asked_for_is_refused(boss_of: Client) -> None:
    for model, query in (
        (DeadLetter, {"row__contains": "{}"}), (User, {"password_hash__startswith": "p"}),
        (Colleague, {"groups__name__iregex": "["}), (Colleague, {"password__startswith": "p"}),
    ):  # fmt: skip
        assert boss_of.get(page("changelist", model), query).status_code == 400


def test_a_search_of_more_words_than_sqlite_can_look_for_is_refused(boss: Client) -> None:
    url = page("changelist", DeadLetter)
    assert boss.get(url, {"q": "x " * 999})["Location"] == f"{url}?e=1"


def test_a_field_that_searches_other_records_is_as_guarded_as_their_list(boss: Client) -> None:
    asked = {"app_label": "auth", "model_name": "user", "field_name": "groups"}
    assert boss.get("/admin/autocomplete/", {**asked, "term": "x"}).json()["results"] == []
    for term in ("x " * 1200, "x" * 60_000):
        assert boss.get("/admin/autocomplete/", {**asked, "term": term}).status_code < 500


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Lines of the log, as production writes them."""
    written: list[str] = []
    formatter = LineFormatter("json")

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(formatter.format(record))

    handler = Kept()
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize("query", [
    {"start_time__gte": "hostile-value"}, {"hostile-value__x": "1"}, {"_to_field": "hostile-value"},
])  # fmt: skip
def test_what_was_refused_is_one_line_of_the_log_without_its_words(
    boss: Client, log: list[str], query: dict[str, str]
) -> None:
    boss.get(page("changelist", Plan), query)
    (line,) = map(json.loads, log)
    assert line["message"] in ("odd query refused", "suspicious request")
    assert line["http.route"] == "admin/daylight/plan/"
    assert "hostile-value" not in log[0]


def test_a_fault_of_ours_stays_a_500_of_one_line(
    boss: Client, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("of hostile-value")

    monkeypatch.setattr(admin.site._registry[Plan], "get_ordering", broken)
    boss.raise_request_exception = False
    answer = boss.get(page("changelist", Plan))
    (line,) = map(json.loads, log)
    assert answer.status_code == 500
    assert line["request_id"] == answer["X-Request-ID"] and "hostile-value" not in line["message"]


def test_what_a_list_offers_it_still_answers(boss: Client) -> None:
    plan = Plan.objects.exclude(start_time=None).first()
    since = {"start_time__gte": str(plan.start_time)}
    assert plan in found(boss, Plan, since)
    assert plan in found(boss, Plan, {"status__exact": plan.status, "q": plan.title, "o": "-1.2"})
    assert found(boss, AlertDelivery, {"incident__exact": "incident-1"})
    assert not found(boss, AlertDelivery, {"incident__exact": "no such incident"})
    assert found(boss, ErrorLog, {"p": "abc", "all": ""})


def test_a_search_that_is_too_long_says_so_and_shows_the_list(boss: Client) -> None:
    answer = boss.get(page("changelist", Plan), {"q": "x" * 60_000})
    assert "at most 2000 characters" in answer.content.decode()


JSON_TEXTS = (
    ("[" * 5000, "nested deeper|Enter a valid JSON"), ("[" * 5000 + "]" * 5000, "nested deeper"),
    ("[" * 32 + "]" * 32, "nested deeper than 31 levels"),
    ('{"a":' * 3000, "nested deeper|Enter a valid JSON"),
    ("9" * 5000, "more digits than can be read"), (f"[{'9' * 5000}]", "more digits"),
    (f"[{'9' * 39}]", "beyond 38 digits"), ('{"a": 1e999}', "Infinity"), ("[NaN]", "NaN"),
    ('["\\ud800"]', "lone surrogate"), ('{"\\u0000": 1}', "NUL character"),
    ("5", "not a JSON object"),
)  # fmt: skip


@pytest.mark.parametrize(("text", "why"), JSON_TEXTS, ids=[text[:12] for text, _ in JSON_TEXTS])
def test_json_that_cannot_be_kept_is_an_error_of_the_form(
    boss: Client, text: str, why: str
) -> None:
    plan = Plan.objects.first()
    before, url = stored(plan), page("change", Plan, plan)
    answer = boss.post(url, {**untouched(boss, url), "preferences": text})
    errors = str(answer.context["adminform"].form.errors)
    assert any(each in errors for each in why.split("|"))
    assert "99999" not in errors
    assert stored(plan) == before


def test_json_as_deep_as_a_record_may_be_is_saved_and_shown_again(boss: Client) -> None:
    plan = Plan.objects.first()
    url, text = page("change", Plan, plan), "[" * 31 + "]" * 31
    assert boss.post(url, {**untouched(boss, url), "activities": text}).status_code == 302
    assert "".join(untouched(boss, url)["activities"].split()) == text


def test_what_an_address_fills_in_is_left_out_where_no_field_could_be_that(boss: Client) -> None:
    odd = {"start_time": "abc", "created_at": "9" * 5000, "nothing": "x", "user_id": "u-1"}
    form = untouched(boss, f"{page('add', Plan)}?{urlencode(odd)}")
    assert form["user_id"] == "u-1" and "abc" not in form.values()
    groups = {"groups": "1,abc", "is_staff": "maybe", "date_joined": "2026-02-31"}
    assert boss.get(page("add", Colleague), groups).status_code == 200


@pytest.mark.parametrize("key", ["9" * 25, "abc", "", "-1", "1.5", "9" * 5000])
def test_a_choice_that_is_none_is_an_error_of_the_form(boss_of: Client, key: str) -> None:
    answer = boss_of.post(page("add", Group), {"name": "group", "permissions": [key]})
    assert answer.status_code == 200 and answer.context["adminform"].form.errors
    assert not Group.objects.exists()


@pytest.mark.parametrize("selected", ["abc", "9" * 25, "", "a\0b", "9" * 5000])
def test_a_selection_that_is_none_changes_nothing(boss_of: Client, selected: str) -> None:
    Group.objects.create(name="kept")
    form = {"action": "delete_selected", "_selected_action": selected, "post": "yes"}
    answer = boss_of.post(page("changelist", Group), form, follow=True)
    assert NOT_SELECTED in answer.content.decode()
    assert Group.objects.exists()


def test_a_field_that_a_browser_sends_empty_is_as_if_it_were_not_there(boss: Client) -> None:
    plan = Plan.objects.first()
    url = page("change", Plan, plan)
    assert boss.post(url, {**untouched(boss, url), "_to_field": ""}).status_code == 302
    assert boss.get(url, {"_to_field": "hostile"}).status_code == 400


def test_an_address_that_was_emptied_is_none(boss: Client) -> None:
    usage = ApiUsage.objects.exclude(ip_address=None).first()
    url = page("change", ApiUsage, usage)
    assert boss.post(url, {**untouched(boss, url), "ip_address": ""}).status_code == 302
    assert stored(usage)["ip_address"] is None
