"""Which store is primary, and whether a cache is before it. Switching either changes no caller."""

from __future__ import annotations

from django.conf import settings

from dbcore.errors import ConfigurationError
from dbcore.stores.caching import CachingStore
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.interface import Store
from dbcore.stores.orm import OrmStore

SQL = ("sqlite", "postgresql")
DYNAMODB = "dynamodb"
RECORDS_CACHE = "records"  # among Django's CACHES

_orm = OrmStore()
_dynamo = DynamoStore()
_cached_orm = CachingStore(_orm, RECORDS_CACHE)
_cached_dynamo = CachingStore(_dynamo, RECORDS_CACHE)


def primary_store(*, cached: bool = True) -> Store:
    """The store that DATABASE_PRIMARY names: sqlite or postgresql (Django's database), or
    dynamodb.

    Not `cached`: with no cache before it, for reads on which access depends, such as whether the
    user of a session is still there.
    """
    chosen = settings.DATABASE_PRIMARY
    with_cache = cached and settings.APP_CACHE_ENABLED
    if chosen == DYNAMODB:
        return _cached_dynamo if with_cache else _dynamo
    if chosen in SQL:
        return _cached_orm if with_cache else _orm
    raise ConfigurationError(
        f"DATABASE_PRIMARY is {chosen!r}; it must be one of: {', '.join((*SQL, DYNAMODB))}"
    )
