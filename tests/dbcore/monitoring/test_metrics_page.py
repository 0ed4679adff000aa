"""/metrics says what was measured, in the format that is asked for, to those who may know."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User as Admin
from django.test import Client, override_settings
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from daylight.models import Plan

OPEN = "application/openmetrics-text;version=1.0.0"
ELSEWHERE = "192.0.2.7"


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.mark.django_db
@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(("accept", "read"), [(OPEN, open_metrics), ("text/plain", plain_text)])
def test_in_openmetrics_or_prometheus_own_text(client: Client, accept: str, read: Any) -> None:
    list(Plan.objects.all())
    answer = client.get("/metrics", headers={"accept": accept})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith(accept.split(";")[0])
    assert "no-store" in answer["Cache-Control"]
    families = {family.name: family for family in read(answer.content.decode())}
    counted = [
        sample
        for sample in families["db_client_operation_duration_seconds"].samples
        if sample.name.endswith("_count") and sample.labels["db_collection_name"] == "plans"
    ]
    assert [sample.value for sample in counted] == [1]
    assert counted[0].labels == {
        "db_system_name": "sqlite", "db_collection_name": "plans",
        "db_operation_name": "SELECT", "error_type": "",
    }  # fmt: skip
    states = {
        s.labels["db_client_connection_state"]
        for s in families["db_client_connection_count"].samples
    }
    assert states == {"used", "idle"}
    assert "python_info" in families, "what the application itself counts is there too"


@pytest.mark.django_db
@pytest.mark.parametrize("accept", [
    "application/openmetrics-text; version=abc", "application/openmetrics-text; version=",
    "application/openmetrics-text; version=1.0.0.x", "application/openmetrics-text;version=99.0.0",
    "text/plain; version=abc", "text/plain;version=²", "application/openmetrics-text;version=1_0.0",
    f"application/openmetrics-text;version={'9' * 5000}", ";;;===,,,", "\xff", "x" * 9000,
    "application/openmetrics-text;version=abc,text/plain;version=0.0.4;q=0.3", "*/*;q=abc",
])  # fmt: skip
def test_a_version_that_is_none_gets_prometheus_own_text(client: Client, accept: str) -> None:
    answer = client.get("/metrics", headers={"accept": accept})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    assert list(plain_text(answer.content.decode()))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 200),  # on this machine
        ({"REMOTE_ADDR": "::1"}, 200),
        ({"REMOTE_ADDR": ELSEWHERE}, 403),
        ({"REMOTE_ADDR": ""}, 403),  # a Unix socket: a proxy's
        ({"HTTP_X_FORWARDED_FOR": ELSEWHERE}, 403),  # from elsewhere, through a proxy here
        ({"HTTP_FORWARDED": f"for={ELSEWHERE}"}, 403),
        ({"HTTP_X_FORWARDED_PROTO": "https"}, 403),  # a proxy that says no more than that
        ({"HTTP_X_FORWARDED_HOST": "daylight.example"}, 403),
        ({"HTTP_X_FORWARDED_PORT": "443"}, 403),
        ({"HTTP_X_FORWARDED_SERVER": "web1"}, 403),
        ({"REMOTE_ADDR": ELSEWHERE, "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 403),
        ({"REMOTE_ADDR": ELSEWHERE, "HTTP_AUTHORIZATION": "Bearer right"}, 200),
        ({"REMOTE_ADDR": ELSEWHERE, "HTTP_AUTHORIZATION": "Bearer wrong"}, 403),
        ({"REMOTE_ADDR": ELSEWHERE, "HTTP_AUTHORIZATION": "Bearer "}, 403),
        ({"REMOTE_ADDR": ELSEWHERE, "HTTP_AUTHORIZATION": "Basic right"}, 403),
        ({"REMOTE_ADDR": ELSEWHERE, "HTTP_AUTHORIZATION": "Bearer ‰"}, 403),
    ],
)
@override_settings(METRICS_TOKEN="right")
def test_who_may_read(client: Client, given: dict[str, str], status: int) -> None:
    answer = client.get("/metrics", **given)  # type: ignore[arg-type]
    assert answer.status_code == status
    assert status == 200 or b"db_client" not in answer.content


@pytest.mark.django_db
def test_with_no_token_set_none_opens_the_page(client: Client) -> None:
    answer = client.get("/metrics", REMOTE_ADDR=ELSEWHERE, HTTP_AUTHORIZATION="Bearer ")
    assert answer.status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("staff", "active", "status"), [(True, True, 200), (False, True, 403), (True, False, 403)]
)
def test_staff_may_read_from_anywhere(
    client: Client, staff: bool, active: bool, status: int
) -> None:
    client.force_login(Admin.objects.create(username="a", is_staff=staff, is_active=active))
    assert client.get("/metrics", REMOTE_ADDR=ELSEWHERE).status_code == status


@pytest.mark.django_db
def test_it_is_read_and_nothing_else(client: Client) -> None:
    assert client.post("/metrics").status_code == 405
    assert client.head("/metrics").status_code == 200
