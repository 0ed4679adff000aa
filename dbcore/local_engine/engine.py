"""Starts and stops one engine process.

It must never leave a process behind when a start fails, and never call an engine ready that is
not the one it started.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from dbcore.local_engine.binary import EngineBinary, find_engine
from dbcore.local_engine.errors import (
    EngineCrashedError,
    EngineError,
    EngineNotReadyError,
    PortTakenError,
)
from dbcore.local_engine.logged import IN_MEMORY, PORT_TAKEN, STARTED, STOPPED
from dbcore.local_engine.probe import answers, free_port, port_is_taken
from dbcore.local_engine.process import STOP_TIMEOUT
from dbcore.private_files import opener, private_database, private_folder

READY_TIMEOUT = 30.0
PORT_ATTEMPTS = 5
LINES_OF_OUTPUT = 20


class LocalEngine:
    """One engine process, from ``start()`` to ``stop()``; also a context manager.

    ``port`` 0 means any free port; without ``db_path`` data lives in memory; without
    ``log_path`` the output goes to a file that ``stop()`` deletes. ``on_spawn`` is called with
    the engine as soon as there is a process, before it is ready.
    """

    def __init__(
        self,
        kind: str | None = None,
        port: int = 0,
        db_path: Path | str | None = None,
        host: str = "127.0.0.1",
        log_path: Path | str | None = None,
        *,
        binary: str = "",
        ready_timeout: float = READY_TIMEOUT,
        on_spawn: Callable[[LocalEngine], None] | None = None,
    ) -> None:
        self._kind = kind
        self._wanted_port = port
        self._db_path = Path(db_path).resolve() if db_path else None
        self._host = host
        self._log_path = Path(log_path).resolve() if log_path else None
        self._binary_override = binary
        self._ready_timeout = ready_timeout
        self._on_spawn = on_spawn
        self._binary: EngineBinary | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._port = 0
        self._log: Path | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        if self._process is None:
            raise EngineError("The local engine has not been started.")
        return self._url(self._port)

    @property
    def pid(self) -> int | None:
        """The number of the engine's process; None when it is not started."""
        return self._process.pid if self._process else None

    @property
    def kind(self) -> str:
        """The kind that was asked for; once started, the kind that runs."""
        return self._binary.kind if self._binary else self._kind or "auto"

    @property
    def arguments(self) -> list[str]:
        """The command line of the process, without the program's name."""
        binary = self._found()
        return binary.arguments(self._host, self._port, self._db_path)[1:]

    @property
    def db_path(self) -> Path | None:
        """The data file; None when data lives in memory."""
        return self._db_path if self._found().keeps_data else None

    def start(self) -> str:
        """Starts the engine, waits until it answers, and returns its URL."""
        if self._process is not None:
            return self.endpoint
        binary = self._binary = find_engine(self._kind, self._binary_override)
        if not binary.keeps_data:
            IN_MEMORY.log()
        self._start_on_a_port()
        STARTED.log(kind=binary.kind, endpoint=self.endpoint)
        return self.endpoint

    def stop(self) -> None:
        """Stops the engine; nothing happens when it is not started, or another process's."""
        # A forked child has a copy of this object; the process is not its to stop.
        if self._process is None or self._owner != os.getpid():
            return
        process, self._process = self._process, None
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._log is not None and self._log_path is None:
            self._log.unlink(missing_ok=True)
        STOPPED.log(kind=self.kind, endpoint=self._url(self._port))

    def detach(self) -> None:
        """Lets the process run on after this object: somebody else will stop it."""
        if self._process is not None:
            # Else Popen would warn at its end of a child that still runs.
            self._process.returncode = 0
            self._process = None

    def output(self) -> str:
        """The last lines that the engine wrote."""
        if self._log is None:
            return ""
        with suppress(OSError):
            lines = self._log.read_text(errors="replace").splitlines()
            return "\n".join(lines[-LINES_OF_OUTPUT:])
        return ""

    def _start_on_a_port(self) -> None:
        if self._wanted_port:
            self._start_on(self._wanted_port)
            return
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                self._start_on(free_port(self._host))
                return
            except PortTakenError as error:
                # Between our look and the engine's start another program took the port.
                if attempt == PORT_ATTEMPTS:
                    raise
                PORT_TAKEN.log(port=error.port)

    def _start_on(self, port: int) -> None:
        self._port = port
        # Asked before the start too: moto needs a second to find out.
        if port_is_taken(self._host, port):
            raise PortTakenError(self._host, port)
        self._owner = os.getpid()
        self._process = self._spawn()
        try:
            if self._on_spawn:
                self._on_spawn(self)
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def _spawn(self) -> subprocess.Popen[bytes]:
        log = self._log = self._fresh_log()
        if self.db_path is not None:
            # The engine would make it as the umask says.
            private_folder(self.db_path.parent)
            private_database(self.db_path)
        command = self._found().arguments(self._host, self._port, self._db_path)
        # Output goes to a file: a pipe that nobody reads would fill up and stop the engine. Its
        # own session keeps a Ctrl-C in our terminal from ending it before our work is done.
        with log.open("ab") as out:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                close_fds=True,
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
                cwd=log.parent,
            )

    def _fresh_log(self) -> Path:
        if self._log_path is None:
            if self._log is not None:
                self._log.unlink(missing_ok=True)
            handle, name = tempfile.mkstemp(prefix="local-dynamodb-", suffix=".log")
            os.close(handle)
            return Path(name)
        private_folder(self._log_path.parent)
        with open(self._log_path, "wb", opener=opener):
            pass
        return self._log_path

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._ready_timeout
        url = self._url(self._port)
        while not (self._announced() and answers(url)):
            code = process.poll()
            if code is not None:
                raise self._why_it_ended(code)
            if time.monotonic() > deadline:
                raise EngineNotReadyError(self.kind, url, self._ready_timeout, self.output())
            time.sleep(0.02)

    def _announced(self) -> bool:
        """Whether our process has said that it listens.

        An answer is not enough: where the port was lost to another engine, that one answers
        while ours is about to end.
        """
        return bool(re.search(rf"https?://\S+:{self._port}\b", self.output()))

    def _why_it_ended(self, code: int) -> EngineError:
        if port_is_taken(self._host, self._port):
            return PortTakenError(self._host, self._port)
        return EngineCrashedError(self.kind, code, self.output())

    def _found(self) -> EngineBinary:
        if self._binary is None:
            self._binary = find_engine(self._kind, self._binary_override)
        return self._binary

    def _url(self, port: int) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{port}"
