"""Keeps DynamoDB's own TTL off what a legal hold is on: the item's `ttl` is taken away while it is
held, and put back, as the record's fields say, when it is not any more. Nothing else of an item is
ever written here. Readers know what has expired by the fields (dbcore/stores/dynamo/queries.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from botocore.exceptions import ClientError

from dbcore.attributes import Item
from dbcore.dynamo.expressions import Expression, condition
from dbcore.dynamo.reading import WIDTH, Request, completed, is_missing, items_of, read_items
from dbcore.dynamo.refusals import Meaning, refusal_of
from dbcore.fields import split_key
from dbcore.items import TTL, ItemLayout
from dbcore.patience import WORKING
from dbcore.retention.keepers.interface import HoldKey
from dbcore.retention.keepers.pages import NOT_READABLE
from dbcore.retention.records import TABLE, USER, hold_keys, layouts
from dbcore.wire import Wire

AT_ONCE = 200  # records between two looks at the lease

OwnedBy = Callable[[ItemLayout, str], Iterable[Item]]


@dataclass(frozen=True, slots=True)
class HeldExpiry:
    """Takes the expiry of held records away and gives it back. `owned_by` finds a user's records;
    `keep` is called often."""

    wire: Wire
    owned_by: OwnedBy
    keep: Callable[[], None]

    def take(self, key: HoldKey) -> None:
        """Have DynamoDB delete nothing by itself that this hold is on. May be done twice."""
        for layout in expiring(key):
            items = (item for item in self._on(layout, key) if TTL in item)
            self._write(layout, (_taking(layout, item) for item in items))

    def give_back(self, key: HoldKey, held: Collection[HoldKey]) -> None:
        """Let what this hold was on expire again, but for what other holds, `held`, are on. What
        should have expired meanwhile is due at once. May be done twice."""
        for layout in expiring(key):
            self._write(layout, self._giving(layout, key, held))

    def _giving(
        self, layout: ItemLayout, key: HoldKey, held: Collection[HoldKey]
    ) -> Iterator[Request]:
        for item in self._on(layout, key):
            if TTL in item or any(each in held for each in hold_keys(layout, item)):
                continue
            expires = _expires_at(layout, item)
            if expires is not None:
                yield _giving_back(layout, item, expires)

    def _on(self, layout: ItemLayout, key: HoldKey) -> Iterator[Item]:
        """The records of a table that a hold is on. A table that is not there has none."""
        try:
            if key.scope == USER:
                yield from self.owned_by(layout, key.subject)
            elif key.scope == TABLE:
                yield from self._all(layout)
            else:
                found = read_items(self.wire, layout.table_name, [_key_of(layout, key.subject)])
                yield from (item for item in found if item is not None)
        except ClientError as error:
            if not is_missing(error):
                raise

    def _all(self, layout: ItemLayout) -> Iterator[Item]:
        # A scan: no index says which items have, or lack, a ttl.
        request = {"TableName": layout.table_name, "ReturnConsumedCapacity": "TOTAL"}
        return items_of(self.wire, "Scan", request)

    def _write(self, layout: ItemLayout, requests: Iterator[Request]) -> None:
        while some := list(itertools.islice(requests, AT_ONCE)):
            self.keep()
            for _ in WORKING:
                calls = [("UpdateItem", request) for request in some]
                ends = completed(self.wire, layout.table_name, calls, WIDTH)
                errors = [end.error for end in ends]
                some = [
                    request
                    for request, error in zip(some, errors, strict=True)
                    if error is not None and _is_to_try_again(error)
                ]
                if not some:
                    break
            else:
                raise next(error for error in errors if error is not None)


def expiring(key: HoldKey) -> list[ItemLayout]:
    """The tables whose records expire and that a hold may be on."""
    found = [layout for layout in layouts() if layout.table.expires]
    if key.scope == USER:
        return [layout for layout in found if layout.table.owner is not None]
    return [layout for layout in found if layout.table.name == key.table]


def _taking(layout: ItemLayout, item: Item) -> Request:
    return {
        "TableName": layout.table_name,
        "Key": layout.key_of_item(item),
        "UpdateExpression": "REMOVE #ttl",
        **condition("attribute_exists(#ttl)", {"ttl": TTL}),  # no item is made where there is none
        "ReturnConsumedCapacity": "TOTAL",
    }


def _giving_back(layout: ItemLayout, item: Item, expires: int) -> Request:
    """On the condition that the fields from which it follows are what they were: who changes one
    writes the expiry as well."""
    sources = {layout.by_name[each.field].attribute for each in layout.table.expires}
    wanted = Expression()
    wanted.must_lack(TTL)
    for name in sorted(sources & item.keys()):
        wanted.must_be(name, item[name])
    return wanted.parts(
        TableName=layout.table_name,
        Key=layout.key_of_item(item),
        UpdateExpression=f"SET {wanted.name(TTL)} = {wanted.value({'N': str(expires)})}",
        ReturnConsumedCapacity="TOTAL",
    )


def _expires_at(layout: ItemLayout, item: Item) -> int | None:
    try:
        return layout.expires_at(layout.from_item(item))
    except NOT_READABLE:
        return None  # nobody can say when; a sweep tells of it


def _key_of(layout: ItemLayout, subject: str) -> Item:
    """The key that a record's joined key is of."""
    parts = zip(layout.key, split_key(subject), strict=True)
    return {column.attribute: {column.codec.tag: part} for column, part in parts}


def _is_to_try_again(error: Exception) -> bool:
    """Whether a write was only in another's way; raises what is no answer to it."""
    meaning = refusal_of(error).first.meaning
    if meaning is Meaning.UNFIT:
        raise error
    return meaning is Meaning.BUSY
