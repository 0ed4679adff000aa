"""With SQL as the primary store, DynamoDB may have records as well: holds and erasures reach them
there, and where nobody can tell that is said."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from daylight.models import Plan, User
from dbcore.items import layout_of
from dbcore.models import Archive, MigrationRun, Sweep, SweepMark
from dbcore.retention import erasure
from dbcore.retention.errors import RetentionError
from dbcore.retention.holds import place_hold, user_subject
from dbcore.retention.in_use import keepers_in_use, stores_in_use
from dbcore.retention.keepers.choice import keeper_named
from dbcore.retention.keepers.interface import Keeper, Removal
from dbcore.retention.rules import Rule
from dbcore.table_sync import sync_tables
from tests.dbcore.retention.lives import records_of
from tests.dbcore.retention.making import DAY, NOW, put

USER = "user-of-both"
SIGNED = {"who": "A. Clerk", "why": "case 7"}
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "PAUSES", (0.0, 0.0))


@pytest.fixture
def both(in_sqlite: Keeper, dynamodb: Any) -> Keeper:
    """SQL is the primary store, DynamoDB has tables too, and no setting speaks of it; its
    keeper."""
    sync_tables()
    return keeper_named("dynamodb")


def place(user: str = USER) -> Any:
    return place_hold(user_subject(user), **SIGNED, until=None, now=timezone.now())


def test_a_hold_holds_in_dynamodb_wherever_it_has_tables(both: Keeper) -> None:
    plan = put(both, Plan, NOW - 400 * DAY, user_id=USER)
    put(both, User, NOW, id=USER)
    assert place().warnings == ()
    assert both.remove(Rule(layout_of(Plan), 365, NOW), [plan]) == [Removal.HELD]


def test_an_erasure_reaches_dynamodb_wherever_it_has_tables(both: Keeper) -> None:
    put(both, Plan, NOW, user_id=USER)
    put(keeper_named("orm"), User, NOW, id=USER)
    report = erasure.erase_user(USER, **SIGNED)
    assert records_of(both, USER) == records_of(keeper_named("orm"), USER) == {}
    assert (report.status, report.not_looked_at) == ("completed", "")


def test_a_dynamodb_without_tables_is_not_in_use(in_sqlite: Keeper, dynamodb: Any) -> None:
    assert [keeper.name for keeper in keepers_in_use()] == ["orm"]
    assert stores_in_use().not_looked_at == ""


def test_that_nobody_could_look_into_dynamodb_is_said(
    in_sqlite: Keeper, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.DYNAMODB_ENDPOINT = NOBODY
    put(in_sqlite, User, NOW, id=USER)
    said = "DynamoDB was not looked at"
    (warning,) = place("u/2").warnings[:1]
    assert said in warning
    call_command("export_user", USER)
    told = capsys.readouterr()
    assert said in told.err and said in json.loads(told.out)["not_looked_at"]
    out, err = io.StringIO(), io.StringIO()
    signed = ("--who", "w", "--why", "y", "--accept-erasure", "--format", "json")
    call_command("erase_user", USER, *signed, stdout=out, stderr=err)
    assert said in json.loads(out.getvalue())["not_looked_at"]
    call_command("erase_user", USER, *signed[:-2], stdout=io.StringIO(), stderr=err)
    assert said in err.getvalue()


@pytest.mark.parametrize("book", [MigrationRun, Archive, Sweep, SweepMark])
def test_what_the_books_say_of_dynamodb_counts_where_it_cannot_be_asked(
    in_sqlite: Keeper, settings: Any, book: Any
) -> None:
    settings.DYNAMODB_ENDPOINT, settings.DYNAMODB_DEADLINE = NOBODY, 0.1
    given = {Sweep: {"as_of": NOW, "pid": 1}, MigrationRun: {"pid": 1}}.get(book, {})
    book.objects.create(target=keeper_named("dynamodb").target, **given)
    with pytest.raises(RetentionError, match="in the books, and not enforced by dynamodb yet"):
        place()
