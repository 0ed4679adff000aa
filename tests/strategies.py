"""Hypothesis strategies for what fields may hold, at the edges: values, whole records, and the
JSON texts and stored values that a SQLite file may have for them.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
from decimal import Decimal
from typing import Any

from django.db import models
from hypothesis import strategies as st

from dbcore.attributes import MAX_NESTING
from dbcore.items import Column, ItemLayout, layout_of

Values = dict[str, Any]

LARGEST = 10**38 - 1
_PLACES = 1  # of the models' only DecimalField

# --- Values -----------------------------------------------------------------------------------

EDGE_TEXTS = (
    "", "\0", "a\0b", "😀", "\U0010ffff", "\ufeff", "\u2028", "%s %d %", '"\\/', "ſ", "İ",
    "e\u0301",
)  # fmt: skip


def texts(max_size: int = 20) -> st.SearchStrategy[str]:
    """Any Unicode text."""
    return st.sampled_from(EDGE_TEXTS) | st.text(max_size=max_size)


def key_texts() -> st.SearchStrategy[str]:
    """Text that a key may be: not empty."""
    return texts().filter(bool)


def integers() -> st.SearchStrategy[int]:
    """Whole numbers of up to 38 digits."""
    edges = [0, 1, -1, 2**53, 2**53 + 1, 2**63, LARGEST, -LARGEST, 10**37]
    return st.sampled_from(edges) | st.integers(-LARGEST, LARGEST)


def floats() -> st.SearchStrategy[float]:
    """Every double that DynamoDB has a number for, and -0.0."""
    edges = [0.0, -0.0, 1e-130, -1e-130, 9.99e125, -9.99e125, 0.1, 1e22, 1e23, 1e37, 1e38, 2.0**125]
    positive = st.floats(1e-130, 9.99e125)
    return (
        st.sampled_from(edges)
        | positive
        | positive.map(lambda value: -value)
        | st.integers(-(10**20), 10**20).map(float)
    )


def decimals(places: int = _PLACES) -> st.SearchStrategy[Decimal]:
    """Decimals of up to 38 digits, `places` of them behind the point."""
    return integers().map(
        lambda number: Decimal((int(number < 0), Decimal(abs(number)).as_tuple().digits, -places))
    )


def addresses() -> st.SearchStrategy[str]:
    """IP addresses as Django writes them; it has its own way with IPv4 within IPv6."""
    mapped = ipaddress.ip_network("::ffff:0:0/96")
    return st.ip_addresses().filter(lambda each: each not in mapped).map(str)


def _at_offset(instant: dt.datetime, minutes: int) -> dt.datetime:
    try:
        return instant.astimezone(dt.timezone(dt.timedelta(minutes=minutes)))
    except OverflowError:
        return instant


def instants() -> st.SearchStrategy[dt.datetime]:
    """Aware datetimes, to the microsecond, whose UTC is within the years 1 to 9999."""
    edges = [
        dt.datetime.min.replace(tzinfo=dt.UTC),
        dt.datetime.max.replace(tzinfo=dt.UTC),
        dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
        dt.datetime(2024, 2, 29, 23, 59, 59, 1, tzinfo=dt.UTC),
    ]
    utc = st.sampled_from(edges) | st.datetimes(timezones=st.just(dt.UTC))
    return st.builds(_at_offset, utc, st.just(0) | st.integers(-1439, 1439))


def nested(depth: int, kind: str = "mixed", inside: Any = None) -> Any:
    """`depth` containers, one in the other: lists, dicts, or by turns."""
    value: Any = [] if inside is None else [inside]
    for level in range(depth - 1):
        as_dict = kind == "dict" or (kind == "mixed" and level % 2 == 0)
        value = {"": value} if as_dict else [value]
    return value


def json_scalars() -> st.SearchStrategy[Any]:
    """JSON values that hold no others."""
    return st.none() | st.booleans() | integers() | floats() | texts()


def json_values() -> st.SearchStrategy[Any]:
    """JSON objects and lists, some of them as deep as they may be."""
    keys = texts(8)
    inner = st.recursive(
        json_scalars(),
        lambda each: st.lists(each, max_size=3) | st.dictionaries(keys, each, max_size=3),
        max_leaves=6,
    )
    return (
        st.sampled_from([{}, [], {"": {}}, [[]], [{}, []]])
        | st.dictionaries(keys, inner, max_size=4)
        | st.lists(inner, max_size=4)
        | st.builds(
            nested, st.integers(1, MAX_NESTING), st.sampled_from(["list", "dict", "mixed"]),
            st.text(max_size=3),
        )
    )  # fmt: skip


VALUES_OF: dict[type, st.SearchStrategy[Any]] = {
    models.CharField: texts(),
    models.TextField: texts(),
    models.EmailField: texts(),
    models.GenericIPAddressField: addresses(),
    models.BooleanField: st.booleans(),
    models.IntegerField: integers(),
    models.BigIntegerField: integers(),
    models.PositiveIntegerField: integers(),
    models.PositiveBigIntegerField: integers(),
    models.PositiveSmallIntegerField: integers(),
    models.FloatField: floats(),
    models.DecimalField: decimals(),
    models.DateTimeField: instants(),
    models.JSONField: json_values(),
}


def _column_values(column: Column, layout: ItemLayout) -> st.SearchStrategy[Any]:
    kind = type(column.field)
    keyed = column.name in layout.key_limits and kind is not models.DateTimeField
    values = key_texts() if keyed else VALUES_OF[kind]
    return st.none() | values if column.nullable else values


def records(model: type[models.Model]) -> st.SearchStrategy[Values]:
    """Valid records of a model, as dicts by field name."""
    layout = layout_of(model)
    return st.fixed_dictionaries(
        {column.name: _column_values(column, layout) for column in layout.columns}
    )


# --- JSON texts, written in every way that JSON allows ------------------------------------------

_SPACES = st.sampled_from(["", "", "", " ", "\n", "\t ", "\r\n  "])
_DIGITS = st.text("0123456789", min_size=1, max_size=16)


@st.composite
def number_texts(draw: st.DrawFn) -> str:
    """Numbers in JSON's notations, also such as no store can keep."""
    whole = draw(
        st.sampled_from(
            ["0", "1", "9007199254740993", "9" * 15, "9" * 16, "9" * 38, "1" + "0" * 38]
        )
        | st.integers(0, 10**6).map(str)
        | st.integers(0, 10**40).map(str)
    )
    fraction = draw(
        st.sampled_from(["", "", ".0", ".5", ".10", "." + "0" * 19 + "1", "." + "3" * 21])
        | _DIGITS.map(lambda digits: "." + digits)
    )
    exponent = draw(
        st.sampled_from(
            ["", "", "", "", "e0", "E5", "e-7", "e+22", "e125", "E-130", "e400", "e-400", "e2000"]
        )
    )
    return draw(st.sampled_from(["", "-"])) + whole + fraction + exponent


def _written(value: str, style: str) -> str:
    if style == "units":
        raw = value.encode("utf-16-be")
        return '"' + "".join(f"\\u{raw[at : at + 2].hex()}" for at in range(0, len(raw), 2)) + '"'
    return json.dumps(value, ensure_ascii=style == "ascii").replace(
        "/", r"\/" if style == "ascii" else "/"
    )


def string_texts() -> st.SearchStrategy[str]:
    """Strings in JSON's notations, a few of them not Unicode."""
    hostile = ['"\\ud800"', '"\\udc00x"', '"%s"', '"%(a)s"', '"a.*b"', '"[(+?"', '"{1}"', '"\x7f"']
    return st.sampled_from(hostile) | st.builds(
        _written, texts(), st.sampled_from(["plain", "plain", "ascii", "units"])
    )


def scalar_texts() -> st.SearchStrategy[str]:
    """The text of a JSON value that holds no others."""
    return st.sampled_from(["true", "false", "null"]) | number_texts() | string_texts()


@st.composite
def _container_texts(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    space = draw(_SPACES)
    members = draw(st.lists(inner, max_size=3))
    if draw(st.booleans()):
        return f"[{space}" + f",{space}".join(members) + f"{draw(_SPACES)}]"
    keys = [draw(string_texts()) for _ in members]
    pairs = [
        f"{key}{space}:{draw(_SPACES)}{value}" for key, value in zip(keys, members, strict=True)
    ]
    return f"{{{space}" + f"{draw(_SPACES)},".join(pairs) + f"{space}}}"


def json_texts() -> st.SearchStrategy[str]:
    """JSON objects and lists as text, in random notation: any of them may be refused."""
    inner = st.recursive(scalar_texts(), _container_texts, max_leaves=6)
    whole = _container_texts(inner)
    deep = st.integers(28, 34).map(lambda depth: json.dumps(nested(depth)))
    return st.builds(lambda a, text, b: a + text + b, _SPACES, whole, _SPACES) | deep


BROKEN_JSON = (
    "", " ", "{", "[1,]", "{'a':1}", '{"a":01}', '{"a":1.}', '{"a":.5}', '{"a":+1}', "[NaN]",
    "[Infinity]", '{"a":1}{"b":2}', '["\x01"]', '["a\nb"]', "[1\u00a0]", "\ufeff{}", "[1_0]", "[٣]",
    "5", '"text"', "null", "true", "[0x1]", '["\\x41"]', "[-]", "[--1]", '{"a" 1}', "{1:2}",
)  # fmt: skip


_PLAIN_NUMBERS = st.sampled_from(["0", "-0", "-0.0", "1.5", "-116.397128", "39.9"])
_PLAIN_STRINGS = st.sampled_from(["plain", "%s", "😀", "", "{1}"]).map(json.dumps)


@st.composite
def families(draw: st.DrawFn, *, plain: bool = False) -> st.SearchStrategy[str]:
    """JSON texts that differ from one another in their numbers and strings alone; `plain`: as most
    programs write them."""
    numbers = _PLAIN_NUMBERS if plain else _PLAIN_NUMBERS | number_texts()
    strings = _PLAIN_STRINGS if plain else string_texts()
    leaves = st.sampled_from(["number", "number", "string", "true", "null"])
    keys = strings | st.sampled_from(['"lat"', '"lng"', '"%"', '"100%s"', '"a.b*"'])

    def of_members(each: Any) -> Any:
        return st.lists(each, max_size=3) | st.lists(st.tuples(keys, each), max_size=3).map(tuple)

    skeleton = draw(
        st.recursive(leaves, of_members, max_leaves=5).filter(lambda s: type(s) is not str)
    )
    colon = draw(st.sampled_from([":", ": ", " :\n"]))
    comma = draw(st.sampled_from([",", ", ", "\n,\t"]))

    def text_of(part: Any) -> st.SearchStrategy[str]:
        if part == "number":
            return numbers
        if part == "string":
            return strings
        if isinstance(part, str):
            return st.just(part)
        if isinstance(part, list):
            inside = [text_of(each) for each in part]
            return st.tuples(*inside).map(lambda found: "[" + comma.join(found) + "]")
        inside = [text_of(each) for _, each in part]
        names = [key for key, _ in part]
        return st.tuples(*inside).map(
            lambda found: (
                "{"
                + comma.join(f"{key}{colon}{each}" for key, each in zip(names, found, strict=True))
                + "}"
            )
        )

    return text_of(skeleton)


# --- What a SQLite file may hold ----------------------------------------------------------------

STORED_INTEGERS = st.sampled_from([0, 1, -1, 2, 2**63 - 1, -(2**63)]) | st.integers(
    -(2**63), 2**63 - 1
)
BROKEN_TIMES = (
    "", "2026-02-31 10:00:00", "2026-01-01 24:00:00", "2026-01-01T24:00:00Z", "0000-01-01 00:00:00",
    "2026-01-01 10:60:00", "2026-01-01 10:00:60", "2026-01-01T10:00:00", "2026-01-01 10:00:00Z",
    "2026-1-1 10:00:00", "2026-01-01", "10:00:00", "2026-01-01 10:00:00.", "٢026-01-01 10:00:00",
    "2026-01-01 10:00:00.1234567", "2026-01-01 10:00:00\n", "9999-12-31T23:59:59-01:00", "never",
)  # fmt: skip


def _time_text(instant: dt.datetime, form: str) -> Any:
    utc = instant.astimezone(dt.UTC).replace(tzinfo=None)
    if form == "django":
        return str(utc)
    if form == "javascript":
        return utc.isoformat(timespec="milliseconds") + "Z"
    if form == "zulu":
        return utc.isoformat() + "Z"
    if form == "offset":
        return instant.isoformat()
    if form == "sqlite":
        return utc.isoformat(" ", timespec="seconds")
    since = instant - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    milliseconds = since // dt.timedelta(milliseconds=1)
    return str(milliseconds) if form == "text" else milliseconds


def stored_times() -> st.SearchStrategy[Any]:
    """Times as Django and as Daylight's earlier backend store them, and some that are none."""
    forms = ["django"] * 4 + ["javascript"] * 2 + ["zulu", "sqlite", "offset", "number", "text"]
    return st.sampled_from(BROKEN_TIMES) | st.builds(_time_text, instants(), st.sampled_from(forms))


STORED_OF: dict[type, st.SearchStrategy[Any]] = {
    models.BooleanField: st.sampled_from([0, 1, 0, 1, 2, "0", "true", 1.0]),
    models.FloatField: st.floats(allow_nan=False) | floats() | STORED_INTEGERS | st.just("1.5"),
    models.DecimalField: st.floats(allow_nan=False) | STORED_INTEGERS | st.just("2.5"),
    models.DateTimeField: stored_times(),
}
_STORED_WHOLE = STORED_INTEGERS | st.sampled_from(["5", "5.0", 5.0, -0.0, 1e300])
_STORED_TEXT = texts() | st.sampled_from([5, 1.5, b"raw", "x" * 300])


def stored_values(field: models.Field[Any, Any]) -> st.SearchStrategy[Any]:
    """What a column without much of a schema may hold for a field that is not JSON."""
    kind = type(field)
    if issubclass(kind, models.IntegerField):
        return _STORED_WHOLE
    return STORED_OF.get(kind, _STORED_TEXT)
