"""The fast way from a stored row to the JSON text of its item.

A fragment function handles the common form of one column and raises for everything else, whatever
the exception; the row then takes the exact way (`readings` and `ItemLayout.to_item`), which alone
decides what is a dead letter. Both ways give equal items: a property test holds them together, and
verification, which knows only the exact way, would tell.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Callable
from json.encoder import encode_basestring as quote  # the C one: escapes, keeps non-ASCII
from typing import Any

import orjson
from django.db import models

from dbcore.attributes import MAX_NESTING
from dbcore.items import DAY, DUE_DAY, TTL, Column, ItemLayout, shard_of
from dbcore.migration.json_shapes import JsonShapes
from dbcore.tables import Retention

Fragment = Callable[[Any], str]

MAX_FAST_LENGTH = 100_000  # characters: below it no item can be over 400 KB
_MAX_FAST_KEY = 250  # characters: below it no key can be too long
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SECOND = dt.timedelta(seconds=1)
_UNIX_DAY = dt.date(1970, 1, 1).toordinal()
_ZEROS = "000000"
# The hour in full: since Python 3.14 fromisoformat takes 24:00, and the text would keep it.
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T]((?:[01]\d|2[0-3]):\d\d:\d\d)(?:\.(\d{1,6}))?(Z)?", re.ASCII
)
# Numbers that a double might not hold, or that are not written plainly, go the exact way.
_UNSURE_NUMBER = re.compile(r"[\d.]{17}|\d[eE]").search


class TakeTheExactWay(Exception):
    """This value is not in the common form."""


@functools.lru_cache(maxsize=8192)
def when(value: str) -> tuple[str, int]:
    """A stored time as DynamoDB's text, and in whole epoch seconds.

    The cache pays because created_at, updated_at and timestamp are often the same.
    """
    found = _TIME.fullmatch(value)
    if found is None or (value[10] == "T") != (found[4] is not None):
        raise TakeTheExactWay
    day, clock, fraction, _ = found.groups()
    text = f"{day}T{clock}.{((fraction or '') + _ZEROS)[:6]}Z"
    # Parsed for its own sake too: there is no 31 February.
    return text, (dt.datetime.fromisoformat(text) - _EPOCH) // _SECOND


def native_text(value: Any, depth: int = 0) -> str:
    """A JSON value (as orjson reads it) in DynamoDB's terms, as JSON text."""
    kind = type(value)
    if kind is str:
        return '{"S":' + quote(value) + "}"
    if kind is float:
        return f'{{"N":"{value!r}"}}' if value else '{"N":"0"}'
    if kind is int:
        return f'{{"N":"{value}"}}'
    if kind is bool:
        return '{"BOOL":true}' if value else '{"BOOL":false}'
    if value is None:
        return '{"NULL":true}'
    if depth >= MAX_NESTING:
        raise TakeTheExactWay
    if kind is dict:
        members = [quote(key) + ":" + native_text(each, depth + 1) for key, each in value.items()]
        return '{"M":{' + ",".join(members) + "}}"
    return '{"L":[' + ",".join([native_text(each, depth + 1) for each in value]) + "]}"


def _json(prefix: str, null: str) -> Fragment:
    shapes = JsonShapes()

    def fragment(value: Any) -> str:
        if value is None:
            return null
        converted = shapes.convert(value)
        if converted is None:
            if _UNSURE_NUMBER(value):
                raise TakeTheExactWay
            parsed = orjson.loads(value)
            if type(parsed) is not dict and type(parsed) is not list:
                raise TakeTheExactWay
            converted = native_text(parsed)
            shapes.learn(value)
        return prefix + converted

    return fragment


def _text(prefix: str) -> Fragment:
    start = prefix + '{"S":'

    def fragment(value: Any) -> str:
        return start + quote(value) + "}"

    return fragment


def _key_text(prefix: str) -> Fragment:
    start = prefix + '{"S":'

    def fragment(value: Any) -> str:
        if not 0 < len(value) <= _MAX_FAST_KEY:
            raise TakeTheExactWay
        return start + quote(value) + "}"

    return fragment


def _time(prefix: str) -> Fragment:
    start = prefix + '{"S":"'

    def fragment(value: Any) -> str:
        return start + when(value)[0] + '"}'

    return fragment


def _boolean(prefix: str) -> Fragment:
    texts = {0: prefix + '{"BOOL":false}', 1: prefix + '{"BOOL":true}'}

    def fragment(value: Any) -> str:
        if type(value) is not int:
            raise TakeTheExactWay
        return texts[value]

    return fragment


def _integer(prefix: str) -> Fragment:
    def fragment(value: Any) -> str:
        if type(value) is not int:
            raise TakeTheExactWay
        return f'{prefix}{{"N":"{value}"}}'

    return fragment


def _float(prefix: str) -> Fragment:
    def fragment(value: Any) -> str:
        if type(value) is not float or not 1e-100 < abs(value) < 1e15:
            raise TakeTheExactWay
        return f'{prefix}{{"N":"{value!r}"}}'

    return fragment


def _exact_only(prefix: str) -> Fragment:
    def fragment(value: Any) -> str:
        raise TakeTheExactWay

    return fragment


_MAKER_OF: dict[type, Callable[[str], Fragment]] = {
    models.CharField: _text,
    models.TextField: _text,
    models.EmailField: _text,
    models.GenericIPAddressField: _text,
    models.BooleanField: _boolean,
    models.IntegerField: _integer,
    models.BigIntegerField: _integer,
    models.PositiveIntegerField: _integer,
    models.PositiveBigIntegerField: _integer,
    models.PositiveSmallIntegerField: _integer,
    models.FloatField: _float,
    models.DateTimeField: _time,
    models.DecimalField: _exact_only,
}


def _nullable(fragment: Fragment) -> Fragment:
    def wrapped(value: Any) -> str:
        return "" if value is None else fragment(value)

    return wrapped


def fragment_of(column: Column, layout: ItemLayout) -> Fragment:
    """The fragment function of a column: `,"name":{"S":"…"}`, or "" for null."""
    prefix = f',"{column.attribute}":'
    kind = type(column.field)
    if kind is models.JSONField:
        return _json(prefix, "" if column.nullable else prefix + '{"M":{}}')
    maker = _MAKER_OF[kind]
    if maker is _text and column.name in layout.key_limits:
        maker = _key_text
    fragment = maker(prefix)
    return _nullable(fragment) if column.nullable else fragment


RowFragment = Callable[[tuple[Any, ...]], str]


def derived_fragments(layout: ItemLayout, at: dict[str, int]) -> list[RowFragment]:
    """Functions of a whole row for the attributes that no column has; `at` is each field's place
    in the row."""
    table = layout.table
    found: list[RowFragment] = []
    deadlines = [(at[each.field], each.days * 86400) for each in table.expires]
    shard = at[layout.shard_field]
    if table.day_index is not None:
        found.append(_day(at[table.day_index.timestamp], shard))
    policy = table.retention
    since, days = (policy.since, policy.days) if isinstance(policy, Retention) else ((), 0)
    kept = [(at[name], days * 86400) for name in since]
    if table.needs_due_day and len(deadlines) == 1 and kept in ([], deadlines):
        return [*found, _ttl_and_due_day(*deadlines[0], shard)]
    if deadlines:
        found.append(_ttl(deadlines))
    if table.needs_due_day:
        found.append(_due_day(deadlines, [place for place, _ in kept], days * 86400, shard))
    return found


def _ttl(deadlines: list[tuple[int, int]]) -> RowFragment:
    def fragment(row: tuple[Any, ...]) -> str:
        instants = [when(row[at])[1] + later for at, later in deadlines if row[at] is not None]
        return f',"{TTL}":{{"N":"{min(instants)}"}}' if instants else ""

    return fragment


@functools.lru_cache(maxsize=8192)
def _day_text(day: int) -> str:
    """A day, counted from 1970-01-01."""
    return dt.date.fromordinal(_UNIX_DAY + day).isoformat()


def _ttl_and_due_day(time_at: int, later: int, key_at: int) -> RowFragment:
    """Of a record that is due when it expires, as most that expire are: computed once."""

    def fragment(row: tuple[Any, ...]) -> str:
        value = row[time_at]
        if value is None:
            return ""
        end = when(value)[1] + later
        shard = shard_of(row[key_at])
        return f',"{TTL}":{{"N":"{end}"}},"{DUE_DAY}":{{"S":"{_day_text(end // 86400)}#{shard}"}}'

    return fragment


def _day(time_at: int, key_at: int) -> RowFragment:
    def fragment(row: tuple[Any, ...]) -> str:
        return f',"{DAY}":{{"S":"{when(row[time_at])[0][:10]}#{shard_of(row[key_at])}"}}'

    return fragment


def _due_day(
    deadlines: list[tuple[int, int]], since: list[int], kept: int, key_at: int
) -> RowFragment:
    def fragment(row: tuple[Any, ...]) -> str:
        due = [when(row[at])[1] + later for at, later in deadlines if row[at] is not None]
        if since:
            due.append(max([when(row[at])[1] for at in since if row[at] is not None]) + kept)
        if not due:
            return ""
        day = _day_text(min(due) // 86400)
        return f',"{DUE_DAY}":{{"S":"{day}#{shard_of(row[key_at])}"}}'

    return fragment
