"""The asking of all targets at once. One that hangs holds up neither the others nor the end of the
process.
"""

from __future__ import annotations

import functools
import platform
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from dbcore.connecting.found import Found, Trouble
from dbcore.connecting.targets import Target, targets
from dbcore.connecting.words import explain, late
from dbcore.monitoring.deadlines import in_time
from dbcore.monitoring.health.machine import SKEW_CRITICAL, SKEW_WARNING
from dbcore.monitoring.health.results import Status
from dbcore.monitoring.switch import unmeasured

OWN_SHARE = 0.9  # of the time is for a target's own steps, so that it can say how they ended


def names() -> list[str]:
    """What may be asked for by name: each target, and each family of them."""
    all_of_them = list(targets())
    return list(
        dict.fromkeys(name for target in all_of_them for name in (target.family, target.name))
    )


def connect(seconds: float, only: Collection[str] = ()) -> list[Found]:
    """What is found of each target (those named, or all), in their order, and of this machine's
    clock. One that has not answered within so many seconds is critical."""
    chosen = [each for each in targets() if not only or {each.name, each.family} & set(only)]
    until = time.monotonic() + seconds * OWN_SHARE
    found: dict[str, Found] = {}
    calls: dict[str, Callable[[], None]] = {}
    for target in chosen:
        each = found[target.name] = Found(target.name, until)
        if target.missing or (target.unused and not only):
            _leave_out(each, target, asked_for=bool(only))
        else:
            calls[target.name] = functools.partial(_ask, target, each)
    # By names that no health check has: one of the same name that hangs would be taken for it.
    answers = in_time({f"connect {name}": call for name, call in calls.items()}, seconds)
    for name, answer in zip(calls, answers.values(), strict=True):
        if isinstance(answer, BaseException):
            found[name] = _late(found[name], seconds)
    return [*found.values(), _clock([each for each in found.values() if each.skew is not None])]


def _leave_out(found: Found, target: Target, *, asked_for: bool) -> None:
    found.unused = f"not configured: {target.missing}"
    if not target.missing:
        found.unused = f"not in use: {target.unused} (--only {target.family} asks it)"
    if asked_for:
        found.warn(f"it is {found.unused}", "set it, or do not ask for it")


def _ask(target: Target, found: Found) -> None:
    began = time.monotonic()
    with unmeasured():
        try:
            target.ask(found)
        except Exception as error:
            found.add(explain(error, found))
    found.seconds = time.monotonic() - began


def _late(found: Found, seconds: float) -> Found:
    """What was found until then. The asking goes on in its thread, which is left behind."""
    kept = replace(found, facts=dict(found.facts), troubles=list(found.troubles), seconds=seconds)
    kept.add(late(kept))
    return kept


def _clock(told: Sequence[Found]) -> Found:
    """This machine's clock, by those who told the time."""
    found = Found("clock", time.monotonic())
    if not told:
        found.unused = "not known: nobody who was asked told the time"
        return found
    skews = {each.name: each.skew or 0.0 for each in told}
    worst = max(skews, key=lambda name: abs(skews[name]))
    found.facts["machine"] = platform.node()
    if abs(skews[worst]) <= SKEW_WARNING:
        found.answer = f"as that of {', '.join(skews)}"
        return found
    agree = [name for name, skew in skews.items() if abs(skew) <= SKEW_WARNING]
    way = "ahead of" if skews[worst] > 0 else "behind"
    what = f"this machine's clock is {abs(skews[worst]):,.0f} seconds {way} that of {worst}"
    if agree:
        what += f" (but as that of {', '.join(agree)})"
    advice = "switch on NTP on this machine (on AWS its server is 169.254.169.123)"
    is_critical = abs(skews[worst]) > SKEW_CRITICAL
    if is_critical:
        advice += ": AWS refuses what is signed five minutes off"
    found.add(Trouble(what, advice, Status.CRITICAL if is_critical else Status.WARNING))
    return found
