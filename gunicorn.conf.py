"""gunicorn's settings for this project; gunicorn reads them when it starts here.

Only what monitoring needs: with PROMETHEUS_MULTIPROC_DIR in gunicorn's environment, the counters of
all workers add up in /metrics, and those of workers that have ended stay counted; what gunicorn
itself says is in the form of the application's log, by LOG_FORMAT in its environment. Django's
settings are not read: which of them are in force is the application's to say.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger

from dbcore.monitoring import multiprocess
from dbcore.monitoring.lines.formatting import LineFormatter
from settings import settings_module


def _folder() -> str:
    given = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
    return str(Path(__file__).parent / given) if given else ""


def _log_format() -> str:
    module = os.environ.get("DJANGO_SETTINGS_MODULE") or settings_module()
    default = "json" if module == "settings.production" else "text"
    return os.environ.get("LOG_FORMAT") or default


class LineLogger(Logger):
    """gunicorn's own log: where it goes is gunicorn's to say, and how it looks ours."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        if _log_format() == "json":
            for handler in self.error_log.handlers:
                handler.setFormatter(LineFormatter("json"))


logger_class = LineLogger


def on_starting(server: Any) -> None:
    """Begin with no counters of a server before this one."""
    if folder := _folder():
        Path(folder).mkdir(parents=True, exist_ok=True)
        multiprocess.begin(folder)


def child_exit(server: Any, worker: Any) -> None:
    """Keep what a worker counted when it ends."""
    if folder := _folder():
        multiprocess.bury(folder, worker.pid)
