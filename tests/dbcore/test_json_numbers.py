"""Which numbers in JSON are doubles that a database has written out, and which never were."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from dbcore.errors import InvalidValue
from dbcore.json_numbers import JsonDecoder, exact_number, is_too_deep


@pytest.mark.parametrize("number", [1e38, -1e38, 1.7e125, 9.87654321e77, 1.7976931348623157e308])
def test_a_double_that_is_written_out_is_read_as_one(number: float) -> None:
    written_out = f"{Decimal(repr(number)):f}"  # as PostgreSQL does
    found = json.loads(f'{{"n": [{written_out}]}}', cls=JsonDecoder)["n"][0]
    assert type(found) is float and found == number


@pytest.mark.parametrize("number", [0, -7, 2**53 + 1, 10**37, 10**38 - 1, 10**38 + 1, 10**400 + 1])
def test_a_whole_number_that_is_no_double_stays_whole(number: int) -> None:
    found = json.loads(str(number), cls=JsonDecoder)
    assert type(found) is int and found == number


def test_a_large_whole_double_is_kept_as_the_whole_number_that_it_equals() -> None:
    for number in (2.0**53, 1e22, 1e23, -1.2345e25, 1e38):
        assert type(exact_number(number)) is int and exact_number(number) == number
    for number in (0.0, -0.0, 5.0, 2.0**53 - 1, 0.5, 1.1e38, -1e100):
        assert type(exact_number(number)) is float and exact_number(number) == number


def test_what_python_cannot_read_is_refused_without_being_quoted() -> None:
    for text, why in (
        (f"[{'7' * 5000}]", "more digits"), (f"-{'7' * 5000}", "more digits"),
        ("[" * 200_000, "deeper than can be read"), ('{"a":' * 200_000, "deeper than can be read"),
    ):  # fmt: skip
        with pytest.raises(InvalidValue, match=why) as refused:
            json.loads(text, cls=JsonDecoder)
        assert "7" not in str(refused.value)
    with pytest.raises(json.JSONDecodeError):
        json.loads("{", cls=JsonDecoder)


@pytest.mark.parametrize(("depth", "too_deep"), [(1, False), (31, False), (32, True), (900, True)])
def test_json_is_too_deep_where_a_record_may_not_have_it(depth: int, too_deep: bool) -> None:
    for innermost in ([], {}, [1], {"a": None}):
        value: object = innermost
        for level in range(depth - 1):
            value = [value, 5] if level % 2 else {"a": value, "b": ""}
        assert is_too_deep(value) is too_deep
    assert not is_too_deep(5)
