"""Several calls at once, of which a slow or failing one must not hold up the others."""

from __future__ import annotations

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
