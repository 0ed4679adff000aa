"""What the tests of the sign-in share: a colleague, attempts, the app with its codes, the trail."""

from __future__ import annotations

import datetime as dt
from typing import Any

from axes.models import AccessAttempt, AccessLog
from django.contrib.auth.models import User as Colleague
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from daylight.models import AuditLog
from daylight.services.audit import audit_service

NAME, PASSWORD = "boss", "correct-horse-battery"
ANA_PASSWORD = "ana-horse-battery"
HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"


def colleague(name: str = NAME, password: str = PASSWORD, **given: Any) -> Colleague:
    return Colleague.objects.create_superuser(name, password=password, **given)


def attempt(
    password: str, name: str = NAME, *, at: str = HOME, code: str = "", **given: Any
) -> Any:
    """One attempt with a browser of its own."""
    form = {"username": name, "password": password, "code": code}
    client = given.pop("client", None) or Client()
    return client.post(reverse("admin:login"), form, REMOTE_ADDR=at, **given)


def is_in(answer: Any) -> bool:
    """Whether somebody has signed in."""
    assert answer.status_code in (200, 302, 429), answer.status_code
    return bool(answer.status_code == 302)


def time_passes(by: dt.timedelta) -> None:
    """What was counted is older."""
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - by)
    AccessLog.objects.update(attempt_time=F("attempt_time") - by)


def trail(action: str = "", kind: str = "sign_in") -> list[AuditLog]:
    """The entries of today, in order: read as any reader does, from whichever store."""
    from django.utils import timezone

    page = audit_service.get_events_of_day(timezone.now().date(), 1000)
    found = [each for each in page if each.event_type == kind and action in ("", each.action)]
    return found[::-1]


class App:
    """An authenticator app: the codes of a key, at the clock of the test."""

    def __init__(self, device: TOTPDevice, clock: Any) -> None:
        self.device, self.clock = device, clock

    def code(self) -> str:
        """The one of now."""
        totp = TOTP(self.device.bin_key, self.device.step, self.device.t0, self.device.digits)
        totp.time = self.clock.now
        return f"{totp.token():06}"

    def next(self) -> str:
        """The next one: half a minute later."""
        self.clock.now += self.device.step
        return self.code()


def rested() -> None:
    """Long enough after a wrong code that the next one is looked at."""
    TOTPDevice.objects.update(
        throttling_failure_timestamp=F("throttling_failure_timestamp") - dt.timedelta(hours=1)
    )
