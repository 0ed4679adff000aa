"""What DynamoDB's errors mean is told in one place, and what is not known there is no refusal."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from dbcore.dynamo.refusals import Meaning, refusal_of

ITEM = {"id": {"S": "x"}}


def error(code: str, *reasons: dict[str, Any], attempts: int = 0, **more: Any) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "words"},
        "ResponseMetadata": {"RetryAttempts": attempts, "HTTPStatusCode": 400},
        **more,
    }
    if reasons:
        response["CancellationReasons"] = list(reasons)
    return ClientError(response, "PutItem")


@pytest.mark.parametrize(("code", "meaning"), [
    ("ConditionalCheckFailedException", Meaning.UNTRUE),
    ("TransactionConflictException", Meaning.BUSY),
    ("ValidationException", Meaning.UNFIT),
    ("ItemCollectionSizeLimitExceededException", Meaning.UNFIT),
])  # fmt: skip
def test_a_write_that_was_refused_says_why(code: str, meaning: Meaning) -> None:
    refusal = refusal_of(error(code))
    assert (refusal.first.meaning, refusal.first.words, refusal.resent) == (meaning, "words", False)


def test_what_is_there_and_whether_it_may_be_ones_own_is_told() -> None:
    refusal = refusal_of(error("ConditionalCheckFailedException", attempts=1, Item=ITEM))
    assert (refusal.first.found, refusal.resent) == (ITEM, True)


def test_each_action_of_a_transaction_has_its_reason() -> None:
    codes = ("None", "ConditionalCheckFailed", "TransactionConflict", "ThrottlingError",
             "ValidationError")  # fmt: skip
    reasons = [{"Code": code, **({"Item": ITEM} if code == "ConditionalCheckFailed" else {})}
               for code in codes]  # fmt: skip
    refusal = refusal_of(error("TransactionCanceledException", *reasons), len(codes))
    assert [each.meaning for each in refusal.reasons] == [
        None, Meaning.UNTRUE, Meaning.BUSY, Meaning.SLOWED, Meaning.UNFIT,
    ]  # fmt: skip
    assert refusal.reasons[1].found == ITEM
    assert refusal.has(Meaning.BUSY)


@pytest.mark.parametrize("other", [
    error("AccessDeniedException"), error("ResourceNotFoundException"),
    error("TransactionCanceledException"),  # without reasons
    error("TransactionCanceledException", {"Code": "None"}, {"Code": "None"}),  # of other actions
    error("TransactionCanceledException", {"Code": "SomethingNew"}),
    EndpointConnectionError(endpoint_url="http://x"), ValueError("ours"),
], ids=str)  # fmt: skip
def test_what_is_not_known_is_raised_as_it_is(other: Exception) -> None:
    with pytest.raises(type(other)) as raised:
        refusal_of(other)
    assert raised.value is other
