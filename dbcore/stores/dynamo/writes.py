"""One write as the actions of a DynamoDB transaction, and what a cancelled transaction means. A
write that needs no other action can be sent without a transaction: see sending.py.

What is derived from several fields is written on the condition that none of those that are not
being changed has changed meanwhile: so an update never leaves a stale expiry or due day behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from dbcore.dynamo.expressions import TELL, Expression, absent
from dbcore.dynamo.guards import Guard, guards_of
from dbcore.dynamo.refusals import Meaning, refusal_of
from dbcore.finality import final_attribute
from dbcore.items import DAY, DUE_DAY, TTL, ItemLayout
from dbcore.stores.errors import AlreadyExists, UniqueViolation
from dbcore.stores.validation import Whole

Action = dict[str, Any]


class Overtaken(Exception):
    """Another write came first: prepare this one anew."""


@dataclass(slots=True)
class Prepared:
    """A record's action and its guards' actions. A guard that is taken is a unique violation."""

    action: Action
    taken: list[tuple[Guard, Action]] = field(default_factory=list)  # values to take
    given_up: list[Action] = field(default_factory=list)
    adds: bool = False
    compares: bool = False  # it is done on the condition that what it changes is still as it was

    @property
    def alone(self) -> bool:
        """Whether it needs no transaction: neither for guards, nor because the second of two
        requests would take the work of the first for another's."""
        return not (self.taken or self.given_up or self.compares)

    def actions(self) -> Iterator[Action]:
        """In the order in which DynamoDB gives its reasons."""
        yield self.action
        yield from (action for _, action in self.taken)
        yield from self.given_up


def adding(layout: ItemLayout, record: Whole) -> Prepared:
    """A new record."""
    put = {"TableName": layout.table_name, "Item": record.item}
    guards = [(guard, guard.put_action()) for guard in guards_of(layout, record.values)]
    return Prepared({"Put": put | absent(layout)}, guards, adds=True)


def updating(
    layout: ItemLayout,
    old: Mapping[str, Any],
    changes: Mapping[str, Any],
    expected: Iterable[str],
) -> Prepared:
    """A change of fields of the record that has the values `old`."""
    new = {**old, **changes}
    expression = _still(layout, old, _relied_on(layout, changes) | set(expected))
    if _may_undo(layout, changes) and (final := final_attribute(layout)) is not None:
        expression.must_not_be(*final)
    request = expression.parts(
        TableName=layout.table_name,
        Key=layout.key_of(old),
        UpdateExpression=_assignments(layout, changes, new, expression),
    )
    before = {guard.key: guard for guard in guards_of(layout, old)}
    after = {guard.key: guard for guard in guards_of(layout, new)}
    return Prepared(
        {"Update": request},
        [(guard, guard.put_action()) for key, guard in after.items() if key not in before],
        [guard.delete_action() for key, guard in before.items() if key not in after],
        compares=not changes.keys().isdisjoint(expected),
    )


def deleting(layout: ItemLayout, old: Mapping[str, Any], expected: Iterable[str]) -> Prepared:
    """The removal of the record that has the values `old`."""
    wanted = _still(layout, old, {*expected, *(unique.name for unique in layout.unique)})
    request = wanted.parts(TableName=layout.table_name, Key=layout.key_of(old), **TELL)
    guards = [guard.delete_action() for guard in guards_of(layout, old)]
    return Prepared({"Delete": request}, given_up=guards)


def _still(layout: ItemLayout, old: Mapping[str, Any], names: Iterable[str]) -> Expression:
    """The condition that the record is there, and that these fields are as they were."""
    found = Expression()
    found.must_have(layout.key[0].attribute)
    for each in sorted(names):
        column, value = layout.by_name[each], old[each]
        wanted = None if value is None else column.codec.to_attribute(value)
        found.must_be(column.attribute, wanted)
    return found


def _assignments(
    layout: ItemLayout,
    changes: Mapping[str, Any],
    new: Mapping[str, Any],
    expression: Expression,
) -> str:
    """The update expression: the changed fields, and whatever is derived from fields."""
    wanted: dict[str, Any] = {}
    for each in changes:
        column = layout.by_name[each]
        value = new[each]
        wanted[column.attribute] = None if value is None else column.codec.to_attribute(value)
    derived = layout.derived(new)
    wanted |= {
        name: derived.get(name)
        for name, sources in _sources(layout).items()
        if not sources.isdisjoint(changes)
    }
    sets = [
        f"{expression.name(name)} = {expression.value(value)}"
        for name, value in wanted.items()
        if value is not None
    ]
    removes = [expression.name(name) for name, value in wanted.items() if value is None]
    text = f"SET {', '.join(sets)}" if sets else ""
    return text + (f" REMOVE {', '.join(removes)}" if removes else "")


def _relied_on(layout: ItemLayout, changes: Mapping[str, Any]) -> set[str]:
    """Fields that are not changed and on which what is written depends: those that something is
    derived from together with a changed one, and the old unique values of changed ones."""
    relied_on: set[str] = set()
    for sources in _sources(layout).values():
        if not sources.isdisjoint(changes):
            relied_on |= sources - changes.keys()
    return relied_on | {unique.name for unique in layout.unique if unique.name in changes}


def _may_undo(layout: ItemLayout, changes: Mapping[str, Any]) -> bool:
    """Whether changes would undo what another may have made final meanwhile."""
    final = layout.table.final
    return final is not None and changes.get(final.field, final.value) != final.value


def _sources(layout: ItemLayout) -> dict[str, set[str]]:
    """Each derived attribute of the table's items, and the fields that it is derived from."""
    table = layout.table
    found = {TTL: {deadline.field for deadline in table.expires}}
    if table.day_index is not None:
        found[DAY] = {table.day_index.timestamp}
    if table.needs_due_day:
        found[DUE_DAY] = set(layout.due_sources)
    return found


def error_of(prepared: Sequence[Prepared], error: ClientError) -> Exception:
    """What the refusal of a transaction means: the first write's reason that is one. `error` itself
    where it was only throttled, which the wire has tried again by then."""
    refusal = refusal_of(error, sum(1 for each in prepared for _ in each.actions()))
    reasons = iter(refusal.reasons)
    for each in prepared:
        found = [next(reasons).meaning for _ in each.actions()]
        if found[0] is Meaning.UNTRUE:
            return AlreadyExists("a record has this key") if each.adds else Overtaken()
        for (guard, _), meaning in zip(each.taken, found[1:], strict=False):
            if meaning is Meaning.UNTRUE:
                return UniqueViolation(guard.field.name)
    passes = refusal.has(Meaning.UNTRUE) or refusal.has(Meaning.BUSY)
    return Overtaken() if passes and not refusal.has(Meaning.UNFIT) else error
