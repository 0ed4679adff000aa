"""What guards against a wrong deletion is never switched off by how a setting was typed."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from settings.retention import retention_days, share
from tests.settings.test_environment import GOOD, LOAD, run_python

SHOW = "print(s.RETENTION_MAX_SHARE, s.RETENTION_DAYS)"


@pytest.mark.parametrize("text", ["20", "1.01", "-0.1", "nan", "inf", "20%", ""])
def test_what_is_no_share_is_refused_with_an_example_of_one(text: str) -> None:
    with pytest.raises(ImproperlyConfigured) as found:
        share("RETENTION_MAX_SHARE", text)
    assert str(found.value) == (
        f"RETENTION_MAX_SHARE is {text!r}; it must be a share from 0 to 1: 0.2 is 20 %, 1 asks "
        "never."
    )


@pytest.mark.parametrize("text", ["0", "0.2", "1", " 1e-3 "])
def test_what_is_a_share_is_taken(text: str) -> None:
    assert share("X", text) == float(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("plans", "'plans' is no TABLE=DAYS"),
        ("plans=400,=30", "'=30' is no TABLE=DAYS"),
        ("plans=", "'plans=' is no TABLE=DAYS"),
        ("plans=400,plans=30", "names 'plans' twice"),
    ],
)
def test_days_that_cannot_be_read_are_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"RETENTION_DAYS.*{why}"):
        retention_days(text)


def test_a_process_with_a_wrong_setting_does_not_start_and_with_right_ones_does() -> None:
    wrong = run_python(LOAD, **GOOD, RETENTION_MAX_SHARE="20")
    assert wrong.returncode == 1
    assert "ImproperlyConfigured: RETENTION_MAX_SHARE is '20'" in wrong.stderr.splitlines()[-1]
    right = run_python(
        LOAD + SHOW, **GOOD, RETENTION_MAX_SHARE="0.5", RETENTION_DAYS=" plans = 400, users=3650,"
    )
    assert right.stdout.strip() == "0.5 {'plans': '400', 'users': '3650'}", right.stderr
