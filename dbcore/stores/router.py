"""Django's router for SQL replicas. Only a read that says that it may lag leaves the primary; what
writes, what must be consistent, and Django's own reads never do.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DataError, Error, connections, models, router

from dbcore.stores.health import REPLICA_BACK, REPLICA_LEFT, Health
from dbcore.stores.interface import Record

REST = 10.0  # seconds that a replica is left alone after a failure
MAY_LAG = "may_lag"  # the router hint of such a read

Answer = TypeVar("Answer")
_health: dict[str, Health] = {}


def _health_of(alias: str) -> Health:
    return _health.setdefault(alias, Health(REST))


class ReplicaRouter:
    """Reads that may lag: a random healthy replica. Everything else: as if there were none."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        """The alias to read from."""
        if hints.get(MAY_LAG):
            replicas = random.sample(settings.DATABASE_REPLICAS, len(settings.DATABASE_REPLICAS))
            for alias in replicas:
                if _health_of(alias).may_ask():
                    return str(alias)
        return self.db_for_write(model, **hints)

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str | None:
        """The primary, for a record that came from a replica."""
        instance = hints.get("instance")
        of_replica = instance is not None and instance._state.db in settings.DATABASE_REPLICAS
        return DEFAULT_DB_ALIAS if of_replica else None

    def allow_relation(self, one: models.Model, other: models.Model, **hints: Any) -> bool | None:
        """Records of the primary and its replicas may refer to each other: they are the same."""
        ours = {DEFAULT_DB_ALIAS, *settings.DATABASE_REPLICAS}
        return True if {one._state.db, other._state.db} <= ours else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """Never on a replica: it gets its tables from the primary."""
        return False if db in settings.DATABASE_REPLICAS else None


def read_lagging(
    model: type[Record], read: Callable[[models.QuerySet[Record, Record]], Answer]
) -> Answer:
    """What `read` makes of the records of a replica that answers, else of the primary."""
    for _ in settings.DATABASE_REPLICAS:
        alias = router.db_for_read(model, **{MAY_LAG: True})
        if alias == DEFAULT_DB_ALIAS:
            break
        try:
            answer = read(model._base_manager.using(alias))
        except DataError:
            raise  # a row that cannot be read: no fault of the replica's
        except Error as error:
            if _health_of(alias).failed():
                REPLICA_LEFT.log(replica=alias, error=error)
            connections[alias].close()
        else:
            if _health_of(alias).answered():
                REPLICA_BACK.log(replica=alias)
            return answer
    return read(model._base_manager.using(DEFAULT_DB_ALIAS))
