"""What became of the records of an archive that cannot be opened any more.

Its manifest has no keys but digests of them: a key that is at hand can be looked up among them, and
what is nowhere at hand can be counted, not named. Nothing is changed here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db.models import Q

from dbcore.attributes import Item
from dbcore.models import Archive
from dbcore.retention.archives import Manifest, Shelf, content
from dbcore.retention.archives.sealing import sha256
from dbcore.retention.errors import NotProven, NotThawed, StorageFailed
from dbcore.retention.keepers.interface import Keeper, Window
from dbcore.retention.records import key_text
from dbcore.retention.rules import Rule

_DAY = dt.timedelta(days=1)
_AT_ONCE = 20  # manifests in hand: each has a digest of every key


@dataclass(frozen=True, slots=True)
class Became:
    """Where an archive's records are. `live`: still due in the store. `elsewhere`: not live, but in
    another archive of that time. `missing`: neither. `unopened`: archives of that time that were
    frozen, or could not be opened either."""

    live: int
    elsewhere: int
    missing: int
    unopened: int
    untouched: bool  # every one of them is live, and just as it was archived


def became_of(
    manifest: Manifest, rule: Rule, keeper: Keeper, shelf: Shelf, tick: Callable[[], None]
) -> Became:
    """Look for the records of an archive in the store and in other archives.

    A record that was changed since, and is not due any more, counts as missing. Costs what is due
    in the archive's time, and opening the other archives of that time that are not frozen.
    """
    live = []
    for page in keeper.due(rule, _window(manifest, rule)):
        tick()
        live += [item for item in page if manifest.may_hold(key_text(rule.layout, item))]
    known = {key_text(rule.layout, item) for item in live}
    elsewhere: set[str] = set()
    unopened = 0
    for items in _others(manifest, rule, shelf):
        tick()
        if items is None:
            unopened += 1
            continue
        keys = {key_text(rule.layout, item) for item in items} - known
        elsewhere.update(key for key in keys if manifest.may_hold(key))
    missing = max(0, manifest.count - len(known) - len(elsewhere))
    lines = content.to_lines(live)
    untouched = (len(lines), sha256(lines)) == (manifest.bytes, manifest.sha256)
    return Became(len(known), len(elsewhere), missing, unopened, untouched)


def _window(manifest: Manifest, rule: Rule) -> Window:
    """The days on which the archive's records came due."""
    days = [manifest.policy.get("days") or 0, rule.days or 0]
    days += [0] if rule.expires else []
    first, last = manifest.oldest or manifest.created_at, manifest.newest or manifest.created_at
    return Window(
        (first + min(days) * _DAY - _DAY).date(),
        min((last + max(days) * _DAY + _DAY).date(), rule.now.date()),
    )


def _others(manifest: Manifest, rule: Rule, shelf: Shelf) -> Iterator[list[Item] | None]:
    """The records of each other archive of the table and of that time; None where it cannot be
    opened at once."""
    rows = Archive.objects.filter(table=manifest.table).exclude(pk=manifest.id)
    rows = rows.exclude(state__in=(Archive.State.WRITING, Archive.State.DAMAGED))
    if manifest.oldest is not None and manifest.newest is not None:
        rows = rows.filter(
            Q(newest__gte=manifest.oldest) | Q(newest=None),
            Q(oldest__lte=manifest.newest) | Q(oldest=None),
        )
    for row in rows.order_by("-created_at").iterator(chunk_size=_AT_ONCE):
        try:
            other = Manifest.from_json(row.manifest)
            yield None if shelf.facts(other).frozen else shelf.open(other, rule.layout)
        except (NotProven, NotThawed, StorageFailed):
            yield None
