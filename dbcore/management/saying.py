"""What commands say on standard error where that is a log of JSON lines: lines of the log. No user
and no record is named there, whatever the sentence is."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from logging import ERROR, WARNING

from django.conf import settings
from django.core.management.base import CommandError, OutputWrapper

from dbcore.logs import Event
from dbcore.monitoring.scrub import MASK

SAID = Event(
    "dbcore.management", (WARNING,), "a command says", ("text",),
    "what it would say on standard error to a person", told=True,
)  # fmt: skip
FAILED = Event(
    "dbcore.management", (ERROR,), "a command failed", ("text", "error"),
    "its exit status is 1; `text` is missing where it may name a user or a record", told=True,
)  # fmt: skip
# What was typed, or stands for one of many: in quotes, or a user's id.
_NAMES = re.compile(r"'[^']*'|\"[^\"]*\"|(?<=\buser )\S+")


class Saying(OutputWrapper):
    """Standard error, as lines of the log. `failure`: of what the next sentence is."""

    failure: CommandError | None = None

    def write(  # type: ignore[override]
        self,
        msg: str = "",
        style_func: Callable[[str], str] | None = None,
        ending: str | None = None,
    ) -> None:
        """Log a sentence."""
        if self.failure is None:
            SAID.log(text=_NAMES.sub(MASK, msg))
        elif self.failure.__cause__ is None:
            FAILED.log(text=_NAMES.sub(MASK, str(self.failure)))
        else:
            FAILED.log(error=self.failure.__cause__)


def is_logged() -> bool:
    """Whether what is said on standard error goes to machines."""
    return settings.LOG_FORMAT == "json" and not sys.stderr.isatty()
