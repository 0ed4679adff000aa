"""A batch of due records: archived, read back, proven, and only then deleted.

The order is the invariant: nothing is deleted on account of an archive that has not been proven.
Each step is booked after it is done, so that whatever kills the process, a later sweep goes on.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence

from django.utils import timezone

from dbcore.attributes import Item
from dbcore.items import ItemLayout
from dbcore.models import Archive, new_run_id
from dbcore.retention.archives import Draft, Manifest, Shelf
from dbcore.retention.keepers.interface import Keeper, Removal
from dbcore.retention.rules import Rule

REMOVED_AT_ONCE = 500  # records between two looks at the lease
COUNTS = {
    Removal.DELETED: "deleted",
    Removal.GONE: "gone",
    Removal.CHANGED: "changed",
    Removal.HELD: "held",
    Removal.KEPT: "kept",
}


class Archiving:
    """Archives and removes records, for one sweep. `tick` is called often: it keeps the lease."""

    def __init__(self, keeper: Keeper, shelf: Shelf, sweep: str, tick: Callable[[], None]) -> None:
        self._keeper = keeper
        self._shelf = shelf
        self._sweep = sweep
        self._tick = tick

    def archive(self, rule: Rule, items: Sequence[Item]) -> Archive:
        """Put records into a new archive, and prove it. NotProven: nothing may be deleted."""
        draft = self._draft(rule, items)
        row = Archive.objects.create(
            id=draft.id,
            sweep_id=self._sweep,
            store=draft.store,
            target=draft.target,
            table=draft.table,
            tier=draft.tier.value,
            object_name=self._shelf.object_name(draft),
            count=len(items),
            oldest=draft.oldest,
            newest=draft.newest,
            created_at=draft.created_at,
        )
        self._tick()
        manifest = self._shelf.write(draft, rule.layout, items)
        self._shelf.prove(manifest, rule.layout, items)
        self.book_proof(row, manifest)
        return row

    def book_proof(self, row: Archive, manifest: Manifest) -> None:
        """Book that the archive stands, with the manifest that is beside it."""
        row.state, row.proven_at = Archive.State.PROVEN, timezone.now()
        row.manifest, row.key_id = manifest.as_json(), manifest.encryption.key_id
        row.save()

    def _draft(self, rule: Rule, items: Sequence[Item]) -> Draft:
        policy = rule.policy
        assert policy is not None
        signs = [rule.last_sign(rule.layout.from_item(item)) for item in items]
        return Draft(
            id=new_run_id(),
            table=rule.layout.table.name,
            store=self._keeper.name,
            target=self._keeper.target,
            tier=policy.tier,
            policy={"days": rule.days, "since": list(policy.since), "tier": policy.tier.value},
            sweep=self._sweep,
            created_at=timezone.now(),
            oldest=min(signs).astimezone(dt.UTC),
            newest=max(signs).astimezone(dt.UTC),
            schema=schema_of(rule.layout),
        )

    def remove(self, rule: Rule, items: Sequence[Item]) -> Counter[Removal]:
        """Delete records, each on the condition that it is unchanged and not held."""
        found: Counter[Removal] = Counter()
        for start in range(0, len(items), REMOVED_AT_ONCE):
            self._tick()
            found.update(self._keeper.remove(rule, items[start : start + REMOVED_AT_ONCE]))
        return found

    def finish(self, row: Archive, removals: Counter[Removal]) -> None:
        """Book what became of an archive's records, and let its object go where its tier says."""
        for removal, name in COUNTS.items():
            setattr(row, name, removals[removal])
        row.state = Archive.State.REMOVED
        row.save()
        self.settle(row)

    def settle(self, row: Archive) -> None:
        """Move an archive whose records are removed to its storage class."""
        self._shelf.settle(Manifest.from_json(row.manifest))
        row.state, row.completed_at = Archive.State.COMPLETED, timezone.now()
        row.save()


def schema_of(layout: ItemLayout) -> str:
    """What the table's records were made of when they were archived: attribute:field type."""
    return ",".join(f"{each.attribute}:{type(each.field).__name__}" for each in layout.columns)
