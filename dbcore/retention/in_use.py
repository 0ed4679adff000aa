"""Which stores hold records of this installation: what is to be gone must be gone from all of
them, not from the primary alone."""

from __future__ import annotations

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from dbcore.retention.keepers.choice import keeper_named, primary_keeper
from dbcore.retention.keepers.interface import Keeper
from dbcore.schema import storage_models
from dbcore.stores.choice import DYNAMODB

ORM = "orm"


def keepers_in_use() -> list[Keeper]:
    """The primary store, and the other where it may have records.

    Django's database may have those from before a migration to DynamoDB, wherever it has their
    tables. DynamoDB has some where MIGRATE_FROM_SQLITE puts them there.
    """
    primary = primary_keeper()
    if primary.name == ORM:
        others = [DYNAMODB] if settings.MIGRATE_FROM_SQLITE else []
    else:
        others = [ORM] if _sql_has_tables() else []
    return [primary, *(keeper_named(name) for name in others)]


def _sql_has_tables() -> bool:
    names = set(connections[DEFAULT_DB_ALIAS].introspection.table_names())
    return all(model._meta.db_table in names for model in storage_models())
