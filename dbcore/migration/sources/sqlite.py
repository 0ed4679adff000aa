"""A SQLite file as a source, opened read-only: nothing here can change it."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote as quote_url

from dbcore.errors import InvalidValue
from dbcore.migration.errors import SourceError
from dbcore.migration.plan import (
    Computed,
    Constant,
    FieldSource,
    LegacyTable,
    Row,
    TablePlan,
    columns_of,
    find_rivals,
    plan_table,
    wanted_columns,
)
from dbcore.migration.readings import UndecodableText
from dbcore.migration.sources.base import PAGE_ROWS
from dbcore.migration.sources.hashes import HashIndexes, in_sql, without_it_in_sql

BUSY_TIMEOUT = 5.0  # seconds to wait for a writer to let go
_HEADER = b"SQLite format 3\x00"
PAGE_BYTES = 4_000_000  # of text in one page, about
_STEP = 50  # rows that are fetched at a time
_SAMPLED = 5  # every so many of them are measured
_WAL_AT = 18  # the byte of the header that says how the file is written: 2 is WAL
_ROWID_NAMES = ("rowid", "_rowid_", "oid")


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def open_read_only(path: Path, *, live: bool = False) -> sqlite3.Connection:
    """A read-only connection to a SQLite file; SourceError says what is wrong with it.

    A file in WAL mode that nobody has open is read as it is: to open it in the ordinary way would
    leave files beside it.
    """
    in_use = live or Path(f"{path}-wal").exists()
    # What this process has open as a database may not be opened as a file: closing that would drop
    # SQLite's locks, and another process's last close overwrite pages. Source: "How To Corrupt An
    # SQLite Database File", 2.2.
    mode = "immutable=1" if not live and _check_file(path) and not in_use else "mode=ro"
    try:
        connection = _connect(path, mode)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise SourceError(
                f"{path} is locked by another process; let it finish, or copy the file first"
            ) from None
        for ending in ("-wal", "-journal"):
            if Path(f"{path}{ending}").exists():
                raise SourceError(
                    f"{path} cannot be opened: {error}. {path.name}{ending} holds what its last "
                    "writer left unfinished: open the file once with `sqlite3 FILE`, or copy both"
                ) from None
        # A file in WAL mode on a read-only medium: nobody writes it, so it may be read as it is.
        connection = _connect(path, "immutable=1")
    except sqlite3.DatabaseError as error:
        raise SourceError(f"{path} is not a SQLite database that can be read: {error}") from None
    return connection


def _check_file(path: Path) -> bool:
    """Whether a SQLite file is in WAL mode; SourceError for what is no SQLite file."""
    if not path.exists():
        raise SourceError(f"{path} does not exist")
    if not path.is_file():
        raise SourceError(f"{path} is not a file")
    try:
        with path.open("rb") as file:
            header = file.read(_WAL_AT + 1)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None
    if not header:
        raise SourceError(f"{path} is empty (0 bytes)")
    if not header.startswith(_HEADER):
        raise SourceError(f"{path} is not a SQLite database")
    return header[_WAL_AT:] == b"\x02"


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    url = f"file:{quote_url(str(path.resolve()))}?{mode}"
    return sqlite3.connect(url, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)


def _read_as(plan: TablePlan, column: str) -> str:
    """A column as a row has it."""
    if column in plan.hashed:
        return in_sql(_name(column))
    read = _name(column)
    for secret in sorted(plan.hashed):
        read = without_it_in_sql(read, _name(secret))
    return read


def _kept(value: Any) -> Any:
    """A value of a primary key as JSON can carry it."""
    if isinstance(value, UndecodableText):
        return {"text": value.raw.hex()}
    if isinstance(value, bytes):
        return {"blob": value.hex()}
    return value


def _bound(kept: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """Such values as SQL: placeholders and arguments."""
    marks = [
        "CAST(? AS TEXT)" if isinstance(each, dict) and "text" in each else "?" for each in kept
    ]
    values = [bytes.fromhex(*each.values()) if isinstance(each, dict) else each for each in kept]
    return f"({', '.join(marks)})", tuple(values)


def _key_text(source: FieldSource, columns: Mapping[str, Any]) -> Any:
    """A field of a key, made of its columns' texts."""
    if isinstance(source, Constant):
        return str(source.value)
    if isinstance(source, Computed):
        return source.make(*[columns[name] for name in source.columns])
    return columns[source]


def _first_rows(cursor: sqlite3.Cursor) -> tuple[list[tuple[Any, ...]], bool]:
    """Rows up to about PAGE_BYTES, and whether there are more: memory stays flat also where rows
    are large."""
    rows: list[tuple[Any, ...]] = []
    size = 0
    while size < PAGE_BYTES:
        some = cursor.fetchmany(_STEP)
        if not some:
            return rows, False
        rows += some
        sample = some[::_SAMPLED]
        lengths = (len(each) for row in sample for each in row if isinstance(each, (str, bytes)))
        size += sum(lengths) * len(some) // len(sample)
    return rows, True


def _keep_undecodable(raw: bytes) -> str | UndecodableText:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return UndecodableText(raw)


def _is_loose(declared: str) -> bool:
    """Whether a column of this declared type keeps 1 and '1' apart."""
    return not declared or "BLOB" in declared.upper()


Taken = TypeVar("Taken")


class SqliteSource:
    """The tables of a SQLite file that `tables` knows.

    A `live` file is in use (Django's own database): it changes while it is read.
    """

    def __init__(
        self,
        path: Path,
        tables: Sequence[LegacyTable],
        *,
        name: str,
        known_elsewhere: Sequence[str] = (),
        live: bool = False,
    ) -> None:
        self.path = path
        self.name = name
        self.label = str(path)
        self._db = open_read_only(path, live=live)
        self._hashes = HashIndexes(self._db)
        self._live = live
        if not live:
            self._check_pages()
        with self._readable():
            self._build(tables, set(known_elsewhere))

    def _check_pages(self) -> None:
        """Refuse a corrupt file before the first row of it is copied."""
        with self._readable():
            (verdict,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise SourceError(
                f"{self.path} is corrupt: {verdict}. Restore it, or salvage it with "
                "`sqlite3 FILE .recover`"
            )

    def _build(self, tables: Sequence[LegacyTable], known_elsewhere: set[str]) -> None:
        found = self._db.execute(
            "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') "
            "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
        ).fetchall()
        # SQLite's names are the same in any case.
        there = {name.lower() for kind, name in found if kind == "table"}
        self._places: dict[str, tuple[str, ...]] = {}
        self.plans = [self._plan(legacy) for legacy in tables if legacy.name.lower() in there]
        find_rivals(self.plans)
        known = {legacy.name.lower() for legacy in tables}
        known |= {name.lower() for name in known_elsewhere}
        self.unknown = [
            name for kind, name in found if kind == "view" or name.lower() not in known
        ] + [
            f"{plan.source_table}.{column}"
            for plan in self.plans
            for column in plan.unknown_columns
        ]

    def _plan(self, legacy: LegacyTable) -> TablePlan:
        info = self._db.execute(f"PRAGMA table_xinfo({_name(legacy.name)})").fetchall()
        called = {name.lower(): name for name in wanted_columns(legacy)}
        info = [(*each[:1], called.get(each[1].lower(), each[1]), *each[2:]) for each in info]
        columns = [str(each[1]) for each in info]
        keyed = sorted((each[5], str(each[1])) for each in info if each[5])
        primary = [name for _, name in keyed]
        self._places[legacy.name] = self._place(legacy, columns, primary)
        return plan_table(legacy, columns, primary or (["id"] if "id" in columns else []))

    def _place(
        self, legacy: LegacyTable, columns: list[str], primary: list[str]
    ) -> tuple[str, ...]:
        """What orders the rows: SQLite's row number, else the primary key."""
        table = legacy.name
        taken = {column.lower() for column in columns}
        free = next((name for name in _ROWID_NAMES if name not in taken), None)
        if free is None:
            raise SourceError(
                f"{self.path}: the columns rowid, _rowid_ and oid of {table} hide its row numbers; "
                "rename one of them in a copy of the file"
            )
        try:
            self._db.execute(f"SELECT {free} FROM {_name(table)} LIMIT 0")
        except sqlite3.OperationalError:  # a table WITHOUT ROWID
            # Checkpoints and dead letters keep the place: not with a secret in it. A number and the
            # same digits as text have one hash.
            parts = [
                (in_sql(_name(each)), f"typeof({_name(each)})")
                if each in legacy.hashed
                else (_name(each),)
                for each in primary
            ]
            return tuple(itertools.chain.from_iterable(parts))
        return (free,)

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise SourceError(f"{self.path} cannot be read any further: {error}") from error

    def fingerprint(self) -> str:
        status = self.path.stat()
        if self._live:
            return f"{status.st_dev}:{status.st_ino}"
        return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"

    def count(self, plan: TablePlan) -> int:
        with self._readable():
            (count,) = self._db.execute(
                f"SELECT count(*) FROM {_name(plan.source_table)}"
            ).fetchone()
        return int(count)

    def pages(
        self, plan: TablePlan, after: Any = None, size: int = PAGE_ROWS
    ) -> Iterator[list[Row]]:
        place = ", ".join(self._places[plan.source_table])
        select, order = self._select(plan), f"ORDER BY {place} LIMIT {int(size)}"
        while True:
            if after is None:
                page, more = self._page(plan, f"{select} {order}", ())
            else:
                marks, arguments = self._place_in_sql(plan, after)
                sql = f"{select} WHERE ({place}) > {marks} {order}"
                page, more = self._page(plan, sql, arguments)
            if not page:
                return
            # Before the page is handed out: its rows may be replaced by who gets them.
            after = page[-1][0]
            yield page
            if not more and len(page) < size:
                return

    def _select(self, plan: TablePlan) -> str:
        columns = [_read_as(plan, column) for column in plan.columns]
        places = self._places[plan.source_table]
        return f"SELECT {', '.join((*places, *columns))} FROM {_name(plan.source_table)}"

    def _has_row_numbers(self, plan: TablePlan) -> bool:
        return self._places[plan.source_table][0] in _ROWID_NAMES

    def _place_in_sql(self, plan: TablePlan, place: Any) -> tuple[str, tuple[Any, ...]]:
        return _bound([place] if self._has_row_numbers(plan) else place)

    def _fetch(self, plan: TablePlan, sql: str, arguments: tuple[Any, ...]) -> list[Row]:
        """Rows that begin with their place: the row number, or a list of the primary key's
        values."""
        return self._with_place(plan, self._read(sql, arguments, sqlite3.Cursor.fetchall))

    def _page(
        self, plan: TablePlan, sql: str, arguments: tuple[Any, ...]
    ) -> tuple[list[Row], bool]:
        """The first rows of an answer, and whether it has more."""
        rows, more = self._read(sql, arguments, _first_rows)
        return self._with_place(plan, rows), more

    def _with_place(self, plan: TablePlan, rows: list[tuple[Any, ...]]) -> list[Row]:
        if self._has_row_numbers(plan):
            return rows
        width = len(self._places[plan.source_table])
        return [([_kept(value) for value in row[:width]], *row[width:]) for row in rows]

    def _read(
        self, sql: str, arguments: tuple[Any, ...], take: Callable[[sqlite3.Cursor], Taken]
    ) -> Taken:
        with self._readable():
            try:
                return take(self._db.execute(sql, arguments))
            except sqlite3.OperationalError as error:
                if "decode" not in str(error):
                    raise
            # Some text of the page is not UTF-8: read it again, keeping such values as bytes.
            self._db.text_factory = _keep_undecodable
            try:
                return take(self._db.execute(sql, arguments))
            finally:
                self._db.text_factory = str

    def find(self, plan: TablePlan, columns: Mapping[str, Any]) -> list[Row]:
        found = self._find(plan, columns, "{} = ?")
        if found or plan.hashed.issuperset(columns):
            return found
        # A column without affinity may hold a number where the item has its digits.
        return self._find(plan, columns, "CAST({} AS TEXT) = CAST(? AS TEXT)")

    def _find(self, plan: TablePlan, columns: Mapping[str, Any], test: str) -> list[Row]:
        tests = " AND ".join(self._test(plan, name, test) for name in columns)
        return self._fetch(plan, f"{self._select(plan)} WHERE {tests}", tuple(columns.values()))

    def _test(self, plan: TablePlan, column: str, test: str) -> str:
        if column not in plan.hashed:
            return test.format(_name(column))
        with self._readable():
            return self._hashes.found_by(_name(plan.source_table), _name(column))

    def at(self, plan: TablePlan, place: Any) -> Row | None:
        marks, arguments = self._place_in_sql(plan, place)
        names = ", ".join(self._places[plan.source_table])
        rows = self._fetch(plan, f"{self._select(plan)} WHERE ({names}) = {marks}", arguments)
        return rows[0] if rows else None

    def duplicates(self, plan: TablePlan) -> dict[tuple[str, ...], Any]:
        parts = [plan.fields[column.name] for column in plan.layout.key]
        sources = [part for part in parts if part is not None]
        columns = list(dict.fromkeys(name for part in sources for name in columns_of(part)))
        if len(sources) < len(parts) or self._schema_is_unique(plan.source_table, columns):
            return {}
        keys = ", ".join(
            _read_as(plan, column) if column in plan.hashed else f"CAST({_name(column)} AS TEXT)"
            for column in columns
        )
        places, table = ", ".join(self._places[plan.source_table]), _name(plan.source_table)
        rows = self._fetch(
            plan,
            f"SELECT {places}, {keys} FROM {table} WHERE ({keys}) IN "
            f"(SELECT {keys} FROM {table} GROUP BY {keys} HAVING count(*) > 1) ORDER BY {places}",
            (),
        )
        found: dict[tuple[str, ...], Any] = {}
        for place, *texts in rows:
            named = dict(zip(columns, texts, strict=True))
            try:
                key = tuple(_key_text(part, named) for part in sources)
            except InvalidValue:
                continue  # no row without a key is an item
            found.setdefault(key, place)
        return found

    def _schema_is_unique(self, table: str, columns: list[str]) -> bool:
        """Whether the schema allows one row a key. Columns without affinity could hold 1 and '1',
        which are one key to us."""
        info = self._all(f"PRAGMA table_xinfo({_name(table)})")
        loose = {str(each[1]).lower() for each in info if _is_loose(str(each[2]))}
        primary = {str(each[1]).lower() for each in info if each[5]}
        candidates = [primary] if primary else []
        for index in self._all(f"PRAGMA index_list({_name(table)})"):
            if index[2] and not index[4]:  # unique, and not partial
                parts = self._all(f"PRAGMA index_info({_name(index[1])})")
                if all(part[2] for part in parts):  # of columns, not of an expression
                    candidates.append({str(part[2]).lower() for part in parts})
        wanted = {column.lower() for column in columns}
        return any(each <= wanted and not each & loose for each in candidates)

    def _all(self, sql: str) -> list[tuple[Any, ...]]:
        return self._read(sql, (), sqlite3.Cursor.fetchall)

    def close(self) -> None:
        self._db.close()
