"""A dead letter keeps its row whole and shows nothing of it that is secret: by its declaration,
under whatever name the source has for it, by its name, or within a value."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from daylight.models import User
from dbcore.items import layout_of
from dbcore.letters import WITHHELD, secret_columns, shown_row, shown_text, source_columns
from dbcore.migration.plan import Computed, LegacyTable
from dbcore.models import DeadLetter

USERS = layout_of(User)
LEGACY = (
    LegacyTable(
        "people", User, {"password_hash": "digest", "id": Computed(("a", "b"), lambda a, b: a)}
    ),
    LegacyTable("users", User),
)


def row(table: str = "users", source_table: str = "users", **values: Any) -> dict[str, Any]:
    """What is shown of a letter's row."""
    return shown_row(DeadLetter(table=table, source_table=source_table, row=values))


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_what_a_table_declares_secret_is_withheld_whatever_the_source_calls_it() -> None:
    names = ("password_hash", "passwordHash", "PASSWORD_HASH", "PasswordHash")
    assert row(**dict.fromkeys(names, "x$y"), id="u-1") == {
        **dict.fromkeys(names, WITHHELD), "id": "u-1",
    }  # fmt: skip


def test_a_column_of_another_name_is_known_by_the_earlier_files_declaration(settings: Any) -> None:
    settings.DBCORE_LEGACY_TABLES = f"{__name__}.LEGACY"
    assert row(source_table="people", digest="x$y", a="u-1") == {"digest": WITHHELD, "a": "u-1"}
    assert row(source_table="users", digest="x$y") == {"digest": "x$y"}, (
        "of another table it is none"
    )
    assert secret_columns(USERS, "people") == {"passwordhash", "digest"}
    assert source_columns(USERS, "id", "people") == {"id", "a", "b"}


def test_that_a_secret_is_missing_is_seen_for_it_may_be_what_is_wrong() -> None:
    assert row(password_hash=None, token="") == {"password_hash": None, "token": ""}


def test_a_column_that_no_field_is_made_of_is_withheld_for_its_name() -> None:
    shown = row(reset_token="r-1", session_id="s-1", apiKey="k-1", nickname="Ana")
    assert shown == {"reset_token": WITHHELD, "session_id": WITHHELD, "apiKey": WITHHELD,
                     "nickname": "Ana"}  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        '{"refresh_token": "two words", "n": ',  # JSON that is broken: the reason for the letter
        {"$json": '{"refresh_token": "two words"}'},
        {"$text": b64('\udcff{"refresh_token": "two words"}'.replace("\udcff", "é"))},
        {"$bytes": b64('refresh_token="two words"\0')},
        {"$bytes": "not base64, two words"},
        ["refresh_token='two words'"],
        {"deep": [{"refresh_token": ["two words"]}]},
    ],
)
def test_a_secret_within_a_value_is_masked(value: Any) -> None:
    shown = str(row(data=value))
    assert "two words" not in shown
    assert b64("two words")[4:-4] not in shown


def test_what_has_no_secret_is_shown_as_it_is_kept() -> None:
    values: dict[str, Any] = {
        "title": "Walk", "raw": {"$bytes": "AP8="}, "half": "\ud83d", "n": 1.5, "ok": True,
        "latin": {"$text": base64.b64encode(b"caf\xe9").decode()}, "gone": None,
        "inf": {"$real": "inf"}, "data": {"$json": '{"a": [1]}'}, "email": "ana@example.org",
    }  # fmt: skip
    assert row(**values) == values


def test_what_a_database_says_of_a_row_has_none_of_its_secrets() -> None:
    said = "value too long: 'x$y$z' in (u-1, x$y$z), password='two words', at 7"
    assert shown_text(said, ["x$y$z", None, 7, b"at"]) == (
        "value too long: '***' in (u-1, ***), password='***', at 7"
    )


def test_of_a_table_that_nobody_knows_any_more_only_the_columns_names_are_shown() -> None:
    assert row("gone", "gone", id="u-1", code="x$y") == {"id": WITHHELD, "code": WITHHELD}


def test_a_row_that_is_none_is_shown_as_nothing() -> None:
    assert shown_row(DeadLetter(table="users", source_table="users", row=["x$y"])) == {}
