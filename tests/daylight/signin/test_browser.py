"""The second factor from end to end, in a real browser: set up by the key on the page, asked for at
the next sign-in, wrong, used before, lost.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django_otp.plugins.otp_totp.models import TOTPDevice
from selenium.webdriver.common.by import By

from tests.daylight.signin.accounts import NAME, PASSWORD, App, colleague, rested, trail
from tests.daylight.test_admin_browser import Browser, browser  # noqa: F401  (a fixture)

ADMIN, SIGN_IN, AUTHENTICATOR = "/admin/", "/admin/login/", "/admin/authenticator/"


class Person:
    """Somebody at the browser."""

    def __init__(self, browser: Browser) -> None:  # noqa: F811
        self.browser = browser

    def type(self, **fields: str) -> None:
        """Fill in a form and send it."""
        for name, text in fields.items():
            self.browser.driver.find_element(By.NAME, name).send_keys(text)
        (button,) = self.browser.find("#login-form [type=submit], #proof-form [type=submit]")
        self.browser.click_to_next_page(button)

    def sign_in(self, code: str = "") -> None:
        self.browser.open(SIGN_IN)
        self.type(username=NAME, password=PASSWORD, code=code)

    def sign_out(self) -> None:
        self.browser.click_to_next_page(self.browser.find("#logout-form button")[0])

    @property
    def where(self) -> str:
        address: str = self.browser.driver.current_url
        return re.sub(r"^https?://[^/]+|\?.*", "", address)

    def reads(self, selector: str) -> str:
        return self.browser.find(selector)[0].text


@pytest.mark.slow
def test_a_colleague_sets_up_an_authenticator_and_signs_in_with_its_codes(
    transactional_db: None,
    browser: Browser,  # noqa: F811
    clock: Any,
    settings: Any,
) -> None:
    settings.ADMIN_TOTP_REQUIRED = True
    colleague()
    person = Person(browser)
    browser.open("/admin/daylight/user/")
    assert person.where == SIGN_IN
    person.type(username=NAME, password=PASSWORD)
    assert person.where == AUTHENTICATOR, "further than here nobody comes by a password alone"
    picture = browser.find(".qr-box svg")[0]
    assert picture.size["width"] > 150 and picture.size["width"] == picture.size["height"]
    app = App(TOTPDevice.objects.get(), clock)
    typed = person.reads("#key").replace(" ", "")
    assert f"secret={typed}" in app.device.config_url
    browser.check("set-up")

    person.type(password=PASSWORD, code="000000")
    assert person.where == AUTHENTICATOR and "wrong" in person.reads(".errorlist")
    rested()
    person.type(password=PASSWORD, code=app.code())
    recovery = [each.text for each in browser.find("#recovery-codes code")]
    assert len(set(recovery)) == 10
    browser.check("recovery")
    browser.click_to_next_page(browser.find("#go-on")[0])
    assert person.where == "/admin/daylight/user/", "where they wanted to go"

    person.sign_out()
    person.sign_in()
    assert person.where == SIGN_IN and "code" in person.reads(".errornote")
    person.sign_in(code="111111")
    assert person.where == SIGN_IN
    assert browser.find("#id_code")[0].get_attribute("value") == ""
    assert browser.find("#id_password")[0].get_attribute("value") == ""
    rested()
    code = app.next()
    person.sign_in(code)
    assert person.where == ADMIN

    person.sign_out()
    person.sign_in(code)
    assert person.where == SIGN_IN, "a code that has been used is refused"
    rested()
    person.sign_in(recovery[0])
    assert person.where == ADMIN
    browser.open(AUTHENTICATOR)
    assert person.reads("#codes-left") == "9" and not browser.find(".qr-box, #key")
    browser.check("signed-in")

    told = [(each.action, each.outcome) for each in trail()]
    ok, failed = "success", "failure"
    assert told == [
        ("make_account", ok), ("sign_in", ok), ("sign_in", failed), ("set_up_authenticator", ok),
        ("sign_out", ok), ("sign_in", failed), ("sign_in", failed), ("sign_in", ok),
        ("sign_out", ok), ("sign_in", failed), ("sign_in", ok),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_browser_that_tries_too_often_is_told_so_and_how_that_ends(
    transactional_db: None,
    browser: Browser,  # noqa: F811
) -> None:
    colleague()
    person = Person(browser)
    browser.open(SIGN_IN)
    for _ in range(4):
        person.type(username=NAME, password="wrong")
        assert person.where == SIGN_IN
        browser.find("#id_username")[0].clear()
    person.type(username=NAME, password="wrong")
    assert "30 minutes" in person.reads("#content")
    person.sign_in()
    assert "30 minutes" in person.reads("#content")
    refused = [each["message"] for each in browser.driver.get_log("browser")]
    assert not [each for each in refused if "Content Security Policy" in each]
