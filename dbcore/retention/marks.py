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
MARGIN_DAYS = 2


@dataclass(frozen=True, slots=True)
class Look:
    """The due days that a sweep looks at, and why it looks further back than its mark, if so.

    `full`: all the way back. `joins`: back to the mark at least, so that the mark may move.
    """

    window: Window
    why: str = ""
    full: bool = False
    joins: bool = True


def look_for(rule: Rule, target: str, late: int, look_back: int | None) -> Look:
    """Where a sweep of the table must look.

    `late`: days by which stored due days may be late. `look_back`: days to look back whatever the
    mark says.
    """
    today = rule.now.date()
    last = today + dt.timedelta(days=late)
    furthest = _back(today, settings.RETENTION_LOOKBACK_DAYS)
    mark = SweepMark.objects.filter(target=target, table=rule.layout.table.name).first()
    if look_back is not None:
        first = _back(today, look_back)
        full = first <= furthest
        return Look(
            Window(first, last), f"as asked, {look_back} days", full, full or _joins(first, mark)
        )
    why = _why_all(mark, rule.now)
    if why or mark is None or mark.swept_through is None:
        why = why or "its last sweep left something due behind"
        return Look(Window(furthest, last), why, full=True)
    since = _back(min(today, mark.swept_through), MARGIN_DAYS)
    return Look(Window(max(furthest, since), last))


def _joins(first: dt.date, mark: SweepMark | None) -> bool:
    return mark is not None and mark.swept_through is not None and first <= mark.swept_through


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
    left. What was asked to look less far back than the mark proves nothing of the days between."""
    if not look.joins:
        return
    through = _back(rule.now.date(), 1)  # more may come due today
    if oldest_left is not None:
        through = min(through, _back(oldest_left, 1))
    values: dict[str, object] = {"swept_through": through}
    if look.full:
        values["looked_back_at"] = rule.now
    SweepMark.objects.update_or_create(target=target, table=rule.layout.table.name, defaults=values)
