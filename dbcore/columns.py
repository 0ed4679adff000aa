"""One field of many items, read at once: that takes half of the time of one after the other.

No value may come out otherwise than its codec's `from_attribute` gives it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from dbcore.attributes import (
    AttributeValue,
    Codec,
    Item,
    JsonCodec,
    TextCodec,
    TimestampCodec,
    plain,
    plain_map,
)

ColumnReader = Callable[[Sequence[Item]], list[Any]]
_TEXT = itemgetter("S")


def column_reader(attribute: str, codec: Codec, *, nullable: bool) -> ColumnReader:
    """What reads a field of items, whose `attribute` may be absent if it is `nullable`.

    The reader raises KeyError for one that is absent and may not be.
    """
    if nullable:
        read = codec.from_attribute
        return lambda items: [
            None if (value := item.get(attribute)) is None else read(value) for item in items
        ]
    read_all, attribute_of = _reader_of_all(codec), itemgetter(attribute)
    return lambda items: read_all(map(attribute_of, items))


def _reader_of_all(codec: Codec) -> Callable[[Iterable[AttributeValue]], list[Any]]:
    """What reads attributes without a Python call for each, if there is a way."""
    if isinstance(codec, TextCodec):
        return lambda attributes: list(map(_TEXT, attributes))
    if isinstance(codec, TimestampCodec):
        return lambda attributes: list(map(dt.datetime.fromisoformat, map(_TEXT, attributes)))
    if isinstance(codec, JsonCodec):
        return lambda attributes: [
            plain_map(each["M"]) if "M" in each and len(each) == 1 else plain(each)
            for each in attributes
        ]
    return lambda attributes: list(map(codec.from_attribute, attributes))
