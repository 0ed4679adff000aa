"""The one development engine that all commands on a machine share (DYNAMODB_ENDPOINT=local).

Two engines must never run on one data file, and an engine must never be stopped while another
process uses it. Every user holds a shared lock on ``users.lock``; starting and stopping are
decided only by the holder of ``start.lock``. So the kernel counts the users, and one that is
killed leaves nothing behind but an engine that the next one finds, uses and stops.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dbcore.local_engine.engine import READY_TIMEOUT, LocalEngine
from dbcore.local_engine.errors import EngineError, EngineInUseError
from dbcore.local_engine.locks import FileLock
from dbcore.local_engine.logged import (
    FOUND,
    GONE,
    IN_MEMORY,
    NOT_STOPPED,
    REPLACED,
    STOPPED,
)
from dbcore.local_engine.probe import answers, answers_within
from dbcore.local_engine.process import STOP_TIMEOUT, end, runs
from dbcore.local_engine.state import EngineFiles, EngineState

# Longer than waiting for a dumb engine, ending it and starting another: who waits for a decision
# must not give up while it is being made.
DECISION_TIMEOUT = 2 * READY_TIMEOUT + 2 * STOP_TIMEOUT + 10.0

_threads = threading.RLock()
_engines: dict[Path, SharedEngine] = {}


@dataclass(frozen=True)
class EngineStatus:
    """The shared engine that runs now."""

    state: EngineState
    in_use: bool


class SharedEngine:
    """This process's part in the engine of one data file. Safe to call from any thread."""

    def __init__(
        self, data: Path | str, kind: str | None = None, port: int = 0, binary: str = ""
    ) -> None:
        self.files = EngineFiles(Path(data).resolve())
        self.kind = kind or "auto"
        self.port = port
        self.binary = binary
        self._users = FileLock(self.files.users_lock)
        self._start = FileLock(self.files.start_lock)
        self._endpoint = ""
        self._started: LocalEngine | None = None

    def acquire(
        self, *, kind: str | None = None, port: int | None = None, in_memory: bool = False
    ) -> str:
        """The URL of the shared engine, started when none runs; ours until ``release()``.

        What is given here goes before the settings; an engine that runs already and is
        another than that is an error.
        """
        with _threads:
            if self._users.held and answers(self._endpoint):
                return self._endpoint
            with self._start.exclusively(DECISION_TIMEOUT):
                self._users.try_lock(shared=True)
                try:
                    state = self._usable()
                    if state is None:
                        self._endpoint = self._start_engine(kind, port, in_memory=in_memory)
                    else:
                        _refuse_another(state, kind, port, in_memory=in_memory)
                        self._endpoint = self._join(state)
                except BaseException:
                    self._users.release()
                    raise
            return self._endpoint

    def release(self) -> None:
        """Ends our use of the engine; the last user's release stops it."""
        with _threads:
            if not self._users.held:
                return
            try:
                with self._start.exclusively(DECISION_TIMEOUT):
                    self._users.release()
                    self._stop_if_unused()
            finally:
                self._users.release()

    def status(self) -> EngineStatus | None:
        """The engine that runs, and whether anybody uses it; None when none runs."""
        with _threads, self._start.exclusively(DECISION_TIMEOUT):
            state = self._running()
            return EngineStatus(state, in_use=not self._nobody_uses_it()) if state else None

    def is_running(self) -> bool:
        """Whether the engine that we use still has its process."""
        state = EngineState.read(self.files.state)
        return bool(state and runs(state.pid, state.arguments))

    @property
    def keeps_data(self) -> bool:
        """Whether what is in the engine that runs is in a file, and there again after it."""
        state = EngineState.read(self.files.state)
        return state is None or state.db_path is not None

    def stop(self, *, force: bool = False) -> bool:
        """Stops the engine; False when none runs. Others' use of it stops us, unless forced."""
        with _threads, self._start.exclusively(DECISION_TIMEOUT):
            if self._running() is None:
                return False
            if not force and not self._nobody_uses_it():
                raise EngineInUseError(
                    "The local engine is in use by another command. End that command, or use "
                    "--force to stop the engine under it."
                )
            self._stop_engine()
            return True

    def reset(self) -> list[Path]:
        """Deletes the data file (and SQLite's files beside it) and returns what was deleted."""
        with _threads, self._start.exclusively(DECISION_TIMEOUT):
            state = self._running()
            if state is not None:
                raise EngineInUseError(
                    f"The local engine runs at {state.endpoint}: its data cannot be deleted. End "
                    "the commands that use it, or stop it with `manage.py local_dynamodb --stop`."
                )
            deleted = self.files.of_data()
            for path in deleted:
                path.unlink()
            return deleted

    def _start_engine(self, kind: str | None, port: int | None, *, in_memory: bool) -> str:
        if self._started is not None:
            self._started.stop()  # It has ended without us; this only clears it away.
            self._started = None
        engine = LocalEngine(
            kind=kind or self.kind,
            port=self.port if port is None else port,
            db_path=None if in_memory else self.files.data,
            log_path=self.files.log,
            binary=self.binary,
            on_spawn=self._write_down,
        )
        try:
            endpoint = engine.start()
        except BaseException:
            self.files.state.unlink(missing_ok=True)
            raise
        self._started = engine
        return endpoint

    def _write_down(self, engine: LocalEngine) -> None:
        """Notes the process before it is ready: if we die now, the next one still finds it."""
        endpoint = engine.endpoint
        EngineState(
            pid=engine.pid or 0,
            port=int(endpoint.rpartition(":")[2]),
            endpoint=endpoint,
            kind=engine.kind,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            arguments=" ".join(engine.arguments),
            db_path=str(engine.db_path) if engine.db_path else None,
        ).write(self.files.state)

    def _running(self) -> EngineState | None:
        """The engine that was noted, if that process is alive."""
        state = EngineState.read(self.files.state)
        if state is not None and runs(state.pid, state.arguments):
            return state
        if self.files.state.exists():
            GONE.log()
            self.files.state.unlink()
        return None

    def _usable(self) -> EngineState | None:
        """The running engine once it answers; one that does not is ended."""
        state = self._running()
        if state is None or answers_within(state.endpoint, READY_TIMEOUT):
            return state
        REPLACED.log(endpoint=state.endpoint, pid=state.pid)
        # Ended first: two engines would write one data file.
        self._stop_engine()
        return None

    def _join(self, state: EngineState) -> str:
        if state.kind == "moto":
            IN_MEMORY.log()
        FOUND.log(kind=state.kind, endpoint=state.endpoint)
        return state.endpoint

    def _nobody_uses_it(self) -> bool:
        """Asked by the holder of start.lock, so nobody can begin to use it after the answer."""
        look = FileLock(self.files.users_lock)
        try:
            return look.try_lock()
        finally:
            look.release()

    def _stop_if_unused(self) -> None:
        started, noted = self._started, EngineState.read(self.files.state)
        if self._nobody_uses_it():
            self._stop_engine()
        elif started is not None and (noted is None or noted.pid != started.pid):
            # It was replaced, or its note was deleted: nobody but us knows of it.
            started.stop()
        elif started is not None:
            started.detach()
        self._started = None

    def _stop_engine(self) -> None:
        if self._started is not None:
            self._started.stop()
            self._started = None
        state = self._running()
        if state is not None and not end(state.pid, state.arguments, STOP_TIMEOUT):
            raise EngineError(
                f"The local engine at {state.endpoint} (process {state.pid}) does not end, even "
                "when it is killed. End it by hand before you go on."
            )
        if state is not None:
            STOPPED.log(kind=state.kind, endpoint=state.endpoint)
        self.files.state.unlink(missing_ok=True)


def _refuse_another(
    state: EngineState, kind: str | None, port: int | None, *, in_memory: bool
) -> None:
    """An error when the running engine is not what was asked for."""
    fits = (
        kind in {None, "auto", state.kind}
        and port in {None, 0, state.port}
        and not (in_memory and state.db_path)
    )
    if not fits:
        raise EngineInUseError(
            f"Another local engine runs already: {state.kind} at {state.endpoint}, data in "
            f"{state.db_path or 'memory'}. Use that one, or stop it first: "
            "`manage.py local_dynamodb --stop`."
        )


def shared_engine() -> SharedEngine:
    """The shared engine of this project's settings."""
    from django.conf import settings  # Here: LocalEngine has to work without Django.

    data = Path(settings.LOCAL_DYNAMODB_PATH).resolve()
    with _threads:
        if data not in _engines:
            _engines[data] = SharedEngine(
                data,
                kind=settings.DYNAMODB_ENGINE,
                port=settings.LOCAL_DYNAMODB_PORT,
                binary=settings.DYNOXIDE_BINARY,
            )
        return _engines[data]


def local_endpoint() -> str:
    """The URL of the shared engine: the running one, or one that is started now.

    This process counts as a user until it ends or calls ``release()``. A forked child is no
    user: it calls this itself when it wants the engine to outlive its parent.
    """
    return shared_engine().acquire()


def release() -> None:
    """Ends this process's use of shared engines; runs by itself at the end of the process."""
    with _threads:
        for engine in list(_engines.values()):
            try:
                engine.release()
            except (EngineError, OSError) as error:
                # At the end of a process there is nobody to catch it.
                NOT_STOPPED.log(error=error)


def _forget_in_child() -> None:
    """A forked child starts with nothing: what its parent uses is not its to stop."""
    global _threads
    _threads = threading.RLock()
    _engines.clear()


atexit.register(release)
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_in_child)
