"""A process's pool of connections to a PostgreSQL server, which gives way to what happens: when one
connection is found broken the idle ones go too, who waits for a server that is away is told so at
once, and a connection that its thread has lost is counted no longer.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from psycopg import Connection, OperationalError
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolTimeout


class PoolFull(PoolTimeout):
    """All connections that there may be are in use."""


_Out = dict[int, "weakref.ref[Connection[Any]]"]


class Pool(ConnectionPool[Connection[Any]]):
    """psycopg's pool, of which Django takes and to which it returns connections."""

    def __init__(self, **given: Any) -> None:
        self._out: _Out = {}  # connections that are in use, by id
        self._lost: deque[int] = deque()  # that were not returned before they were collected
        self._last_failure = ""  # to connect
        # Not to be tried again behind everybody's back, for minutes and with growing pauses: the
        # next call tries anew.
        super().__init__(**{"reconnect_timeout": 0.0, **given}, open=False)

    @property
    def used(self) -> int:
        """How many connections are in use."""
        return len(self._out)

    def getconn(self, timeout: float | None = None) -> Connection[Any]:
        """A connection; OperationalError where there is none."""
        self._forget_lost()
        try:
            found = super().getconn(timeout)
        except PoolTimeout:
            raise self._none(self.timeout if timeout is None else timeout) from None
        key = id(found)
        self._out[key] = weakref.ref(found, _noting(self._out, self._lost, key))
        return found

    def _none(self, timeout: float) -> PoolTimeout:
        if self.used >= self.max_size:
            return PoolFull(
                f"all {self.max_size} connections of this process's pool are in use, and none came "
                f"free in {timeout:g} s (DATABASE_POOL_TIMEOUT): raise DATABASE_POOL_SIZE, or look "
                "for what holds them"
            )
        why = self._last_failure or "the server takes longer than that"
        return PoolTimeout(f"no connection came to be in {timeout:g} s: {why}")

    def _forget_lost(self) -> None:
        while self._lost:
            self._lost.popleft()
            with self._lock:
                self._nconns -= 1

    def putconn(self, conn: Connection[Any]) -> None:
        """Take a connection back."""
        self._out.pop(id(conn), None)
        is_broken = conn.pgconn.transaction_status == TransactionStatus.UNKNOWN
        super().putconn(conn)
        if is_broken:
            self._drop_idle()

    def _check_connection(self, conn: Connection[Any]) -> None:
        try:
            super()._check_connection(conn)
        except Exception:
            self._drop_idle()
            raise

    def _drop_idle(self) -> None:
        """Close the idle connections: what broke one (a restart) broke them too, and to try one
        after the other would take longer than anybody waits."""
        with self._lock:
            idle = list(self._pool)
            self._pool.clear()
            self._nconns -= len(idle)
        for each in idle:
            self._close_connection(each)

    def _connect(self, timeout: float | None = None) -> Connection[Any]:
        try:
            made = super()._connect(timeout)
        except Exception as error:
            self._last_failure = str(error)
            if not self._out:  # so none will come back, either
                self._tell_waiting(self._last_failure)
            raise
        self._last_failure = ""
        return made

    def _tell_waiting(self, why: str) -> None:
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
        for each in waiting:
            each.fail(OperationalError(why))

    def reconnect_failed(self) -> None:
        """Try once more for those who came since the server did not answer."""
        super().reconnect_failed()
        with self._lock:
            if self._waiting and not self._out:
                self._maybe_grow_pool()


def _noting(
    out: _Out, lost: deque[int], key: int
) -> Callable[[weakref.ref[Connection[Any]]], None]:
    """What notes that a connection was collected. It runs wherever memory is tidied up, whatever
    lock is held there: it may take none."""

    def note(gone: weakref.ref[Connection[Any]]) -> None:
        if out.get(key) is gone:
            del out[key]
            lost.append(key)

    return note
