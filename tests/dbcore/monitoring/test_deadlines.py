"""Several calls at once, of which a slow or failing one must not hold up the others."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

from dbcore.monitoring.deadlines import as_answered, in_time


def test_each_call_gives_its_answer_or_its_error_in_the_order_asked() -> None:
    error = ValueError("broken")

    def fail() -> int:
        raise error

    calls: dict[str, Callable[[], int]] = {"b": lambda: 2, "broken": fail, "a": lambda: 1}
    found = in_time(calls, 30)
    assert list(found.items()) == [("b", 2), ("broken", error), ("a", 1)]
    assert in_time({}, 30) == {}


def test_one_that_is_late_is_a_timeout_and_the_others_are_not() -> None:
    done = threading.Event()
    found = in_time({"slow": lambda: done.wait(60), "quick": lambda: True}, 0.5)
    done.set()
    assert found["quick"] is True
    assert isinstance(found["slow"], TimeoutError)


def test_an_answer_is_given_as_soon_as_it_is_there() -> None:
    done = threading.Event()
    answers = as_answered({"slow": lambda: done.wait(60), "quick": lambda: True}, 60)
    assert next(answers) == ("quick", True)
    done.set()
    assert next(answers) == ("slow", True)


def test_what_hangs_is_not_started_again_and_again_until_it_has_ended() -> None:
    done = threading.Event()
    started: list[threading.Thread] = []

    def hangs() -> bool:
        started.append(threading.current_thread())
        return done.wait(60)

    calls = {"hanging": hangs, "well": lambda: True}
    for _ in range(3):
        found = in_time(calls, 0.1)
        assert isinstance(found["hanging"], TimeoutError) and found["well"] is True
    assert len(started) == 1
    assert "has not answered since" in str(found["hanging"])
    done.set()
    started[0].join(60)
    assert in_time(calls, 60) == {"hanging": True, "well": True}
    assert len(started) == 2


def test_two_at_once_that_are_not_late_are_both_asked() -> None:
    together = threading.Barrier(2)
    ask = functools.partial(in_time, {"page": lambda: together.wait(60) >= 0}, 60)
    answers: list[object] = []
    both = [threading.Thread(target=lambda: answers.append(ask())) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join(60)
    assert answers == [{"page": True}] * 2
