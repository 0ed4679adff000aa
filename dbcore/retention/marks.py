"""How far each table has been swept, so that a sweep looks only where something can be due.

A mark never passes a day on which something due was left, whatever the reason; and now and then a
sweep looks all the way back, for records that were written late with old dates.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.conf import settings

from dbcore.models import MigrationRun, RestoredRecord, SweepMark
from dbcore.retention.keepers.interface import Window
from dbcore.retention.rules import Rule

LOOK_BACK_EVERY = dt.timedelta(days=30)
# Days before the mark that are looked at again: indexes lag, and clocks differ.
MARGIN = dt.timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Look:
    """The due days that a sweep looks at, and why it looks further back than its mark, if so."""

    window: Window
    why: str = ""


def look_for(rule: Rule, target: str, late: int, look_back: int | None) -> Look:
    """Where a sweep of the table must look.

    `late`: days by which stored due days may be late. `look_back`: days to look back whatever the
    mark says.
    """
    today = rule.now.date()
    last = today + dt.timedelta(days=late)
    furthest = settings.RETENTION_LOOKBACK_DAYS if look_back is None else look_back
    first = _back(today, furthest)
    if look_back is not None:
        return Look(Window(first, last), f"as asked, {look_back} days")
    mark = SweepMark.objects.filter(target=target, table=rule.layout.table.name).first()
    why = _why_all(mark, rule.now)
    if why or mark is None or mark.swept_through is None:
        return Look(Window(first, last), why or "its last sweep left something due behind")
    return Look(Window(max(first, min(today, mark.swept_through) - MARGIN), last))


def _why_all(mark: SweepMark | None, now: dt.datetime) -> str:
    if mark is None or mark.looked_back_at is None:
        return "its first sweep"
    restored = RestoredRecord.objects.filter(table=mark.table, restored_at__gte=mark.looked_back_at)
    if restored.exists():
        return "records have been restored since"
    if now - mark.looked_back_at >= LOOK_BACK_EVERY:
        return f"{LOOK_BACK_EVERY.days} days since a sweep did"
    if MigrationRun.objects.filter(
        finished_at__gt=mark.looked_back_at, rows_written__gt=0
    ).exists():
        return "a migration has written since"
    return ""


def _back(day: dt.date, days: int) -> dt.date:
    try:
        return day - dt.timedelta(days=days)
    except OverflowError:
        return dt.date.min


def advance(rule: Rule, target: str, look: Look, oldest_left: dt.date | None) -> None:
    """Book that the table has been swept to its end; `oldest_left` is the first due day of what was
    left."""
    through = rule.now.date() - dt.timedelta(days=1)  # more may come due today
    if oldest_left is not None:
        through = min(through, oldest_left - dt.timedelta(days=1))
    values: dict[str, object] = {"swept_through": through}
    if look.why:
        values["looked_back_at"] = rule.now
    SweepMark.objects.update_or_create(target=target, table=rule.layout.table.name, defaults=values)
