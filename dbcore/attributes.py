"""Django field <-> DynamoDB attribute: one closed map.

A value either survives field -> attribute -> field unchanged, or is refused with `InvalidValue`;
nothing may be rounded, truncated or guessed here. A refusal's message reads on from the field's
name. Limits are those of the DynamoDB Developer Guide
("Service, account, and table quotas", "Supported data types").
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol

from django.db import models

from dbcore.errors import ConfigurationError, InvalidValue

AttributeValue = dict[str, Any]  # {"S": "text"}, {"N": "1.5"}, {"M": {...}}, ...
Item = dict[str, AttributeValue]

MAX_DIGITS = 38  # significant digits of a DynamoDB number
MAX_EXPONENT = 125  # 9.99…E+125 is its largest, 1E-130 its smallest magnitude
MIN_EXPONENT = -130
EXACT_INTEGERS = 10**MAX_DIGITS  # below this an integral number is kept digit by digit
MAX_NESTING = 31  # containers in one attribute: 32 levels, of which the attribute is the first
MAX_ITEM_BYTES = 400 * 1024
MAX_HASH_KEY_BYTES = 2048
MAX_RANGE_KEY_BYTES = 1024

_NAMES = {float("inf"): "Infinity", float("-inf"): "-Infinity"}
_WIDE = decimal.Context(prec=400, Emin=-1000, Emax=1000)


class Codec(Protocol):
    """Both directions of one attribute. `tag` is DynamoDB's type, or "" where it varies (JSON)."""

    tag: str

    def to_attribute(self, value: Any) -> AttributeValue:
        """The attribute value of a non-null Python value; raises InvalidValue."""

    def from_attribute(self, attribute: Mapping[str, Any]) -> Any:
        """The Python value, as Django's field would give it."""


def number_text(value: int | float | Decimal) -> str:
    """A number as DynamoDB takes it, digit for digit; raises InvalidValue where it cannot be."""
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, int):
        if abs(value) >= EXACT_INTEGERS:
            raise InvalidValue(f"has a number beyond {MAX_DIGITS} digits")
        return int.__repr__(value)  # an Enum's own text is its name
    return _decimal_text(value)


def _float_text(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        raise InvalidValue(f"has {_NAMES.get(value, 'NaN')}, which DynamoDB's numbers have not")
    if value.is_integer() and abs(value) < EXACT_INTEGERS:
        # All its digits, not repr's shortest: read back as an int it must equal the float.
        return str(int(value))
    text = float.__repr__(value)
    _check_magnitude(Decimal(text), text)
    return text


def _decimal_text(value: Decimal) -> str:
    if not value.is_finite():
        raise InvalidValue(f"has {value}, which DynamoDB's numbers have not")
    if not value:
        return "0"
    digits, _ = _significant(value)
    if digits > MAX_DIGITS:
        raise InvalidValue(f"has a number beyond {MAX_DIGITS} digits")
    text = str(value)
    _check_magnitude(value, text)
    return text


def _significant(value: Decimal) -> tuple[int, int]:
    """How many digits a finite number has without its last zeros, and the exponent of the last."""
    # Not by normalize(): that rounds what is longer than a context's precision.
    _, digits, exponent = value.as_tuple()
    kept = len(bytes(digits).rstrip(b"\0"))
    return kept, int(exponent) + len(digits) - kept


def _check_magnitude(value: Decimal, text: str) -> None:
    if not MIN_EXPONENT <= value.adjusted() <= MAX_EXPONENT:
        raise InvalidValue(
            f"has {text:.50}, out of the range of DynamoDB's numbers (1E-130 to 1E+126)"
        )


def number_value(text: str) -> int | float:
    """The Python number that JSON would give for DynamoDB's number text."""
    if "." in text and not (number := float(text)).is_integer():
        return number  # the common case; of a whole number the float is whole too
    if text.lstrip("-").isdigit() and len(text) <= MAX_DIGITS:
        return int(text)
    value = Decimal(text)
    # No abs(): it rounds to 28 digits, and so would make 38 nines 1E+38.
    if -EXACT_INTEGERS < value < EXACT_INTEGERS and value == value.to_integral_value(context=_WIDE):
        return int(value)
    return float(text)


def check_text(value: Any) -> str:
    """`value` when it is text that UTF-8 can carry, as a plain str."""
    if not isinstance(value, str):
        raise InvalidValue(f"is {type(value).__name__}, not text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidValue("has a lone surrogate, which is not Unicode text") from None
    return value if type(value) is str else str.__str__(value)


class TextCodec:
    """Text, in any length that the item has room for."""

    tag = "S"

    def to_attribute(self, value: Any) -> AttributeValue:
        return {"S": check_text(value)}

    def from_attribute(self, attribute: Mapping[str, Any]) -> str:
        text: str = attribute["S"]
        return text


class BooleanCodec:
    """True or false."""

    tag = "BOOL"

    def to_attribute(self, value: Any) -> AttributeValue:
        if not isinstance(value, bool):
            raise InvalidValue("is not true or false")
        return {"BOOL": value}

    def from_attribute(self, attribute: Mapping[str, Any]) -> bool:
        return bool(attribute["BOOL"])


class IntegerCodec:
    """A whole number."""

    tag = "N"

    def to_attribute(self, value: Any) -> AttributeValue:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidValue("is not a whole number")
        return {"N": number_text(value)}

    def from_attribute(self, attribute: Mapping[str, Any]) -> int:
        return int(Decimal(attribute["N"]))


class FloatCodec:
    """A double. DynamoDB has no negative zero: -0.0 comes back as 0.0, its equal."""

    tag = "N"

    def to_attribute(self, value: Any) -> AttributeValue:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidValue("is not a number")
        return {"N": number_text(double(value))}

    def from_attribute(self, attribute: Mapping[str, Any]) -> float:
        return float(attribute["N"])


def double(value: int | float) -> float:
    """A number as a double; raises InvalidValue where that is another number."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if isinstance(value, int) and number != value:
        raise InvalidValue("is a whole number that a double does not hold")
    return number


class DecimalCodec:
    """An exact decimal with `places` digits behind the point, as its DecimalField declares."""

    tag = "N"

    def __init__(self, places: int) -> None:
        self._places = places
        self._quantum = Decimal(1).scaleb(-places)

    def to_attribute(self, value: Any) -> AttributeValue:
        if not isinstance(value, Decimal):
            raise InvalidValue("is not a decimal number")
        if value.is_finite() and value and _significant(value)[1] < -self._places:
            raise InvalidValue("has more decimal places than the field")
        return {"N": number_text(value)}

    def from_attribute(self, attribute: Mapping[str, Any]) -> Decimal:
        return Decimal(attribute["N"]).quantize(self._quantum, context=_WIDE)


class TimestampCodec:
    """An aware datetime as ISO 8601 UTC of fixed width (27 characters), so that text order is time
    order: 2026-11-22T08:00:00.000000Z."""

    tag = "S"

    def to_attribute(self, value: Any) -> AttributeValue:
        return {"S": timestamp_text(value)}

    def from_attribute(self, attribute: Mapping[str, Any]) -> dt.datetime:
        return dt.datetime.fromisoformat(attribute["S"])


def timestamp_text(value: Any) -> str:
    """An aware datetime in DynamoDB's form; raises InvalidValue for a naive one."""
    if not isinstance(value, dt.datetime):
        raise InvalidValue("is not a date")
    if value.utcoffset() is None:
        raise InvalidValue("is a date without a time zone")
    try:
        utc = value.astimezone(dt.UTC)
    except OverflowError:
        raise InvalidValue("is outside the years 1 to 9999 in UTC") from None
    return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


class JsonCodec:
    """A JSON object or list, kept as DynamoDB's own map or list."""

    tag = ""

    def to_attribute(self, value: Any) -> AttributeValue:
        if not isinstance(value, (dict, list)):
            raise InvalidValue("is not a JSON object or list")
        return native(value)

    def from_attribute(self, attribute: Mapping[str, Any]) -> Any:
        return plain(attribute)


def native(value: Any, depth: int = 0) -> AttributeValue:
    """A JSON value in DynamoDB's terms."""
    if isinstance(value, str):
        return {"S": check_text(value)}
    if isinstance(value, bool):
        return {"BOOL": value}
    if value is None:
        return {"NULL": True}
    if isinstance(value, (int, float, Decimal)):
        return {"N": number_text(value)}
    if depth >= MAX_NESTING:
        raise InvalidValue(f"is nested deeper than {MAX_NESTING} levels")
    if isinstance(value, dict):
        return {"M": {check_text(key): native(each, depth + 1) for key, each in value.items()}}
    if isinstance(value, list):
        return {"L": [native(each, depth + 1) for each in value]}
    raise InvalidValue(f"has a {type(value).__name__}, which is not JSON")


def plain(attribute: Mapping[str, Any]) -> Any:
    """The JSON value of an attribute in DynamoDB's terms."""
    ((tag, value),) = attribute.items()
    if tag in ("S", "BOOL"):
        return value
    if tag == "N":
        return number_value(value)
    if tag == "M":
        return plain_map(value)
    if tag == "L":
        return [plain(each) for each in value]
    if tag == "NULL":
        return None
    raise InvalidValue(f"an attribute of type {tag} is not JSON")


def plain_map(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON object of a map."""
    # Fractions and texts, which most maps are of, are read here: a list of records takes a tenth
    # less time without a call for each.
    values: dict[str, Any] = {}
    for name, attribute in attributes.items():
        (tag,) = attribute
        value = attribute[tag]
        if tag == "N":
            if "." in value and not (number := float(value)).is_integer():
                values[name] = number
            else:
                values[name] = number_value(value)
        elif tag == "S":
            values[name] = value
        else:
            values[name] = plain(attribute)
    return values


# The closed map. A field type that is not here is an error at start-up (dbcore.E002).
_CODEC_OF: dict[type, Codec] = {
    models.CharField: TextCodec(),
    models.TextField: TextCodec(),
    models.EmailField: TextCodec(),
    models.GenericIPAddressField: TextCodec(),
    models.BooleanField: BooleanCodec(),
    models.IntegerField: IntegerCodec(),
    models.BigIntegerField: IntegerCodec(),
    models.PositiveIntegerField: IntegerCodec(),
    models.PositiveBigIntegerField: IntegerCodec(),
    models.PositiveSmallIntegerField: IntegerCodec(),
    models.FloatField: FloatCodec(),
    models.DateTimeField: TimestampCodec(),
    models.JSONField: JsonCodec(),
}


def codec_for(field: models.Field[Any, Any]) -> Codec:
    """The codec of a Django field; ConfigurationError when its exact type is not mapped."""
    if type(field) is models.DecimalField:
        return DecimalCodec(field.decimal_places)
    try:
        return _CODEC_OF[type(field)]
    except KeyError:
        raise ConfigurationError(
            f"{field}: no DynamoDB attribute is mapped for {type(field).__name__}"
        ) from None


def attribute_name(field_name: str) -> str:
    """camelCase, as Daylight's TypeScript services name it: user_id -> userId."""
    head, *rest = field_name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def item_bytes(item: Mapping[str, AttributeValue]) -> int:
    """An item's size as DynamoDB counts it against 400 KB and for capacity.

    Source: Developer Guide, "DynamoDB item sizes and formats". A number's size is approximate
    there; this rounds up.
    """
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(attribute: Mapping[str, Any]) -> int:
    ((tag, value),) = attribute.items()
    if tag == "S":
        return len(value) if value.isascii() else len(value.encode())
    if tag == "N":
        return (len(value) + 1) // 2 + 1
    if tag == "M":
        return 3 + sum(1 + len(key.encode()) + _value_bytes(each) for key, each in value.items())
    if tag == "L":
        return 3 + sum(1 + _value_bytes(each) for each in value)
    return 1
