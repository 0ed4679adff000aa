"""All of a migration but the writing: what would be items, what would be dead letters, what it
would take. It asks DynamoDB nothing, so it counts as if the tables were empty."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable

from django.conf import settings

from dbcore.attributes import Item, item_bytes
from dbcore.dynamo.guards import Guard, guards_of
from dbcore.errors import InvalidValue
from dbcore.items import ItemLayout
from dbcore.migration.encoding import RowEncoder, Values
from dbcore.migration.ledger import Tally
from dbcore.migration.options import MigrationOptions
from dbcore.migration.plan import Row, TablePlan
from dbcore.migration.prices import write_price
from dbcore.migration.report import MAX_LISTED_LETTERS, Estimate, Letter, Line, Report
from dbcore.migration.sources import Source
from dbcore.migration.writes import taken_reason
from dbcore.progress import Watcher
from dbcore.schema import create_table_request

_UNIT = 1024  # bytes that one write unit writes
_TRANSACTION_FACTOR = 2  # a transactional write takes two units where a plain one takes one


Indexes = list[tuple[set[str], bool, set[str]]]


class _TakenValues:
    """Unique values seen so far, on disk: memory stays flat however many there are."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("")
        self._db.execute("CREATE TABLE taken (guard TEXT PRIMARY KEY) WITHOUT ROWID")

    def take(self, guards: list[Guard]) -> Guard | None:
        """Take all these values, or none and say which one is taken."""
        for guard in guards:
            if self._db.execute("SELECT 1 FROM taken WHERE guard = ?", (guard.key,)).fetchone():
                return guard
        self._db.executemany("INSERT INTO taken VALUES (?)", [(guard.key,) for guard in guards])
        return None

    def close(self) -> None:
        self._db.close()


class DryRun:
    """Goes through every row without writing any."""

    def __init__(
        self,
        source: Source,
        options: MigrationOptions,
        report: Report,
        watch: Watcher,
        tick: Callable[[], None],
    ) -> None:
        self.source = source
        self.options = options
        self.report = report
        self.watch = watch
        self._tick = tick
        self.items = self.bytes = self.units = 0
        self._taken = _TakenValues()

    def run(self, plans: list[TablePlan]) -> None:
        """Fill the report."""
        self.watch.stage("Reading every row, writing none")
        try:
            for plan in plans:
                self._table(plan)
        finally:
            self._taken.close()
        self.report.estimate = self._estimate()

    def _table(self, plan: TablePlan) -> None:
        tally = Tally()
        self.watch.begin(plan.source_table, self.source.count(plan))
        self.report.lines.append(Line(plan.source_table, plan.layout.table.name, tally))
        encoder = RowEncoder(plan, self.source)
        indexes = _indexes(plan.layout)
        for page in self.source.pages(plan):
            self._tick()
            tally.read += len(page)
            for row in page:
                try:
                    self._row(plan, encoder, row, tally, indexes)
                except InvalidValue as error:
                    tally.dead_lettered += 1
                    self._list(plan, plan.row_key(row), plan.told(row, str(error)))
            self.watch.advance(len(page))
            self.watch.flawed(tally.dead_lettered)
        self.watch.end()

    def _row(
        self, plan: TablePlan, encoder: RowEncoder, row: Row, tally: Tally, indexes: Indexes
    ) -> None:
        values, item = encoder.item(row)
        if self.options.skip_expired and plan.layout.has_expired(values, self.options.now):
            tally.skipped += 1
            return
        self._count(item, self._take(plan.layout, values), indexes)
        tally.written += 1

    def _take(self, layout: ItemLayout, values: Values) -> list[Guard]:
        guards = guards_of(layout, values) if layout.unique else []
        taken = self._taken.take(guards) if guards else None
        if taken is not None:
            raise InvalidValue(taken_reason(layout, taken))
        return guards

    def _list(self, plan: TablePlan, key: str, reason: str) -> None:
        if len(self.report.dead_letters) < MAX_LISTED_LETTERS:
            letter = Letter(plan.source_table, plan.layout.table.name, key, reason)
            self.report.dead_letters.append(letter)

    def _count(self, item: Item, guards: list[Guard], indexes: Indexes) -> None:
        size = item_bytes(item)
        units = math.ceil(size / _UNIT)
        for keys, keys_only, projected in indexes:
            if keys <= item.keys():
                part = {name: item[name] for name in projected}
                units += math.ceil((item_bytes(part) if keys_only else size) / _UNIT)
        if guards:
            units = _TRANSACTION_FACTOR * (units + len(guards))
        self.items += 1 + len(guards)
        self.bytes += size
        self.units += units

    def _estimate(self) -> Estimate:
        region = settings.DYNAMODB_REGION
        price = write_price(region)
        if price is None:
            price = 0.0
            self.report.notes.append(
                f"no price is known for {region}: set DYNAMODB_WRITE_PRICE (dollars a million "
                "write request units)"
            )
        rate = self.options.rate_limit
        return Estimate(
            items=self.items,
            bytes=self.bytes,
            write_units=self.units,
            dollars=round(self.units * price / 1e6, 4),
            price_per_million=price,
            region=region,
            minutes=round(self.units / rate / 60, 2) if rate else None,
        )


def _indexes(layout: ItemLayout) -> Indexes:
    """Each index: its key attributes, whether it keeps keys only, and what it then keeps."""
    request = create_table_request(layout)
    table_keys = {column.attribute for column in layout.key}
    found = []
    for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        for index in request.get(kind, ()):
            keys = {key["AttributeName"] for key in index["KeySchema"]}
            keys_only = index["Projection"]["ProjectionType"] == "KEYS_ONLY"
            found.append((keys, keys_only, keys | table_keys))
    return found
