"""What the commands that act for a person share: who they are, what they agree to, dates as people
write them. Nothing here may take silence for consent."""

from __future__ import annotations

import datetime as dt
import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError

_DAY = dt.timedelta(days=1)


def add_signature(parser: ArgumentParser, *, required: bool) -> None:
    """--who and --why, for the audit trail."""
    who = "who asks for it" if required else "who asks for it (default: the account that runs this)"
    parser.add_argument("--who", metavar="NAME", required=required, help=f"{who}; audited")
    parser.add_argument(
        "--why", metavar="TEXT", required=required, default=None if required else "",
        help="the reason; audited",
    )  # fmt: skip


def day_or_instant(text: str) -> dt.datetime:
    """An instant as ISO 8601; a date alone is its beginning, in UTC."""
    try:
        found = dt.datetime.fromisoformat(text)
        utc = found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(
            f"{text!r} is no date: write 2026-11-23, or a time in UTC"
        ) from None
    return utc


def end_of(text: str) -> dt.datetime:
    """The same, but a date alone is its end: it is the last day that is meant."""
    found = day_or_instant(text)
    try:
        return found if "T" in text or " " in text or ":" in text else found + _DAY
    except OverflowError:
        raise ArgumentTypeError(f"{text!r} is beyond the calendar") from None


def agrees(command: Any, question: str, no_input: bool) -> bool:
    """Whether the person at the terminal says yes. CommandError where there is none to ask."""
    if no_input:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CommandError(f"{question} There is nobody to ask: say --no-input if that is meant")
    command.stderr.write(f"{question} [y/N]", ending=" ")
    return input().strip().lower() in ("y", "yes")
