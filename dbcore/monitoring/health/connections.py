"""Are the pools of connections nearly used up, here or in a process that reported its own?"""

from __future__ import annotations

import functools

from django.conf import settings

from dbcore.monitoring.deadlines import in_time
from dbcore.monitoring.health.results import Status
from dbcore.monitoring.health.verdicts import Context, Verdict, critical, warning
from dbcore.monitoring.history import recent_pools
from dbcore.monitoring.pools import PoolUse

MINUTES = 5  # of reports
_PATIENCE = 0.6  # share of the time that is left: without reports the own pools can be told


def pool(context: Context) -> Verdict:
    """Use of this process's pools now, and the peaks that all processes reported lately."""
    seen = [("this process", use) for use in context.pools]
    read = functools.partial(recent_pools, MINUTES, context.now)
    reported = in_time({"reports": read}, context.left * _PATIENCE)["reports"]
    note = ""
    is_known = not isinstance(reported, BaseException)
    if isinstance(reported, BaseException):
        note = "; what other processes reported cannot be read"
    else:
        for each in reported:
            peak = each.peak
            use = PoolUse(peak.name, peak.used, 0, peak.pending, peak.limit)
            seen.append((each.source, use))
    if not seen:
        return Verdict(Status.HEALTHY, f"no pool is in use{note}", is_known=is_known)
    source, fullest = max(seen, key=lambda pair: (pair[1].share, pair[1].pending))
    said = f"{source} uses {fullest.used} of {fullest.limit} connections of {fullest.name}{note}"
    if fullest.share >= 1 and fullest.pending:
        return critical(
            f"{said}, and {fullest.pending} calls wait: is the store slow, or the pool too small?"
        )
    if fullest.share > settings.DB_CONN_THRESHOLD:
        return warning(
            f"{said}, over the {settings.DB_CONN_THRESHOLD:.0%} of DB_CONN_THRESHOLD: is the store "
            "slow, or the pool too small?"
        )
    # A full pool may be another process's: that this one's has room does not say that it is over.
    return Verdict(Status.HEALTHY, said, is_known=is_known)
