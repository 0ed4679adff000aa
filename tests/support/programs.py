"""Programs of the machine that tests start: found, given a free port, ended. A missing one must
never pass unseen: the test is skipped and says why, and where the variable CI is set it fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

START_TIMEOUT = 30.0
STOP_TIMEOUT = 15.0


def unavailable(why: str) -> NoReturn:
    """Skip the test, or fail it under CI."""
    if os.environ.get("CI"):
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


def not_when_quick() -> None:
    """Skip the test where no server is to be started: `make quick`."""
    if os.environ.get("TESTS_QUICK"):
        pytest.skip("make quick starts no server")


def find_program(name: str, package: str, *folders: Path) -> str:
    """A program's path, from these folders or the PATH; the Debian package is named if missing."""
    not_when_quick()
    for folder in folders:
        if (folder / name).is_file():
            return str(folder / name)
    found = shutil.which(name)
    if found is None:
        unavailable(f"{name} is not installed: apt-get install {package}")
    return found


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a process to be ready; what it wrote is in the error when it is not to be."""
    until = time.monotonic() + START_TIMEOUT
    while not ready():
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.02)


def end(process: subprocess.Popen[bytes], signal: int) -> None:
    """Ask a process to end, and see that it does."""
    process.send_signal(signal)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
