"""Due records in pages that fit into memory, and what becomes of those that nobody can read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from dbcore.attributes import Item
from dbcore.items import ItemLayout
from dbcore.retention.keepers.interface import PAGE

PAGE_BYTES = 32_000_000  # of a page's items as JSON, about
# What decoding a value raises that is not of the type or form that its field's values have.
NOT_READABLE = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError)


def unreadable_because(layout: ItemLayout, item: Item, error: Exception) -> str:
    """Which fields of an item cannot be read. Never what they say: that may be personal, and is
    written into the books."""
    flawed = [each.name for each in layout.columns if not _reads(layout, each.name, item)]
    return f"{', '.join(flawed) or 'it'} cannot be read ({type(error).__name__})"


def _reads(layout: ItemLayout, name: str, item: Item) -> bool:
    column = layout.by_name[name]
    try:
        value = item.get(column.attribute)
        return value is None or column.codec.from_attribute(value) is not None
    except NOT_READABLE:
        return False


def in_pages(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The items in lists of at most PAGE, and fewer where they are large."""
    page: list[Item] = []
    size = 0
    for item in items:
        page.append(item)
        size += len(orjson.dumps(item))
        if len(page) >= PAGE or size >= PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page
