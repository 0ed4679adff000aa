"""Django's PostgreSQL backend; where OPTIONS have a pool, it is ours."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base

from dbcore.postgresql.pool import Pool


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection of one thread, taken from the process's pool for its alias."""

    @property
    def pool(self) -> Pool | None:
        """The pool, made when it is first asked for; None where none is configured."""
        given: Any = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not given:
            return None
        pools: dict[str, Pool] = self._connection_pools  # type: ignore[attr-defined]
        found = pools.get(self.alias)
        if found is None:
            # Of two threads that come at once the first one's is kept; neither is open yet.
            found = pools.setdefault(self.alias, self._make_pool({} if given is True else given))
        return found

    def _make_pool(self, given: dict[str, Any]) -> Pool:
        if self.settings_dict["CONN_MAX_AGE"] != 0:
            raise ImproperlyConfigured(
                f"DATABASES[{self.alias!r}] has a pool, which keeps connections itself: "
                "CONN_MAX_AGE must be 0."
            )
        checked = self.settings_dict["CONN_HEALTH_CHECKS"]
        return Pool(
            kwargs={**self.get_connection_params(), "autocommit": True},  # Django sets it later on
            # Of a copy, with no connection: the pool must not keep alive what a thread has lost.
            configure=self.copy()._configure_connection,  # type: ignore[attr-defined]
            check=Pool.check_connection if checked else None,
            name=self.alias,
            **given,
        )
