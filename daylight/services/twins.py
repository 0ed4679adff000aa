"""The async twin of a service's call: the same arguments, answer and errors, in a thread.

Where a store's connections belong to threads, its calls never leave the one that Django gives them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.conf import settings

from daylight.services.base import Service

Self = TypeVar("Self", bound=Service)
Given = ParamSpec("Given")
Answer = TypeVar("Answer")


def twin(
    call: Callable[Concatenate[Self, Given], Answer],
) -> Callable[Concatenate[Self, Given], Coroutine[None, None, Answer]]:
    """The async twin of a call, within its service's class: `aget_plan = twin(get_plan)`.

    Twins that are awaited together run at the same time where the primary store allows it, at most
    DYNAMODB_POOL_SIZE of them in a process; otherwise one after the other.
    """
    # Not Coroutine[Any, Any, …]: of that mypy makes Any where gather's overloads come in.
    in_turn = sync_to_async(call, thread_sensitive=True)

    @functools.wraps(call)
    async def asynchronous(service: Self, /, *args: Given.args, **given: Given.kwargs) -> Answer:
        if service.store.thread_bound:
            return await in_turn(service, *args, **given)
        pool = threads(settings.DYNAMODB_POOL_SIZE)
        together = sync_to_async(call, thread_sensitive=False, executor=pool)
        return await together(service, *args, **given)

    asynchronous.__name__ = f"a{call.__name__}"
    asynchronous.__doc__ = f"The async twin of {call.__name__}."
    return asynchronous


@functools.cache
def threads(size: int) -> ThreadPoolExecutor:
    """The process's threads for twins; forgotten, they end when they have done their work."""
    return ThreadPoolExecutor(max(size, 1), thread_name_prefix="daylight-twins")


def waiting() -> int:
    """How many twins are awaited that no thread has taken up yet."""
    return int(threads(settings.DYNAMODB_POOL_SIZE)._work_queue.qsize())


def end_threads() -> None:
    """Let the threads end; a twin that is awaited later has new ones."""
    threads.cache_clear()


os.register_at_fork(after_in_child=end_threads)  # threads stay behind in the parent
