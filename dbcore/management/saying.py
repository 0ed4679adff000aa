"""What commands say. Data of others are text in it, and move no cursor; what goes to standard error
has no secret. Where that is a log of JSON lines, what is said there are lines of the log, in which
no user and no record is named, whatever the sentence is."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from logging import ERROR, WARNING

from django.conf import settings
from django.core.management.base import CommandError, OutputWrapper

from dbcore.logs import Event
from dbcore.printable import printable_lines
from dbcore.secrecy import MASK, Bare, mask_text

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


class Plain(OutputWrapper):
    """A stream that people read, or a program reads as JSON."""

    def write(  # type: ignore[override]
        self,
        msg: str = "",
        style_func: Callable[[str], str] | None = None,
        ending: str | None = None,
    ) -> None:
        """Write lines."""
        super().write(printable_lines(self.told(msg)), style_func, ending)

    def told(self, msg: str) -> str:
        """What is said of a message."""
        return msg


class Errors(Plain):
    """Standard error, for people: without secrets."""

    def told(self, msg: str) -> str:
        return mask_text(msg, bare=Bare.EQUALS)


class Saying(Plain):
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
