"""What a forked child must not share with its parent: SQL connections, caches, locks.

The child leaves the parent's connections alone and opens its own. Nothing here may close one: a
goodbye on a shared socket ends the parent's session, and SQLite forbids it for its files.
Wires and the local engine see to this themselves.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import Any, Protocol

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends import locmem
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from dbcore.stores.sql_pools import leave_sql_pools


class Renewable(Protocol):
    """Something with locks, or with counts that are one process's own."""

    def renew(self) -> None:
        """Begin anew, as if just made."""


_renewable: weakref.WeakSet[Any] = weakref.WeakSet()


def renew_after_fork(each: Renewable) -> None:
    """Have `each` renewed in every forked child."""
    _renewable.add(each)


def leave(connection: BaseDatabaseWrapper) -> None:
    """In a child: never use or close this connection of the parent's."""
    if connection.connection is not None:
        # Never collected, not even at exit: collecting it would close it. Source: "How To Corrupt
        # An SQLite Database File", 2.6, which forbids even sqlite3_close().
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection.connection))


def _leave_connections() -> None:
    for connection in connections.all(initialized_only=True):
        leave(connection)
        del connections[connection.alias]
    leave_sql_pools()


def _forget_caches() -> None:
    for alias in caches:
        try:
            del caches[alias]
        except AttributeError:
            pass  # this thread has not used it
    # A thread that is not in the child may hold the in-process cache's lock.
    for kept in (locmem._locks, locmem._caches, locmem._expire_info):  # type: ignore[attr-defined]
        kept.clear()


def _after_fork() -> None:
    if settings.configured:
        _leave_connections()
        _forget_caches()
    for each in list(_renewable):
        each.renew()


os.register_at_fork(after_in_child=_after_fork)
