"""When a record is due under a table's policy as it is in force, and where it then goes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dbcore.errors import ConfigurationError
from dbcore.items import ItemLayout, layout_of
from dbcore.schema import storage_models
from dbcore.tables import Retention, Tier


@dataclass(frozen=True, slots=True)
class Rule:
    """One table's policy as it is in force, at one instant.

    `days` are those in force, which the settings may have changed from what the code declares;
    None for a table that has no policy and only expires. `now` may be given in any zone: due days
    are UTC's.
    """

    layout: ItemLayout
    days: int | None
    now: dt.datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "now", self.now.astimezone(dt.UTC))

    @property
    def policy(self) -> Retention | None:
        """The declared policy."""
        declared = self.layout.table.retention
        return declared if isinstance(declared, Retention) else None

    @property
    def archives(self) -> bool:
        """Whether a due record is archived before it is deleted."""
        return self.policy is not None and self.policy.tier is not Tier.HOT

    @property
    def expires(self) -> bool:
        """Whether the table's records expire by themselves."""
        return bool(self.layout.table.expires)

    @property
    def cutoff(self) -> dt.datetime | None:
        """A record whose latest sign of life is at or before this instant is due by the policy."""
        return None if self.days is None else days_before(self.now, self.days)

    @property
    def kept_by(self) -> ItemLayout | None:
        """The table whose record with the key in `while_kept` keeps this one: the users'."""
        if self.policy is None or self.policy.while_kept is None:
            return None
        found = users_layout()
        if found is None:
            raise ConfigurationError(
                f"{self.layout.table.name}: while_kept needs a table of users, whose key is its "
                "own owner"
            )
        return found

    def due_day(self, values: Mapping[str, Any]) -> dt.date:
        """The UTC day on which a record that is due came due."""
        instants = []
        expires = self.layout.expires_at(values)
        if expires is not None and expires <= self.now.timestamp():
            instants.append(dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(seconds=expires))
        if self.days is not None and self.is_due_by_policy(values):
            instants.append(self.last_sign(values) + dt.timedelta(days=self.days))
        return min(instants).astimezone(dt.UTC).date()

    def is_due(self, values: Mapping[str, Any]) -> bool:
        """Whether a record, by its fields, has expired or is due by the policy."""
        return self.has_expired(values) or self.is_due_by_policy(values)

    def has_expired(self, values: Mapping[str, Any]) -> bool:
        """Whether the record's own expiry has passed: no reader sees it any more."""
        return self.layout.has_expired(values, self.now)

    def has_ended(self, values: Mapping[str, Any]) -> bool:
        """Whether an end that the record itself was given (`expires_at`) has passed, which is no
        policy's doing."""
        ends = [values[each.field] for each in self.layout.table.expires if not each.days]
        return any(end is not None and end.replace(microsecond=0) <= self.now for end in ends)

    def is_due_by_policy(self, values: Mapping[str, Any]) -> bool:
        """Whether the policy makes the record due."""
        policy, cutoff = self.policy, self.cutoff
        if policy is None or cutoff is None:
            return False
        return self.last_sign(values) <= cutoff

    def last_sign(self, values: Mapping[str, Any]) -> dt.datetime:
        """The latest of the instants from which the policy counts.

        For a table without a policy: its earliest deadline's field.
        """
        policy = self.policy
        names = (
            policy.since if policy else [deadline.field for deadline in self.layout.table.expires]
        )
        latest: dt.datetime = max(values[name] for name in names if values[name] is not None)
        return latest


def days_before(instant: dt.datetime, days: int) -> dt.datetime:
    """So many days before an instant (UTC), or where the calendar begins."""
    try:
        return instant - dt.timedelta(days=days)
    except OverflowError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)


def users_layout() -> ItemLayout | None:
    """The table whose records are the users themselves."""
    for layout in map(layout_of, storage_models()):
        policy = layout.table.retention
        is_kept = isinstance(policy, Retention) and policy.while_kept is not None
        if layout.table.key_fields == (layout.table.owner,) and not is_kept:
            return layout
    return None
