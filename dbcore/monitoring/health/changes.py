"""A check's change is logged once, by each process that looks again and again; not each look."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from logging import ERROR, INFO, WARNING

from dbcore.logs import Event
from dbcore.monitoring.health.results import CheckResult, Status
from dbcore.stores.forks import renew_after_fork

CHANGED = Event(
    "dbcore.monitoring.health", (INFO, WARNING, ERROR), "health changed",
    ("check", "status", "previous", "sentence"),
    "a health check says otherwise than when this process asked it last: critical (error), warning "
    "or healthy (info); what is healthy at the first look is not told",
)  # fmt: skip
_LEVELS = {Status.HEALTHY: INFO, Status.WARNING: WARNING, Status.CRITICAL: ERROR}


class Changes:
    """What the checks said last. Thread-safe."""

    def __init__(self) -> None:
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Nothing has been seen."""
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str], Status] = {}

    def noted(self, results: list[CheckResult]) -> list[CheckResult]:
        """The same results, the changes among which have been logged."""
        for result, before in self._changed(results):
            CHANGED.log(
                level=_LEVELS[result.status], check=result.name, status=result.status.value,
                previous=None if before is None else before.value, sentence=result.sentence,
            )  # fmt: skip
        return results

    def _changed(self, results: Sequence[CheckResult]) -> list[tuple[CheckResult, Status | None]]:
        found = []
        with self._lock:
            for each in results:
                if not each.is_known:
                    continue
                before = self._last.get((each.name, each.host))
                self._last[each.name, each.host] = each.status
                if each.status is not (before or Status.HEALTHY):
                    found.append((each, before))
        return found


CHANGES = Changes()  # of this process
