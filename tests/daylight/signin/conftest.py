"""Sign-ins are tested with Django's database where that matters, and with a clock of the codes that
the test sets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django_otp.plugins.otp_totp import models


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The clock that codes are judged by."""
    found = SimpleNamespace(now=1_800_000_000.0)
    monkeypatch.setattr(models, "time", SimpleNamespace(time=lambda: found.now))
    return found
