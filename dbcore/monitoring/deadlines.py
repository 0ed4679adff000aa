"""Several things at once, none of which may take longer than a deadline.

What is late is left behind in a daemon thread: whatever it holds must be its own.
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


def in_time(calls: Mapping[str, Callable[[], T]], seconds: float) -> dict[str, T | BaseException]:
    """What each call returned or raised, in their order; TimeoutError for one that is late."""
    found = dict(as_answered(calls, seconds))
    return {name: found[name] for name in calls}


def as_answered(
    calls: Mapping[str, Callable[[], T]], seconds: float
) -> Iterator[tuple[str, T | BaseException]]:
    """What each call returned or raised, as it comes; at last TimeoutError for those that are
    late."""
    answers: queue.SimpleQueue[tuple[str, T | BaseException]] = queue.SimpleQueue()
    for name, call in calls.items():
        asked = (name, carrying(call), answers)
        threading.Thread(target=_answer, args=asked, name=f"monitoring-{name}", daemon=True).start()
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
        yield name, TimeoutError(f"no answer within {seconds:g} seconds")


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
