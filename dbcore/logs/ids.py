"""Whose work a log line is about: a request's, or a run's. A line never has the id of another's.

Ids are in context variables, which tasks and asgiref's threads take over. Threads that are started
otherwise do not: `carrying` gives them the ids of whoever starts them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

import uuid6

T = TypeVar("T")


def _new_id() -> str:
    return str(uuid6.uuid7())  # sortable by its start


@dataclass(slots=True, eq=False)
class _Work:
    """What a command or a run does. `is_free`: no record of a run has its id yet."""

    name: str = ""
    id: str = field(default_factory=_new_id)
    is_free: bool = False
    is_quiet: bool = False


_request: ContextVar[str] = ContextVar("dbcore_request_id", default="")
_work: ContextVar[_Work | None] = ContextVar("dbcore_work", default=None)
_process = _Work()  # of lines that are about nothing else


def ids() -> dict[str, str]:
    """The ids that a line of now carries: `request_id`, or `run_id` with the `run` it is of, or
    both where a request has started a run. Outside of both `run_id` is the process's own."""
    request, work = _request.get(), _work.get()
    found = {"request_id": request} if request else {}
    if work is None and request:
        return found
    work = work or _process
    if work.name:
        found["run"] = work.name
    return found | {"run_id": work.id}


def is_quiet() -> bool:
    """Whether the command that runs was asked to say no more than it must."""
    return (_work.get() or _process).is_quiet


def begin_request(request_id: str) -> None:
    """From here on this task or thread serves a request."""
    _request.set(request_id)


def end_request() -> None:
    """The request has been served."""
    _request.set("")


def this_process_is(command_name: str) -> None:
    """The process was started for one command: all its threads are about that."""
    global _process
    _process = _Work(command_name, is_free=True)


@contextmanager
def command(name: str, *, quiet: bool) -> Iterator[None]:
    """Lines from inside are about this command; `quiet`: it was asked to be."""
    if _process.name == name:
        _process.is_quiet = quiet
        yield
    else:
        with _about(_Work(name, is_free=True, is_quiet=quiet)):
            yield


@contextmanager
def run(name: str, run_id: str = "") -> Iterator[str]:
    """Lines from inside are about this run, whose id is yielded. Without an id of its own it is a
    part of the run or command around it, and has a new one where there is none."""
    around = _work.get() or _process
    if around.name and not run_id:
        yield around.id
        return
    with _about(_Work(name, run_id or _new_id(), is_quiet=around.is_quiet)) as found:
        yield found


def new_run_id() -> str:
    """An id for the record of a run: that of the command which does it, once; else a new one."""
    around = _work.get() or _process
    if not around.is_free:
        return _new_id()
    around.is_free = False
    return around.id


def carrying(call: Callable[[], T]) -> Callable[[], T]:
    """The call, which logs with the ids of now in whatever thread it is made."""
    request, work = _request.get(), _work.get()

    def carried() -> T:
        before = _request.set(request), _work.set(work)
        try:
            return call()
        finally:
            _request.reset(before[0])
            _work.reset(before[1])

    return carried


@contextmanager
def _about(work: _Work) -> Iterator[str]:
    before = _work.set(work)
    try:
        yield work.id
    finally:
        _work.reset(before)


def _after_fork() -> None:
    global _process
    _process = _Work(_process.name, is_quiet=_process.is_quiet)


os.register_at_fork(after_in_child=_after_fork)
