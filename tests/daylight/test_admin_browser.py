"""The admin in a real browser: pages load whole, filter and read well, without a console error.

Needs Chromium and its driver; skips visibly without them, but fails in CI, where they must be.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User as Colleague
from django.urls import reverse
from django.utils import timezone
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from daylight.models import LocationHistory
from dbcore.models import DeadLetter, MigrationRun
from tests.daylight.admin_pages import fill, measured
from tests.support.programs import not_when_quick

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # Chromium's sandbox does not start for root, as in most containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1700",
)


def program(*names: str) -> str:
    """The first of these programs that is installed; else the test skips, or fails in CI."""
    not_when_quick()
    for name in names:
        if path := shutil.which(name):
            return path
    message = f"{names[0]} is not installed: apt-get install chromium chromium-driver"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


class Browser:
    """Chromium at one live server."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver, self.address = driver, address

    def open(self, path: str) -> None:
        self.driver.get(self.address + path)

    def find(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def click_to_next_page(self, element: WebElement) -> None:
        """Click, and wait until another page has come in place of this one."""
        page = self.driver.find_element(By.TAG_NAME, "html")
        element.click()
        WebDriverWait(self.driver, 20).until(
            lambda driver: driver.find_element(By.TAG_NAME, "html").id != page.id
        )

    def log_in(self) -> None:
        self.open(reverse("admin:login"))
        self.driver.find_element(By.NAME, "username").send_keys("boss")
        self.driver.find_element(By.NAME, "password").send_keys("secret")
        self.click_to_next_page(self.find("input[type=submit]")[0])

    def check(self, name: str) -> None:
        """No console errors since the last call; a screenshot where BROWSER_SHOTS says."""
        entries = self.driver.get_log("browser")
        errors = [each["message"] for each in entries if each["level"] == "SEVERE"]
        # Browsers ask for an icon by themselves; that the site has none is no defect of a page.
        assert not [message for message in errors if "/favicon.ico" not in message]
        if folder := os.environ.get("BROWSER_SHOTS"):
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))


@pytest.fixture
def browser(live_server: Any, tmp_path: Path) -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium", "chromium-browser", "google-chrome")
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=program("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Browser(driver, live_server.url)
    finally:
        driver.quit()


@pytest.fixture
def colleague(transactional_db: None) -> None:
    Colleague.objects.create_superuser("boss", password="secret")
    fill()


@pytest.mark.slow
def test_a_colleague_logs_in_and_filters_the_location_history(
    colleague: None, browser: Browser
) -> None:
    browser.log_in()
    assert browser.find("#site-name")[0].text == "Daylight"
    tables = {link.text for link in browser.find(".app-daylight th a, .app-dbcore th a")}
    assert len(tables) == 31
    browser.check("index")

    browser.open(reverse("admin:daylight_locationhistory_changelist"))
    everywhere = LocationHistory.objects.count()
    assert f"{everywhere} location history" in browser.find(".paginator")[0].text
    browser.check("history")
    activity = LocationHistory.objects.exclude(activity="").latest("timestamp").activity
    links = browser.find("#changelist-filter a")
    browser.click_to_next_page(next(link for link in links if link.text == activity))
    shown = {cell.text for cell in browser.find("td.field-activity")}
    assert shown == {activity}
    count = LocationHistory.objects.filter(activity=activity).count()
    assert f"{count} location history" in browser.find(".paginator")[0].text
    browser.check("history-filtered")


@pytest.mark.slow
def test_a_colleague_reads_a_dead_letter_and_comes_to_it_from_its_run(
    colleague: None, browser: Browser
) -> None:
    browser.log_in()
    browser.open(reverse("admin:dbcore_deadletter_changelist"))
    browser.check("letters")
    browser.click_to_next_page(browser.find("#result_list tbody th a")[0])
    row = browser.find(".field-row_shown pre")[0]
    assert '\n  "id": "user_41",' in row.text
    assert "<script>alert(1)</script>" in row.text, "as text, to read"
    assert browser.find(".field-reason .readonly")[0].text == "email is <b>missing</b>"
    assert not browser.find("input[name=_save], .deletelink"), "only to read"
    browser.check("letter")

    browser.open(reverse("admin:dbcore_migrationrun_change", args=[MigrationRun.objects.get().pk]))
    cells = [cell.text for cell in browser.find(".field-report_shown td")]
    assert cells[cells.index("users") :][:3] == ["users", "12,345", "12,344"]
    browser.check("run")
    browser.click_to_next_page(browser.find(".field-letters a")[0])
    letters = [each.text for each in browser.find("#result_list tbody th")]
    assert letters == [letter.key for letter in DeadLetter.objects.all()]


@pytest.mark.slow
def test_a_form_sent_by_a_real_browser_untouched_leaves_the_record_as_it_was(
    colleague: None, browser: Browser
) -> None:
    history = LocationHistory.objects.latest("timestamp")
    history.metadata = {"text": "one\ntwo", "half": "½", "empty": [], "n": 123456789012345}
    history.save()
    before = LocationHistory.objects.filter(pk=history.pk).values().get()
    browser.log_in()
    browser.open(reverse("admin:daylight_locationhistory_changelist"))
    browser.click_to_next_page(browser.find("#result_list tbody th a")[0])
    assert history.id in browser.find("#content")[0].text
    browser.check("form")
    browser.click_to_next_page(browser.find("input[name=_save]")[0])
    assert "was changed successfully" in browser.find(".messagelist")[0].text
    assert LocationHistory.objects.filter(pk=history.pk).values().get() == before


@pytest.mark.slow
def test_a_colleague_sees_how_the_database_is(
    colleague: None, browser: Browser, settings: Any
) -> None:
    settings.DB_HEALTH_DEADLINE = 1.0  # there is no DynamoDB here
    measured("plans", timezone.now(), calls=300)
    browser.log_in()
    browser.click_to_next_page(browser.find("#overview")[0])
    assert browser.find("#status")[0].text in ("healthy", "warning", "critical")
    assert [row.text for row in browser.find("tbody tr") if row.text.startswith("last_migration")]
    charts = browser.find(".db-charts svg")
    assert len(charts) == 3
    assert all(chart.size["height"] > 100 for chart in charts)
    assert "sqlite" in charts[0].text
    browser.check("overview")
    (longer,) = (link for link in browser.find("#content-main a") if link.text == "6 h")
    browser.click_to_next_page(longer)
    assert browser.find("#content-main p b")[0].text == "6 h"
    browser.check("overview-6h")
