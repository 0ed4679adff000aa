"""Everything that is kept of one user, as one JSON document, written as it is read.

Secrets (hashes of passwords and keys) are withheld, and named. Nothing is left out in silence: an
archive that cannot be read is named, and so are the tables that hold nothing of a user.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson
from django.utils import timezone

from dbcore.attributes import Item, plain, timestamp_text
from dbcore.errors import DbcoreError
from dbcore.items import DERIVED, ItemLayout
from dbcore.letters import WITHHELD, shown_row
from dbcore.models import DeadLetter
from dbcore.printable import printable
from dbcore.retention.archives import get_shelf
from dbcore.retention.audit import PARTIAL, SUCCESS, Act, audited
from dbcore.retention.books import letters_of
from dbcore.retention.erased import erasure_of
from dbcore.retention.errors import NotProven, NotThawed
from dbcore.retention.in_use import stores_in_use
from dbcore.retention.keepers.interface import Keeper
from dbcore.retention.marked import recall
from dbcore.retention.opening import opened
from dbcore.retention.records import check_user, layouts, owner_of
from dbcore.retention.restore_report import EXIT_DONE, EXIT_LEFT, EXIT_UNPROVEN, Unread
from dbcore.retention.rules import users_layout
from dbcore.retention.searching import archives_of
from dbcore.secrecy import is_secret_name, mask_values


@dataclass(slots=True)
class ExportReport:
    """What an export holds: how many records of which tables, and what it could not read."""

    user: str
    tables: dict[str, int] = field(default_factory=dict)  # over all stores in use
    archived: dict[str, int] = field(default_factory=dict)
    dead_letters: int = 0
    unproven: list[Unread] = field(default_factory=list)
    frozen: list[Unread] = field(default_factory=list)
    erased_at: dt.datetime | None = None  # when the user's erasure began
    left_out: list[str] = field(default_factory=list)  # archives, since the user was erased
    not_looked_at: str = ""  # why a store may have records of the user that nobody looked for

    @property
    def records(self) -> int:
        """How many records it holds, archived ones and dead letters included."""
        return sum(self.tables.values()) + sum(self.archived.values()) + self.dead_letters

    @property
    def knows_user(self) -> bool:
        """Whether the user's own record is in it. This export's entry in the audit trail is, of
        whatever id."""
        users = users_layout()
        return users is None or bool(
            self.tables.get(users.table.name) or self.archived.get(users.table.name)
        )

    @property
    def exit_code(self) -> int:
        """0 all is in it, 2 an archive is not proven, 3 an archive has to thaw first."""
        if self.unproven:
            return EXIT_UNPROVEN
        return EXIT_LEFT if self.frozen else EXIT_DONE


def export_user(
    user: str,
    out: BinaryIO,
    *,
    archives: bool = True,
    who: str = "",
    why: str = "",
    now: dt.datetime | None = None,
) -> ExportReport:
    """Write what is kept of a user to `out`: one JSON object, in UTF-8.

    Its keys: user, exported_at, store, tables (of the primary store: name -> records, each field ->
    value, attributes that no field has under their own names), other_stores (name -> tables),
    withheld (table -> fields), archived (table -> {archive, record}; null where `archives` are not
    asked for), dead_letters, unread (archives that could not be read, and why), not_looked_at (why
    a store could not be asked, else ""), erased (null, or since when the user is, and the archives
    that are left out for it: they still have records of theirs, which nobody gets back),
    tables_without_personal_records. Times are ISO 8601, UTC.

    RetentionError for what is no id, AuditFailed, the stores' own errors; `out` is then incomplete.
    """
    export = _Export(check_user(user), out, now or timezone.now())
    with audited(Act("export", "user", who, why, user=user)) as ending:
        ending.outcome = PARTIAL
        export.write(archives)
        if export.report.exit_code == EXIT_DONE:
            ending.outcome = SUCCESS
        ending.details = {"records": export.report.records}
    return export.report


class _Export:
    """One call of `export_user`."""

    def __init__(self, user: str, out: BinaryIO, now: dt.datetime) -> None:
        self.report = ExportReport(user)
        self._user = user
        self._out = out
        self._now = now

    def write(self, archives: bool) -> None:
        """The whole document, in order."""
        stores = stores_in_use()
        if archives:
            recall(get_shelf())
        primary, *others = stores.keepers
        self.report.not_looked_at = stores.not_looked_at
        erasure = erasure_of(self._user)
        self.report.erased_at = None if erasure is None else erasure.started_at
        self._text(b'{"user":')
        self._value(self._user)
        self._member("exported_at", timestamp_text(self._now))
        self._member("store", primary.name)
        self._text(b',\n"tables":')
        self._tables(primary)
        self._text(b',\n"other_stores":{')
        for place, keeper in enumerate(others):
            self._key(keeper.name, place)
            self._tables(keeper)
        self._text(b"}")
        self._member(
            "withheld", {e.table.name: list(e.table.secret) for e in owned() if e.table.secret}
        )
        self._text(b',\n"archived":')
        self._archived() if archives else self._text(b"null")
        self._text(b',\n"dead_letters":')
        self._list(self._letters())
        unread = [*self.report.unproven, *self.report.frozen]
        self._member(
            "unread", [{"archive": e.archive, "table": e.table, "why": e.why} for e in unread]
        )
        self._member("not_looked_at", stores.not_looked_at)
        self._member("erased", self._erased())
        self._member("tables_without_personal_records", without_personal_records())
        self._text(b"}\n")

    def _tables(self, keeper: Keeper) -> None:
        self._text(b"{")
        for place, layout in enumerate(owned()):
            self._key(layout.table.name, place)
            self._list(self._live(keeper, layout))
        self._text(b"}")

    def _live(self, keeper: Keeper, layout: ItemLayout) -> Iterator[Any]:
        count = 0
        for item in keeper.owned_by(layout, self._user):
            if owner_of(layout, item) == self._user:
                count += 1
                yield readable(layout, item)
        tables = self.report.tables
        tables[layout.table.name] = tables.get(layout.table.name, 0) + count

    def _archived(self) -> None:
        """The archived records, by table: archives come in the order of their tables."""
        self._text(b"{")
        table = ""
        for name, record in self._from_archives():
            if name != table:
                self._text(b"]" if table else b"")
                self._key(name, bool(table))
                self._text(b"[")
            else:
                self._text(b",\n")
            table = name
            self._value(record)
        self._text(b"]}" if table else b"}")

    def _from_archives(self) -> Iterator[tuple[str, Any]]:
        shelf = get_shelf()
        for row in archives_of(self._user):
            if self.report.erased_at is not None:
                self.report.left_out.append(row.pk)
                continue
            try:
                layout, items = opened(shelf, row)
            except NotProven as error:
                self.report.unproven.append(Unread(row.pk, row.table, str(error)))
                continue
            except NotThawed as error:
                self.report.frozen.append(Unread(row.pk, row.table, str(error)))
                continue
            for item in items:
                if owner_of(layout, item) == self._user:
                    archived = self.report.archived
                    archived[row.table] = archived.get(row.table, 0) + 1
                    yield row.table, {"archive": row.pk, "record": readable(layout, item)}

    def _erased(self) -> Any:
        at = self.report.erased_at
        return at and {"since": timestamp_text(at), "archives": self.report.left_out}

    def _letters(self) -> Iterator[Any]:
        for letter in letters_of(self._user):
            self.report.dead_letters += 1
            yield _letter(letter)

    def _list(self, values: Iterable[Any]) -> None:
        self._text(b"[")
        for place, value in enumerate(values):
            self._text(b",\n" if place else b"")
            self._value(value)
        self._text(b"]")

    def _member(self, name: str, value: Any) -> None:
        self._key(name, 1)
        self._value(value)

    def _key(self, name: str, place: int) -> None:
        """A member's name, behind a comma where it is not the first."""
        self._text(b",\n" if place else b"\n")
        self._value(name)
        self._text(b":")

    def _value(self, value: Any) -> None:
        text = orjson.dumps(value, default=_plain).decode()
        # The document may go to a terminal.
        self._text(printable(text).encode())

    def _text(self, text: bytes) -> None:
        self._out.write(text)


def owned() -> list[ItemLayout]:
    """The tables whose records belong to users."""
    return [layout for layout in layouts() if layout.table.owner is not None]


def without_personal_records() -> list[str]:
    """The tables whose records belong to no user: nothing in them is erased or exported, also where
    a value of theirs happens to be a user's id (a rate limit's identifier)."""
    return [layout.table.name for layout in layouts() if layout.table.owner is None]


def readable(layout: ItemLayout, item: Item) -> dict[str, Any]:
    """A record by field name, and by attribute name where no field has it; without its secrets."""
    found: dict[str, Any] = {}
    for column in layout.columns:
        if column.name not in layout.table.secret:
            value = item.get(column.attribute)
            found[column.name] = (
                None if value is None else _read(column.codec.from_attribute, value)
            )
    known = {column.attribute for column in layout.columns} | set(DERIVED)
    return found | {
        name: WITHHELD if is_secret_name(name) else mask_values(_read(plain, item[name]))
        for name in sorted(item.keys() - known)
    }


def _read(reading: Any, value: Mapping[str, Any]) -> Any:
    """A value as its field reads it; as DynamoDB has it where another has written it otherwise."""
    try:
        found = reading(value)
    except (DbcoreError, KeyError, TypeError, ValueError, ArithmeticError):
        return value
    return timestamp_text(found) if isinstance(found, dt.datetime) else found


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "table": letter.table,
        "source": letter.source,
        "source_table": letter.source_table,
        "key": letter.key,
        "reason": letter.reason,
        "row": shown_row(letter),
    }


def _plain(value: Any) -> str:
    """What JSON has no form for: decimals, and what is binary."""
    return str(value)
