"""What the commands that act for a person share: who they are, dates as people write them."""

from __future__ import annotations

import datetime as dt
from argparse import ArgumentParser, ArgumentTypeError

from dbcore.secrecy import Bare, mask_text

_DAY = dt.timedelta(days=1)


def add_signature(parser: ArgumentParser, *, required: bool) -> None:
    """--who and --why, for the audit trail."""
    who = "who asks for it" if required else "who asks for it (default: the account that runs this)"
    parser.add_argument(
        "--who", metavar="NAME", required=required, type=for_the_books, help=f"{who}; audited"
    )
    parser.add_argument(
        "--why", metavar="TEXT", required=required, default=None if required else "",
        type=for_the_books,
        help="the reason; audited",
    )  # fmt: skip


def for_the_books(text: str) -> str:
    """What somebody says, without what lets in whoever reads it: a reason may quote a complaint."""
    return mask_text(text, bare=Bare.EQUALS)


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
