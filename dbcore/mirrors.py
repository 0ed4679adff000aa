"""Django model -> PynamoDB model, derived: what a team that knows PynamoDB works with.

A mirror has the Django model's field names, DynamoDB's attribute names, and no declaration of its
own. Its calls go through the wire like all others.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError
from django.conf import settings
from django.db import models
from pynamodb.attributes import Attribute
from pynamodb.connection import TableConnection
from pynamodb.connection.base import Connection
from pynamodb.constants import MAP
from pynamodb.exceptions import CancellationReason, VerboseClientError
from pynamodb.expressions.condition import Comparison
from pynamodb.expressions.update import RemoveAction, SetAction
from pynamodb.indexes import (
    AllProjection,
    GlobalSecondaryIndex,
    KeysOnlyProjection,
    LocalSecondaryIndex,
)
from pynamodb.indexes import Index as PynamoIndex
from pynamodb.models import Model

from dbcore.attributes import AttributeValue, Codec, IntegerCodec, TextCodec
from dbcore.items import DAY, DUE_DAY, DUE_DAY_INDEX, TTL, ItemLayout, layout_of
from dbcore.tables import DayIndex, GlobalIndex, LocalIndex
from dbcore.wire import get_wire


class WireConnection(Connection):
    """PynamoDB's connection with the one method replaced through which all its calls pass."""

    def __repr__(self) -> str:
        # PynamoDB's makes a boto client for it, which may look for credentials in the network.
        return f"WireConnection<{get_wire().endpoint.url}>"

    def _make_api_call(self, operation_name: str, operation_kwargs: dict[str, Any]) -> Any:
        try:
            return get_wire().call(operation_name, operation_kwargs)
        except ClientError as error:
            raise _verbose(error, operation_name, operation_kwargs, self) from error


def _verbose(
    error: ClientError, operation: str, kwargs: dict[str, Any], connection: Connection
) -> VerboseClientError:
    """The error as PynamoDB raises it: with the table, the request and why it was cancelled."""
    response: Any = error.response
    reasons = (
        None
        if each["Code"] == "None"
        else CancellationReason(each["Code"], each.get("Message"), each.get("Item"))
        for each in response.get("CancellationReasons", [])
    )
    properties = {
        "request_id": response["ResponseMetadata"]["RequestId"],
        "table_name": connection._get_table_name_for_error_context(kwargs),
    }
    return VerboseClientError(
        {"Error": response["Error"]}, operation, properties, cancellation_reasons=reasons
    )


class CodecAttribute(Attribute[Any]):
    """An attribute that a `Codec` reads and writes."""

    def __init__(self, codec: Codec, **kwargs: Any) -> None:
        self.codec = codec
        self.attr_type = codec.tag
        super().__init__(**kwargs)

    def serialize(self, value: Any) -> Any:
        return self.codec.to_attribute(value)[self.attr_type]

    def deserialize(self, value: Any) -> Any:
        return self.codec.from_attribute({self.attr_type: value})


class NativeJsonAttribute(CodecAttribute):
    """JSON as DynamoDB's map or list, whichever the value is."""

    def __init__(self, codec: Codec, **kwargs: Any) -> None:
        super().__init__(codec, **kwargs)
        self.attr_type = MAP  # lets paths into it be written: Plans.location["lat"]

    def set(self, value: Any) -> SetAction | RemoveAction:
        """The action that sets the attribute, for `update`."""
        return super().set(self.codec.to_attribute(value))

    # Given as attribute values: PynamoDB would take {"S": "x"} for text, and any other dict for a
    # map that is encoded already.
    def __eq__(self, other: Any) -> Comparison:  # type: ignore[override]
        return super().__eq__(self._encoded(other))

    def __ne__(self, other: Any) -> Comparison:  # type: ignore[override]
        return super().__ne__(self._encoded(other))

    def _encoded(self, value: Any) -> Any:
        return self.codec.to_attribute(value) if isinstance(value, (dict, list)) else value

    def serialize(self, value: Any) -> Any:
        # PynamoDB puts `attr_type` beside what this returns, and asks for it afterwards; a value's
        # own type is known only here. `Mirror` puts it right.
        return self.codec.to_attribute(value)

    def get_value(self, value: dict[str, Any]) -> Any:
        return value

    def deserialize(self, value: Any) -> Any:
        return self.codec.from_attribute(value)


class Mirror(Model):
    """What every mirror has in common."""

    layout: ItemLayout

    def _container_serialize(self, null_check: bool = True) -> dict[str, AttributeValue]:
        values = super()._container_serialize(null_check)
        for attribute in self.get_attributes().values():
            if isinstance(attribute, NativeJsonAttribute) and attribute.attr_name in values:
                values[attribute.attr_name] = values[attribute.attr_name][MAP]
        return values

    @classmethod
    def from_record(cls, record: models.Model) -> Mirror:
        """The mirror of a Django record, derived attributes included."""
        values = {column.name: getattr(record, column.name) for column in cls.layout.columns}
        mirror = cls()
        mirror._container_deserialize(cls.layout.to_item(values))
        return mirror

    def to_record(self) -> models.Model:
        """The Django record, unsaved."""
        layout = self.layout
        names = [column.name for column in layout.columns]
        return layout.model(**{name: getattr(self, name) for name in names})

    @classmethod
    def _get_connection(cls) -> TableConnection:
        # The name and the endpoint are settings, which a test or a deployment may change.
        cls.Meta.table_name = cls.layout.table_name
        cls.Meta.region = settings.DYNAMODB_REGION
        connection = super()._get_connection()
        if not isinstance(connection.connection, WireConnection):
            wired = WireConnection(region=settings.DYNAMODB_REGION)
            wired.add_meta_table(connection.get_meta_table())
            connection.connection = wired
        return connection


def _attribute(codec: Codec, **kwargs: Any) -> CodecAttribute:
    kind = CodecAttribute if codec.tag else NativeJsonAttribute
    return kind(codec, **kwargs)


def _attributes(layout: ItemLayout) -> dict[str, Any]:
    table = layout.table
    found: dict[str, Any] = {}
    for column in layout.columns:
        found[column.name] = _attribute(
            column.codec,
            attr_name=column.attribute,
            null=column.nullable,
            hash_key=column.name == table.hash_key,
            range_key=column.name == table.range_key,
        )
    if table.expires:
        found["ttl"] = CodecAttribute(IntegerCodec(), attr_name=TTL, null=True)
    if table.day_index is not None:
        found["day"] = CodecAttribute(TextCodec(), attr_name=DAY)
    if table.needs_due_day:
        found["due_day"] = CodecAttribute(TextCodec(), attr_name=DUE_DAY, null=True)
    return found


def _index(
    base: type[PynamoIndex[Any]], name: str, keys: Mapping[str, CodecAttribute], keys_only: bool
) -> PynamoIndex[Any]:
    """A PynamoDB index on copies of the model's attributes, the first of them its hash key."""
    meta = type(
        "Meta",
        (),
        {"index_name": name, "projection": KeysOnlyProjection() if keys_only else AllProjection()},
    )
    body: dict[str, Any] = {"Meta": meta}
    for position, (field, attribute) in enumerate(keys.items()):
        body[field] = CodecAttribute(
            attribute.codec,
            attr_name=attribute.attr_name,
            hash_key=position == 0,
            range_key=position == 1,
        )
    return type(name, (base,), body)()  # type: ignore[no-any-return]


def _indexes(layout: ItemLayout, attributes: Mapping[str, Any]) -> dict[str, Any]:
    def keys(*names: str | None) -> dict[str, CodecAttribute]:
        return {name: attributes[name] for name in names if name is not None}

    found: dict[str, Any] = {}
    for index in layout.table.indexes:
        if isinstance(index, LocalIndex):
            wanted = keys(layout.table.hash_key, index.range_key)
            found[index.name] = _index(LocalSecondaryIndex, index.name, wanted, False)
        elif isinstance(index, GlobalIndex):
            wanted = keys(index.hash_key, index.range_key)
            found[index.name] = _index(GlobalSecondaryIndex, index.name, wanted, index.keys_only)
        elif isinstance(index, DayIndex):
            wanted = keys("day", index.timestamp)
            found[index.name] = _index(GlobalSecondaryIndex, index.name, wanted, False)
    if layout.table.needs_due_day:
        found[DUE_DAY_INDEX] = _index(GlobalSecondaryIndex, DUE_DAY_INDEX, keys("due_day"), True)
    return found


@functools.cache
def mirror_of(model: type[models.Model]) -> type[Mirror]:
    """The PynamoDB model of a Django model."""
    layout = layout_of(model)
    attributes = _attributes(layout)
    meta = type("Meta", (), {"table_name": layout.table.name, "billing_mode": "PAY_PER_REQUEST"})
    body = {**attributes, **_indexes(layout, attributes), "Meta": meta, "layout": layout}
    body["__doc__"] = f"{model.__name__} in DynamoDB."
    return type(model.__name__, (Mirror,), body)
