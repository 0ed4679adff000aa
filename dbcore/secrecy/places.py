"""Where a value ends in a text: by the quotes, brackets, line or encoding that it stands in. Where
that cannot be told it goes on.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_ESCAPE = r"(?:\\|%5[Cc])"
_MARKS = r"(?:[\"'`]|%2[27]|&quot;|&#0{0,4}3[49];|&#x2[27];)"
QUOTE = rf"{_ESCAPE}{{0,7}}{_MARKS}"
_OPENS = re.compile(rf"[bBfFrRuU]{{0,2}}(?P<run>{_ESCAPE}{{0,7}})(?P<quote>{_MARKS})")
_BLANKS = re.compile(r"(?:[ \t]|%20|\+){0,40}+")
_LINES = re.compile(r"\s{0,200}+")
_NESTS = re.compile(r"(?:[A-Za-z_][\w.]{0,60}+)?[\[({]|%5[Bb]|%7[Bb]")
# Brackets, and the texts between them, whose own brackets do not count.
_NESTED = re.compile(
    r"(?P<text>\"(?:[^\"\\]|\\.)*+(?:\"|\Z)|'(?:[^'\\]|\\.)*+(?:'|\Z)"
    r"|(?P<escape>\\{1,15})(?P<quote>[\"'])(?:.*?)(?:(?<!\\)(?P=escape)(?P=quote)|\Z)"
    r"|(?P<code>%2[27]|&quot;|&#x27;|&#39;)(?:.*?)(?:(?<!\\)(?P=code)|\Z))"
    r"|(?P<open>[\[({]|%5[Bb]|%7[Bb])|[\])}]|%5[Dd]|%7[Dd]",
    re.DOTALL,
)
_LINE = re.compile(r"(?:[^\r\n\\]|\\(?![nr]))*+")
_ENDS = r"\s,;&)\]}>\"'`|"
# A mark may be part of a password: it ends one where nothing of it or another name follows.
_OTHER = r"[\w.\[\]-]{1,60}="
_MARK = (
    rf"(?:[,;&|](?=[,;&|]{{0,8}}[^{_ENDS}])(?![,;&|]{{0,8}}{_OTHER})"
    rf"|[>\"'`)\]}}](?![{_ENDS}%]|\Z|{_OTHER}))"
)
_BARE = re.compile(rf"(?:\\(?![nrt]).|[^{_ENDS}\\]|{_MARK})*+", re.DOTALL)
# The same where all of the text is encoded for a URL.
_ENCODED = re.compile(
    rf"(?:\\(?![nrt]).|[^{_ENDS}%\\]|%(?!26|2[27]|0[ADad]|5[Cc]%2[27])|{_MARK})*+", re.DOTALL
)
_SCHEME = re.compile(r"(?:Bearer|Basic|Digest|Token|ApiKey|Negotiate)[ \t]{1,4}", re.IGNORECASE)
# How a text goes on behind a quote: a shell's has a quote in it, Python's another line.
_GOES_ON = re.compile(
    r"'\"'\"(?P<one>')|'\\'(?P<other>')|[\"'][ \t]*\r?\n[ \t]+[bBfFrRuU]{0,2}(?P<next>[\"'])"
)
_MOST_ESCAPES = 32  # before one quote


class Place(NamedTuple):
    """Where a value is, without its quotes where it is `quoted`."""

    start: int
    end: int
    quoted: bool = False


def skipped(text: str, at: int) -> int:
    """Behind the blanks that may stand before a value."""
    return _match_end(_BLANKS, text, at)


def opening(text: str, at: int) -> re.Match[str] | None:
    """The quote that opens a value there, or in the next line."""
    return _OPENS.match(text, at) or _OPENS.match(text, _match_end(_LINES, text, at))


def quoted(text: str, opens: re.Match[str]) -> Place:
    """A value in quotes, to the quote that has as many escapes before it; one with more is in the
    value, one with fewer closes what the value stands in."""
    escapes, quote, start = _count(opens["run"]), opens["quote"], opens.end()
    if not escapes and text.startswith(quote * 2, start):
        end = text.find(quote * 3, start + 2)
        return Place(start + 2, end if end >= 0 else len(text), quoted=True)
    at = text.find(quote, start)
    while at >= 0:
        run, behind = _escapes_before(text, at, start), at + len(quote)
        if goes_on := None if escapes else _GOES_ON.match(text, at):
            quote, behind = goes_on[goes_on.lastgroup or 0], goes_on.end()
        elif _count(run) <= escapes:
            return Place(start, at - len(run), quoted=True)
        at = text.find(quote, behind)
    return Place(start, _line_end(text, start), quoted=True)


def header(text: str, at: int, around: str) -> Place:
    """To the end of the line, or to the quote that the header stands in."""
    end = _match_end(_LINE, text, at)
    if around in ('"', "'") and (closes := text.find(around, at)) >= 0:
        end = min(end, closes)
    return Place(at, end)


def element(text: str, at: int) -> Place:
    """To where the next element of XML begins."""
    end = text.find("<", at)
    return Place(at, end if end >= 0 else _line_end(text, at))


def nested(text: str, at: int) -> Place | None:
    """A list, a mapping or a call, if one begins there."""
    begins = _NESTS.match(text, at)
    if begins is None:
        return None
    return Place(at, _match_end(_BARE, text, _nested_end(text, begins.end())))


def bare(text: str, at: int, *, encoded: bool) -> Place:
    """What stands in no quotes: a word, or a scheme and a word."""
    word = _ENCODED if encoded else _BARE
    return Place(at, _match_end(word, text, _match_end(_SCHEME, text, at)))


def _nested_end(text: str, at: int) -> int:
    """Where a bracket is closed that was opened just before; the text's end where it is not."""
    depth = 1
    for each in _NESTED.finditer(text, at):
        if not each["text"]:
            depth += 1 if each["open"] else -1
        if not depth:
            return each.end()
    return len(text)


def _escapes_before(text: str, at: int, start: int) -> str:
    """The escapes just before a quote, as they are written."""
    begin = at
    while begin > start and at - begin < 3 * _MOST_ESCAPES:
        if text[begin - 1] == "\\":
            begin -= 1
        elif text[max(start, begin - 3) : begin].upper() == "%5C":
            begin -= 3
        else:
            break
    return text[begin:at]


def _count(run: str) -> int:
    return run.count("\\") + run.count("%")


def _match_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _line_end(text: str, at: int) -> int:
    line = text.find("\n", at)
    return line if line >= 0 else len(text)
