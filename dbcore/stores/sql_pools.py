"""psycopg's pools of connections to PostgreSQL, one for each alias that has one. A process closes
its own, and never its parent's.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

EXIT_SECONDS = 2.0  # for what a pool's threads are at


def sql_pools() -> dict[str, Any]:
    """This process's pools by alias, so far as any was asked for."""
    module = sys.modules.get("django.db.backends.postgresql.base")
    return {} if module is None else module.DatabaseWrapper._connection_pools


def close_sql_pools() -> None:
    """Say goodbye on every connection that nobody uses. What comes later opens a new pool."""
    pools = sql_pools()
    while pools:
        pools.popitem()[1].close(EXIT_SECONDS)


def leave_sql_pools() -> None:
    """In a child: never use or close the parent's. Their threads are not here, and a lock of theirs
    may be held by nobody."""
    for pool in sql_pools().values():
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(pool))  # never collected: that would close it
    sql_pools().clear()


def full_pool(error: BaseException) -> str:
    """What to do where an error says that no connection of a pool came free; "" of any other, and
    where there was none because the server does not answer."""
    return str(error) if type(error.__cause__).__name__ == "PoolFull" else ""
