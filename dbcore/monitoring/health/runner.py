"""Asks the checks, all at once. Whatever a check does, it neither raises here nor holds up another,
nor the end of the process.
"""

from __future__ import annotations

import datetime as dt
import functools
import platform
import time
from collections.abc import Sequence
from logging import INFO

from django.conf import settings

from dbcore.logs import Event
from dbcore.monitoring.alerts.plain import presentable
from dbcore.monitoring.deadlines import in_time
from dbcore.monitoring.health.archives import archives
from dbcore.monitoring.health.books import last_migration, last_sweep
from dbcore.monitoring.health.channels import alert_channels
from dbcore.monitoring.health.connections import pool
from dbcore.monitoring.health.files import files
from dbcore.monitoring.health.machine import clock, disk
from dbcore.monitoring.health.protections import expiry_and_backups
from dbcore.monitoring.health.results import HOST_BOUND, CheckResult, Status
from dbcore.monitoring.health.stores import primary_store, replicas
from dbcore.monitoring.health.tables import indexes, tables
from dbcore.monitoring.health.verdicts import Check, Context, critical, in_words
from dbcore.monitoring.pools import PoolUse, pools
from dbcore.monitoring.switch import unmeasured

NO_POOLS = Event(
    "dbcore.monitoring.health", (INFO,), "pools could not be looked at", ("error",),
    "the check `pool` knows nothing of the pools for now",
)  # fmt: skip
OWN_SHARE = 0.8  # of the deadline is for a check's own calls, so that it can say how they ended
# By name, which is that of its page in docs/runbooks.
CHECKS: dict[str, Check] = {
    "primary_store": primary_store,
    "replicas": replicas,
    "tables": tables,
    "indexes": indexes,
    "expiry_and_backups": expiry_and_backups,
    "pool": pool,
    "archives": archives,
    "last_sweep": last_sweep,
    "last_migration": last_migration,
    "disk": disk,
    "files": files,
    "clock": clock,
    "alert_channels": alert_channels,
}


def run_checks(names: Sequence[str] | None = None, *, now: dt.datetime) -> list[CheckResult]:
    """What each check says (those named, or all), in the order of CHECKS. One that has not answered
    within DB_HEALTH_DEADLINE is critical."""
    deadline = settings.DB_HEALTH_DEADLINE
    wanted = [name for name in CHECKS if names is None or name in names]
    until = time.monotonic() + deadline * OWN_SHARE
    context = Context(now, until, _pools() if "pool" in wanted else ())
    asked = {name: functools.partial(_ask, name, context) for name in wanted}
    answers = in_time(asked, deadline)
    return [
        answer if isinstance(answer, CheckResult) else _failed(name, answer, now)
        for name, answer in answers.items()
    ]


def _ask(name: str, context: Context) -> CheckResult:
    began = time.monotonic()
    with unmeasured():
        try:
            verdict = CHECKS[name](context)
        except Exception as error:
            verdict = critical(in_words(error))
    seconds = time.monotonic() - began
    host = verdict.host or _host(name)
    # It goes to logs, pages and messages, whatever a check has put into it.
    sentence = presentable(verdict.sentence, None)
    return CheckResult(name, verdict.status, sentence, seconds, context.now, host,
                       verdict.is_known)  # fmt: skip


def _failed(name: str, error: BaseException, now: dt.datetime) -> CheckResult:
    """Of a check that said nothing at all."""
    deadline = settings.DB_HEALTH_DEADLINE
    said = f"the check failed: {type(error).__name__}"
    if isinstance(error, TimeoutError):
        said = f"did not answer within {deadline:g} s"
    return CheckResult(name, Status.CRITICAL, said, deadline, now, _host(name))


def _host(name: str) -> str:
    """Of a check that could not say itself whom it is about: an alert that begins with how it
    failed must be the one that ends when it is well."""
    return platform.node() if name in HOST_BOUND else ""


def _pools() -> Sequence[PoolUse]:
    try:
        return pools()
    except Exception as error:
        NO_POOLS.log(error=error)
        return ()
