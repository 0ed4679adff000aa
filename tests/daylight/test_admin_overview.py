"""The page that says how the database is: true in good and in bad times, for colleagues only."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dbcore.admin.charts import line_chart
from dbcore.admin.overview import charts, operations
from dbcore.monitoring.totals import Totals
from dbcore.wire import close_wires
from tests.daylight.admin_pages import fill_alerts, measured

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def impatient(settings: Any) -> None:
    """There is no DynamoDB here, and no health check waits for one."""
    settings.DB_HEALTH_DEADLINE = 0.5


def page(client: Client, **query: Any) -> str:
    answer = client.get(reverse("database_overview"), query)
    assert answer.status_code == 200
    return answer.content.decode()


def row_of(text: str, name: str) -> list[str]:
    """The cells of the first row that begins so."""
    rows = re.findall(r"<tr>(.*?)</tr>", text, re.S)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.S) for row in rows]
    return [re.sub(r"<[^>]+>", "", c).strip() for c in next(c for c in cells if c and name in c[0])]


def points(chart: str) -> dict[str, str]:
    """What a chart shows at which time of the day."""
    told = re.findall(r'class="value">(.*?)<.*?class="x_label">(.*?)<', chart, re.S)
    return {moment: value for value, moment in told}


def test_health_alerts_charts_and_operations_are_on_one_page(admin_client: Client) -> None:
    now = timezone.now()
    fill_alerts()
    measured("plans", now - MINUTE, calls=30)
    measured("users", now - 2 * MINUTE, calls=10)
    text = page(admin_client)
    assert row_of(text, "unhealthy_check tables")[1] == "critical"
    assert "plans lacks its index &lt;b&gt;" in text
    assert row_of(text, "last_sweep")[1] == "warning"
    assert row_of(text, "SELECT plans (sqlite)")[1:4] == ["75.0 %", "30", "0"]
    assert row_of(text, "SELECT users (sqlite)")[1:4] == ["25.0 %", "10", "0"]
    assert text.count("pygal-chart") == 3
    assert "<script" not in "".join(re.findall(r"<svg.*?</svg>", text, re.S))


def test_only_the_hours_that_are_asked_for_are_counted(admin_client: Client) -> None:
    now = timezone.now()
    measured("plans", now - MINUTE, calls=30)
    measured("plans", now - dt.timedelta(hours=3), calls=7)
    assert row_of(page(admin_client), "SELECT plans")[2] == "30"
    assert row_of(page(admin_client, hours=6), "SELECT plans")[2] == "37"
    assert row_of(page(admin_client, hours="x"), "SELECT plans")[2] == "30"


def test_where_the_primary_store_is_away_the_page_says_so(
    admin_client: Client, settings: Any
) -> None:
    settings.DATABASE_PRIMARY, settings.DYNAMODB_ENDPOINT = "dynamodb", "http://127.0.0.1:9"
    settings.DYNAMODB_DEADLINE = 0.3
    text = page(admin_client)
    close_wires()
    assert row_of(text, "primary_store")[1] == "critical"
    assert "What was measured cannot be read: the primary store does not answer" in text
    assert "pygal-chart" not in text


def test_it_is_for_colleagues_who_may_see_alerts(client: Client) -> None:
    colleague = User.objects.create_user("reader", password="x", is_staff=True)
    url = reverse("database_overview")
    assert client.get(url).status_code == 302  # to the login
    client.force_login(colleague)
    assert client.get(url).status_code == 403
    assert url not in client.get("/admin/").content.decode()
    colleague.user_permissions.add(Permission.objects.get(codename="view_alertstate"))
    assert client.get(url).status_code == 200
    assert url in client.get("/admin/").content.decode()


def test_a_point_of_a_chart_is_a_rate_of_its_own_minute_and_a_gap_is_a_gap() -> None:
    def totals(calls: int, seconds: float) -> Totals:
        return Totals(count=calls, seconds=seconds * calls, worst=seconds, least=seconds,
                      buckets={10.0: calls})  # fmt: skip

    key = ("sqlite", "plans", "SELECT")
    found = [
        (key, NOW - 59 * MINUTE, totals(120, 4.0)),
        (key, NOW - 59 * MINUTE, totals(60, 4.0)),
        (key, NOW - MINUTE, totals(6, 8.0)),
    ]
    calls, latency, errors = charts(found, 1, NOW)
    assert points(calls)["11:01"] == "3"
    assert points(calls)["11:59"] == "0.1"
    assert points(calls)["11:30"] == "0"
    assert points(latency) == {"11:01": "4000", "11:59": "8000"}, (
        "where none was made none took long"
    )
    assert set(points(errors).values()) == {"0"}
    (row,) = operations(found)
    assert (row.count, row.worst, row.share) == (186, 8000.0, 100.0)


def test_a_name_in_a_chart_is_text() -> None:
    drawn = line_chart("<b>", [NOW], {"<script>alert(1)</script>": [1.0]})
    assert "<b>" not in drawn and "<script" not in drawn
