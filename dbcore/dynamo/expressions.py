"""Conditions of writes: fixed ones, and such as are put together from what a record has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dbcore.attributes import AttributeValue, Item
from dbcore.items import ItemLayout

# The refusal has the item that is there.
TELL = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def condition(
    text: str, names: Mapping[str, str], values: Mapping[str, AttributeValue] | None = None
) -> dict[str, Any]:
    """The parts of a request with a fixed condition: `names` are of its placeholders #x, `values`
    of its placeholders :x."""
    found: dict[str, Any] = {
        "ConditionExpression": text,
        "ExpressionAttributeNames": {f"#{mark}": name for mark, name in names.items()},
    }
    if values:  # an empty map is refused
        found["ExpressionAttributeValues"] = {f":{mark}": each for mark, each in values.items()}
    return found


class Expression:
    """A condition of several tests, all of which must hold, and its placeholders."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, AttributeValue] = {}
        self._tests: list[str] = []

    def name(self, attribute: str) -> str:
        """The placeholder of an attribute."""
        return self._names.setdefault(attribute, f"#n{len(self._names)}")

    def value(self, value: AttributeValue) -> str:
        """The placeholder of an attribute value."""
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = value
        return placeholder

    def must_have(self, attribute: str) -> None:
        """The item is there and has this attribute."""
        self._tests.append(f"attribute_exists({self.name(attribute)})")

    def must_lack(self, attribute: str) -> None:
        """The item is not there, or has no such attribute."""
        self._tests.append(f"attribute_not_exists({self.name(attribute)})")

    def must_be(self, attribute: str, value: AttributeValue | None) -> None:
        """The attribute has this value; None: it is not there."""
        if value is None:
            self.must_lack(attribute)
        else:
            self._tests.append(f"{self.name(attribute)} = {self.value(value)}")

    def must_not_be(self, attribute: str, value: AttributeValue) -> None:
        """The attribute has another value, or is not there."""
        name = self.name(attribute)
        self._tests.append(f"(attribute_not_exists({name}) OR {name} <> {self.value(value)})")

    def parts(self, **given: Any) -> dict[str, Any]:
        """A request with these parts and the condition."""
        found = {**given, "ConditionExpression": " AND ".join(self._tests)}
        if self._names:
            found["ExpressionAttributeNames"] = {mark: name for name, mark in self._names.items()}
        if self._values:
            found["ExpressionAttributeValues"] = self._values
        return found


def unchanged(layout: ItemLayout, item: Item) -> dict[str, Any]:
    """The parts of a request that does its work only where the record still is this item.

    Every attribute is compared whole. What has been added since is seen where it is a field's.
    """
    keys = [each.attribute for each in layout.key]
    wanted = Expression()
    wanted.must_have(keys[0])
    absent = [each.attribute for each in layout.columns if each.attribute not in item]
    for name in [*item, *absent]:
        if name not in keys:
            wanted.must_be(name, item.get(name))
    return wanted.parts(**TELL)


def absent(layout: ItemLayout) -> dict[str, Any]:
    """The parts of a request that does its work only where there is no record with this key."""
    return condition("attribute_not_exists(#key)", {"key": layout.key[0].attribute}) | TELL
