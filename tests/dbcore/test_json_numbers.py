"""Which numbers in JSON are doubles that a database has written out, and which never were."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from dbcore.json_numbers import JsonDecoder, exact_number


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
