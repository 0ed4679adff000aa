"""A real browser finds nothing on a page of any kind that its policy would have it refuse."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.contrib.auth.models import User as Colleague
from django.db import models
from django.urls import reverse
from django.utils import timezone

from daylight.models import ApiKey, AuditLog, ErrorLog, LocationHistory, Plan, Role, User
from dbcore.models import Archive, DeadLetter, MigrationRun, Sweep
from tests.daylight.admin_pages import measured, page
from tests.daylight.test_admin_browser import (  # noqa: F401  (fixtures)
    Browser,
    browser,
    colleague,
)

# Forms with each kind of field, JSON, reports, secrets that are masked, books to read.
SHOWN: list[type[models.Model]] = [
    User, ApiKey, ErrorLog, AuditLog, Role, MigrationRun, DeadLetter, Sweep, Archive, Colleague,
]  # fmt: skip
TRIED_IN_A_PAGE = """
    document.body.setAttribute('style', 'color: red');
    var script = document.createElement('script');
    script.textContent = 'window.inline = 1';
    document.body.append(script);
    return window.inline === undefined;
"""


@pytest.mark.slow
def test_no_kind_of_page_has_anything_that_its_policy_refuses(
    colleague: None,  # noqa: F811
    browser: Browser,  # noqa: F811
    settings: Any,
) -> None:
    settings.DB_HEALTH_DEADLINE = 1.0  # there is no DynamoDB here
    measured("plans", timezone.now(), calls=300)
    Group.objects.create(name="readers")
    for path in (reverse("admin:login"), "/health/live", "/health/ready"):
        browser.open(path)
        browser.check("outside")
    browser.log_in()
    boss = Colleague.objects.get()
    paths = [
        "/admin/", "/admin/daylight/", "/admin/database/?hours=6", "/admin/password_change/",
        "/admin/authenticator/", "/health/ready", "/health/live",
        reverse("admin:auth_user_password_change", args=[boss.pk]),
        *(page(kind, Plan, Plan.objects.first()) for kind in ("change", "history", "delete")),
        *(page("change", model, model._default_manager.first()) for model in SHOWN),
        *(page("add", model) for model in (Plan, User, Colleague)),
        *(page("changelist", model) for model in (Plan, LocationHistory, ErrorLog, Archive)),
    ]  # fmt: skip
    for path in paths:
        browser.open(path)
        browser.check(path)


@pytest.mark.slow
def test_what_the_admins_own_scripts_do_is_not_refused_and_what_is_inline_would_be(
    colleague: None,  # noqa: F811
    browser: Browser,  # noqa: F811
) -> None:
    browser.log_in()
    browser.open(reverse("admin:daylight_plan_add"))
    for element in browser.find(".datetimeshortcuts a")[:2]:
        element.click()  # today; the calendar
    browser.find(".theme-toggle")[0].click()
    browser.open(reverse("admin:daylight_plan_changelist"))
    browser.find("#action-toggle")[0].click()
    browser.find("#changelist-filter summary")[0].click()
    browser.open(reverse("admin:auth_user_change", args=[Colleague.objects.get().pk]))
    browser.find("#id_user_permissions_choose_all, .selector-chooseall")[0].click()
    browser.check("scripts")

    assert browser.driver.execute_script(TRIED_IN_A_PAGE), "a script in the page ran"
    assert browser.driver.execute_script("return getComputedStyle(document.body).color") != (
        "rgb(255, 0, 0)"
    )
    refused = [each["message"] for each in browser.driver.get_log("browser")]
    assert len([each for each in refused if "Content Security Policy" in each]) == 2
