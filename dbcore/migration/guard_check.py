"""Guards of unique values that no record has: each would keep its value from everybody for ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from dbcore.attributes import Item
from dbcore.dynamo.guards import GUARD_KEY, OWNER, guard_table, guards_of
from dbcore.dynamo.reading import next_page
from dbcore.errors import InvalidValue
from dbcore.fields import joined_key, split_key
from dbcore.letters import WITHHELD
from dbcore.migration.encoding import RowEncoder
from dbcore.migration.errors import MigrationError
from dbcore.migration.flow import Flow
from dbcore.migration.ledger import Tally
from dbcore.migration.plan import TablePlan
from dbcore.migration.sources import Source
from dbcore.migration.verify import Finding, Findings
from dbcore.rights import in_words
from dbcore.wire import Completion


class GuardCheck:
    """Finds the guards of one table's unique values that no row vouches for."""

    def __init__(
        self,
        source: Source,
        plans: Sequence[TablePlan],
        flow: Flow,
        tally: Tally,
        findings: Findings,
    ) -> None:
        self.source = source
        self.plans = plans
        self.layout = plans[0].layout
        self.flow = flow
        self.tally = tally
        self.findings = findings
        self._count = 0
        self._encoders = {plan.source_table: RowEncoder(plan, source) for plan in plans}

    def run(self, expected: int) -> None:
        """Look for extra guards in a table whose records should have `expected` of them."""
        self._scan({"Select": "COUNT"})
        if self._count != expected:
            self._scan({})

    def _scan(self, given: dict[str, Any]) -> None:
        prefix = joined_key((self.layout.table.name, ""))
        request = {
            "TableName": guard_table(),
            "ConsistentRead": True,
            "FilterExpression": "begins_with(#g, :prefix)",
            "ExpressionAttributeNames": {"#g": GUARD_KEY},
            "ExpressionAttributeValues": {":prefix": {"S": prefix}},
            **given,
        }
        self._ask(request)
        self.flow.drain()

    def _ask(self, request: dict[str, Any]) -> None:
        def answered(completion: Completion) -> None:
            page = completion.result
            if page is None:
                error = completion.error
                raise MigrationError(
                    f"{guard_table()} cannot be read: {in_words(error)}"
                ) from error
            if "Items" in page:
                for item in page["Items"]:
                    self._judge(item)
            else:
                self._count += int(page["Count"])
            if following := next_page("Scan", request, page):
                self._ask(following)

        self.flow.enqueue("Scan", guard_table(), orjson.dumps(request), answered)

    def _judge(self, guard: Item) -> None:
        if not any(self._is_claimed(plan, guard) for plan in self.plans):
            self.tally.extra += 1
            key = self._shown(guard)
            self.findings.add(Finding("extra", self.plans[-1].source_table, "unique", key))

    def _shown(self, guard: Item) -> Item:
        """The guard as a report names it: by the record that owns it where its value is secret."""
        _, name, *_ = split_key(guard[GUARD_KEY]["S"])
        if name not in self.layout.table.secret:
            return {GUARD_KEY: guard[GUARD_KEY]}
        of = joined_key((self.layout.table.name, name, WITHHELD))
        return {GUARD_KEY: {"S": of}, OWNER: guard[OWNER]}

    def _is_claimed(self, plan: TablePlan, guard: Item) -> bool:
        """Whether the owner's row can be an item and has this value."""
        parts = split_key(guard[OWNER]["S"])
        columns = plan.locate(dict(zip(self.layout.table.key_fields, parts, strict=False)))
        if columns is None:
            return False
        encoder = self._encoders[plan.source_table]
        for row in self.source.find(plan, columns):
            try:
                values, _ = encoder.item(row)
            except InvalidValue:
                continue
            if guard[GUARD_KEY]["S"] in {each.key for each in guards_of(self.layout, values)}:
                return True
        return False
