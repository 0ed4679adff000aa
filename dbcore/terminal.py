"""What people see of the layer's work: rich's console, on which data of others are text alone. A
markup of theirs is never taken for one of ours: `escape` what is put between ours.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from dbcore.printable import printable, printable_lines
from dbcore.secrecy import Bare, mask_text

__all__ = ["NARROW", "WIDTH", "Screen", "escape"]

WIDTH = 120  # where no terminal says how wide it is
NARROW = 100  # of a terminal, below which there is no room to spare


class Screen(Console):
    """A console on a stream, or on a command's wrapper of one."""

    def __init__(self, out: Any, width: int = WIDTH) -> None:
        stream = getattr(out, "_out", out)  # Django wraps it
        super().__init__(
            file=stream, width=None if stream.isatty() else width, highlight=False, emoji=False
        )

    def say(self, text: str, style: str = "") -> None:
        """One line, of which no part is markup, without secrets."""
        self.print(printable(mask_text(text, bare=Bare.EQUALS)), style=style, markup=False)

    def render_str(self, text: str, **given: Any) -> Text:
        """Everything that is printed as text, cells of tables too, comes by here."""
        return super().render_str(printable_lines(text), **given)
