"""Columns of a SQLite file that have what lets in whoever bears it: they are read as its hash, so
that nothing behind the source (items, dead letters, checkpoints, reports) ever has the secret.
"""

from __future__ import annotations

import functools
import hashlib
import sqlite3

from dbcore.bearers import hash_of

_FUNCTION = "dbcore_hash"
_SHORTEST = 16  # characters; a shorter one may be part of any word


def hashed(kind: str, raw: bytes | None, encoding: str = "utf-8") -> str | bytes | None:
    """A stored value without its secret: of text and whole numbers the hash. Nothing and empty text
    stay so, and of what is no text it is bytes, so that it cannot be taken for one. `encoding`: of
    the file's texts."""
    if raw is None:
        return None
    if kind in ("text", "integer"):
        try:
            return hash_of(raw.decode(encoding)) if raw else ""
        except UnicodeDecodeError:
            pass
    return hashlib.sha256(raw).digest()


def in_sql(column: str) -> str:
    """A column, as SQL names it, without its secret."""
    return f"{_FUNCTION}(typeof({column}), CAST({column} AS BLOB))"


def without_it_in_sql(column: str, secret: str) -> str:
    """Another column of such a row, as SQL names both: where its text has the secret, the hash."""
    hash_, is_there = in_sql(secret), f"instr({column}, {secret}) AND typeof({column}) = 'text'"
    is_secret = f"length({secret}) >= {_SHORTEST} AND typeof({hash_}) = 'text'"
    replaced = f"replace({column}, {secret}, {hash_})"
    return f"CASE WHEN {is_there} AND {is_secret} THEN {replaced} ELSE {column} END"


class HashIndexes:
    """Finds rows by a hash, and does not make those of the whole table each time: they are kept in
    a temporary table of the connection, as long as nobody writes to the file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._made: dict[tuple[str, str], tuple[int, int]] = {}  # number and version of the data
        # In a file of UTF-16 the bytes of a text are not those of the id that a device bears.
        (encoding,) = db.execute("PRAGMA encoding").fetchone()
        function = functools.partial(hashed, encoding=encoding)
        db.create_function(_FUNCTION, 2, function, deterministic=True)

    def found_by(self, table: str, column: str) -> str:
        """SQL that is true of the rows whose column has the hash that is its parameter. Both are
        named as SQL names them."""
        (version,) = self._db.execute("PRAGMA main.data_version").fetchone()
        number, of = self._made.get((table, column), (len(self._made), None))
        if of != version:
            self._db.execute(f"DROP TABLE IF EXISTS temp.hashes{number}")
            self._db.execute(
                f"CREATE TEMP TABLE hashes{number} AS "
                f"SELECT {in_sql(column)} AS hash, {column} AS value FROM main.{table}"
            )
            self._db.execute(f"CREATE INDEX temp.by_hash{number} ON hashes{number} (hash)")
            self._made[table, column] = (number, version)
        return f"{column} IN (SELECT value FROM temp.hashes{number} WHERE hash = ?)"
