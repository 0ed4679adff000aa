"""The services on each store with its cache, side by side in one process."""

from __future__ import annotations

from typing import Any

from daylight.services.accounts import UserService
from daylight.services.planning import PlanningService
from dbcore.stores.caching import CachingStore
from dbcore.stores.counters import CacheCounters
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.orm import OrmStore

STORES = {
    "sql": CachingStore(OrmStore(), "records", CacheCounters()),
    "dynamodb": CachingStore(DynamoStore(), "records", CacheCounters()),
}


def services(name: str) -> tuple[UserService, PlanningService]:
    """Both services on one store."""
    store = STORES[name]

    class Users(UserService):
        @property
        def store(self) -> Any:
            return store

    class Plans(PlanningService):
        @property
        def store(self) -> Any:
            return store

    return Users(), Plans()
