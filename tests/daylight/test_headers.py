"""Every answer has the headers that keep a browser from doing what no page of ours asks for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.core.management import call_command
from django.test import AsyncClient, Client
from django.urls import path
from django.utils import timezone

from daylight import headers
from daylight.models import AuditLog
from dbcore.monitoring.starting import STARTING
from tests.daylight.admin_pages import fill, measured, page


def policy(answer: Any) -> dict[str, str]:
    parts = (each.strip().partition(" ") for each in answer["Content-Security-Policy"].split(";"))
    return {name: what for name, _, what in parts}


def check(answer: Any) -> None:
    found = policy(answer)
    assert found["default-src"] == found["frame-ancestors"] == found["base-uri"] == "'none'"
    assert found["script-src"] == found["style-src"] == found["form-action"] == "'self'"
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["X-Frame-Options"] == "DENY"
    assert "geolocation=()" in answer["Permissions-Policy"]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("/", 302), ("/admin/", 302), ("/admin/login/", 200), ("/admin/nowhere/", 302),
        ("/nowhere", 404), ("/favicon.ico", 200), ("/health/live", 200), ("/metrics", 403),
        ("/static/admin/css/base.css", 200), ("/static/nothing.css", 404),
        ("/static/../settings/base.py", 404), ("/static/%2e%2e/settings/base.py", 404),
    ],
)  # fmt: skip
def test_every_page_and_every_refusal_has_them(db: None, address: str, code: int) -> None:
    answer = Client(raise_request_exception=False).get(address, REMOTE_ADDR="203.0.113.1")
    assert answer.status_code == code
    check(answer)
    answer.close()  # a file


def test_pages_for_those_who_are_in_have_them(admin_client: Client) -> None:
    for address in ("/admin/", "/admin/authenticator/", "/admin/daylight/user/", "/admin/x/"):
        check(admin_client.get(address))


def test_what_goes_wrong_before_any_page_has_them_too(db: None, settings: Any) -> None:
    client = Client(raise_request_exception=False)
    check(client.get("/admin/", headers={"host": "another.host"}))
    settings.SECURE_SSL_REDIRECT = True
    check(client.get("/admin/"))
    settings.SECURE_SSL_REDIRECT = False
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post("/admin/login/", {"username": "a", "password": "b"})
    assert answer.status_code == 403 and b"This form was not taken" in answer.content
    assert b"<style" not in answer.content
    check(answer)


def fails(request: Any) -> Any:
    raise RuntimeError("broken")


urlpatterns = [path("fails", fails)]


def test_an_error_has_them_and_only_a_developers_explanation_has_no_policy(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    client = Client(raise_request_exception=False)
    check(client.get("/fails"))
    settings.DEBUG = True
    answer = client.get("/fails")
    assert b"<style" in answer.content and "Content-Security-Policy" not in answer
    assert answer["X-Frame-Options"] == "DENY"
    answer = client.get("/fails?a=%00")
    assert answer.status_code == 400 and b"<style" in answer.content
    assert "Content-Security-Policy" not in answer


def test_a_process_that_is_starting_answers_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STARTING, "waiting", True)
    answer = Client().get("/admin/")
    assert answer.status_code == 503
    check(answer)


@async_to_sync
async def answers_of_async_workers() -> list[Any]:
    client = AsyncClient()
    paths = ("/admin/login/", "/health/live", "/static/admin/css/base.css", "/nowhere")
    return [await client.get(each) for each in paths]


def test_async_workers_answer_with_them_and_serve_the_same_files(transactional_db: None) -> None:
    answers = answers_of_async_workers()
    assert [each.status_code for each in answers] == [200, 200, 200, 404]
    for each in answers:
        check(each)
    styles = answers[2]
    assert styles["Content-Type"].startswith("text/css") and b"--primary" in styles.content
    assert styles["Content-Length"] == str(len(styles.content))


def test_files_are_asked_for_again_only_when_they_are_others(db: None) -> None:
    first: Any = Client().get("/static/dbcore/pages.css")
    assert b".pygal-chart" in b"".join(first.streaming_content)
    first.close()
    since = {"if-modified-since": first["Last-Modified"]}
    assert Client().get("/static/dbcore/pages.css", headers=since).status_code == 304
    assert Client().head("/static/dbcore/pages.css").status_code == 200
    assert "Access-Control-Allow-Origin" not in first


def test_collectstatic_collects_what_is_served(tmp_path: Path, settings: Any) -> None:
    settings.STATIC_ROOT = tmp_path
    call_command("collectstatic", interactive=False, verbosity=0)
    for name in ("admin/css/base.css", "dbcore/pages.css", "daylight/sign_in.css"):
        assert (tmp_path / name).stat().st_size > 100


INLINE = re.compile(
    r"<style|<[^>]*\sstyle\s*=|<script(?![^>]*\bsrc=)(?![^>]*application/json)"
    r"|<[^>]*\son[a-z]+\s*=|href=.javascript:"
)


@pytest.mark.slow
def test_no_page_of_the_admin_has_a_style_or_a_script_in_it_and_each_is_audited(
    admin_client: Client,
) -> None:
    fill()
    measured("plans", timezone.now(), calls=300)
    before, models = AuditLog.objects.count(), list(admin.site._registry)
    urls = [page("changelist", model) for model in models]
    records = [record for model in models if (record := model._default_manager.first())]
    urls += [page("change", type(record), record) for record in records]
    for url in (*urls, "/admin/", "/admin/database/", "/admin/authenticator/", "/health/ready"):
        answer = admin_client.get(url, headers={"accept": "text/html"})
        assert answer.status_code == 200
        assert not INLINE.findall(answer.content.decode()), url
        check(answer)
    assert AuditLog.objects.count() == before + len(urls)


@pytest.mark.parametrize(
    "html",
    ['<b style="a">', "<style>", "<script>", "<p\n onclick='x'>", '<a href="javascript:x">'],
)
def test_what_is_inline_is_found(html: str) -> None:
    assert INLINE.search(html) and not INLINE.search('<script src="x"></script><p class="style=">')


def test_the_policy_says_nothing_twice() -> None:
    names = [each.strip().split()[0] for each in headers.POLICY.split(";")]
    assert len(names) == len(set(names))
