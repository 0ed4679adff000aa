"""Each answer that DynamoDB may give to a batch of puts, from a script: no row counts as written
that was not, and none is written twice over another's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from django.utils import timezone

from daylight.models import Plan, User
from dbcore.dynamo.guards import guards_of
from dbcore.items import ItemLayout, layout_of
from dbcore.migration.errors import MigrationError
from dbcore.migration.flow import Flow
from dbcore.migration.ledger import Batch, Ledger, Tally
from dbcore.migration.rate import Rate
from dbcore.migration.writes import BatchWriter, GuardedPut, GuardedWriter, put_text
from tests.support.scripted import Refused, Reply, Script, cancelled

PLANS, USERS = layout_of(Plan), layout_of(User)
NOW = timezone.now()


@dataclass
class Box:
    """Where dead letters go."""

    letters: list[tuple[Any, str]] = field(default_factory=list)

    def add(self, row: Any, reason: str) -> None:
        self.letters.append((row, reason))

    def flush(self) -> None:
        pass


@dataclass
class Copy:
    """One pass over a table's rows, of which DynamoDB's part is a script."""

    script: Script
    flow: Flow
    ledger: Ledger
    box: Box
    batch: Batch

    @property
    def account(self) -> tuple[int, int, int]:
        """Rows that count as written, rows that are dead letters, rows that are neither."""
        return self.ledger.tally.written, len(self.box.letters), self.batch.open


@contextlib.contextmanager
def copying(rows: int, *replies: Reply, player: Any = None) -> Iterator[Copy]:
    script, box = Script(*replies, player=player), Box()
    with script.wire() as wire, contextlib.closing(Flow(wire, 4, Rate(None))) as flow:
        flow._pipeline._deadline = 5.0
        ledger = Ledger(Tally(), None, box)  # type: ignore[arg-type]
        yield Copy(script, flow, ledger, box, ledger.open_batch(None, rows))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dbcore.migration.flow.backoff", lambda attempt: 0.0)
    monkeypatch.setattr("dbcore.wire.pipeline.backoff", lambda attempt: 0.0)


def plan(number: int) -> dict[str, Any]:
    times = {"created_at": NOW, "updated_at": NOW}
    record = Plan(user_id="u", id=f"p{number}", title="Lake", **times)
    return PLANS.to_item({each.name: getattr(record, each.name) for each in PLANS.columns})


def put_plans(copy: Copy, count: int) -> None:
    writer = BatchWriter(copy.flow, PLANS, copy.ledger)
    rows = [(number,) for number in range(count)]
    writer.put(copy.batch, rows, [put_text(plan(number)) for number in range(count)])
    copy.flow.drain()


def test_what_an_answer_names_as_unprocessed_is_sent_again_before_it_counts() -> None:
    counted: list[int] = []

    def player(operation: str, request: dict[str, Any]) -> Reply:
        assert operation == "BatchWriteItem"
        counted.append(copy.ledger.tally.written)
        (puts,) = request["RequestItems"].values()
        left = puts[2:] if len(puts) > 2 else []
        return {"UnprocessedItems": {PLANS.table_name: left} if left else {}}

    with copying(6, player=player) as copy:
        put_plans(copy, 6)
        sent = [
            len(request["RequestItems"][PLANS.table_name]) for _, request in copy.script.requests
        ]
    assert sent == [6, 4, 2]
    assert counted == [0, 2, 4], "nothing counts before DynamoDB has said so"
    assert copy.account == (6, 0, 0)


def test_a_batch_of_which_nothing_was_done_counts_for_nothing() -> None:
    all_left = {"UnprocessedItems": {PLANS.table_name: [{"PutRequest": {"Item": plan(0)}}]}}
    with copying(1, *[all_left] * 3, {"UnprocessedItems": {}}) as copy:
        put_plans(copy, 1)
    assert copy.account == (1, 0, 0) and len(copy.script.requests) == 4


def test_one_bad_item_among_others_is_found_and_the_others_are_written() -> None:
    def player(operation: str, request: dict[str, Any]) -> Reply:
        (puts,) = request["RequestItems"].values()
        ids = [put["PutRequest"]["Item"]["id"]["S"] for put in puts]
        return Refused("ValidationException") if "p1" in ids else {}

    with copying(3, player=player) as copy:
        put_plans(copy, 3)
    assert copy.account == (2, 1, 0)
    assert copy.box.letters[0][0] == (1,)


def test_an_answer_that_is_about_no_item_ends_the_copy() -> None:
    with copying(1, Refused("AccessDeniedException")) as copy:
        with pytest.raises(MigrationError, match="cannot be written"):
            put_plans(copy, 1)
        assert copy.account == (0, 0, 1)


# --- With unique values ---------------------------------------------------------------------------
def user(number: int) -> GuardedPut:
    values = {"id": f"u{number}", "email": f"u{number}@example.org", "password_hash": "x",
              "created_at": NOW, "updated_at": NOW}  # fmt: skip
    record = User(**values)
    given = {each.name: getattr(record, each.name) for each in USERS.columns}
    return GuardedPut((number,), USERS.to_item(given), guards_of(USERS, given), [])


def put_users(copy: Copy, count: int, *, free: bool = False) -> None:
    writer = GuardedWriter(copy.flow, USERS, copy.ledger, lambda guard: free)
    writer.put(copy.batch, [user(number) for number in range(count)])
    copy.flow.drain()


def ids_of(request: dict[str, Any], layout: ItemLayout = USERS) -> list[str]:
    puts = [each["Put"] for each in request["TransactItems"] if "Put" in each]
    return [put["Item"]["id"]["S"] for put in puts if put["TableName"] == layout.table_name]


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError"])
def test_a_transaction_that_others_were_in_the_way_of_is_sent_again(reason: str) -> None:
    with copying(2, cancelled("None", "None", reason, "None"), {}) as copy:
        put_users(copy, 2)
    assert copy.account == (2, 0, 0)
    assert [ids_of(request) for _, request in copy.script.requests] == [["u0", "u1"]] * 2


def test_a_row_whose_value_is_anothers_is_a_dead_letter_and_the_others_are_written() -> None:
    refused = cancelled("None", "ConditionalCheckFailed", "None", "None")
    with copying(2, refused, {}) as copy:
        put_users(copy, 2)
    assert copy.account == (1, 1, 0)
    assert copy.box.letters == [((0,), "email belongs to another user (case apart)")]
    assert ids_of(copy.script.requests[1][1]) == ["u1"]


def test_a_transaction_that_does_not_fit_is_taken_apart() -> None:
    def player(operation: str, request: dict[str, Any]) -> Reply:
        return Refused("ValidationException") if "u1" in ids_of(request) else {}

    with copying(3, player=player) as copy:
        put_users(copy, 3)
    assert copy.account == (2, 1, 0)
    assert [row for row, _ in copy.box.letters] == [(1,)]


def test_reasons_that_nobody_knows_end_the_copy() -> None:
    with copying(1, cancelled("SomethingNew", "None")) as copy:
        with pytest.raises(MigrationError, match="cannot be written"):
            put_users(copy, 1)
        assert copy.account == (0, 0, 1)


def test_each_body_is_the_json_that_dynamodb_takes() -> None:
    assert orjson.loads(put_text(plan(0)))["PutRequest"]["Item"]["id"] == {"S": "p0"}
