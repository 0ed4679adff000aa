"""Django's page about an error, which who develops sees, has settings and variables on it, and none
of the secrets among them."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

SECRETS = ("s1cr3t", "two words", "hunter2", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


class Account:
    """Something with a secret in its repr, as many libraries have them."""

    def __repr__(self) -> str:
        return f"Account(user='ana', password='{SECRETS[1]}', plan='free')"


def fails(request: HttpRequest) -> HttpResponse:
    password = SECRETS[0]
    account, signing = Account(), {"aws": SECRETS[3], "table": "plans"}
    seen = [account, signing, password]
    raise RuntimeError(f"refused {seen[0]}: token={password}, attempt 7")


urlpatterns = [path("fails", fails)]


@pytest.fixture
def developing(settings: Any) -> None:
    settings.DEBUG = True
    settings.ROOT_URLCONF = __name__
    settings.METRICS_TOKEN = SECRETS[0]
    settings.ALERT_SLACK_WEBHOOK = f"https://hooks.slack.com/services/{SECRETS[0]}"
    settings.CACHES = {
        **settings.CACHES, "other": {"BACKEND": "x", "LOCATION": f"redis://:{SECRETS[0]}@host/0"},
    }  # fmt: skip


@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
@pytest.mark.usefixtures("developing", "db")
def test_an_error_is_explained_without_secrets(accept: str) -> None:
    client = Client(raise_request_exception=False)
    client.cookies["sessionid"] = SECRETS[0]
    answer = client.post(
        "/fails?api_key=s1cr3t&page=4", {"password": "hunter2", "colour": "green"},
        headers={"accept": accept, "authorization": "Bearer s1cr3t", "x-colour": "blue"},
    )  # fmt: skip
    text = answer.content.decode()
    assert answer.status_code == 500
    assert [each for each in SECRETS if each in text] == []
    for kept in ("green", "blue", "attempt 7", "test_debug_pages.py", "ROOT_URLCONF"):
        assert kept in text
    if accept == "text/html":  # the other has no variables
        assert "&#x27;free&#x27;" in text
        assert "&#x27;plans&#x27;" in text


@pytest.mark.usefixtures("developing", "db")
def test_a_page_that_is_not_there_is_explained_without_secrets() -> None:
    text = Client().get("/nowhere").content.decode()
    assert "fails" in text
    assert [each for each in SECRETS if each in text] == []
