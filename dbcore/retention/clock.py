"""Whether this machine's clock can be right: one that is far ahead makes everything due at once.

The books of sweeps are asked, in which only clocks that were found right are written, and people's
own dates. Records are asked for a first sweep alone: a wrong clock may have written them, too.
"""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Sequence

from dbcore.models import Sweep
from dbcore.retention.errors import RetentionError
from dbcore.retention.keepers.interface import Keeper, Window
from dbcore.retention.rules import Rule

LEAP = dt.timedelta(days=7)  # by which a clock may be ahead of the last sign of life, unasked


class ClockDoubted(RetentionError):
    """This machine's clock is far ahead of whatever else tells the time."""

    names_records = False


def doubt(now: dt.datetime, keeper: Keeper, rules: Sequence[Rule]) -> str:
    """Why `now`, which is this machine's, may be wrong; "" where nothing speaks against it.

    `rules` are those of all tables. Costs a look into the books; of a first sweep a few queries a
    table besides.
    """
    # One of a day to come was let through by mistake: it must not vouch for the way there.
    sweeps = Sweep.objects.filter(as_of__lte=now).order_by("-as_of")
    last = sweeps.values_list("as_of", flat=True).first()
    if last is not None:
        found = "" if now - last <= LEAP else f"{(now - last).days} days after the last sweep"
    elif _has_life(keeper, rules, Window((now - LEAP).date(), now.date())):
        found = ""
    else:
        found = f"more than {LEAP.days} days after the newest record"
    return found and f"the clock of {platform.node()} says {now:%Y-%m-%d %H:%M} UTC, {found}"


def advice(now: dt.datetime) -> str:
    """What whoever reads of the doubt is to do."""
    return (
        "nothing was touched. Is the clock wrong, mend the time service (`timedatectl`); is it "
        f"right, run once with --as-of {now:%Y-%m-%dT%H:%MZ}"
    )


def _has_life(keeper: Keeper, rules: Sequence[Rule], window: Window) -> bool:
    """Whether a record has a sign of life in the window, or there is none at all to be lost.

    Of tables that are archived: commands write metrics, by the very clock that is in doubt.
    """
    archived = [rule for rule in rules if rule.archives]
    return any(keeper.lives(rule, window) for rule in archived) or not any(
        keeper.has_more_than(rule.layout, 0) for rule in rules
    )
