"""A key that is revoked in DynamoDB stays so, whatever its row says and however it is copied."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from daylight.models import ApiKey
from dbcore.items import layout_of
from dbcore.migration import copy as copying
from dbcore.migration import target
from dbcore.migration.copy import TableCopy
from dbcore.migration.errors import MigrationError
from dbcore.patience import Patience
from tests.dbcore.migration.conftest import Migrate
from tests.dbcore.migration.runs import Tables, counts, line
from tests.dbcore.retention.making import NOW, values_of_age
from tests.support.scripted import Refused, Reply, Script

KEYS = ("api_keys",)
LATER = dt.timedelta(hours=1)


@pytest.fixture
def rows(transactional_db: None) -> None:
    """Two active keys in Django's database."""
    for name in ("one", "two"):
        ApiKey.objects.create(id=name, name="CI", key_hash=name, key_preview="p", user_id="ana")


def revoke(tables: Tables) -> None:
    tables.change("api_keys", tables.get("api_keys", id="one"), status={"S": "revoked"})


def statuses(tables: Tables) -> dict[str, str]:
    return {key: item["status"] for key, item in tables.items("api_keys", "id").items()}


REVOKED = {"one": "revoked", "two": "active"}


@pytest.mark.parametrize("repair", [False, True])
def test_a_row_that_was_changed_later_does_not_undo_it(
    rows: None, run: Migrate, tables: Tables, repair: bool
) -> None:
    assert run(tables=KEYS)["exit"] == 0
    revoke(tables)
    ApiKey.objects.update(name="edited since", updated_at=timezone.now() + LATER)
    report = run(tables=KEYS, repair=repair)
    assert statuses(tables) == REVOKED
    assert (report["exit"], line(report, "api_keys")["different"]) == (2, 1)
    assert tables.get("api_keys", id="two")["name"] == {"S": "edited since"}


def test_nor_does_a_copy_that_does_not_look_first(
    rows: None, run: Migrate, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tables=KEYS)
    revoke(tables)
    monkeypatch.setattr(target, "is_empty", lambda *_: True)
    assert counts(run(tables=KEYS, verify=False), "api_keys") == {
        "read": 2, "written": 1, "skipped": 1,
    }  # fmt: skip
    assert statuses(tables) == REVOKED


def test_nor_one_that_looked_before_it_was_revoked(
    rows: None, run: Migrate, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tables=KEYS)
    ApiKey.objects.update(name="edited since", updated_at=timezone.now() + LATER)
    usual = TableCopy.write

    def write(copy: TableCopy, *given: Any) -> None:
        revoke(tables)  # by the application, between the look and the write
        usual(copy, *given)

    monkeypatch.setattr(TableCopy, "write", write)
    report = run(tables=KEYS, verify=False)
    assert counts(report, "api_keys") == {"read": 2, "written": 1, "skipped": 1}
    assert statuses(tables) == REVOKED


def test_a_row_that_is_revoked_revokes_the_key(rows: None, run: Migrate, tables: Tables) -> None:
    run(tables=KEYS)
    ApiKey.objects.filter(id="two").update(status="revoked", updated_at=timezone.now())
    assert run(tables=KEYS)["exit"] == 0
    assert statuses(tables) == {"one": "active", "two": "revoked"}


def test_and_revokes_one_that_has_been_used_since_but_changes_nothing_else_of_it(
    rows: None, run: Migrate, tables: Tables
) -> None:
    run(tables=KEYS)
    used = {"updatedAt": {"S": "2999-01-01T00:00:00.000000Z"}, "name": {"S": "renamed"}}
    for key in ("one", "two"):
        tables.change("api_keys", tables.get("api_keys", id=key), **used)
    ApiKey.objects.filter(id="two").update(status="revoked", updated_at=timezone.now())
    before = tables.get("api_keys", id="two")
    assert counts(run(tables=KEYS, verify=False), "api_keys") == {
        "read": 2, "written": 1, "skipped": 1,
    }  # fmt: skip
    assert statuses(tables) == {"one": "active", "two": "revoked"}
    assert tables.get("api_keys", id="two") == before | {"status": {"S": "revoked"}}


@pytest.mark.parametrize(("replies", "done"), [
    ([Refused("TransactionConflictException"), {}], True),
    ([Refused("ConditionalCheckFailedException")], False),
])  # fmt: skip
def test_what_is_in_a_transactions_way_for_a_moment_is_revoked_all_the_same(
    replies: list[Reply], done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert made_final(Script(*replies), monkeypatch) is done


def test_what_stands_in_the_way_for_good_ends_the_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Script(player=lambda *_: Refused("TransactionConflictException"))
    with pytest.raises(MigrationError, match="written all the time"):
        made_final(busy, monkeypatch)
    assert len(busy.requests) == 3


def made_final(script: Script, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Have the item of a revoked key revoked in DynamoDB, whose part the script plays."""
    layout = layout_of(ApiKey)
    key = values_of_age(ApiKey, NOW, id="one", status="revoked")
    copy = TableCopy.__new__(TableCopy)
    copy.layout = layout
    with script.wire() as wire:
        monkeypatch.setattr(copying, "get_wire", lambda: wire)
        monkeypatch.setattr(copying, "WORKING", Patience(3, 0))
        return copy._make_final(layout.to_item(key))
