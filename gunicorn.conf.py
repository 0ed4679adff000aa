"""gunicorn's settings for this project, which it reads when it starts here, and again at SIGHUP.

A configuration that is wrong is refused here, before a worker is born. With
PROMETHEUS_MULTIPROC_DIR the counters of all workers add up in /metrics, and those of workers that
have ended stay counted; what gunicorn itself says is in the form of the application's log.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import settings  # before all that reads the environment when it is imported

if "dbcore.monitoring.multiprocess" in sys.modules:  # SIGHUP: this was read before
    settings.read_anew()
else:
    settings.settings_module(serves=True)

from gunicorn.glogging import Logger

from dbcore.monitoring import multiprocess
from dbcore.monitoring.lines.formatting import LineFormatter
from dbcore.private_files import private_folder


def _folder() -> str:
    given = settings.configuration()["PROMETHEUS_MULTIPROC_DIR"]
    return str(Path(__file__).parent / given) if given else ""


class LineLogger(Logger):
    """gunicorn's own log: where it goes is gunicorn's to say, and how it looks ours."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        if settings.configuration()["LOG_FORMAT"] == "json":
            for handler in self.error_log.handlers:
                handler.setFormatter(LineFormatter("json"))


logger_class = LineLogger


def on_starting(server: Any) -> None:
    """Begin with no counters of a server before this one."""
    if folder := _folder():
        private_folder(Path(folder))
        multiprocess.begin(folder)


def child_exit(server: Any, worker: Any) -> None:
    """Keep what a worker counted when it ends."""
    if folder := _folder():
        multiprocess.bury(folder, worker.pid)
