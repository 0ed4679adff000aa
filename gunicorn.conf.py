"""gunicorn's settings for this project; gunicorn reads them when it starts here.

Only what monitoring needs: with PROMETHEUS_MULTIPROC_DIR in gunicorn's environment, the counters of
all workers add up in /metrics, and those of workers that have ended stay counted. Django's settings
are not read: which of them are in force is the application's to say.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dbcore.monitoring import multiprocess


def _folder() -> str:
    given = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
    return str(Path(__file__).parent / given) if given else ""


def on_starting(server: Any) -> None:
    """Begin with no counters of a server before this one."""
    if folder := _folder():
        Path(folder).mkdir(parents=True, exist_ok=True)
        multiprocess.begin(folder)


def child_exit(server: Any, worker: Any) -> None:
    """Keep what a worker counted when it ends."""
    if folder := _folder():
        multiprocess.bury(folder, worker.pid)
