"""Tells the application's own audit trail who did what to the records, why, and how it ended.

An act is written down before its first effect and again with its outcome: what could not be written
down before is not done, and one that was killed stands there as begun without an end, under one id.
To write afterwards alone would leave acts that nobody knows of; before alone, acts that nobody
knows the end of. Nothing here may undo an act, or call it undone, because its end could not be
written down: running the same command again does so, since each of them may be repeated.

`who` is what somebody says of themselves. Beside it always stands the account that does it, as the
operating system has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from dbcore.models import new_run_id
from dbcore.operators import operator
from dbcore.retention.erased import known_as
from dbcore.retention.errors import RetentionError
from dbcore.retention.logged import AUDIT_ENDLESS, AUDIT_MISSING

BEGUN, ENDED = "begun", "ended"
UNKNOWN, SUCCESS, PARTIAL, FAILURE = "unknown", "success", "partial", "failure"

Event = Mapping[str, Any]
_told: ContextVar[list[str] | None] = ContextVar("dbcore_told", default=None)


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
    kind: str = "data_protection"


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


@contextmanager
def noted(act: Act) -> Iterator[None]:
    """The same for work that must go on without the audit trail: what could not be written there is
    an error in the log."""
    _note(act, BEGUN, UNKNOWN, act.details)
    try:
        yield
    except BaseException as error:
        _note_end(act, error)
        raise
    _note_end(act)


@contextmanager
def accounted(act: Act) -> Iterator[None]:
    """One entry of work that has told of none when it is over: a dry run, a list, what was refused.
    As for `noted`, it goes on without the audit trail."""
    told: list[str] = []
    before = _told.set(told)
    try:
        yield
    except BaseException as error:
        if not told:
            _note_end(act, error)
        raise
    finally:
        _told.reset(before)
    if not told:
        _note_end(act)


def _note_end(act: Act, error: BaseException | None = None) -> None:
    if error is None or (isinstance(error, SystemExit) and not error.code):
        _note(act, ENDED, SUCCESS, act.details)
    elif isinstance(error, SystemExit):
        _note(act, ENDED, PARTIAL, {**act.details, "exit_status": str(error.code)})
    else:
        _note(act, ENDED, FAILURE, {**act.details, "error": type(error).__name__})


def _note(act: Act, phase: str, outcome: str, details: Mapping[str, Any]) -> None:
    try:
        _tell(act, phase, outcome, details)
    except Exception as error:
        AUDIT_MISSING.log(act=act.id, action=act.action, phase=phase, error=error)


def _tell_failure(act: Act, details: Mapping[str, Any]) -> None:
    """Write down that an act failed; its own error comes before the audit trail's."""
    try:
        _tell(act, ENDED, FAILURE, details)
    except Exception as error:
        AUDIT_ENDLESS.log(act=act.id, error=error, traceback=error)


def _tell(act: Act, phase: str, outcome: str, details: Mapping[str, Any]) -> None:
    if not settings.DBCORE_AUDIT:
        return
    if (told := _told.get()) is not None:
        told.append(act.id)  # whatever comes of it: whoever tells of it knows that themselves
    record: Callable[[Event], object] = import_string(settings.DBCORE_AUDIT)
    by = operator()
    record(
        {
            "act": act.id,
            "kind": act.kind,
            "phase": phase,
            "outcome": outcome,
            "action": act.action,
            "resource": act.resource,
            "who": act.who,
            "why": act.why,
            "actor": str(by),
            "os_user": by.user,
            "host": by.host,
            # Asked each time: an erasure may come between an act's two entries.
            "user": None if act.user is None else known_as(act.user),
            "details": dict(details),
        }
    )
