"""A text is a value or it is refused; what is a value comes back as it was meant."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbcore.configuration.kinds import Boolean, Choice, Integer, ListOf, Number, Pairs, Share, Text
from dbcore.configuration.masks import host_alone, names_alone, without_account
from dbcore.configuration.reading import cleaned

KINDS = (
    Boolean(), Integer(-5, 5), Number(0, 1e9), Share(), Choice(("a", "b")), ListOf(Integer(0, 9)),
    Pairs("TABLE", Integer(1, 9)), Text(r"[a-z]+"),
)  # fmt: skip


@given(st.integers(-(10**17), 10**17))
def test_every_whole_number_is_itself(number: int) -> None:
    assert Integer(-(10**18), 10**18).parse(str(number)) == number


@given(st.floats(0, 1e15, allow_subnormal=False).map(lambda each: round(each, 6)))
def test_every_number_is_itself(number: float) -> None:
    assert Number(0, 1e15).parse(format(number, "f")) == number


@given(st.integers(2, 9), st.integers(-99, 99))
def test_what_is_beyond_the_bounds_is_refused(high: int, number: int) -> None:
    kind = Integer(-high, high)
    if -high <= number <= high:
        assert kind.parse(str(number)) == number
    else:
        with pytest.raises(ValueError):
            kind.parse(str(number))


@given(st.text(), st.sampled_from(KINDS))
def test_any_text_has_a_value_or_is_refused(text: str, kind: Any) -> None:
    try:
        value = kind.parse(text)
    except ValueError:
        return
    assert value is not None
    if isinstance(kind, Number):
        assert kind.low <= value <= kind.high


@given(st.text(st.characters(codec="ascii", exclude_characters="\r\n\t '\""), min_size=1))
def test_what_people_put_around_a_value_is_taken_off_once(text: str) -> None:
    for wrapped in (text, f" {text}\t", f"'{text}'", f'"{text}"', f'"{text}"\r', f"  '{text}'  "):
        assert cleaned(wrapped) == text
    assert cleaned(f"''{text}''") == f"'{text}'"
    assert cleaned(f"'{text}\"") == f"'{text}\""


@pytest.mark.parametrize("text", ["", "'", '"', "''", "' '"])
def test_little_is_cleaned_without_harm(text: str) -> None:
    assert cleaned(text) in ("", "'", '"', " ")


_SECRET = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=9)


@given(_SECRET)
def test_no_password_of_an_address_is_shown(secret: str) -> None:
    for url in (f"postgres://u:{secret}@h.internal/d", f"rediss://:{secret}@h.internal/0"):
        assert secret not in without_account(url)
    secret = f"T{secret}"
    assert f"/{secret}" not in host_alone(f"https://h.internal/{secret}")


def test_masks_leave_what_may_be_known() -> None:
    assert without_account("postgres://u:p/w@h:5/d?sslmode=require&sslpassword=x") == (
        "postgres://***@h:5/d?sslmode=require&sslpassword=***"
    )
    assert without_account("sqlite:///var/daylight.sqlite3") == "sqlite:///var/daylight.sqlite3"
    assert host_alone("https://hooks.slack.com/services/T/B/x") == "https://hooks.slack.com/***"
    assert host_alone("https://[broken") == "***"
    assert names_alone("new:secret, old:secret") == "new:***,old:***"
    assert names_alone("secret") == "***"
