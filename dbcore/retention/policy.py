"""Each table's policy as it is in force: what the code declares, and what the settings change.

A policy is never shortened by a slip: fewer days than were last in force need to be accepted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from django.conf import settings
from django.utils import timezone

from dbcore.errors import ConfigurationError
from dbcore.items import ItemLayout, layout_of
from dbcore.models import AcceptedPolicy
from dbcore.retention.errors import RetentionError
from dbcore.retention.rules import Rule
from dbcore.schema import storage_models
from dbcore.tables import Retention, Tier

MAX_DAYS = 36_500  # a hundred years: more is a slip, and soon beyond the calendar


class PolicyShortened(RetentionError):
    """A policy has fewer days than were last in force, and nobody has accepted that."""


def rules(now: dt.datetime, tables: Collection[str] = ()) -> list[Rule]:
    """The rules of all tables that are ever swept, or of some; a table comes after the one that
    keeps its records.

    ConfigurationError for RETENTION_DAYS that make no sense, RetentionError for unknown `tables`.
    """
    layouts = {layout.table.name: layout for layout in map(layout_of, storage_models())}
    days = _overrides(layouts)
    unknown = set(tables) - layouts.keys()
    if unknown:
        raise RetentionError(
            f"there is no table {', '.join(sorted(unknown))}; there are {', '.join(layouts)}"
        )
    chosen = [layout for name, layout in layouts.items() if not tables or name in tables]
    chosen.sort(key=_is_kept)
    return [
        Rule(layout, days.get(layout.table.name, declared_days(layout)), now)
        for layout in chosen
        if is_swept(layout)
    ]


def is_swept(layout: ItemLayout) -> bool:
    """Whether a table's records ever come due: they have a policy, or expire."""
    return isinstance(layout.table.retention, Retention) or bool(layout.table.expires)


def declared_days(layout: ItemLayout) -> int | None:
    """The days that the code declares; None without a policy."""
    policy = layout.table.retention
    return policy.days if isinstance(policy, Retention) else None


def _is_kept(layout: ItemLayout) -> bool:
    policy = layout.table.retention
    return isinstance(policy, Retention) and policy.while_kept is not None


def overridden_days() -> dict[str, int]:
    """RETENTION_DAYS, checked against the tables that there are. Raises ConfigurationError."""
    return _overrides({layout.table.name: layout for layout in map(layout_of, storage_models())})


def _overrides(layouts: dict[str, ItemLayout]) -> dict[str, int]:
    """RETENTION_DAYS, checked."""
    found: dict[str, int] = {}
    for name, text in settings.RETENTION_DAYS.items():
        where = f"RETENTION_DAYS: {name}={text}"
        if name not in layouts:
            raise ConfigurationError(
                f"{where}: there is no such table; there are {', '.join(sorted(layouts))}"
            )
        policy = layouts[name].table.retention
        if not isinstance(policy, Retention):
            raise ConfigurationError(f"{where}: the table has no policy ({policy.reason})")
        if policy.tier is Tier.HOT:
            raise ConfigurationError(
                f"{where}: its records carry their own expiry, which the code declares"
            )
        try:
            found[name] = int(text)
        except ValueError:
            raise ConfigurationError(f"{where}: not a number of days") from None
        if found[name] < 1:
            raise ConfigurationError(f"{where}: a policy keeps for at least one day")
        if found[name] > MAX_DAYS:
            raise ConfigurationError(f"{where}: a policy keeps for at most {MAX_DAYS:,} days")
    return found


def check_accepted(rule: Rule, *, accept: bool) -> None:
    """PolicyShortened if the rule has fewer days than were last in force, unless accepted."""
    if rule.days is None:
        return
    in_force = _in_force(rule)
    if rule.days < in_force and not accept:
        raise PolicyShortened(
            f"{rule.layout.table.name}: the policy is {rule.days} days now and was {in_force}. If "
            "that is meant, run once with --accept-policy-change; nothing of the table was touched"
        )


def late_days(rule: Rule) -> int:
    """By how many days stored due days may be late, since an earlier release declared more."""
    declared, row = declared_days(rule.layout), _row(rule)
    return 0 if declared is None or row is None else max(row.declared_days_max - declared, 0)


def note_declared(rule: Rule) -> None:
    """Book the most days that the code has declared, whether or not a sweep may go on: records have
    their due days by them. Those in force stay what they are."""
    declared = declared_days(rule.layout)
    if rule.days is None or declared is None:
        return
    row, _ = AcceptedPolicy.objects.get_or_create(
        table=rule.layout.table.name, defaults={"days": declared, "declared_days_max": declared}
    )
    if row.declared_days_max < declared:
        row.declared_days_max = declared
        row.save()


def accept(rule: Rule, by: str) -> None:
    """Book the rule's days as those in force."""
    row = _row(rule)
    if row is not None and rule.days is not None and row.days != rule.days:
        row.days = rule.days
        row.accepted_at, row.accepted_by = timezone.now(), by
        row.save()


def _row(rule: Rule) -> AcceptedPolicy | None:
    return AcceptedPolicy.objects.filter(table=rule.layout.table.name).first()


def _in_force(rule: Rule) -> int:
    row, declared = _row(rule), declared_days(rule.layout)
    assert declared is not None
    return declared if row is None else row.days
