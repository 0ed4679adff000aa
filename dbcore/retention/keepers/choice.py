"""Which keeper: that of the primary store, or a store's by name."""

from __future__ import annotations

from django.conf import settings

from dbcore.errors import ConfigurationError
from dbcore.retention.keepers.dynamo import DynamoKeeper
from dbcore.retention.keepers.interface import Keeper
from dbcore.retention.keepers.orm import OrmKeeper
from dbcore.stores.choice import DYNAMODB, SQL

ORM = "orm"


def primary_keeper() -> Keeper:
    """The keeper of the store that DATABASE_PRIMARY names."""
    chosen = settings.DATABASE_PRIMARY
    if chosen == DYNAMODB:
        return DynamoKeeper()
    if chosen in SQL:
        return OrmKeeper()
    raise ConfigurationError(
        f"DATABASE_PRIMARY is {chosen!r}; it must be one of: {', '.join((*SQL, DYNAMODB))}"
    )


def keeper_named(name: str) -> Keeper:
    """The keeper of the store "orm" (Django's database) or "dynamodb"."""
    if name == DYNAMODB:
        return DynamoKeeper()
    if name == ORM:
        return OrmKeeper()
    raise ConfigurationError(f"there is no store {name!r}; there are: {ORM}, {DYNAMODB}")
