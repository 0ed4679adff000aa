"""Opens the archives that a search has found. What is wrong with one of them is said of that one,
and keeps no other from being read."""

from __future__ import annotations

from dbcore.attributes import Item
from dbcore.items import ItemLayout
from dbcore.models import Archive
from dbcore.retention.archives import Manifest, Shelf
from dbcore.retention.errors import NotProven, NotThawed, RetentionError, StorageFailed
from dbcore.retention.records import layout_named


def opened(shelf: Shelf, row: Archive, *, thaw: bool = True) -> tuple[ItemLayout, list[Item]]:
    """The table and the records of an archive, proven.

    NotProven: it is damaged, its manifest is broken, its object cannot be read, or no model keeps
    its table any more. NotThawed: it is frozen; without `thaw` nothing is asked of S3, which costs
    money. StorageFailed: the storage does not answer, for this archive or any other.
    """
    manifest = Manifest.from_json(row.manifest)
    try:
        layout = layout_named(row.table)
    except RetentionError as error:
        raise NotProven(str(error)) from error
    try:
        if not thaw and shelf.facts(manifest).frozen:
            raise NotThawed("it has to thaw first: without --dry-run, that is asked for")
        return layout, shelf.open(manifest, layout)
    except StorageFailed as error:
        if error.unreachable:
            raise
        raise NotProven(str(error)) from error
