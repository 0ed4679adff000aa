"""The conditions under which retention writes to DynamoDB: that a record still is what it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dbcore.attributes import Item
from dbcore.guards import Guard, guards_of
from dbcore.items import ItemLayout

CONDITION = "ConditionalCheckFailed"  # the reason of an action whose condition does not hold
CANCELLED = "TransactionCanceledException"
# Reasons that may be gone at the next try, and none: another action of the transaction has one.
PASSING = frozenset(
    {
        "None",
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
    }
)


def unchanged(layout: ItemLayout, item: Item) -> dict[str, Any]:
    """The parts of a request that does its work only where the record still is this item.

    Every attribute is compared whole. What has been added since is seen where it is a field's.
    """
    keys = {each.attribute for each in layout.key}
    values = {name: value for name, value in item.items() if name not in keys}
    absent = [each.attribute for each in layout.columns if each.attribute not in item]
    tests = ["attribute_exists(#key)"]
    tests += [f"#n{at} = :v{at}" for at in range(len(values))]
    tests += [f"attribute_not_exists(#a{at})" for at in range(len(absent))]
    names = {"#key": layout.key[0].attribute}
    names |= {f"#n{at}": name for at, name in enumerate(values)}
    names |= {f"#a{at}": name for at, name in enumerate(absent)}
    condition = {
        "ConditionExpression": " AND ".join(tests),
        "ExpressionAttributeNames": names,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    if values:  # an empty map is refused
        given = {f":v{at}": value for at, value in enumerate(values.values())}
        condition["ExpressionAttributeValues"] = given
    return condition


def absent(layout: ItemLayout) -> dict[str, Any]:
    """The parts of a request that does its work only where there is no record with this key."""
    return {
        "ConditionExpression": "attribute_not_exists(#key)",
        "ExpressionAttributeNames": {"#key": layout.key[0].attribute},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def guards_of_item(layout: ItemLayout, item: Item) -> list[Guard]:
    """The guards of a record's unique values. The other values need not be readable."""
    if not layout.unique:
        return []
    names = (*layout.table.key_fields, *(unique.name for unique in layout.unique))
    columns = [layout.by_name[name] for name in names]
    values = {
        each.name: each.codec.from_attribute(item[each.attribute])
        if each.attribute in item
        else None
        for each in columns
    }
    return guards_of(layout, values)


def reasons_of(error: Any, actions: int) -> Sequence[dict[str, Any]]:
    """Why each of so many actions was cancelled, in order; the error itself where one of them
    cannot be done at any time."""
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])
    codes = {str(each.get("Code")) for each in reasons}
    if len(reasons) != actions or not codes <= PASSING | {CONDITION}:
        raise error
    return reasons
