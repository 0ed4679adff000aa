"""The page of readiness in a real browser: the status for anybody, the checks for staff."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User as Colleague

from tests.daylight.test_admin_browser import Browser, browser  # noqa: F401  (a fixture)


@pytest.mark.slow
def test_anybody_sees_the_status_and_staff_see_the_checks(
    transactional_db: None,
    settings: Any,
    browser: Browser,  # noqa: F811
) -> None:
    settings.DYNAMODB_ENDPOINT = ""
    Colleague.objects.create_superuser("boss", password="secret")
    browser.open("/health/ready")
    assert browser.find("#status")[0].text == "healthy"
    assert browser.find("table") == []
    browser.check("ready")

    browser.log_in()
    browser.open("/health/ready")
    rows = {row.text.split()[0]: row for row in browser.find("tbody tr")}
    assert set(rows) == {"primary_store", "tables"}
    assert "Django's database (sqlite) answers a read" in rows["primary_store"].text
    browser.check("ready-staff")
