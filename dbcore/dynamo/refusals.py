"""What it means that DynamoDB has not done a write: the one reader of its codes and reasons."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from dbcore.attributes import Item
from dbcore.wire.answers import THROTTLED_ACTION, error_code

NOT_FOUND = "ResourceNotFoundException"


class Meaning(enum.Enum):
    """Why an action was not done."""

    UNTRUE = "its condition does not hold"
    BUSY = "a transaction of another's is at the same item"
    SLOWED = "throttled, which the wire has tried again for as long as it may"
    UNFIT = "DynamoDB keeps no such item, whenever it is asked"


# Source: API Reference, "TransactWriteItems" and "PutItem", Errors.
_OF_A_WRITE = {
    "ConditionalCheckFailedException": Meaning.UNTRUE,
    "TransactionConflictException": Meaning.BUSY,
    "ValidationException": Meaning.UNFIT,
    "ItemCollectionSizeLimitExceededException": Meaning.UNFIT,
}
_CANCELLED = "TransactionCanceledException"
_OF_AN_ACTION = {
    "None": None,
    "ConditionalCheckFailed": Meaning.UNTRUE,
    "TransactionConflict": Meaning.BUSY,
    "ValidationError": Meaning.UNFIT,
    "ItemCollectionSizeLimitExceeded": Meaning.UNFIT,
    "RequestLimitExceeded": Meaning.SLOWED,
    **dict.fromkeys(THROTTLED_ACTION, Meaning.SLOWED),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one action was not done; `meaning` is None where nothing was against this one. `found`:
    the item that is there, where the request asked for it. `words`: DynamoDB's."""

    meaning: Meaning | None
    found: Item | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a write, or each action of a transaction in order, was not done. `resent`: the request
    was sent more than once, so that what it met may be its own work."""

    reasons: tuple[Reason, ...]
    resent: bool = False

    @property
    def first(self) -> Reason:
        """The reason of the first action, or of the only one."""
        return self.reasons[0]

    def has(self, meaning: Meaning) -> bool:
        """Whether any action was not done for this."""
        return any(each.meaning is meaning for each in self.reasons)


def refusal_of(error: BaseException | None, actions: int = 1) -> Refusal:
    """What the error of a write of so many actions means; raises it where it is about none."""
    assert error is not None
    if not isinstance(error, ClientError):
        raise error
    response: Any = error.response
    code = error_code(error)
    if code == _CANCELLED:
        given = response.get("CancellationReasons", [])
        if len(given) == actions and all(each.get("Code") in _OF_AN_ACTION for each in given):
            return Refusal(tuple(map(_reason, given)))
    elif code in _OF_A_WRITE:
        words = str(response["Error"]["Message"])
        reason = Reason(_OF_A_WRITE[code], response.get("Item"), words)
        resent = response["ResponseMetadata"]["RetryAttempts"] > 0
        return Refusal((reason,) * actions, resent)
    raise error


def _reason(given: dict[str, Any]) -> Reason:
    meaning = _OF_AN_ACTION[given["Code"]]
    return Reason(meaning, given.get("Item") or None, str(given.get("Message") or ""))
