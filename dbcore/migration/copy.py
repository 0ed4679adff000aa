"""The copy of one source table: rows in order, encoded, put, acknowledged, recorded.

A new table is written straight. Where items may be there already (a finished copy run again, the
stretch behind a checkpoint), each is read first: an equal one is left, and one that was changed in
DynamoDB after its row, or has become there what it is for good, is never overwritten.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import ClientError

from dbcore.attributes import Item
from dbcore.dynamo.comparing import differing_attributes
from dbcore.dynamo.guards import GUARD_KEY, OWNER, Guard, guard_table, guards_of
from dbcore.dynamo.refusals import Meaning, refusal_of
from dbcore.errors import InvalidValue
from dbcore.fields import split_key
from dbcore.finality import made_final_by, making_final
from dbcore.items import ItemLayout
from dbcore.migration.encoding import RowEncoder, Values
from dbcore.migration.errors import MigrationError
from dbcore.migration.flow import Flow
from dbcore.migration.fragments import MAX_FAST_LENGTH
from dbcore.migration.ledger import WINDOW_ROWS, Batch, Ledger
from dbcore.migration.plan import Row, TablePlan
from dbcore.migration.reads import Expected, Reader, expect
from dbcore.migration.sources import Source
from dbcore.migration.writes import (
    BATCH_ITEMS,
    BatchWriter,
    GuardedPut,
    GuardedWriter,
    put_text,
)
from dbcore.patience import WORKING
from dbcore.rights import in_words
from dbcore.wire import get_wire


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """What a copy is asked to do. `compare_first`: the table had items when the pass began."""

    now: dt.datetime
    compare_first: bool = False
    skip_expired: bool = False


class TableCopy:
    """One pass over one source table."""

    def __init__(
        self,
        source: Source,
        plan: TablePlan,
        flow: Flow,
        ledger: Ledger,
        options: CopyOptions,
    ) -> None:
        self.source = source
        self.plan = plan
        self.layout = plan.layout
        self.flow = flow
        self.ledger = ledger
        self.options = options
        self.encoder = RowEncoder(plan, source)
        self._reader = Reader(flow, self.layout)
        self._guarded = GuardedWriter(flow, self.layout, ledger, self._release)
        self._plainly = BatchWriter(flow, self.layout, ledger)

    def run(self) -> None:
        """Copy every row after the checkpoint, then mark the pass complete."""
        checkpoint = self.ledger.checkpoint
        after = None if checkpoint is None else checkpoint.position
        # Behind a checkpoint lie rows that may or may not have been written: never more of them
        # than the window that the ledger keeps.
        unsure = 0 if after is None else WINDOW_ROWS
        for page in self.source.pages(self.plan, after):
            if self.options.compare_first or unsure > 0:
                self._each(page, self._reader.rows_a_request, self._compare)
                unsure -= len(page)
            else:
                self._each(page, BATCH_ITEMS, self._put)
        self.flow.drain()
        self.ledger.save(complete=True)

    def copy_rows(self, rows: list[Row]) -> None:
        """Copy just these rows, each compared first."""
        self._each(rows, self._reader.rows_a_request, self._compare)
        self.flow.drain()

    def _each(self, page: list[Row], size: int, step: Callable[[list[Row]], None]) -> None:
        for start in range(0, len(page), size):
            while self.ledger.must_wait:
                self.flow.pump(0.1)
            step(page[start : start + size])

    def _put(self, rows: list[Row]) -> None:
        batch = self.ledger.open_batch(rows[-1][0], len(rows))
        if self._is_guarded:
            found = self._expected(batch, rows)
            self._guarded.put(
                batch, [GuardedPut(each.row, each.item, each.guards, []) for each in found]
            )
            return
        texts = self._fast(rows)
        if texts is None:
            found = self._expected(batch, rows)
            rows = [each.row for each in found]
            texts = [put_text(each.item) for each in found]
        self._plainly.put(batch, rows, texts)

    def _fast(self, rows: list[Row]) -> list[str] | None:
        """The put requests of rows that are all in the common form, or None."""
        fast = self.encoder.fast
        if fast is None or self.options.skip_expired:
            return None
        try:
            texts = [fast(row) for row in rows]
        except Exception:
            # Whatever it is, the exact way finds it again and says what it is.
            return None
        return texts if sum(map(len, texts)) < MAX_FAST_LENGTH else None

    def _expected(self, batch: Batch, rows: list[Row]) -> list[Expected]:
        """The rows that can be items; the others are settled here."""
        found: list[Expected] = []
        for row in rows:
            try:
                values, item = self.encoder.item(row)
            except InvalidValue as error:
                self.ledger.dead(batch, row, str(error))
                continue
            if self.options.skip_expired and self.layout.has_expired(values, self.options.now):
                self.ledger.skipped(batch)
                continue
            found.append(expect(self.layout, row, values, item))
        return found

    def _compare(self, rows: list[Row]) -> None:
        batch = self.ledger.open_batch(rows[-1][0], len(rows))
        found = self._expected(batch, rows)
        if found:
            self._reader.read(found, lambda expected: self._compared(batch, expected))
        if self.layout.unique:
            # In order: of two rows with one value, the earlier takes it.
            self.flow.drain()

    def _compared(self, batch: Batch, found: list[Expected]) -> None:
        changed: list[Expected] = []
        for each in found:
            if each.actual is None:
                changed.append(each)
            elif differing_attributes(each.item, each.actual):
                if is_newer(each):
                    self._newer(batch, each)
                else:
                    changed.append(each)
            elif each.lost_guards:
                changed.append(each)
            else:
                self.ledger.unchanged(batch)
        if changed:
            self.write(batch, changed)

    def _newer(self, batch: Batch, each: Expected) -> None:
        """Leave an item that was changed after its row; what is for good it takes over all the
        same: a key that goes on being used would never be revoked."""
        if made_final_by(self.layout, each.actual or {}, each.item) and self._make_final(each.item):
            self.ledger.written(batch, 1)
        else:
            self.ledger.skipped(batch)

    def _make_final(self, item: Item) -> bool:
        """Give an item in DynamoDB the final value of this one; False where it is gone."""
        table = self.layout.table_name
        for _ in WORKING:
            try:
                get_wire().call("UpdateItem", making_final(self.layout, item))
                return True
            except ClientError as error:
                refusal = refusal_of(error)
                if refusal.has(Meaning.UNTRUE):
                    return False
                if not refusal.has(Meaning.BUSY):
                    raise MigrationError(f"{table} cannot be written: {in_words(error)}") from error
        raise MigrationError(f"{table} cannot be written: an item is being written all the time")

    def write(self, batch: Batch, changed: list[Expected]) -> None:
        """Put the items of rows that were read before."""
        if self._is_guarded:
            self._guarded.put(batch, [self._guarded_put(each) for each in changed])
        else:
            texts = [put_text(each.item) for each in changed]
            self._plainly.put(batch, [each.row for each in changed], texts)

    @property
    def _is_guarded(self) -> bool:
        """Whether a put has guards, or a condition, which a batch of puts cannot have."""
        return bool(self.layout.unique) or self.layout.table.final is not None

    def _release(self, guard: Guard) -> bool:
        """Free a unique value whose owner's row claims it no longer, so that the row that claims
        it now may have it: users who swap an address must both arrive."""
        wire = get_wire()
        key = {GUARD_KEY: {"S": guard.key}}
        request = {"TableName": guard_table(), "Key": key, "ConsistentRead": True}
        item = wire.call("GetItem", request).get("Item")
        if item is None:
            return True
        owner = item[OWNER]["S"]
        columns = self.plan.locate(_owner_key(self.layout, owner))
        rows = [] if columns is None else self.source.find(self.plan, columns)
        if not rows or any(self._claims(row, guard) for row in rows):
            return False
        held = dataclasses.replace(guard, owner=owner)
        try:
            wire.call("DeleteItem", held.delete_action()["Delete"])
        except ClientError:
            return False  # it has moved on meanwhile
        return True

    def _claims(self, row: Row, guard: Guard) -> bool:
        """Whether a row wants a value, or cannot be read to know."""
        try:
            values, _ = self.encoder.item(row)
        except InvalidValue:
            return True
        return guard.key in {each.key for each in guards_of(self.layout, values)}

    def _guarded_put(self, each: Expected) -> GuardedPut:
        stale = []
        if each.actual is not None:
            kept = {guard.key for guard in each.guards}
            old = guards_of(self.layout, self.layout.from_item(each.actual))
            stale = [guard for guard in old if guard.key not in kept]
        return GuardedPut(each.row, each.item, each.guards, stale)


def _owner_key(layout: ItemLayout, owner: str) -> Values:
    """A guard's owner as the fields of its key."""
    return dict(zip(layout.table.key_fields, split_key(owner), strict=True))


def is_newer(each: Expected) -> bool:
    """Whether DynamoDB's item was changed after the row: then it has been written to since."""
    name = each.item.get("updatedAt", {}).get("S")
    actual = (each.actual or {}).get("updatedAt", {}).get("S")
    return name is not None and actual is not None and bool(actual > name)
