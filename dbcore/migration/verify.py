"""Proof that DynamoDB holds the source: every row compared with its item, every item with a row.

What this can not see: a row that changes while it runs (it may be reported as different: run it
again), and a fault that reading and comparing share with writing (both use the codecs, which the
round-trip tests hold).
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from dbcore.attributes import Item
from dbcore.dynamo.comparing import differing_attributes
from dbcore.dynamo.reading import next_page
from dbcore.errors import InvalidValue
from dbcore.items import ItemLayout
from dbcore.migration.encoding import RowEncoder, Values
from dbcore.migration.errors import MigrationError
from dbcore.migration.flow import Flow
from dbcore.migration.held import Held
from dbcore.migration.ledger import Tally
from dbcore.migration.plan import Row, TablePlan
from dbcore.migration.reads import Expected, Reader, expect
from dbcore.migration.sources import Source
from dbcore.migration.writes import taken_reason
from dbcore.rights import in_words
from dbcore.wire import Completion

SEGMENTS = 8  # of a parallel scan
MAX_LISTED = 1000  # findings of one kind and table that a report lists; all are counted


@dataclass(frozen=True, slots=True)
class Finding:
    """One row or item that is not as it should be."""

    kind: str  # missing, different or extra
    source: str
    table: str
    key: Item
    attributes: tuple[str, ...] = ()  # of a different item: which ones


@dataclass(slots=True)
class Findings:
    """What a verification found: counts in the tallies, the first ones listed."""

    listed: list[Finding] = field(default_factory=list)
    _counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """List a finding, unless there are too many of its kind."""
        at = (finding.kind, finding.source)
        self._counts[at] = self._counts.get(at, 0) + 1
        if self._counts[at] <= MAX_LISTED:
            self.listed.append(finding)


class RowCheck:
    """Compares every good row of one source table with its item.

    `repair` is called with the rows that are missing or different, page by page. `present` counts
    the rows that have an item, `guards` their unique values that are guarded, `dead_rows` the rows
    that cannot have an item, `expired` those whose item DynamoDB has deleted since it was copied
    (only where `expiry_is_carried_out`), `skipped` those that are left out on request.
    """

    def __init__(
        self,
        source: Source,
        plan: TablePlan,
        flow: Flow,
        tally: Tally,
        findings: Findings,
        *,
        now: dt.datetime,
        skip_expired: bool = False,
        expiry_is_carried_out: bool = False,
        dead: Callable[[Row, str], None] = lambda row, reason: None,
        repair: Callable[[list[Expected]], None] | None = None,
        progress: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self.source = source
        self.plan = plan
        self.flow = flow
        self.tally = tally
        self.findings = findings
        self.encoder = RowEncoder(plan, source)
        self.rows = self.present = self.guards = self.dead_rows = self.expired = self.skipped = 0
        self._now = now
        self._held = Held(now)
        self._skip_expired = skip_expired
        self._expiry = expiry_is_carried_out
        self._dead = dead
        self._repair = repair
        self._progress = progress
        self._reader = Reader(flow, plan.layout)

    def run(self) -> None:
        """Compare all rows."""
        size = self._reader.rows_a_request
        for page in self.source.pages(self.plan):
            for start in range(0, len(page), size):
                found = self._expected(page[start : start + size])
                if found:
                    self._reader.read(found, self._compare)
                if self._repair is not None and self.plan.layout.unique:
                    # In order: of two rows with one value, the earlier takes it.
                    self.flow.drain()
            self.rows += len(page)
            self._progress(len(page))
        self.flow.drain()

    def _expected(self, rows: Sequence[Row]) -> list[Expected]:
        found: list[Expected] = []
        for row in rows:
            try:
                values, item = self.encoder.item(row)
            except InvalidValue as error:
                self.dead_rows += 1
                self._dead(row, str(error))
                continue
            if self._skip_expired and self._has_expired(values):
                self.skipped += 1
                continue
            found.append(expect(self.plan.layout, row, values, item))
        return found

    def _has_expired(self, values: Values) -> bool:
        return self.plan.layout.has_expired(values, self._now)

    def _compare(self, rows: list[Expected]) -> None:
        bad: list[Expected] = []
        for each in rows:
            if each.actual is None:
                if self._is_absent_rightly(each):
                    continue
                self.tally.missing += 1
                bad.append(each)
                self._found("missing", each)
                continue
            self.present += 1
            self.guards += len(each.guards) - len(each.lost_guards)
            if self._is_dead(each):
                continue
            names = differing_attributes(each.item, each.actual)
            if self._held.explains(self.plan.layout, each.actual, names):
                names = []
            names += [f"unique {guard.field.name}" for guard in each.lost_guards]
            if names:
                self.tally.different += 1
                bad.append(each)
                self._found("different", each, tuple(names))
        if bad and self._repair is not None:
            self._repair(bad)

    def _is_absent_rightly(self, each: Expected) -> bool:
        """Whether a row has no item for a good reason: it is a dead letter, or it has expired."""
        if self._is_dead(each):
            return True
        if self._expiry and self._has_expired(each.values):
            self.expired += 1
            return True
        return False

    def _is_dead(self, each: Expected) -> bool:
        """Whether a row is a dead letter because another record has a unique value of its. The
        item of an earlier form of the row may be there."""
        taken = [guard for guard in each.lost_guards if guard.key in each.owners]
        if not taken or self._repair is not None:  # a repair finds out what can be had
            return False
        if each.actual is not None and not differing_attributes(each.item, each.actual):
            return False  # the item is as its row says, but another record has its guard: a fault
        self.dead_rows += 1
        self._dead(each.row, taken_reason(self.plan.layout, taken[0]))
        return True

    def _found(self, kind: str, each: Expected, names: tuple[str, ...] = ()) -> None:
        key = self.plan.layout.key_of_item(each.item)
        layout = self.plan.layout
        self.findings.add(Finding(kind, self.plan.source_table, layout.table.name, key, names))


class ExtraCheck:
    """Finds items of one table that no row vouches for.

    Counting them is enough where the count is right, since every row's item is known to be there;
    only where it is not, each item's key is looked up in the source.
    """

    def __init__(
        self, source: Source, plans: Sequence[TablePlan], flow: Flow, tally: Tally,
        findings: Findings,
    ) -> None:  # fmt: skip
        self.source = source
        self.plans = plans
        self.layout: ItemLayout = plans[0].layout
        self.flow = flow
        self.tally = tally
        self.findings = findings
        self._count = 0
        self._encoders: dict[str, RowEncoder] = {}

    def run(self, expected: int) -> None:
        """Look for extra items in a table of which `expected` items have a row."""
        self._scan({"Select": "COUNT"}, self._add_count)
        if self._count == expected:
            return
        names = {f"#k{at}": column.attribute for at, column in enumerate(self.layout.key)}
        keys_only = {
            "ProjectionExpression": ",".join(names),
            "ExpressionAttributeNames": names,
        }
        self._scan(keys_only, self._look_up)

    def _scan(self, request: dict[str, Any], found: Callable[[dict[str, Any]], None]) -> None:
        base = {"TableName": self.layout.table_name, "ConsistentRead": True, **request}
        for segment in range(SEGMENTS):
            self._scan_page({**base, "Segment": segment, "TotalSegments": SEGMENTS}, found)
        self.flow.drain()

    def _scan_page(self, request: dict[str, Any], found: Callable[[dict[str, Any]], None]) -> None:
        handler = functools.partial(self._scanned, request, found)
        self.flow.enqueue("Scan", self.layout.table_name, orjson.dumps(request), handler)

    def _scanned(
        self,
        request: dict[str, Any],
        found: Callable[[dict[str, Any]], None],
        completion: Completion,
    ) -> None:
        if completion.result is None:
            table = self.layout.table_name
            raise MigrationError(
                f"{table} cannot be read: {in_words(completion.error)}"
            ) from completion.error
        found(completion.result)
        if following := next_page("Scan", request, completion.result):
            self._scan_page(following, found)

    def _add_count(self, page: dict[str, Any]) -> None:
        self._count += int(page["Count"])

    def _look_up(self, page: dict[str, Any]) -> None:
        for key in page["Items"]:
            if not self._has_row(key):
                self.tally.extra += 1
                self.findings.add(
                    Finding("extra", self.plans[-1].source_table, self.layout.table.name, key)
                )

    def _has_row(self, key: Item) -> bool:
        """Whether a row that can be an item has this key."""
        try:
            values = {
                column.name: column.codec.from_attribute(key[column.attribute])
                for column in self.layout.key
            }
            if self.layout.key_of(values) != key:
                return False
        except ValueError:  # a date that is none
            return False
        for plan in self.plans:
            columns = plan.locate(values)
            if columns is None:
                continue
            encoder = self._encoder(plan)
            for row in self.source.find(plan, columns):
                try:
                    _, item = encoder.item(row)
                except InvalidValue:
                    continue
                if self.layout.key_of_item(item) == key:
                    return True
        return False

    def _encoder(self, plan: TablePlan) -> RowEncoder:
        if plan.source_table not in self._encoders:
            self._encoders[plan.source_table] = RowEncoder(plan, self.source)
        return self._encoders[plan.source_table]
