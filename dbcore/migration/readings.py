"""From what a SQL database hands out to the Python value that Django's field would give.

SQLite checks no types, so a column may hold anything. A reading either finds the one value that is
meant, or raises `InvalidValue`, whose message reads on from the field's name. It never guesses.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from django.db import models

from dbcore.attributes import MAX_DIGITS, MAX_NESTING
from dbcore.errors import InvalidValue

Reading = Callable[[Any], Any]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)([T ])(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?"
    r"(?:(Z)|([+-])(\d\d)(?::?(\d\d))?)?",
    re.ASCII,
)
_INTEGER = re.compile(r"-?\d+", re.ASCII)
# SQLite makes the second form of a double that is bound to a TEXT column.
_MILLISECONDS = re.compile(r"(-?\d{1,18})(?:\.0+)?", re.ASCII)
# Plainer than what float() and Decimal() take: no spaces, no underscores, no "nan".
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WIDE = Context(prec=400)


@dataclass(frozen=True, slots=True)
class UndecodableText:
    """A TEXT value whose bytes are not UTF-8."""

    raw: bytes


def read_text(value: Any) -> str:
    """Text; a whole number in a column without affinity is its digits."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise _refused(value, "text")


def read_boolean(value: Any) -> bool:
    """0 or 1, also as text, or true and false as text."""
    if isinstance(value, str):
        value = {"0": 0, "1": 1, "false": 0, "true": 1}.get(value.lower(), value)
    if isinstance(value, (bool, int)) and value in (0, 1):
        return bool(value)
    raise _refused(value, "true or false")


def read_integer(value: Any) -> int:
    """A whole number, also as text or as a float without a fraction."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) < 1000 and _INTEGER.fullmatch(value):
        return int(value)
    raise _refused(value, "a whole number")


def read_float(value: Any) -> float:
    """A number that a double holds exactly, also as text."""
    if isinstance(value, float):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        found = _exact_float(value)
        if isinstance(found, float):
            return found
        raise InvalidValue("is a number that a double does not hold")
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            if float(value) == value:
                return float(value)
        except OverflowError:
            pass
        raise InvalidValue("is a number that a double does not hold")
    raise _refused(value, "a number")


def read_decimal(places: int) -> Reading:
    """A reading of decimals with `places` digits behind the point, as SQLite keeps them."""
    quantum = Decimal(1).scaleb(-places)

    def read(value: Any) -> Decimal:
        try:
            if isinstance(value, float):
                # Django's own converter: a double's 15 digits, at the field's places.
                return (
                    Context(prec=15)
                    .create_decimal_from_float(value)
                    .quantize(quantum, context=_WIDE)
                )
            if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
                return Decimal(value)
            if isinstance(value, str) and _NUMBER.fullmatch(value):
                return Decimal(value)
        except InvalidOperation:
            pass
        raise _refused(value, "a decimal number")

    return read


def read_time(value: Any) -> dt.datetime:
    """An instant: ISO 8601 with Z or an offset, SQLite's `YYYY-MM-DD HH:MM:SS` (UTC), or epoch
    milliseconds, also as text."""
    try:
        if isinstance(value, dt.datetime):
            return value
        if isinstance(value, str):
            found = _TIME.fullmatch(value)
            if found:
                return _time_of_parts(*found.groups())
            milliseconds = _MILLISECONDS.fullmatch(value)
            if milliseconds:
                return _time_of_milliseconds(int(milliseconds[1]))
        elif isinstance(value, int) and not isinstance(value, bool):
            return _time_of_milliseconds(value)
        elif isinstance(value, float):
            # As it is written: times a thousand, a double may round to a whole number.
            microseconds = Decimal(repr(value)).scaleb(3)
            if microseconds == microseconds.to_integral_value():
                return _EPOCH + dt.timedelta(microseconds=int(microseconds))
    except InvalidValue:
        raise
    except (ValueError, OverflowError):
        pass
    raise _refused(value, "a date")


def _time_of_milliseconds(value: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(milliseconds=value)


def _time_of_parts(
    year: str, month: str, day: str, separator: str, hour: str, minute: str,
    second: str | None, fraction: str | None,
    zulu: str | None, sign: str | None, zone_hour: str | None, zone_minute: str | None,
) -> dt.datetime:  # fmt: skip
    if separator == "T" and not (zulu or sign):
        raise InvalidValue("is a date without a time zone")
    fraction = (fraction or "").rstrip("0")
    if len(fraction) > 6:
        raise InvalidValue("is a date finer than a microsecond")
    local = dt.datetime(
        int(year), int(month), int(day), int(hour), int(minute),
        int(second or 0), int(fraction.ljust(6, "0")), tzinfo=dt.UTC,
    )  # fmt: skip
    if sign is None:
        return local
    if int(zone_hour or 0) > 23 or int(zone_minute or 0) > 59:
        raise InvalidValue("is not a date")
    offset = dt.timedelta(hours=int(zone_hour or 0), minutes=int(zone_minute or 0))
    return local - offset if sign == "+" else local + offset


def read_json(value: Any) -> Any:
    """A JSON value, exact: a number that a double would change is a Decimal."""
    if isinstance(value, (dict, list)):
        return value
    if not isinstance(value, str):
        raise _refused(value, "JSON")
    try:
        return _DECODER.decode(value)
    except InvalidValue:
        raise
    except RecursionError:
        raise InvalidValue(f"is nested deeper than {MAX_NESTING} levels") from None
    except ValueError:
        raise InvalidValue("is not JSON") from None


def _exact_float(text: str) -> float | Decimal:
    number = float(text)
    try:
        exact = Decimal(text)
    except InvalidOperation:  # an exponent of 19 digits and more
        raise InvalidValue("has a number out of the range of DynamoDB's numbers") from None
    if number in (float("inf"), float("-inf")) or Decimal(repr(number)) != exact:
        return exact
    return number


def _bounded_int(text: str) -> int:
    # Python itself refuses to read a number of more than 4,300 digits.
    if len(text) > MAX_DIGITS + 1:
        raise InvalidValue(f"has a number beyond {MAX_DIGITS} digits")
    return int(text)


def _refuse_constant(text: str) -> None:
    raise InvalidValue(f"is not JSON: it has {text}")


_DECODER = json.JSONDecoder(
    parse_float=_exact_float, parse_int=_bounded_int, parse_constant=_refuse_constant
)


def _refused(value: Any, wanted: str) -> InvalidValue:
    if isinstance(value, UndecodableText):
        return InvalidValue("is not UTF-8 text (a lone surrogate, or another encoding)")
    if isinstance(value, bytes):
        return InvalidValue(f"is bytes, not {wanted}")
    return InvalidValue(f"is not {wanted}")


_READING_OF: dict[type, Reading] = {
    models.CharField: read_text,
    models.TextField: read_text,
    models.EmailField: read_text,
    models.GenericIPAddressField: read_text,
    models.BooleanField: read_boolean,
    models.IntegerField: read_integer,
    models.BigIntegerField: read_integer,
    models.PositiveIntegerField: read_integer,
    models.PositiveBigIntegerField: read_integer,
    models.PositiveSmallIntegerField: read_integer,
    models.FloatField: read_float,
    models.DateTimeField: read_time,
    models.JSONField: read_json,
}


def reading_for(field: models.Field[Any, Any]) -> Reading:
    """How a field's stored values are read. Takes no null: that is the caller's to judge."""
    if isinstance(field, models.DecimalField):
        return read_decimal(field.decimal_places)
    return _READING_OF[type(field)]
