"""Several things at once, none of which may take longer than a deadline.

What is late is left behind in a daemon thread: whatever it holds must be its own. Of a name under
which one was left behind no other is started before it has ended, so that what hangs for good costs
one thread and not one for each look.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from django.db import connections

from dbcore.logs import carrying

T = TypeVar("T")
GRACE = 0.05  # seconds for one that was late and is about to end
_left_behind: dict[str, threading.Thread] = {}  # by name, the last one that was late


def in_time(
    calls: Mapping[str, Callable[[], T]], seconds: float, *, all_end: bool = False
) -> dict[str, T | BaseException]:
    """What each call returned or raised, in their order; TimeoutError for one that is late, or
    whose namesake was and has not ended. `all_end`: they end by themselves soon after, and their
    names mean nothing to another."""
    found = dict(as_answered(calls, seconds, all_end=all_end))
    return {name: found[name] for name in calls}


def as_answered(
    calls: Mapping[str, Callable[[], T]], seconds: float, *, all_end: bool = False
) -> Iterator[tuple[str, T | BaseException]]:
    """As `in_time`, as it comes; those that are late at last."""
    answers: queue.SimpleQueue[tuple[str, T | BaseException]] = queue.SimpleQueue()
    threads: dict[str, threading.Thread] = {}
    for name, call in calls.items():
        if not all_end and _still_hangs(name):
            answers.put((name, TimeoutError("it was asked before and has not answered since")))
            continue
        asked = (name, carrying(call), answers)
        threads[name] = threading.Thread(
            target=_answer, args=asked, name=f"monitoring-{name}", daemon=True
        )
        threads[name].start()
    until = time.monotonic() + seconds
    late = set(calls)
    while late:
        try:
            name, answer = answers.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        late.discard(name)
        yield name, answer
    for name in sorted(late):
        if not all_end:
            _left_behind[name] = threads[name]
        yield name, TimeoutError(f"no answer within {seconds:g} seconds")


def _still_hangs(name: str) -> bool:
    thread = _left_behind.get(name)
    if thread is None:
        return False
    thread.join(GRACE)
    if thread.is_alive():
        return True
    _left_behind.pop(name, None)
    return False


def _answer(
    name: str,
    call: Callable[[], T],
    answers: queue.SimpleQueue[tuple[str, T | BaseException]],
) -> None:
    try:
        answers.put((name, call()))
    except Exception as error:
        answers.put((name, error))
    finally:
        connections.close_all()  # this thread's own
