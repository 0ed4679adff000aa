"""The file that Daylight's Node backend kept: where each of its columns goes, and how a row is
found again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daylight import models
from daylight.legacy import LEGACY_TABLES
from dbcore.attributes import Item
from dbcore.errors import InvalidValue
from dbcore.items import layout_of
from dbcore.migration.encoding import RowEncoder
from dbcore.migration.plan import Row, TablePlan, find_rivals, plan_table
from dbcore.migration.readings import UndecodableText

HISTORY_COLUMNS = ["id", "ts", "type", "lat", "lng", "provider", "ok", "error"]
TABLES = {table.name: table for table in LEGACY_TABLES}
WALK = {
    "id": 7, "ts": 1795348800123, "type": "geocode", "lat": 39.9, "lng": -116.25,
    "provider": "osm", "ok": 1, "error": None,
}  # fmt: skip


class Rows:
    """A source with no row, or with just one of `history` that `find` shall find."""

    def __init__(self, found: dict[str, Any] | None = None) -> None:
        self.found = found

    def duplicates(self, plan: TablePlan) -> dict[tuple[str, ...], Any]:
        return {}

    def find(self, plan: TablePlan, columns: Any) -> list[Row]:
        stored = WALK | (self.found or {})
        return [_row(plan, stored)] if columns == self.found else []


def _row(plan: TablePlan, stored: dict[str, Any]) -> Row:
    return (1, *(stored[column] for column in plan.columns))


def history_plan() -> TablePlan:
    return plan_table(TABLES["history"], HISTORY_COLUMNS, ["id"])


def history_item(**changes: Any) -> Item:
    plan = history_plan()
    return RowEncoder(plan, Rows()).item(_row(plan, WALK | changes))[1]  # type: ignore[arg-type]


def reason(**changes: Any) -> str:
    with pytest.raises(InvalidValue) as refused:
        history_item(**changes)
    return str(refused.value)


@pytest.mark.parametrize("table", LEGACY_TABLES, ids=lambda table: table.name)
def test_every_field_of_a_legacy_tables_model_has_its_place(table: Any) -> None:
    layout = layout_of(table.model)
    present = HISTORY_COLUMNS if table.name == "history" else list(layout.by_name)
    plan = plan_table(table, present, ["id"])
    assert set(plan.fields) == set(layout.by_name)
    assert None not in plan.fields.values()
    assert plan.unknown_columns == ()
    assert set(plan.columns) == set(present)


def test_the_tables_of_the_old_file_are_known_and_history_comes_first() -> None:
    """What history has made of its rows must not be overwritten by location_history."""
    names = [table.name for table in LEGACY_TABLES]
    assert names == ["history", "location_history", "users", "user_profiles", "user_sessions"]
    plans = [
        plan_table(table, HISTORY_COLUMNS if table.name == "history"
                   else [*layout_of(table.model).by_name], ["id"])
        for table in LEGACY_TABLES
    ]  # fmt: skip
    find_rivals(plans)
    assert [[rival.source_table for rival in plan.rivals] for plan in plans] == [
        [], ["history"], [], [], []
    ]  # fmt: skip


def test_an_entry_of_history_is_where_an_unknown_user_was() -> None:
    at = {"S": "2026-11-22T12:00:00.123000Z"}
    assert history_item() == {
        "userId": {"S": "unknown"},
        "id": {"S": "history_7"},
        "location": {"M": {"lat": {"N": "39.9"}, "lng": {"N": "-116.25"}}},
        "activity": {"S": "geocode"},
        "timestamp": at,
        "createdAt": at,
        "updatedAt": at,
        "metadata": {"M": {"provider": {"S": "osm"}, "ok": {"N": "1"}, "error": {"NULL": True}}},
        "ttl": {"N": str(1795348800 + 90 * 86400)},
        "dueDay": {"S": "2027-02-20#3"},
    }


def test_what_an_entry_of_history_lacks_stays_unknown() -> None:
    item = history_item(lat=None, lng=None, provider=None, ok=None, error="timeout")
    assert item["location"] == {"M": {"lat": {"NULL": True}, "lng": {"NULL": True}}}
    nothing = {"NULL": True}
    assert item["metadata"]["M"] == {"provider": nothing, "ok": nothing, "error": {"S": "timeout"}}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"id": None}, "id is missing"),
        ({"id": b"7"}, "id is bytes, not text"),
        ({"type": None}, "type is missing"),
        ({"ts": None}, "ts is missing"),
        ({"ts": "yesterday"}, "ts is not a date"),
        ({"ts": "2026-11-22T12:00:00"}, "ts is a date without a time zone"),
        ({"lat": "north"}, "location has a lat that is not a number"),
        ({"lng": b"1"}, "location has a lng that is bytes, not a number"),
        ({"lng": 2**53 + 1}, "location has a lng that is a number that a double does not hold"),
        ({"lat": float("inf")}, "location has Infinity"),
        ({"provider": b"osm"}, "metadata has a provider that is not text"),
        ({"error": UndecodableText(b"\xff")}, "metadata has a error that is not text"),
        ({"error": "\ud800"}, "metadata has a lone surrogate"),
    ],
)
def test_a_bad_entry_of_history_is_refused_and_what_is_wrong_named(
    changes: dict[str, Any], wanted: str
) -> None:
    assert reason(**changes).startswith(wanted)


def test_texts_and_numbers_in_history_are_read_as_what_they_mean() -> None:
    item = history_item(ts="2026-11-22 12:00:00", lat="39.9", lng=-116, type="")
    assert item["timestamp"] == {"S": "2026-11-22T12:00:00.000000Z"}
    assert item["location"]["M"] == {"lat": {"N": "39.9"}, "lng": {"N": "-116"}}
    assert item["activity"] == {"S": ""}


# --- Finding a row again ------------------------------------------------------------------------


def is_found(stored: Any, located: Any, affinity: str) -> bool:
    """Whether SQLite finds a row that has the id `stored` by what `locate` has made of its key."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"CREATE TABLE history (id {affinity})")
        db.execute("INSERT INTO history VALUES (?)", (stored,))
        return bool(db.execute("SELECT id FROM history WHERE id = ?", (located,)).fetchone())


@given(st.integers(-(2**63), 2**63 - 1))
def test_the_row_of_a_migrated_entry_is_found_by_its_key(number: int) -> None:
    key = {"user_id": "unknown", "id": history_item(id=number)["id"]["S"]}
    found = history_plan().locate(key)
    assert found is not None
    assert is_found(number, found["id"], "INTEGER PRIMARY KEY")


@given(st.from_regex(r"\A-?[0-9]{1,25}\Z") | st.text(min_size=1, max_size=9))
@example("9" * 30)
@example(str(2**63))
@example("07")
def test_an_entry_whose_id_is_text_is_found_by_it(text: str) -> None:
    found = history_plan().locate({"user_id": "unknown", "id": history_item(id=text)["id"]["S"]})
    assert found is not None
    assert str(found["id"]) == text
    assert is_found(text, found["id"], "TEXT")


@pytest.mark.parametrize("key", ["7", "history_", "History_7", " history_7", "history7"])
def test_a_key_that_history_could_not_have_made_has_no_row_there(key: str) -> None:
    assert history_plan().locate({"user_id": "unknown", "id": key}) is None


def test_another_users_entry_has_no_row_in_history() -> None:
    assert history_plan().locate({"user_id": "ann", "id": "history_7"}) is None


def test_other_tables_rows_are_found_by_their_key_columns() -> None:
    layout = layout_of(models.LocationHistory)
    plan = plan_table(TABLES["location_history"], list(layout.by_name), ["id"])
    key = {"user_id": "ann", "id": "x"}
    assert plan.locate(key) == key
    users = plan_table(TABLES["users"], ["id", "email"], ["id"])
    assert users.locate({"id": "u"}) == {"id": "u"}
    assert plan_table(TABLES["users"], ["email"], []).locate({"id": "u"}) is None


@pytest.mark.parametrize(("found", "free"), [({"id": 7}, False), ({"id": 8}, True), (None, True)])
def test_a_row_of_location_history_may_not_take_the_place_of_an_entry_of_history(
    found: dict[str, Any] | None, free: bool
) -> None:
    layout = layout_of(models.LocationHistory)
    plan = plan_table(TABLES["location_history"], list(layout.by_name), ["id"])
    find_rivals([history_plan(), plan])
    stored = dict.fromkeys(plan.columns, "2026-11-22 12:00:00") | {
        "user_id": "unknown", "id": "history_7", "location": "{}", "metadata": None
    }  # fmt: skip
    encoder = RowEncoder(plan, Rows(found))  # type: ignore[arg-type]
    if free:
        values, _ = encoder.item(_row(plan, stored))
        assert values["timestamp"] == dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
    else:
        with pytest.raises(InvalidValue, match="key belongs to a row of history"):
            encoder.item(_row(plan, stored))


def test_columns_that_nobody_knows_are_told_of_and_kept() -> None:
    plan = plan_table(TABLES["history"], [*HISTORY_COLUMNS, "note"], ["id"])
    assert plan.unknown_columns == ("note",)
    row = (1, *(f"{column}!" for column in plan.columns))
    assert plan.raw(row) == {column: f"{column}!" for column in plan.columns}
    assert plan.row_key(row) == "id!"
    assert plan.row_key((9, *(None for _ in plan.columns))) == "row 9"
