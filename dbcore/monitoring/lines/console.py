"""The handler: standard error as it is now, so that a progress bar or a test which has taken it
over gets the lines, too."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from dbcore.logs import is_quiet


class Console(logging.StreamHandler[TextIO]):
    """Lines to standard error. `told`: also what a command's report says itself."""

    def __init__(self, *, told: bool) -> None:
        logging.Handler.__init__(self)  # a StreamHandler would keep the stream of now
        self._told = told

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Standard error."""
        return sys.stderr

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "told", False):
            if is_quiet() and (record.levelno < logging.WARNING or not self._told):
                return False
            if not self._told and sys.stderr.isatty():
                return False
        return bool(super().filter(record))

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing: Python's own would print the record as it is."""
