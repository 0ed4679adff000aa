"""Values to attributes and back: equal, or refused with a reason; nothing in between."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.db import models
from hypothesis import example, given
from hypothesis import strategies as st

from dbcore.attributes import (
    MAX_DIGITS,
    MAX_NESTING,
    BooleanCodec,
    DecimalCodec,
    FloatCodec,
    IntegerCodec,
    JsonCodec,
    TextCodec,
    TimestampCodec,
    attribute_name,
    codec_for,
    item_bytes,
    native,
    number_text,
    number_value,
    plain,
    timestamp_text,
)
from dbcore.errors import ConfigurationError, InvalidValue
from tests import strategies

NAN, INFINITY = float("nan"), float("inf")


def there_and_back(codec: Any, value: Any) -> Any:
    return codec.from_attribute(codec.to_attribute(value))


def reason(codec: Any, value: Any) -> str:
    with pytest.raises(InvalidValue) as refused:
        codec.to_attribute(value)
    return str(refused.value)


REFUSED = [
    (TextCodec(), 5, "is int, not text"),
    (TextCodec(), None, "is NoneType, not text"),
    (TextCodec(), b"raw", "is bytes, not text"),
    (TextCodec(), "a\ud800", "has a lone surrogate"),
    (TextCodec(), "\udfff😀", "has a lone surrogate"),
    (BooleanCodec(), 1, "is not true or false"),
    (BooleanCodec(), "true", "is not true or false"),
    (IntegerCodec(), True, "is not a whole number"),
    (IntegerCodec(), 1.0, "is not a whole number"),
    (IntegerCodec(), "1", "is not a whole number"),
    (IntegerCodec(), 10**38, "beyond 38 digits"),
    (IntegerCodec(), -(10**38), "beyond 38 digits"),
    (IntegerCodec(), 10**5000, "beyond 38 digits"),
    (FloatCodec(), NAN, "has NaN"),
    (FloatCodec(), INFINITY, "has Infinity"),
    (FloatCodec(), -INFINITY, "has -Infinity"),
    (FloatCodec(), True, "is not a number"),
    (FloatCodec(), "1.5", "is not a number"),
    (FloatCodec(), 1e126, "has 1e\\+126, out of the range"),
    (FloatCodec(), 1e-131, "has 1e-131, out of the range"),
    (FloatCodec(), -9e-131, "out of the range"),
    (FloatCodec(), 5e-324, "out of the range"),
    (DecimalCodec(1), 1.5, "is not a decimal number"),
    (DecimalCodec(1), 1, "is not a decimal number"),
    (DecimalCodec(1), Decimal("1.55"), "more decimal places than the field"),
    (DecimalCodec(1), Decimal("1E-2000"), "more decimal places than the field"),
    (DecimalCodec(1), Decimal("1." + "0" * 500 + "1"), "more decimal places than the field"),
    (DecimalCodec(1), Decimal("NaN"), "has NaN"),
    (DecimalCodec(1), Decimal("sNaN"), "has sNaN"),
    (DecimalCodec(1), Decimal("-Infinity"), "has -Infinity"),
    (DecimalCodec(1), Decimal("1E+126"), "out of the range"),
    (DecimalCodec(1), Decimal("1E+2000"), "out of the range"),
    (DecimalCodec(1), Decimal("1E+999999999"), "out of the range"),
    (DecimalCodec(200), Decimal("9.9E-131"), "out of the range"),
    (DecimalCodec(0), Decimal(10**38 + 1), "beyond 38 digits"),
    (TimestampCodec(), "2026-01-01", "is not a date"),
    (TimestampCodec(), dt.date(2026, 1, 1), "is not a date"),
    (TimestampCodec(), dt.datetime(2026, 1, 1), "without a time zone"),  # noqa: DTZ001
    (JsonCodec(), "text", "is not a JSON object or list"),
    (JsonCodec(), None, "is not a JSON object or list"),
    (JsonCodec(), 5, "is not a JSON object or list"),
    (JsonCodec(), ["\ud800"], "has a lone surrogate"),
    (JsonCodec(), {"\ud800": 1}, "has a lone surrogate"),
    (JsonCodec(), {5: 1}, "is int, not text"),
    (JsonCodec(), [NAN], "has NaN"),
    (JsonCodec(), [Decimal("Infinity")], "has Infinity"),
    (JsonCodec(), {"a": [10**38]}, "beyond 38 digits"),
    (JsonCodec(), [Decimal("1." + "0" * 400 + "1")], "beyond 38 digits"),
    (JsonCodec(), [Decimal("1E+2000")], "out of the range"),
    (JsonCodec(), [(1, 2)], "has a tuple, which is not JSON"),
    (JsonCodec(), [{1}], "has a set, which is not JSON"),
    (JsonCodec(), [b""], "has a bytes, which is not JSON"),
    (JsonCodec(), [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)], "has a datetime"),
    (JsonCodec(), strategies.nested(MAX_NESTING + 1), "deeper than 31 levels"),
    (JsonCodec(), strategies.nested(MAX_NESTING + 1, "dict"), "deeper than 31 levels"),
    (JsonCodec(), strategies.nested(900, "list"), "deeper than 31 levels"),
]


@given(strategies.texts(100))
def test_text_comes_back_letter_for_letter(value: str) -> None:
    assert TextCodec().to_attribute(value) == {"S": value}
    assert there_and_back(TextCodec(), value) == value


@pytest.mark.parametrize("value", [True, False])
def test_booleans_come_back(value: bool) -> None:
    assert there_and_back(BooleanCodec(), value) is value


@given(strategies.integers())
@example(strategies.LARGEST)
@example(-strategies.LARGEST)
def test_whole_numbers_of_up_to_38_digits_come_back_whole(value: int) -> None:
    found = there_and_back(IntegerCodec(), value)
    assert found == value
    assert type(found) is int
    assert len(IntegerCodec().to_attribute(value)["N"].lstrip("-")) <= 38


@given(strategies.floats())
@example(1e-130)
@example(9.99e125)
@example(5e-130)
def test_doubles_come_back_bit_for_bit_but_for_the_sign_of_zero(value: float) -> None:
    found = there_and_back(FloatCodec(), value)
    assert found == value
    assert type(found) is float
    if value:
        assert math.copysign(1, found) == math.copysign(1, value)


def test_negative_zero_is_sent_as_the_zero_that_dynamodb_has() -> None:
    assert FloatCodec().to_attribute(-0.0) == {"N": "0"}
    assert native([-0.0]) == {"L": [{"N": "0"}]}
    assert DecimalCodec(1).to_attribute(Decimal("-0.0")) == {"N": "0"}


@given(st.integers(0, 20).flatmap(lambda n: st.tuples(st.just(n), strategies.decimals(n))))
def test_decimals_come_back_exactly_and_with_their_fields_places(case: tuple[int, Decimal]) -> None:
    places, value = case
    found = there_and_back(DecimalCodec(places), value)
    assert found == value
    assert found.as_tuple().exponent == -places


@pytest.mark.parametrize("text", ["9.99E+125", "1E-130", "-1E-130", "1" + "0" * 125, "0E-500"])
def test_decimals_at_the_ends_of_dynamodbs_range_come_back(text: str) -> None:
    codec = DecimalCodec(130)
    assert there_and_back(codec, Decimal(text)) == Decimal(text)


@given(strategies.instants())
def test_times_come_back_in_utc_at_a_fixed_width(value: dt.datetime) -> None:
    text = TimestampCodec().to_attribute(value)["S"]
    assert len(text) == 27
    found = there_and_back(TimestampCodec(), value)
    assert found == value
    assert found.utcoffset() == dt.timedelta(0)


@given(strategies.instants(), strategies.instants())
def test_the_order_of_times_is_the_order_of_their_texts(one: dt.datetime, two: dt.datetime) -> None:
    assert (one < two) == (timestamp_text(one) < timestamp_text(two))


@given(strategies.json_values())
@example([])
@example({})
@example({"": {"": []}})
@example([1, 1.5, -0.0, 1e38, 1e37, 2**100, float(2**100), True, None, ""])
@example(strategies.nested(MAX_NESTING, "list"))
@example(strategies.nested(MAX_NESTING, "dict", inside="\0😀"))
def test_json_comes_back_equal(value: Any) -> None:
    assert there_and_back(JsonCodec(), value) == value


@given(strategies.json_values())
def test_json_comes_back_with_booleans_and_numbers_told_apart(value: Any) -> None:
    """True == 1 in Python; in JSON they differ."""

    def types(each: Any) -> Any:
        if isinstance(each, dict):
            return {key: types(inner) for key, inner in each.items()}
        if isinstance(each, list):
            return [types(inner) for inner in each]
        return "number" if type(each) in (int, float) else type(each).__name__

    assert types(there_and_back(JsonCodec(), value)) == types(value)


@given(st.floats(allow_nan=True) | st.integers() | st.decimals(allow_nan=True))
def test_a_number_is_sent_exactly_or_refused(value: Any) -> None:
    try:
        text = number_text(value)
    except InvalidValue as refused:
        assert str(refused).startswith("has ")
        return
    sent = Decimal(text)
    if isinstance(value, float):
        assert float(text) == value
    else:
        assert sent == value
    assert not sent or -130 <= sent.adjusted() <= 125


@given(st.integers(1, 60), st.integers(1, 60))
def test_digits_are_counted_without_the_zeros_at_either_end(ones: int, zeros: int) -> None:
    value = Decimal(f"0.{'0' * zeros}{'1' * ones}{'0' * zeros}")
    if ones <= 38:
        assert Decimal(number_text(value)) == value
    else:
        with pytest.raises(InvalidValue, match="beyond 38 digits"):
            number_text(value)


@pytest.mark.parametrize(
    ("codec", "value", "wanted"),
    REFUSED,
    ids=[f"{type(codec).__name__} {wanted}" for codec, _, wanted in REFUSED],
)
def test_what_cannot_be_kept_is_refused_and_the_reason_said(
    codec: Any, value: Any, wanted: str
) -> None:
    with pytest.raises(InvalidValue, match=wanted) as refused:
        codec.to_attribute(value)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "value",
    [
        dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
        dt.datetime(9999, 12, 31, 23, 59, tzinfo=dt.timezone(-dt.timedelta(hours=1))),
    ],
)
def test_a_time_whose_utc_is_off_the_calendar_is_refused(value: dt.datetime) -> None:
    assert "outside the years 1 to 9999" in reason(TimestampCodec(), value)


def test_a_scalar_may_stand_in_the_deepest_container() -> None:
    native(strategies.nested(MAX_NESTING, "list", inside=1))


def test_what_python_could_not_have_sent_is_not_taken_for_json() -> None:
    for attribute in ({"B": "AA=="}, {"SS": ["a"]}, {"NS": ["1"]}):
        with pytest.raises(InvalidValue, match="is not JSON"):
            plain(attribute)
    for two in ({"S": "x", "N": "1"}, {"M": {"a": {"S": "x", "N": "1"}}}, {"L": [{}]}):
        with pytest.raises(ValueError, match="values to unpack"):
            plain(two)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0", 0),
        ("-5", -5),
        ("1.50", 1.5),
        ("1E+3", 1000),
        ("1E-130", 1e-130),
        ("9" * 38, int("9" * 38)),
        ("-" + "9" * 38, -int("9" * 38)),
        ("1" + "0" * 38, 1e38),
        ("1E+38", 1e38),
        ("0." + "0" * 129 + "1", 1e-130),
        ("5.0", 5),
    ],
)
def test_dynamodbs_numbers_are_the_numbers_that_json_would_give(text: str, wanted: Any) -> None:
    assert number_value(text) == wanted
    assert type(number_value(text)) is type(wanted)


def as_json(text: str) -> int | float:
    """The same by exact arithmetic: a whole number that DynamoDB keeps digit by digit is an int."""
    value = Fraction(text)
    whole = value.denominator == 1 and abs(value) < 10**MAX_DIGITS
    return int(value) if whole else float(text)


@given(st.from_regex(r"-?\d{1,42}(\.\d{1,45})?(E[+-]?\d{1,3})?", fullmatch=True))
@example("0." + "9" * 40)
@example("123456789012345678.5")
@example("1.0000000000000000000000000000000000001")
@example("15E-1")
@example("1.5e1")
def test_a_number_is_the_same_alone_and_within_an_object(text: str) -> None:
    found = [
        plain({"N": text}),
        *plain({"M": {"a": {"N": text}, "b": {"L": [{"N": text}]}}}).values(),
    ]
    assert repr(found) == repr([as_json(text), as_json(text), [as_json(text)]])


def test_each_mapped_field_type_has_its_codec() -> None:
    assert isinstance(codec_for(models.TextField()), TextCodec)
    assert isinstance(codec_for(models.BigIntegerField()), IntegerCodec)
    assert isinstance(codec_for(models.JSONField()), JsonCodec)
    codec = codec_for(models.DecimalField(max_digits=9, decimal_places=3))
    assert codec.from_attribute({"N": "1.5"}).as_tuple().exponent == -3


class ShoutedField(models.CharField):  # type: ignore[type-arg]
    """A field type that nothing maps, though it is a kind of one that is."""


@pytest.mark.parametrize(
    "field", [models.BinaryField(), models.DurationField(), models.UUIDField(), ShoutedField()]
)
def test_a_field_type_that_is_not_mapped_is_an_error_that_names_it(field: Any) -> None:
    with pytest.raises(ConfigurationError, match=type(field).__name__):
        codec_for(field)


@pytest.mark.parametrize(
    ("field", "attribute"),
    [
        ("id", "id"),
        ("user_id", "userId"),
        ("response_time_ms", "responseTimeMs"),
        ("mfa_verified", "mfaVerified"),
        ("last_activity_at", "lastActivityAt"),
    ],
)
def test_attributes_are_named_in_camel_case(field: str, attribute: str) -> None:
    assert attribute_name(field) == attribute


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({}, 0),
        ({"a": {"S": ""}}, 1),
        ({"ab": {"S": "xyz"}}, 5),
        ({"é": {"S": "😀"}}, 2 + 4),
        ({"a": {"BOOL": True}}, 2),
        ({"a": {"NULL": True}}, 2),
        ({"a": {"M": {}}}, 1 + 3),
        ({"a": {"L": []}}, 1 + 3),
        # Containers cost 3 bytes, and 1 for each member.
        ({"a": {"L": [{"S": "xy"}, {"BOOL": False}]}}, 1 + 3 + (1 + 2) + (1 + 1)),
        ({"a": {"M": {"kk": {"S": "xy"}}}}, 1 + 3 + (1 + 2 + 2)),
    ],
)
def test_an_items_size_is_counted_as_dynamodb_documents_it(item: Any, size: int) -> None:
    assert item_bytes(item) == size


@given(strategies.integers())
def test_a_number_counts_a_byte_for_two_digits_and_one_more_at_least(value: int) -> None:
    digits = len(str(abs(value)).strip("0"))
    assert (digits + 1) // 2 + 1 <= item_bytes({"": {"N": str(value)}}) <= 22


@given(strategies.json_values(), strategies.texts())
def test_an_items_size_is_never_below_that_of_its_texts(value: Any, name: str) -> None:
    def text_bytes(each: Any) -> int:
        if isinstance(each, str):
            return len(each.encode())
        if isinstance(each, dict):
            return sum(text_bytes(key) + text_bytes(inner) for key, inner in each.items())
        return sum(map(text_bytes, each)) if isinstance(each, list) else 0

    assert item_bytes({name: native(value)}) >= len(name.encode()) + text_bytes(value)
