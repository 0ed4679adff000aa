"""Which archived records somebody wants back: by archive, by table and time, by key, by user."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dbcore.attributes import Item
from dbcore.items import ItemLayout
from dbcore.models import Archive
from dbcore.retention.errors import RetentionError
from dbcore.retention.records import (
    check_user,
    key_of_parts,
    key_text,
    layout_named,
    owner_of,
)
from dbcore.retention.rules import Rule
from dbcore.retention.searching import (
    archives_between,
    archives_of,
    archives_of_record,
    archives_with,
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Archived records. Make one with `of_archives`, `of_table`, `of_record` or `of_user`.

    `first` and `last` bound the instant from which a record's policy counts: from `first` up to,
    but not at, `last`. `key` is a joined key.
    """

    archives: tuple[str, ...] = ()
    table: str = ""
    first: dt.datetime | None = None
    last: dt.datetime | None = None
    key: str = ""
    user: str = ""

    def rows(self) -> Iterator[Archive]:
        """The archives in which to look, by table, newest first; RetentionError for what is not
        there."""
        if self.archives:
            return archives_with(self.archives)
        if self.user:
            return archives_of(self.user)
        if self.key:
            return archives_of_record(self.table, self.key)
        return archives_between(self.table, self.first, self.last)

    def wants(self, layout: ItemLayout, item: Item) -> bool:
        """Whether a record of one of the archives is meant."""
        if self.user:
            return owner_of(layout, item) == self.user
        if self.key:
            return key_text(layout, item) == self.key
        if self.first is None and self.last is None:
            return True
        rule = Rule(layout, None, dt.datetime.max.replace(tzinfo=dt.UTC))
        sign = rule.last_sign(layout.from_item(item))
        return (self.first is None or self.first <= sign) and (
            self.last is None or sign < self.last
        )

    @property
    def resource(self) -> str:
        """The selection for the audit trail: names no user and no key."""
        if self.archives:
            return f"archives/{len(self.archives)}"
        return "archives of one user" if self.user else f"archives of {self.table}"

    def described(self) -> str:
        """The selection, in words."""
        if self.archives:
            return f"archive{'' if len(self.archives) == 1 else 's'} {', '.join(self.archives)}"
        if self.user:
            return f"archived records of user {self.user}"
        if self.key:
            return f"archived record {self.table} {self.key}"
        since = "" if self.first is None else f" from {self.first:%Y-%m-%d %H:%M}"
        until = "" if self.last is None else f" to before {self.last:%Y-%m-%d %H:%M}"
        return f"archived records of {self.table}{since}{until}"


def of_archives(ids: Sequence[str]) -> Selection:
    """Everything in these archives; RetentionError where one is none, or was never proven."""
    selection = Selection(archives=tuple(dict.fromkeys(ids)))
    for _ in selection.rows():
        pass
    return selection


def of_table(
    table: str, first: dt.datetime | None = None, last: dt.datetime | None = None
) -> Selection:
    """A table's archived records, by the instant from which their policy counts."""
    if first is not None and last is not None and first >= last:
        raise RetentionError(f"from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} is no time")
    return Selection(table=layout_named(table).table.name, first=first, last=last)


def of_record(table: str, parts: Sequence[str]) -> Selection:
    """One record, by the parts of its key."""
    layout = layout_named(table)
    return Selection(table=layout.table.name, key=key_text(layout, key_of_parts(layout, parts)))


def of_user(user: str) -> Selection:
    """Every archived record of a user."""
    return Selection(user=check_user(user))
