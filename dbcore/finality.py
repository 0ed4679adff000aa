"""Values that are for good (`Table.final`): what would undo one, and the condition under which
DynamoDB writes a record all the same. SQL databases refuse by triggers: see final_triggers.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dbcore.attributes import AttributeValue, Item
from dbcore.dynamo.expressions import condition
from dbcore.items import ItemLayout

WHY = "is for good: no write undoes it"


def final_attribute(layout: ItemLayout) -> tuple[str, AttributeValue] | None:
    """The attribute that may have a final value, and that value; None where none has."""
    final = layout.table.final
    if final is None:
        return None
    column = layout.by_name[final.field]
    return column.attribute, column.codec.to_attribute(final.value)


def undone_by(layout: ItemLayout, standing: Mapping[str, Any], changes: Mapping[str, Any]) -> str:
    """The field whose final value changes of a record would undo; "" where they would not."""
    final = layout.table.final
    if final is None or standing[final.field] != final.value:
        return ""
    return "" if changes.get(final.field, final.value) == final.value else final.field


def final_kept(layout: ItemLayout) -> str:
    """Why a record was not written over, to people."""
    final = layout.table.final
    return "" if final is None else f"{final.field} is {final.value}, which {WHY}"


def is_undone_by(layout: ItemLayout, standing: Item, new: Item) -> bool:
    """Whether an item would undo a final value of the one that is there."""
    final = final_attribute(layout)
    return final is not None and standing.get(final[0]) == final[1] != new.get(final[0])


def made_final_by(layout: ItemLayout, standing: Item, new: Item) -> bool:
    """Whether an item has a final value that the one which is there has not yet."""
    final = final_attribute(layout)
    return final is not None and new.get(final[0]) == final[1] != standing.get(final[0])


def making_final(layout: ItemLayout, item: Item) -> dict[str, Any]:
    """An Update that gives a record the final value of this item of it, and changes nothing else;
    for a table that declares one."""
    final = final_attribute(layout)
    assert final is not None
    return {
        "TableName": layout.table_name,
        "Key": layout.key_of_item(item),
        "UpdateExpression": "SET #final = :final",
        **condition(
            "attribute_exists(#key)",
            {"final": final[0], "key": layout.key[0].attribute},
            {"final": final[1]},
        ),
    }


def keeping_final(layout: ItemLayout, new: Item) -> dict[str, Any]:
    """The parts of a Put that is not done where it would undo a final value; none where it
    could not."""
    final = final_attribute(layout)
    if final is None or new.get(final[0]) == final[1]:
        return {}
    text = "attribute_not_exists(#final) OR #final <> :final"
    return condition(text, {"final": final[0]}, {"final": final[1]})
