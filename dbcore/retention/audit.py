"""Tells the application's own audit trail who did what to the records, why, and how it ended.

An act is written down before its first effect and again with its outcome: what could not be written
down before is not done, and one that was killed stands there as begun without an end, under one id.
To write afterwards alone would leave acts that nobody knows of; before alone, acts that nobody
knows the end of. Nothing here may undo an act, or call it undone, because its end could not be
written down: running the same command again does so, since each of them may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from dbcore.models import new_run_id
from dbcore.retention.erased import known_as
from dbcore.retention.errors import RetentionError
from dbcore.retention.logged import AUDIT_ENDLESS

BEGUN, ENDED = "begun", "ended"
UNKNOWN, SUCCESS, PARTIAL, FAILURE = "unknown", "success", "partial", "failure"

Event = Mapping[str, Any]


class AuditFailed(RetentionError):
    """The audit trail could not be written; the message says whether the act was done."""


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody is about to do.

    `resource` and `details` never name a user. `user` does, where the entry is to be about that
    user's data: then it is theirs, and their erasure clears it with the rest. Of one who was erased
    before, it has the pseudonym.
    """

    action: str
    resource: str
    who: str
    why: str
    user: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=new_run_id)


@dataclass(slots=True)
class Ending:
    """How an act ended, for who does it to say."""

    outcome: str = SUCCESS
    details: dict[str, Any] = field(default_factory=dict)


@contextmanager
def audited(act: Act) -> Iterator[Ending]:
    """Do an act between its two entries; AuditFailed before anything is done, or after all is."""
    try:
        _tell(act, BEGUN, UNKNOWN, act.details)
    except Exception as error:
        raise AuditFailed(
            f"nothing was done, since it cannot be written to the audit trail (DBCORE_AUDIT): "
            f"{error}"
        ) from error
    ending = Ending()
    try:
        yield ending
    except BaseException as error:
        # The class alone: a message may name a user.
        _tell_failure(act, {**act.details, **ending.details, "error": type(error).__name__})
        raise
    try:
        _tell(act, ENDED, ending.outcome, {**act.details, **ending.details})
    except Exception as error:
        raise AuditFailed(
            f"it was done ({ending.outcome}), but its end could not be written to the audit trail "
            f"(DBCORE_AUDIT): {error}. Run the same command again once that answers"
        ) from error


def _tell_failure(act: Act, details: Mapping[str, Any]) -> None:
    """Write down that an act failed; its own error comes before the audit trail's."""
    try:
        _tell(act, ENDED, FAILURE, details)
    except Exception as error:
        AUDIT_ENDLESS.log(act=act.id, error=error, traceback=error)


def _tell(act: Act, phase: str, outcome: str, details: Mapping[str, Any]) -> None:
    if not settings.DBCORE_AUDIT:
        return
    record: Callable[[Event], object] = import_string(settings.DBCORE_AUDIT)
    record(
        {
            "act": act.id,
            "phase": phase,
            "outcome": outcome,
            "action": act.action,
            "resource": act.resource,
            "who": act.who,
            "why": act.why,
            # Asked each time: an erasure may come between an act's two entries.
            "user": None if act.user is None else known_as(act.user),
            "details": dict(details),
        }
    )
