"""The start of a process that serves: in a thread, tried again until it succeeds. Requests that
come before are answered with 503.

However a start fails, and for however long, the process stays and says so: it must not end.
"""

from __future__ import annotations

import atexit
import itertools
import math
import os
import platform
import random
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from inspect import iscoroutinefunction
from logging import ERROR, INFO
from typing import cast

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils import timezone
from django.utils.decorators import sync_and_async_middleware

from dbcore.logs import Event
from dbcore.monitoring.configured import log_notices
from dbcore.monitoring.health.results import CheckResult, Status
from dbcore.monitoring.health.verdicts import in_words
from dbcore.stores.forks import leave

LOGGER = "dbcore.monitoring.starting"
NOT_STARTED = Event(
    LOGGER, (ERROR,), "the start has failed", ("error", "sentence"),
    "a process that serves cannot serve yet: its requests are answered with 503, and it is tried "
    "again; told once for each reason",
)  # fmt: skip
STARTED = Event(
    LOGGER, (INFO,), "started", ("duration", "count"),
    "a process can serve; `count`: so many times it was tried",
)  # fmt: skip
IMPORT_SECONDS = 3.0  # for which a server's import waits: mostly the first request finds all ready
FORK_SECONDS = 1.0  # for which a fork waits for a try to end
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds between two tries
MAX_TOLD = 100  # different reasons
# Pages that answer without a database, by the names of their URLs.
OPEN = frozenset({"monitoring:live", "monitoring:ready", "monitoring:metrics"})

Answer = HttpResponseBase


class Starting:
    """The start of this process. One that has none to wait for is never `waiting`."""

    def __init__(self) -> None:
        self.waiting = False
        self.reason = ""  # why it is still waiting; "" while the first try runs
        self.pause = FIRST_PAUSE
        self._initialize: Callable[[], object] = lambda: None
        self._renew()

    def _renew(self) -> None:
        self.trying = threading.Lock()  # held while a try runs: a fork waits for it
        self._fork = threading.local()
        self._tried = threading.Event()  # once, however it went
        self._end = threading.Event()
        self._told: set[str] = set()
        self._connections: Sequence[BaseDatabaseWrapper] = ()

    def begin(self, initialize: Callable[[], object], seconds: float) -> None:
        """Start, and wait for it as long as this, or until it has failed once."""
        self._initialize, self.waiting = initialize, True
        self._tried.clear()
        self._run()
        self._tried.wait(seconds)

    def _run(self) -> None:
        threading.Thread(target=self._try_until_done, name="dbcore-start", daemon=True).start()

    def _try_until_done(self) -> None:
        began, self.pause = time.monotonic(), FIRST_PAUSE
        for count in itertools.count(1):
            if self._try():
                STARTED.log(duration=time.monotonic() - began, count=count)
                return
            # Many processes that wait for one database do not all ask at once.
            if self._end.wait(self.pause * random.uniform(0.75, 1.0)):
                return
            self.pause = min(self.pause * 2, LONGEST_PAUSE)

    def _try(self) -> bool:
        with self.trying:
            try:
                self._initialize_here()
            except BaseException as error:
                self._failed(error)
            else:
                self.waiting, self.reason = False, ""
        self._tried.set()
        return not self.waiting

    def _initialize_here(self) -> None:
        """In a thread that leaves no connection open."""
        # A child that is forked meanwhile must not close them: it is to find them here.
        self._connections = connections.all()
        try:
            self._initialize()
        finally:
            connections.close_all()
            self._connections = ()

    def _failed(self, error: BaseException) -> None:
        self.reason = in_words(error)
        if self._end.is_set() or self.reason in self._told or len(self._told) >= MAX_TOLD:
            return
        self._told.add(self.reason)
        NOT_STARTED.log(error=error, sentence=self.reason)

    def stop(self) -> None:
        """The process ends: what fails from now on fails for that."""
        self._end.set()

    def result(self) -> CheckResult:
        """The start as a health check that is critical."""
        sentence = f"not started: {self.reason or 'the start is under way'}"
        return CheckResult("start", Status.CRITICAL, sentence, 0.0, timezone.now(), platform.node())

    # --- Forks ------------------------------------------------------------------------------------
    def before_fork(self) -> None:
        """Let a try come to its end, if that is soon: a child may be born with a lock of the
        database's library held by nobody."""
        # Of this thread: two may fork at once.
        self._fork.held = self.waiting and self.trying.acquire(timeout=FORK_SECONDS)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._fork.held:
            self.trying.release()

    def after_fork_in_child(self) -> None:
        """What the parent has done is done; what it was doing is begun anew."""
        for each in self._connections:
            leave(each)
        self._renew()
        if self.waiting:
            self._run()


STARTING = Starting()  # of this process


def begin(initialize: Callable[[], object], seconds: float = IMPORT_SECONDS) -> None:
    """Have this process serve once `initialize` has succeeded: the last line of wsgi.py and
    asgi.py. It may raise anything, and is tried again; `until_started` answers meanwhile."""
    log_notices()
    STARTING.begin(initialize, seconds)


# --- What is answered meanwhile -------------------------------------------------------------------
@sync_and_async_middleware
def until_started(
    get_response: Callable[[HttpRequest], Answer | Awaitable[Answer]],
) -> Callable[[HttpRequest], Answer | Awaitable[Answer]]:
    """Answer requests with 503 until this process has started; probes and /metrics as ever."""
    if iscoroutinefunction(get_response):

        async def serve_async(request: HttpRequest) -> Answer:
            if STARTING.waiting and not _is_open(request):
                return _not_yet()
            return await cast("Awaitable[Answer]", get_response(request))

        return serve_async

    def serve(request: HttpRequest) -> Answer:
        if STARTING.waiting and not _is_open(request):
            return _not_yet()
        return cast("Answer", get_response(request))

    return serve


def _is_open(request: HttpRequest) -> bool:
    try:
        return resolve(request.path_info).view_name in OPEN
    except Resolver404:
        return False


def _not_yet() -> Answer:
    seconds = math.ceil(STARTING.pause)
    answer = HttpResponse(
        "This service is starting: what it keeps its data in is not ready yet. "
        f"Try again in {seconds} seconds.\n",
        status=503,
        content_type="text/plain; charset=utf-8",
        headers={"Retry-After": str(seconds), "Cache-Control": "no-store"},
    )
    answer["Content-Length"] = str(len(answer.content))
    # Else Django would log each one as an error: why it is so has been told.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer


atexit.register(STARTING.stop)
os.register_at_fork(
    before=STARTING.before_fork,
    after_in_parent=STARTING.after_fork_in_parent,
    after_in_child=STARTING.after_fork_in_child,
)
