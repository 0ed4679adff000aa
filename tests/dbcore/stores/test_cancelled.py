"""What a transaction that DynamoDB has cancelled comes to: throttled, refused, or overtaken, and
none of them is ever told for another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from daylight.models import User
from dbcore.local_engine import LocalEngine
from dbcore.patience import Patience
from dbcore.stores.dynamo import DynamoStore, sending
from dbcore.stores.errors import AlreadyExists, Conflict, StoreUnavailable, UniqueViolation
from dbcore.table_sync import sync_tables
from dbcore.wire import HOOKS
from tests.support.faults import SERVICE
from tests.support.proxy import Answer, Call, Custom, FaultProxy
from tests.support.wire import make_answer

STORE = DynamoStore()
ANA = {"id": "ana"}
# Of the actions that add a user: the record, and the e-mail address's guard.
THROTTLED = ["ThrottlingError", "ProvisionedThroughputExceeded"]


@pytest.fixture
def proxy(
    dynamodb: LocalEngine, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultProxy]:
    sync_tables()
    monkeypatch.setattr(sending, "ASKED", Patience(8, 0))
    settings.DYNAMODB_DEADLINE = 0.3
    with FaultProxy(dynamodb.endpoint) as between:
        settings.DYNAMODB_ENDPOINT = between.endpoint
        yield between


def cancelled(*codes: str, times: int | None = None) -> Custom:
    """Transactions are cancelled, with these reasons."""

    def cancel(call: Call) -> Answer:
        kind, named = SERVICE + "TransactionCanceledException", ", ".join(codes)
        text = f"Transaction cancelled, please refer cancellation reasons: [{named}]"
        reasons = [{"Code": code} for code in codes]
        told = {"__type": kind, "Message": text, "CancellationReasons": reasons}
        return make_answer(400, json.dumps(told).encode(), {})

    return Custom(cancel, times=times, operations=("TransactWriteItems",))


def user(**given: Any) -> User:
    return User(**{**ANA, "email": "ana@example.org", "password_hash": "x", **given})


def transactions(proxy: FaultProxy) -> int:
    return [operation for operation, _ in proxy.requests].count("TransactWriteItems")


@pytest.mark.parametrize("codes", [THROTTLED, THROTTLED[::-1], ["None", THROTTLED[0]]])
def test_a_throttled_transaction_is_tried_again_and_counted(
    proxy: FaultProxy, codes: list[str]
) -> None:
    calls: list[Any] = []
    HOOKS.append(calls.append)
    proxy.set_faults(cancelled(*codes, times=2))
    STORE.add(user())
    assert STORE.get(User, ANA) is not None
    (written,) = (call for call in calls if call.operation == "TransactWriteItems")
    assert (written.retries, written.throttles) == (2, 2)


def test_one_that_stays_throttled_is_unavailable_and_no_conflict(proxy: FaultProxy) -> None:
    proxy.set_faults(cancelled(*THROTTLED))
    with pytest.raises(StoreUnavailable, match="ThrottlingError"):
        STORE.add(user())
    assert transactions(proxy) > 1
    proxy.set_faults()
    STORE.add(user())
    proxy.set_faults(cancelled(*THROTTLED))
    for write in (
        lambda: STORE.update(User, ANA, {"email": "bea@example.org"}),
        lambda: STORE.delete(User, ANA),
    ):
        with pytest.raises(StoreUnavailable):
            write()
    found = STORE.get(User, ANA)
    assert found is not None and found.email == "ana@example.org"


@pytest.mark.parametrize(
    "code", ["ValidationError", "ItemCollectionSizeLimitExceeded", "AccessDenied"]
)
def test_one_that_no_retry_can_mend_is_unavailable_at_once(proxy: FaultProxy, code: str) -> None:
    proxy.set_faults(cancelled("None", code))
    with pytest.raises(StoreUnavailable, match=code):
        STORE.add(user())
    assert transactions(proxy) == 1


@pytest.mark.parametrize(
    "codes", [["TransactionConflict", "None"], ["TransactionConflict", THROTTLED[0]]]
)
def test_one_that_meets_another_is_done_anew(proxy: FaultProxy, codes: list[str]) -> None:
    proxy.set_faults(cancelled(*codes, times=3))
    STORE.add(user())
    assert STORE.get(User, ANA) is not None
    proxy.set_faults(cancelled(*codes))
    with pytest.raises(Conflict):
        STORE.delete(User, ANA)
    assert STORE.get(User, ANA) is not None


def test_a_condition_that_failed_is_told_though_another_action_was_throttled(
    proxy: FaultProxy,
) -> None:
    proxy.set_faults(cancelled(THROTTLED[0], "ConditionalCheckFailed"))
    with pytest.raises(UniqueViolation) as taken:
        STORE.add(user())
    assert taken.value.field == "email"
    proxy.set_faults(cancelled("ConditionalCheckFailed", THROTTLED[0]))
    with pytest.raises(AlreadyExists):
        STORE.add(user())
    assert transactions(proxy) == 2
