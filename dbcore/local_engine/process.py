"""Recognises and ends an engine process that may have been started by somebody else.

It must never signal a process on its number alone: numbers are used again, so the command line
has to be the engine's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

STOP_TIMEOUT = 10.0
BIRTH_LOOKS = 20


def runs(pid: int, arguments: str) -> bool:
    """Whether this process lives and was started with these arguments."""
    return pid > 0 and bool(arguments) and arguments in command_line(pid)


def command_line(pid: int) -> str:
    """The command line of a process; "" when it has ended (a zombie has ended too)."""
    if Path("/proc/self/cmdline").exists():
        return _command_line_from_proc(pid)
    ps = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return ps.stdout.strip()


def _command_line_from_proc(pid: int) -> str:
    for _ in range(BIRTH_LOOKS):
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
            # After the name in brackets comes the state: Z and X are dead.
            dead = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1] in b"ZX"
        except OSError:
            return ""
        if raw or dead:
            return raw.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        # Linux shows a program that has just been started with no command line for a moment.
        time.sleep(0.005)
    return ""


def end(pid: int, arguments: str, timeout: float) -> bool:
    """Ends the engine: asked first, killed when it does not listen. True when it is gone."""
    if sys.platform == "win32":
        raise NotImplementedError("The shared engine is not for Windows.")
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not runs(pid, arguments):
            return True
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        if _gone_within(pid, arguments, timeout):
            return True
    return False


def _gone_within(pid: int, arguments: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while runs(pid, arguments):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
