"""Every DynamoDB table that must exist, as its CreateTable request.

Nothing here may name a model's table or attribute: all of it follows from the models, and
`tests/snapshots/create_table.json` pins what follows, so that a change of it is seen in review.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.apps import apps
from django.conf import settings
from django.db import models

from dbcore.dynamo.guards import GUARD_KEY, guard_table
from dbcore.dynamo.leases import lease_table
from dbcore.items import DAY, DUE_DAY, DUE_DAY_INDEX, TTL, ItemLayout, layout_of
from dbcore.tables import GlobalIndex, LocalIndex, Table

Request = dict[str, Any]
Projection = Literal["ALL", "KEYS_ONLY"]

LEASE_KEY = "name"
HOLD_KEY = "hold"


@dataclass(frozen=True, slots=True)
class WantedTable:
    """A table that must exist, how to create it, and the attribute that its records expire by."""

    name: str
    request: Request
    ttl_attribute: str | None


@dataclass(frozen=True, slots=True)
class _Index:
    """A secondary index in DynamoDB's terms: its key attributes, hash first."""

    name: str
    keys: tuple[str, ...]
    projection: Projection = "ALL"


def storage_models() -> list[type[models.Model]]:
    """Every Django model that is kept in DynamoDB. A proxy has no records of its own."""
    return [model for model in apps.get_models() if has_storage(model)]


def has_storage(model: type[models.Model]) -> bool:
    """Whether a model says how DynamoDB keeps it."""
    return isinstance(getattr(model, "storage", None), Table) and not model._meta.proxy


def wanted_tables() -> list[WantedTable]:
    """Every table of the application and of the layer, by name."""
    wanted = [_wanted(layout_of(model)) for model in storage_models()]
    return sorted([*wanted, *own_tables()], key=lambda table: table.name)


def target_name() -> str:
    """These tables' place, as books and people know it. A local engine's port is not part of it."""
    place = settings.DYNAMODB_ENDPOINT or "aws"
    return f"{place} {settings.DYNAMODB_REGION} {settings.DYNAMODB_TABLE_PREFIX}*"


def create_table_request(layout: ItemLayout) -> Request:
    """The CreateTable request of a model's table, with what the settings say of every table."""
    types = {column.attribute: column.codec.tag for column in layout.columns}
    return _request(
        layout.table_name,
        tuple(column.attribute for column in layout.key),
        {**types, DAY: "S", DUE_DAY: "S"},
        local=tuple(_local_indexes(layout)),
        across=tuple(_global_indexes(layout)),
    )


def index_count(layout: ItemLayout) -> int:
    """How many secondary indexes a write to the table may have to be written to."""
    request = create_table_request(layout)
    kinds = ("LocalSecondaryIndexes", "GlobalSecondaryIndexes")
    return sum(len(request.get(kind, ())) for kind in kinds)


def _wanted(layout: ItemLayout) -> WantedTable:
    expires = TTL if layout.table.expires else None
    return WantedTable(layout.table_name, create_table_request(layout), expires)


def own_tables() -> list[WantedTable]:
    """The layer's own: guards of unique values, leases of work that one process does, and legal
    holds, by which a delete is checked."""
    keys = (
        (guard_table(), GUARD_KEY, None),
        (lease_table(), LEASE_KEY, TTL),
        # No TTL: a hold's end is compared with the clock by each delete.
        (hold_table(), HOLD_KEY, None),
    )
    return [WantedTable(name, _request(name, (key,), {key: "S"}), ttl) for name, key, ttl in keys]


def hold_table() -> str:
    """The name of the table that holds the legal holds."""
    return f"{settings.DYNAMODB_TABLE_PREFIX}holds"


def _local_indexes(layout: ItemLayout) -> Iterator[_Index]:
    for index in layout.table.indexes:
        if isinstance(index, LocalIndex):
            keys = (layout.key[0].attribute, layout.by_name[index.range_key].attribute)
            yield _Index(index.name, keys)


def _global_indexes(layout: ItemLayout) -> Iterator[_Index]:
    for index in layout.table.indexes:
        if isinstance(index, LocalIndex):
            continue
        if isinstance(index, GlobalIndex):
            names = (index.hash_key, index.range_key)
            keys = tuple(layout.by_name[name].attribute for name in names if name is not None)
            yield _Index(index.name, keys, "KEYS_ONLY" if index.keys_only else "ALL")
        else:
            yield _Index(index.name, (DAY, layout.by_name[index.timestamp].attribute))
    if layout.table.needs_due_day:
        yield _Index(DUE_DAY_INDEX, (DUE_DAY,), "KEYS_ONLY")


def _request(
    name: str,
    keys: tuple[str, ...],
    types: Mapping[str, str],
    local: tuple[_Index, ...] = (),
    across: tuple[_Index, ...] = (),
) -> Request:
    indexed = (key for index in (*local, *across) for key in index.keys)
    request: Request = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        # DynamoDB refuses the definition of an attribute that keys nothing, and one given twice.
        "AttributeDefinitions": [
            {"AttributeName": key, "AttributeType": types[key]}
            for key in dict.fromkeys((*keys, *indexed))
        ],
        "KeySchema": _key_schema(keys),
    }
    if local:  # an empty list is refused
        request["LocalSecondaryIndexes"] = [_index_request(index) for index in local]
    if across:
        request["GlobalSecondaryIndexes"] = [_index_request(index) for index in across]
    return {**request, **_settings_of_every_table()}


def _settings_of_every_table() -> Request:
    encryption: Request = {"Enabled": True, "SSEType": "KMS"}
    if settings.DYNAMODB_KMS_KEY_ID:  # without one: the account's AWS managed key
        encryption["KMSMasterKeyId"] = settings.DYNAMODB_KMS_KEY_ID
    request: Request = {
        "SSESpecification": encryption,
        "DeletionProtectionEnabled": settings.DYNAMODB_DELETION_PROTECTION,
    }
    if settings.DYNAMODB_TAGS:
        tags = sorted(settings.DYNAMODB_TAGS.items())
        request["Tags"] = [{"Key": key, "Value": value} for key, value in tags]
    return request


def _index_request(index: _Index) -> Request:
    return {
        "IndexName": index.name,
        "KeySchema": _key_schema(index.keys),
        "Projection": {"ProjectionType": index.projection},
    }


def _key_schema(keys: Iterable[str]) -> list[dict[str, str]]:
    # zip stops at the shorter: a key of one attribute is a hash key alone.
    return [
        {"AttributeName": key, "KeyType": kind}
        for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
    ]
