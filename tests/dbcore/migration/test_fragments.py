"""The fast way and the exact way from a stored row to its item: where the fast way answers at all,
both are equal.
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db import models as django_models
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from daylight import models
from daylight.legacy import LEGACY_TABLES
from daylight.sample_data import sample
from dbcore.attributes import Item, JsonCodec
from dbcore.dynamo.comparing import differing_attributes, same_value
from dbcore.errors import InvalidValue
from dbcore.items import ItemLayout, layout_of
from dbcore.migration.encoding import RowEncoder
from dbcore.migration.fragments import TakeTheExactWay, fragment_of, when
from dbcore.migration.json_shapes import MAX_SHAPES, MAX_TOKENS, JsonShapes
from dbcore.migration.plan import LegacyTable, Row, TablePlan, find_rivals, plan_table
from dbcore.migration.readings import UndecodableText, read_json, read_time
from tests import strategies

MODELS = [getattr(models, name) for name in models.__all__]
EVERY_MODEL = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
Model = type[django_models.Model]
NOW = dt.datetime(2026, 11, 23, 9, 30, 15, 123456, tzinfo=dt.UTC)
QUICK = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class NoRows:
    """A source whose tables are empty."""

    name = "nothing"
    unknown: list[str] = []

    def __init__(self, *plans: TablePlan) -> None:
        self.plans = list(plans)

    def fingerprint(self) -> str:
        return ""

    def count(self, plan: TablePlan) -> int:
        return 0

    def pages(self, plan: TablePlan, after: Any = None, size: int = 1) -> Any:
        return iter(())

    def find(self, plan: TablePlan, columns: Any) -> list[Row]:
        return []

    def at(self, plan: TablePlan, place: Any) -> Row | None:
        return None

    def duplicates(self, plan: TablePlan) -> dict[tuple[str, ...], Any]:
        return {}

    def close(self) -> None:
        """Nothing to let go."""


def encoder_of(model: Model, *, guarded: bool = True) -> RowEncoder:
    """The encoder of a table as Django makes it."""
    layout = layout_of(model)
    plan = plan_table(LegacyTable(layout.table.name, model), [*layout.by_name], [])
    if not guarded:
        # Unique values send every row the exact way; without them the fast one is seen here too.
        plan.layout = ItemLayout(model)
        plan.layout.unique = ()
    return RowEncoder(plan, NoRows(plan))


def row_of(encoder: RowEncoder, stored: dict[str, Any]) -> Row:
    return (1, *(stored[column] for column in encoder.plan.columns))


def parsed(text: str) -> Any:
    """JSON that names nothing twice."""

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        assert len(found) == len(pairs), f"named twice in {text}"
        return found

    return json.loads(text.encode(), object_pairs_hook=distinct)


def fast_item(encoder: RowEncoder, row: Row) -> Item | None:
    """The item that the fast way makes, or None where it leaves the row to the exact way."""
    assert encoder.fast is not None
    try:
        text = encoder.fast(row)
    except Exception:
        return None
    (request,) = parsed(text).items()
    assert request[0] == "PutRequest"
    assert list(request[1]) == ["Item"]
    item: Item = request[1]["Item"]
    return item


def assert_same(encoder: RowEncoder, row: Row) -> bool:
    """That the fast way's item, if there is one, is the exact way's; whether there is one."""
    item = fast_item(encoder, row)
    if item is None:
        return False
    _, exact = encoder.item(row)  # may not refuse
    assert differing_attributes(exact, item) == []
    return True


# --- Rows ---------------------------------------------------------------------------------------


@st.composite
def stored_rows(draw: st.DrawFn, model: Model) -> list[dict[str, Any]]:
    """A few rows of a table, its JSON columns mostly alike from row to row."""
    names = [column.name for column in layout_of(model).columns]
    # Only some columns, lest one of them send each row the exact way.
    odd = draw(st.sets(st.sampled_from(names), max_size=3))
    columns = {
        column.name: odd_values(draw, column.field)
        if column.name in odd
        else ordinary_values(draw, column.field)
        for column in layout_of(model).columns
    }
    return draw(st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=4))


def odd_values(draw: st.DrawFn, field: Any) -> st.SearchStrategy[Any]:
    if isinstance(field, django_models.JSONField):
        alike = draw(strategies.families())
        broken = st.sampled_from(strategies.BROKEN_JSON)
        return draw(st.sampled_from([alike, alike | strategies.json_texts(), alike | broken]))
    return st.none() | strategies.stored_values(field)


def ordinary_values(draw: st.DrawFn, field: Any) -> st.SearchStrategy[Any]:
    kind = type(field)
    if kind is django_models.JSONField:
        return draw(strategies.families(plain=True))
    if kind is django_models.DateTimeField:
        return st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2100, 1, 1)).map(str)  # noqa: DTZ001
    if kind is django_models.BooleanField:
        return st.sampled_from([0, 1])
    if kind is django_models.FloatField:
        return st.floats(-180, 180)
    if isinstance(field, django_models.IntegerField):
        return strategies.STORED_INTEGERS
    if kind is django_models.DecimalField:
        return st.sampled_from([0, 1.5, 2])
    return strategies.key_texts()


@EVERY_MODEL
def test_whatever_a_row_holds_the_fast_way_makes_the_exact_ways_item_or_none(model: Model) -> None:
    served = 0

    @QUICK
    @given(stored_rows(model))
    def holds(rows: list[dict[str, Any]]) -> None:
        nonlocal served
        encoder = encoder_of(model, guarded=False)
        for stored in rows:
            served += assert_same(encoder, row_of(encoder, stored))

    holds()
    if model is not models.PerformanceMetric:  # it has a decimal, which is always read exactly
        assert served


def as_sqlite_has_it(field: Any, value: Any) -> Any:
    """A value as Django stores it in a SQLite file."""
    if value is None:
        return None
    stored = field.get_db_prep_save(value, connection)
    if isinstance(stored, bool):
        return int(stored)
    if isinstance(field, django_models.DecimalField):
        return float(stored)  # the column's affinity
    return stored


def stored_record(layout: ItemLayout, values: dict[str, Any]) -> dict[str, Any]:
    return {
        column.name: as_sqlite_has_it(column.field, values[column.name])
        for column in layout.columns
    }


@EVERY_MODEL
def test_a_record_that_django_stored_becomes_the_item_that_it_would_be_saved_as(
    model: Model,
) -> None:
    layout = layout_of(model)

    @settings(max_examples=30, deadline=None)
    @given(strategies.records(model))
    def holds(values: dict[str, Any]) -> None:
        for column in layout.columns:
            if isinstance(column.field, django_models.JSONField):
                # SQL's NULL, not JSON's: Django gives the one for a null field.
                assume(values[column.name] is not None or column.nullable)
            if isinstance(column.field, django_models.DecimalField):
                assume(abs(values[column.name]) < 10**14)  # what SQLite's double can hold
        encoder = encoder_of(model, guarded=False)
        row = row_of(encoder, stored_record(layout, values))
        found, item = encoder.item(row)
        assert found == values
        assert differing_attributes(layout.to_item(values), item) == []
        assert_same(encoder, row)

    holds()


def test_ordinary_rows_do_take_the_fast_way() -> None:
    """Else the tests above would hold for a fast way that never answers."""
    for model, records in sample(1_000, seed=1, now=NOW):
        encoder = encoder_of(model, guarded=False)
        layout = encoder.layout
        served = []
        for record in records:
            values = {name: getattr(record, name) for name in layout.by_name}
            served.append(assert_same(encoder, row_of(encoder, stored_record(layout, values))))
        # Not all: "4e…" in a string might be a number, until a row without one shows the shape.
        most = sum(served) >= len(served) / 2
        assert most == (model is not models.PerformanceMetric), model
    assert encoder_of(models.User).fast is None  # its rows need guards


# --- Single columns -----------------------------------------------------------------------------


TIMES = [
    ("2026-11-22 12:00:00", True),
    ("2026-11-22 12:00:00.5", True),
    ("2026-11-22 12:00:00.123456", True),
    ("2026-11-22T12:00:00.123Z", True),
    ("2026-11-22T12:00:00Z", True),
    ("0001-01-01 00:00:00", True),
    ("1969-12-31 23:59:59.999999", True),
    ("9999-12-31 23:59:59.999999", True),
    ("2026-11-22T12:00:00", False),
    ("2026-11-22 12:00:00Z", False),
    ("2026-11-22T14:00:00+02:00", False),
    *((text, False) for text in strategies.BROKEN_TIMES),
]


@pytest.mark.parametrize(("stored", "common"), TIMES)
def test_a_time_is_taken_the_fast_way_only_in_its_two_common_forms(
    stored: str, common: bool
) -> None:
    try:
        text, seconds = when(stored)
    except Exception:
        assert not common
        return
    assert common
    assert len(text) == 27
    instant = read_time(stored)
    assert dt.datetime.fromisoformat(text) == instant
    assert seconds == (instant - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(seconds=1)


@given(strategies.stored_times())
def test_a_time_is_never_read_in_two_ways(stored: Any) -> None:
    try:
        text, _ = when(stored)
    except Exception:
        return
    assert dt.datetime.fromisoformat(text) == read_time(stored)


@pytest.mark.parametrize("hour", range(24, 30))
def test_no_hour_after_the_23rd_is_taken_though_newer_pythons_know_one(hour: int) -> None:
    with pytest.raises(TakeTheExactWay):
        when(f"2026-11-22 {hour}:00:00")


def test_a_null_in_a_json_column_is_an_empty_object_both_ways() -> None:
    encoder = encoder_of(models.WeatherCache)
    times = {"timestamp": "2026-11-22 12:00:00", "expires_at": "2026-11-22 12:00:00"}
    row = row_of(encoder, {"data": None, "location_key": "k", **times})
    assert assert_same(encoder, row)
    item = fast_item(encoder, row)
    assert item is not None
    assert item["data"] == {"M": {}}


@pytest.mark.parametrize(
    "key", ["", "x" * 251, "😀" * 251, b"raw", 5, UndecodableText(b"\xff"), None]
)
def test_a_key_that_might_be_refused_is_left_to_the_exact_way(key: Any) -> None:
    encoder = encoder_of(models.WeatherCache)
    times = {"timestamp": "2026-11-22 12:00:00", "expires_at": "2026-11-22 12:00:00"}
    assert fast_item(encoder, row_of(encoder, {"data": "{}", "location_key": key, **times})) is None


def test_a_row_whose_key_may_be_another_tables_is_left_to_the_exact_way() -> None:
    history = plan_table(LEGACY_TABLES[0], ["id", "lat", "lng", "type", "ts", "provider", "ok",
                                            "error"], ["id"])  # fmt: skip
    layout = layout_of(models.LocationHistory)
    plan = plan_table(LEGACY_TABLES[1], [*layout.by_name], [])
    find_rivals([history, plan])
    encoder = RowEncoder(plan, NoRows(history, plan))
    stored = {
        "id": "history_5", "location": "{}", "activity": "", "metadata": "{}",
        "timestamp": "2026-11-22 12:00:00", "created_at": "2026-11-22 12:00:00",
        "updated_at": "2026-11-22 12:00:00",
    }  # fmt: skip
    assert assert_same(encoder, row_of(encoder, {**stored, "user_id": "ann"}))
    assert not assert_same(encoder, row_of(encoder, {**stored, "user_id": "unknown"}))
    assert RowEncoder(history, NoRows(history)).fast is None


def test_a_source_that_lacks_a_column_has_no_fast_way() -> None:
    plan = plan_table(LegacyTable("plans", models.Plan), ["user_id", "id", "title"], ["id"])
    assert RowEncoder(plan, NoRows(plan)).fast is None


# --- JSON ---------------------------------------------------------------------------------------


def exact(text: str) -> Any:
    """The exact way's attribute of a JSON text, or None where it is refused."""
    try:
        return JsonCodec().to_attribute(read_json(text))
    except InvalidValue:
        return None


def convert_and_learn(shapes: JsonShapes, text: str) -> bool:
    """Whether a shape converted `text`, which it then did rightly."""
    wanted = exact(text)
    converted = shapes.convert(text)
    if converted is not None:
        assert wanted is not None, f"{text!r} was converted, and is refused by the exact way"
        assert same_value(wanted, parsed(converted))
        return True
    if wanted is not None:
        shapes.learn(text)
    return False


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(strategies.json_texts() | st.sampled_from(strategies.BROKEN_JSON), max_size=12))
def test_texts_of_many_shapes_are_never_converted_wrongly(texts: list[str]) -> None:
    shapes = JsonShapes()
    for text in [*texts, *texts]:
        convert_and_learn(shapes, text)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    st.lists(strategies.families(), min_size=1, max_size=3).flatmap(
        lambda alike: st.lists(st.one_of(alike), min_size=2, max_size=12)
    )
)
def test_texts_of_few_shapes_are_never_converted_wrongly(texts: list[str]) -> None:
    shapes = JsonShapes()
    for text in [*texts, *texts]:
        convert_and_learn(shapes, text)


KEYS = ["a", "", "%", "%%", "%s", "100%", "%(a)s", ".*", "a|b", "[", "(", "\\d".replace("\\", "^"),
        "{0}", "$", "?", "+", "😀", "\u2028", "a b", ":", ",", "}", "\x7f", "#", "~&-"]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_a_shape_keeps_every_key_and_every_space_to_the_letter(key: str) -> None:
    name, other = f'"{key}"', f'"{key}{key}!"'

    def text_of(space: str, number: str, string: str) -> str:
        tokens = ["{", name, ":", "{", other, ":", number, ",", name, ":", "[", string, ",", "{",
                  "}", ",", "[", "]", ",", "true", "]", "}", "}"]  # fmt: skip
        return f"{space}{space.join(tokens)}{space}"

    for space in ("", " ", "\n", "\t ", "\r\n"):
        shapes = JsonShapes()
        assert not convert_and_learn(shapes, text_of(space, "1", '"x"'))
        text = text_of(space, "-39.9", '"%s %d % %% %(a)s 😀\u2028 {0}"')
        assert convert_and_learn(shapes, text)
        assert convert_and_learn(shapes, text_of(space, "0", '""'))
        for hostile in strategies.BROKEN_JSON:
            convert_and_learn(shapes, text_of(space, hostile, '"x"'))
            convert_and_learn(shapes, text_of(space, "1", hostile))


NUMBERS = ["01", "1.", ".5", "+1", "--1", "-", "1e5", "1E5", "1.5e3", "0x1", "1_0", "٣", "１",
           "NaN", "Infinity", "1" * 16, "1" * 39, "9" * 5000, "0." + "1" * 21, "0." + "1" * 40,
           "0." + "0" * 131 + "1", "1e400", "-0", "-0.0", "0.10", "00", "0.", "1 0", "1,2", "true",
           '"1"', "{}", "[1]", "null", "", " ", "9" * 15 + "." + "9" * 20]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=lambda text: ascii(text)[:24])
def test_a_number_is_converted_digit_for_digit_or_not_at_all(number: str) -> None:
    for before, after in ('{"a":', "}"), ("[", "]"), ("[1,", ",2]"), ('{"a":{"b":', ',"c":1}}'):
        shapes = JsonShapes()
        shapes.learn(f"{before}1{after}")
        convert_and_learn(shapes, f"{before}{number}{after}")


STRINGS = [
    '"\\n"',
    '"\\u0041"',
    '"\\""',
    '"a"b"',
    '"a',
    'a"',
    '"\x00"',
    '"\x1f"',
    '"\n"',
    '"\x7f"',
    '"\\"',
    '"","',
    '"x","b":"y"',
    '"x"}',
    "'x'",
    '"\\ud800"',
    '"\u2028"',
    '"%s"',
    '"%"',
]


@pytest.mark.parametrize("string", STRINGS, ids=ascii)
def test_a_string_is_converted_letter_for_letter_or_not_at_all(string: str) -> None:
    for before, after in ('{"a":', "}"), ("[", "]"), ('["",', ',"z"]'), ('{"a":{"b":', ',"c":1}}'):
        shapes = JsonShapes()
        shapes.learn(f'{before}"x"{after}')
        convert_and_learn(shapes, f"{before}{string}{after}")


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',  # one of two values would be lost
        '{"\\u0061":1}',  # a key that is not as it is written
        '{"a":"\\n"}',
        '{"a":1e5}',
        "[" + ",".join(["1"] * MAX_TOKENS) + "]",
    ],
)
def test_some_texts_have_no_shape(text: str) -> None:
    shapes = JsonShapes()
    shapes.learn(text)
    assert shapes.convert(text) is None


def test_a_column_has_only_so_many_shapes_and_the_last_used_is_tried_first() -> None:
    shapes = JsonShapes()
    texts = [json.dumps({f"key {number}": number}) for number in range(MAX_SHAPES + 1)]
    for text in texts:
        shapes.learn(text)
    assert [shapes.convert(text) is not None for text in texts] == [True] * MAX_SHAPES + [False]
    for text in texts[:MAX_SHAPES]:
        assert convert_and_learn(shapes, text)


def test_a_column_whose_texts_are_never_alike_is_given_up() -> None:
    shapes = JsonShapes()
    shapes.learn('{"a":1}')
    for number in range(1000):
        assert shapes.convert(f'{{"b":{number}}}') is None
    shapes.learn('{"a":1}')
    assert shapes.convert('{"a":1}') is None


# Each just longer than what a double is sure to hold.
LONG_NUMBERS = ["9007199254740993", "9007199254740993.5", *(f"9.00000000000000{n}" for n in "1379")]


def json_column(texts: list[str]) -> list[Any]:
    """What a JSON column's fragment function makes of texts, in order; None: the exact way."""
    layout = layout_of(models.WeatherCache)
    fragment = fragment_of(layout.by_name["data"], layout)
    found: list[Any] = []
    for text in texts:
        try:
            found.append(parsed("{" + fragment(text)[1:] + "}")["data"])
        except Exception:
            found.append(None)
    return found


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(strategies.json_texts() | st.sampled_from(strategies.BROKEN_JSON), max_size=5))
@example(["\ufeff{}", "5", '"x"', "null", "NaN", "[1\u00a0]", '{"a":1,"a":2}', '{"a":2,"a":3}'])
@example(['{"a":9999999999999999}', '{"a":99999999999999999}', '{"a":0.1234567890123456}'])
@example([f"[{number}]" for number in LONG_NUMBERS])
@example([json.dumps(strategies.nested(31)), json.dumps(strategies.nested(32))])
@example(['["\\ud800"]', '{"\\ud800":1}', '["\\ud83d\\ude00"]', '["\\u0000"]'])
@example(["[1.0,-0,-0.0,0.0,1.10]", "[1e5]", "[1E400]", "[123456789012345.6]"])
def test_a_json_column_is_converted_exactly_or_not_at_all(texts: list[str]) -> None:
    for text, found in zip(texts, json_column(texts), strict=True):
        if found is not None:
            wanted = exact(text)
            assert wanted is not None
            assert same_value(wanted, found)


def test_what_the_orm_hands_out_is_left_to_the_exact_way() -> None:
    """Of other databases than SQLite: values, not texts."""
    layout = layout_of(models.Plan)
    taken = {"location": {"a": 1}, "created_at": NOW, "title": 5, "activities": [1]}
    for name, value in taken.items():
        with pytest.raises(Exception):  # noqa: B017 - whatever it is, by contract
            fragment_of(layout.by_name[name], layout)(value)
    decimal = layout_of(models.PerformanceMetric)
    with pytest.raises(TakeTheExactWay):
        fragment_of(decimal.by_name["capacity"], decimal)(Decimal(1))
