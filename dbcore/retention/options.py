"""What a sweep is asked to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass


def nobody(question: str) -> bool:
    """The answer where nobody can be asked: no."""
    return False


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """The options of `enforce_retention`; see its --help."""

    tables: tuple[str, ...] = ()  # none: all
    store: str | None = None  # orm or dynamodb; None: the primary
    dry_run: bool = False
    max_records: int | None = None  # deleted in this sweep, at most
    accept_policy_change: bool = False
    accept_large_sweep: bool = False
    look_back: int | None = None  # days; None: as far as is needed
    if_free: bool = False  # where another is at work: skipped, which is no failure
    as_of: dt.datetime | None = None  # None: now, if this machine's clock can be right
    who: str = ""  # who runs it, for the book of policies
    ask: Callable[[str], bool] = nobody

    def described(self) -> dict[str, object]:
        """The options, for the record of the sweep."""
        return {
            name: getattr(self, name)
            for name in (
                "store", "max_records", "accept_policy_change", "accept_large_sweep", "look_back",
            )
        } | {"tables": list(self.tables)}  # fmt: skip
