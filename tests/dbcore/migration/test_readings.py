"""Stored values as values: the one that is meant, or a refusal; never a guess."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from django.db import models
from hypothesis import example, given
from hypothesis import strategies as st

from dbcore.attributes import JsonCodec
from dbcore.errors import InvalidValue
from dbcore.migration.dead_letters import storable
from dbcore.migration.readings import (
    UndecodableText,
    read_boolean,
    read_decimal,
    read_float,
    read_integer,
    read_json,
    read_text,
    read_time,
    reading_for,
)
from tests import strategies

Reading = Any


def at(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc, arg-type]


def assert_refused(reading: Reading, value: Any, wanted: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        reading(value)
    assert wanted in str(refused.value)
    assert len(str(refused.value)) < 120


# --- Times --------------------------------------------------------------------------------------

NOON = at(2026, 11, 22, 12, 0, 0)


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        # ISO 8601 with Z or an offset
        ("2026-11-22T12:00:00Z", NOON),
        ("2026-11-22T12:00:00.000Z", NOON),
        ("2026-11-22T12:00:00.123456Z", at(2026, 11, 22, 12, 0, 0, 123456)),
        ("2026-11-22T12:00:00.1Z", at(2026, 11, 22, 12, 0, 0, 100000)),
        ("2026-11-22T12:00:00.123456000Z", at(2026, 11, 22, 12, 0, 0, 123456)),
        ("2026-11-22T12:00Z", NOON),
        ("2026-11-22T14:00:00+02:00", NOON),
        ("2026-11-22T14:00:00+0200", NOON),
        ("2026-11-22T14:00:00+02", NOON),
        ("2026-11-22T02:30:00-09:30", NOON),
        ("2026-11-23T11:59:00+23:59", NOON),
        ("2026-11-22T12:00:00-00:00", NOON),
        ("2026-11-22 12:00:00+00:00", NOON),
        ("2026-11-22 12:00:00Z", NOON),
        ("2024-02-29T23:59:59Z", at(2024, 2, 29, 23, 59, 59)),
        ("0001-01-01T00:00:00Z", at(1, 1, 1)),
        ("9999-12-31T23:59:59.999999Z", at(9999, 12, 31, 23, 59, 59, 999999)),
        ("0001-01-01T00:00:00-01:00", at(1, 1, 1, 1)),
        # SQLite's own, in UTC
        ("2026-11-22 12:00:00", NOON),
        ("2026-11-22 12:00", NOON),
        ("2026-11-22 12:00:00.000001", at(2026, 11, 22, 12, 0, 0, 1)),
        # Epoch milliseconds
        (0, at(1970, 1, 1)),
        (1795348800000, NOON),
        (-1, at(1969, 12, 31, 23, 59, 59, 999000)),
        ("1795348800000", NOON),
        ("1795348800000.0", NOON),
        ("-1", at(1969, 12, 31, 23, 59, 59, 999000)),
        (1795348800000.0, NOON),
        (1795348800000.25, at(2026, 11, 22, 12, 0, 0, 250)),
        (1795348800000.123, at(2026, 11, 22, 12, 0, 0, 123)),
        (-0.5, at(1969, 12, 31, 23, 59, 59, 999500)),
        (253402300799999, at(9999, 12, 31, 23, 59, 59, 999000)),
        # What the ORM hands out
        (NOON, NOON),
    ],
)
def test_every_form_of_a_time_is_read_to_the_microsecond(stored: Any, wanted: dt.datetime) -> None:
    found = read_time(stored)
    assert found == wanted
    assert found.utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ("2026-02-31T12:00:00Z", "is not a date"),
        ("2026-02-29 12:00:00", "is not a date"),
        ("2026-13-01 12:00:00", "is not a date"),
        ("2026-11-22 24:00:00", "is not a date"),
        ("2026-11-22T24:00:00Z", "is not a date"),
        ("2026-11-22 12:60:00", "is not a date"),
        ("2026-11-22 12:00:60", "is not a date"),
        ("0000-01-01 00:00:00", "is not a date"),
        ("-001-01-01 00:00:00", "is not a date"),
        ("10000-01-01T00:00:00Z", "is not a date"),
        ("2026-11-22T12:00:00+24:00", "is not a date"),
        ("2026-11-22T12:00:00+02:60", "is not a date"),
        ("2026-11-22T12:00:00+2", "is not a date"),
        ("2026-11-22T12:00:00 Z", "is not a date"),
        ("2026-11-22t12:00:00z", "is not a date"),
        ("2026-11-22  12:00:00", "is not a date"),
        ("2026-11-22 12:00:00\n", "is not a date"),
        (" 2026-11-22 12:00:00", "is not a date"),
        ("2026-11-22 12:00:00.", "is not a date"),
        ("2026-11-22 12", "is not a date"),
        ("2026-11-22", "is not a date"),
        ("12:00:00", "is not a date"),
        ("٢٠٢٦-11-22 12:00:00", "is not a date"),
        ("٥", "is not a date"),
        ("Sun, 22 Nov 2026 12:00:00 GMT", "is not a date"),
        ("", "is not a date"),
        ("1_000", "is not a date"),
        ("1795348800000.5", "is not a date"),
        ("9" * 5000, "is not a date"),
        # Off the calendar
        ("0001-01-01T00:00:00+01:00", "is not a date"),
        ("9999-12-31T23:59:59-01:00", "is not a date"),
        (253402300800000, "is not a date"),
        (10**30, "is not a date"),
        (1e300, "is not a date"),
        (float("inf"), "is not a date"),
        (float("nan"), "is not a date"),
        # What a microsecond cannot hold, or an instant needs
        ("2026-11-22T12:00:00.1234567Z", "finer than a microsecond"),
        ("2026-11-22T12:00:00.000000001Z", "finer than a microsecond"),
        ("2026-11-22 12:00:00.0000001", "finer than a microsecond"),
        (0.0001, "is not a date"),
        (1795348800000.1235, "is not a date"),
        ("2026-11-22T12:00:00", "without a time zone"),
        ("2026-11-22T12:00", "without a time zone"),
        # Other types
        (True, "is not a date"),
        (b"2026-11-22 12:00:00", "is bytes, not a date"),
        (UndecodableText(b"\xff"), "is not UTF-8 text"),
        (["2026"], "is not a date"),
        (None, "is not a date"),
    ],
)
def test_what_is_not_one_instant_is_refused(stored: Any, reason: str) -> None:
    assert_refused(read_time, stored, reason)


@given(strategies.instants())
def test_times_are_read_as_django_and_as_daylights_earlier_backend_wrote_them(
    instant: dt.datetime,
) -> None:
    utc = instant.astimezone(dt.UTC).replace(tzinfo=None)
    for text in (str(utc), utc.isoformat() + "Z", instant.isoformat(), f"{utc}+00:00"):
        assert read_time(text) == instant
    whole = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
    milliseconds = (whole - at(1970, 1, 1)) // dt.timedelta(milliseconds=1)
    assert read_time(milliseconds) == read_time(str(milliseconds)) == whole


@given(st.floats())
@example(1795348800000.001)
@example(9123456789012.001953125)
@example(2.0**53)
def test_milliseconds_with_a_fraction_are_read_exactly_as_they_are_written(stored: float) -> None:
    try:
        found = read_time(stored)
    except InvalidValue:
        return
    microseconds = (found - at(1970, 1, 1)) // dt.timedelta(microseconds=1)
    assert Decimal(microseconds) == Decimal(repr(stored)) * 1000


# --- Text and booleans --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [("", ""), ("a\0😀", "a\0😀"), (5, "5"), (-(2**63), str(-(2**63))), ("5", "5")],
)
def test_text_is_text_and_a_whole_number_its_digits(stored: Any, wanted: str) -> None:
    assert read_text(stored) == wanted


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (1.5, "is not text"),
        (5.0, "is not text"),
        (True, "is not text"),
        (b"text", "is bytes, not text"),
        (UndecodableText(b"caf\xe9"), "is not UTF-8 text"),
        (None, "is not text"),
    ],
)
def test_what_is_not_text_is_refused(stored: Any, reason: str) -> None:
    assert_refused(read_text, stored, reason)


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (0, False),
        (1, True),
        ("0", False),
        ("1", True),
        ("true", True),
        ("FALSE", False),
        (True, True),
    ],
)
def test_booleans_are_read_from_numbers_and_from_words(stored: Any, wanted: bool) -> None:
    assert read_boolean(stored) is wanted


@pytest.mark.parametrize(
    "stored", [2, -1, "yes", "", "t", " true", "01", 1.0, 0.0, b"1", None, UndecodableText(b"\xff")]
)
def test_what_is_neither_true_nor_false_is_refused(stored: Any) -> None:
    is_text = isinstance(stored, UndecodableText)
    assert_refused(read_boolean, stored, "is not UTF-8" if is_text else "true or false")


# --- Numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (5, 5),
        (2**63 - 1, 2**63 - 1),
        (5.0, 5),
        (-0.0, 0),
        (1e22, 10**22),
        ("5", 5),
        ("-5", -5),
        ("007", 7),
        ("9" * 38, int("9" * 38)),
    ],
)
def test_whole_numbers_are_read_also_from_text_and_floats(stored: Any, wanted: int) -> None:
    found = read_integer(stored)
    assert found == wanted
    assert type(found) is int


@pytest.mark.parametrize(
    "stored",
    ["5.0", "1e3", "", " 5", "5\n", "+5", "1_000", "٥", "0x10", "five", "9" * 5000, 5.5, True, b"5",
     float("inf"), float("nan"), None],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_what_is_not_a_whole_number_is_refused(stored: Any) -> None:
    assert_refused(read_integer, stored, "a whole number")


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (1.5, 1.5),
        (-0.0, 0.0),
        (5, 5.0),
        (2**53, 2.0**53),
        (10**22, 1e22),
        ("1.5", 1.5),
        ("-116.397128", -116.397128),
        ("+1.50", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("0.0000000000", 0.0),
        ("0.30000000000000004", 0.1 + 0.2),
    ],
)
def test_numbers_are_read_also_from_text(stored: Any, wanted: float) -> None:
    found = read_float(stored)
    assert found == wanted
    assert type(found) is float


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ("", "is not a number"),
        (" 1.5", "is not a number"),
        ("1_000", "is not a number"),
        ("٥", "is not a number"),
        ("nan", "is not a number"),
        ("Infinity", "is not a number"),
        ("1,5", "is not a number"),
        ("0x1p3", "is not a number"),
        (".", "is not a number"),
        (True, "is not a number"),
        (b"1.5", "is bytes, not a number"),
        (None, "is not a number"),
        (2**53 + 1, "that a double does not hold"),
        (10**400, "that a double does not hold"),
        ("9007199254740993", "that a double does not hold"),
        ("0.1234567890123456789", "that a double does not hold"),
        ("1e400", "that a double does not hold"),
        ("1e-400", "that a double does not hold"),
        ("9" * 5000, "that a double does not hold"),
        ("1e99999999999999999999", "out of the range"),
    ],
    ids=lambda value: repr(value)[:20] if not isinstance(value, int) else None,
)
def test_what_is_not_a_number_or_would_be_rounded_is_refused(stored: Any, reason: str) -> None:
    assert_refused(read_float, stored, reason)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_double_is_read_back_from_its_text(value: float) -> None:
    assert read_float(repr(value)) == value


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (2.5, "2.5"),
        (0.1 + 0.2, "0.3"),
        (5, "5"),
        ("2.5", "2.5"),
        ("-0.5", "-0.5"),
        (Decimal("2.5"), "2.5"),
        ("2.55", "2.55"),  # for the codec to refuse: it has more places than the field
    ],
)
def test_decimals_are_read_as_djangos_converter_reads_them(stored: Any, wanted: str) -> None:
    assert read_decimal(1)(stored) == Decimal(wanted)


@pytest.mark.parametrize(
    "stored",
    ["", "two", "NaN", "sNaN", "Infinity", " 2.5", "2_5", "٢", True, b"2.5", None,
     float("inf"), "1e99999999999999999999"],
)  # fmt: skip
def test_what_is_not_a_decimal_is_refused(stored: Any) -> None:
    assert_refused(read_decimal(1), stored, "a decimal number")


# --- JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        ("{}", {}),
        ("[]", []),
        (' {"a" : [ 1 , true , null ] }\n', {"a": [1, True, None]}),
        ('{"\\u0061\\ud83d\\ude00": "\\u0000\\/"}', {"a😀": "\0/"}),
        ('{"": ""}', {"": ""}),
        ("5", 5),
        ('"text"', "text"),
        ("null", None),
        # As every other reader of JSON: the last of several values of one name.
        ('{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}),
        ('{"a": 1, "\\u0061": 3}', {"a": 3}),
        ({"a": 1}, {"a": 1}),
        (["a"], ["a"]),
    ],
)
def test_json_text_is_read_as_json(stored: Any, wanted: Any) -> None:
    assert read_json(stored) == wanted


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        ("1", 1),
        ("-0", 0),
        ("1.0", 1.0),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("9007199254740993", 9007199254740993),
        ("9" * 38, int("9" * 38)),
        ("-" + "9" * 38, -int("9" * 38)),
        ("0.1", 0.1),
        ("0.10", 0.1),
        ("0.1000000000000000055511151231257827", Decimal("0.1000000000000000055511151231257827")),
        ("9007199254740993.5", Decimal("9007199254740993.5")),
        ("12345678901234567890.0", Decimal("12345678901234567890.0")),
        ("1E-130", 1e-130),
        ("1e400", Decimal("1e400")),  # for the codec to refuse
        ("1e-400", Decimal("1e-400")),
    ],
)
def test_numbers_in_json_are_what_json_gives_or_where_a_double_changes_them_decimals(
    number: str, wanted: Any
) -> None:
    (found,) = read_json(f"[{number}]")
    assert found == wanted
    assert type(found) is type(wanted)


@given(strategies.number_texts())
@example("1e2000")
@example("-1e-2000")
@example("1." + "0" * 400 + "1")
@example("0." + "0" * 400 + "1")
@example("1" + "0" * 400 + ".0")
@example("1e99999999999999999999")
@example("1e-99999999999999999999")
@example("-" + "9" * 39)
def test_a_number_in_json_reaches_dynamodb_as_it_is_or_not_at_all(number: str) -> None:
    try:
        ((_, sent),) = JsonCodec().to_attribute(read_json(f"[{number}]"))["L"][0].items()
    except InvalidValue as refused:
        assert len(str(refused)) < 120
        return
    if Decimal(sent) != Decimal(number):
        # The one exception: what JSON reads as a whole double is sent with all of its digits.
        assert Decimal(repr(float(number))) == Decimal(number)
        assert int(sent) == float(number)


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        *((text, "is not JSON") for text in strategies.BROKEN_JSON
          if text not in ("5", '"text"', "null", "true")),
        ("[-Infinity]", "is not JSON: it has -Infinity"),
        ("NaN", "is not JSON: it has NaN"),
        ("[" + "9" * 5000 + "]", "beyond 38 digits"),
        ("[-" + "9" * 40 + "]", "beyond 38 digits"),
        ("[" + "9" * 40 + "]", "beyond 38 digits"),
        ("[" * 100_000, "is nested deeper than 31 levels"),
        ("[" * 100_000 + "]" * 100_000, "is nested deeper than 31 levels"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "is nested deeper than 31 levels"),
        (5, "is not JSON"),
        (1.5, "is not JSON"),
        (True, "is not JSON"),
        (b"{}", "is bytes, not JSON"),
        (UndecodableText(b'{"a":"\xff"}'), "is not UTF-8 text"),
        (None, "is not JSON"),
    ],
    ids=lambda value: ascii(value)[:30],
)  # fmt: skip
def test_what_is_not_json_or_too_much_of_it_is_refused(stored: Any, reason: str) -> None:
    assert_refused(read_json, stored, reason)


@pytest.mark.parametrize("stored", ['["\\ud800"]', '{"\\udc00": 1}', '{"a": "\\ude00\\ud83d"}'])
def test_a_lone_surrogate_in_json_is_read_and_then_refused_by_name(stored: str) -> None:
    with pytest.raises(InvalidValue, match="lone surrogate"):
        JsonCodec().to_attribute(read_json(stored))


@given(strategies.json_values())
def test_json_is_read_as_django_wrote_it(value: Any) -> None:
    assert read_json(json.dumps(value)) == value
    assert read_json(json.dumps(value, ensure_ascii=False, indent=1)) == value


@given(strategies.json_texts())
def test_json_is_read_as_pythons_own_reader_reads_it_but_for_lost_digits(text: str) -> None:
    def approximate(each: Any) -> Any:
        if isinstance(each, dict):
            return {key: approximate(inner) for key, inner in each.items()}
        if isinstance(each, list):
            return [approximate(inner) for inner in each]
        return float(each) if isinstance(each, Decimal) else each

    try:
        found = read_json(text)
    except InvalidValue:
        return
    assert approximate(found) == json.loads(text)


# --- What cannot be read ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "kept"),
    [
        ("text", "text"),
        (2**63, 2**63),
        (1.5, 1.5),
        (None, None),
        (b"\xff", {"$bytes": "/w=="}),
        (UndecodableText(b"caf\xe9"), {"$text": "Y2Fm6Q=="}),
        ("\ud800", {"$text": "7aCA"}),
        ("a\0", {"$bytes": "YQA="}),
        (float("inf"), {"$real": "inf"}),
        ([1, "\0\ud800", float("nan")], {"$json": '[1, "\\u0000\\ud800", NaN]'}),
        (at(2026, 1, 1, 0, 0, 0, 1), {"$time": "2026-01-01T00:00:00.000001+00:00"}),
        (Decimal("1.50"), {"$decimal": "1.50"}),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_a_stored_value_that_is_refused_is_kept_whole_as_json(stored: Any, kept: Any) -> None:
    assert storable(stored) == kept
    json.dumps(storable(stored), allow_nan=False, ensure_ascii=False).encode()


# --- By field -----------------------------------------------------------------------------------


def test_each_field_type_is_read_in_its_own_way() -> None:
    assert reading_for(models.JSONField()) is read_json
    assert reading_for(models.PositiveSmallIntegerField()) is read_integer
    assert reading_for(models.GenericIPAddressField()) is read_text
    decimal = reading_for(models.DecimalField(max_digits=9, decimal_places=2))
    assert decimal(1.005) == Decimal("1.00")
