"""A text without its secrets: by what they look like, and by the name that stands before them, in
JSON, Python, headers, URLs, options, XML, also quoted or encoded.

Where a value ends is decided by what it stands in; where that cannot be told, it goes on.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from dbcore.secrecy.looks import MASK, mask_looks
from dbcore.secrecy.names import is_secret_name, plain_name

MAX_TEXT = 65_536  # characters of a text that are looked at: what is behind them is not shown
_NOTE = 40  # at most, of the note that there was more
_QUOTE = r"\\{0,7}[\"'`]|%2[27]|&quot;|&#0{0,4}3[49];|&#x2[27];"
# A name, the quote or bracket that closes it, and what stands between it and its value.
_NAMED = re.compile(
    rf"(?:(?<![\w.\\-])|(?<=%2[0-9A-Fa-f])|(?<=\\[nrt])|(?<=\\)(?![nrt]))"
    rf"(?P<name>[A-Za-z_-][\w.-]{{0,255}}+)(?P<close>{_QUOTE})?(?:\]|%5[Dd])?"
    rf"[ \t]{{0,8}}+(?P<sep>=>|:=|=(?!=)|(?<!:):(?!//|:)|,|>|%3[ADad]|(?<=[ \t]))"
)
_BLANKS = re.compile(r"(?:[ \t]|%20|\+){0,40}+")
_LINES = re.compile(r"\s{0,200}+")
_OPENS = re.compile(rf"[bBfFrRuU]{{0,2}}(?P<quote>{_QUOTE})")
_NESTS = re.compile(r"(?:[A-Za-z_][\w.]{0,60}+)?[\[({]")
_NESTED = re.compile(
    r"\"(?:[^\"\\]|\\.)*+(?:\"|\Z)|'(?:[^'\\]|\\.)*+(?:'|\Z)|[\[({]|[\])}]", re.DOTALL
)
_REST = {q: re.compile(rf"(?:[^{q}\\]|\\.)*+", re.DOTALL) for q in "\"'`"}
_LINE = re.compile(r"(?:[^\r\n\\]|\\(?![nr]))*+")
_PLAIN = r"\s,;&)\]}>\"'`|"
# A mark may be part of a password: it ends one where nothing of it or another name follows.
_BARE = re.compile(
    rf"(?:\\(?![nrt]).|[^{_PLAIN}%\\]|%(?!26|2[27]|0[ADad])"
    rf"|[,;&|>\"'`)\]}}](?![{_PLAIN}%]|\Z|[\w.\[\]-]{{1,60}}=))*+",
    re.DOTALL,
)
_SCHEME = re.compile(r"(?:Bearer|Basic|Digest|Token|ApiKey|Negotiate)[ \t]{1,4}", re.IGNORECASE)
# Whose value is all of the line.
_HEADERS = frozenset({"authorization", "proxyauthorization", "cookie", "setcookie"})
_WORDS = ("password", "passwd", "passphrase", "secret")  # behind which a quote is a value
_NOTHING = frozenset({"", "none", "null", "true", "false", "undefined", MASK})


class Bare(enum.Enum):
    """Of which names a value goes that stands in no quotes."""

    ALWAYS = "token=x and token: x"  # what leaves the machine
    EQUALS = "token=x"  # sentences for people: "the password: too short" stays
    NEVER = ""  # lines of code, where it is an expression


def mask_text(
    text: str,
    *,
    bare: Bare = Bare.ALWAYS,
    is_secret: Callable[[str], bool] = is_secret_name,
    known: Iterable[str] = (),
    limit: int = MAX_TEXT,
) -> str:
    """The text without its secrets. `known` are such as are known word for word."""
    if len(text) > limit:
        text = f"{text[: limit - _NOTE]}… ({len(text) - limit + _NOTE:,} more characters)"
    for each in known:
        text = text.replace(each, MASK)
    return _mask_named(mask_looks(text), bare, is_secret)


class _Place(NamedTuple):
    """Where a value is, without its quotes where it is `quoted`."""

    start: int
    end: int
    quoted: bool = False


def _mask_named(text: str, bare: Bare, is_secret: Callable[[str], bool]) -> str:
    parts: list[str] = []
    done = 0
    for found in _NAMED.finditer(text):
        if found.start() < done or not is_secret(found["name"]):
            continue
        place = _value(text, found, bare)
        if place is not None and text[place.start : place.end].lower() not in _NOTHING:
            # What was a number or a list in JSON is a text there now.
            quote = "" if place.quoted else found["close"] or ""
            parts += [text[done : place.start], f"{quote}{MASK}{quote}"]
            done = place.end
    return "".join(parts) + text[done:]


def _value(text: str, found: re.Match[str], bare: Bare) -> _Place | None:
    """Where the value of a name is; None where none follows."""
    name, sep = plain_name(found["name"]), found["sep"]
    at = _match_end(_BLANKS, text, found.end())
    quoted = _OPENS.match(text, at) or _OPENS.match(text, _match_end(_LINES, text, at))
    if sep == ">":  # an element of XML
        is_element = _before(text, found) in ("<", ":") and not found["close"]
        return _Place(at, _find(text, "<", at)) if is_element else None
    if sep == ",":  # a pair, both in quotes
        return _quoted(text, quoted) if found["close"] and quoted else None
    if not sep and not (found["name"].startswith("-") or (quoted and name.endswith(_WORDS))):
        return None
    if quoted:
        return _quoted(text, quoted)
    if bare is Bare.NEVER:
        return None
    if name in _HEADERS:
        return _header(text, found, at)
    is_prose = sep == ":" and at > found.end() and not found["close"]
    return None if is_prose and bare is Bare.EQUALS else _bare(text, at, name)


def _quoted(text: str, opens: re.Match[str]) -> _Place:
    quote, start = opens["quote"], opens.end()
    if len(quote) > 1:
        return _Place(start, _find(text, quote, start), quoted=True)
    if text.startswith(quote * 2, start):
        end = text.find(quote * 3, start + 2)
        return _Place(start + 2, end if end >= 0 else len(text), quoted=True)
    end = _match_end(_REST[quote], text, start)
    if end == len(text):  # nothing closes it
        end = _find(text, "\n", start)
    return _Place(start, end, quoted=True)


def _header(text: str, found: re.Match[str], at: int) -> _Place:
    """To the end of the line, or of the quotes that the header stands in."""
    end = _match_end(_LINE, text, at)
    around = _before(text, found)
    if around in ('"', "'") and not found["close"]:
        end = min(end, _find(text, around, at))
    return _Place(at, end)


def _bare(text: str, at: int, name: str) -> _Place | None:
    """What stands in no quotes: a list, a mapping, a call, a word, a scheme and a word."""
    if nests := _NESTS.match(text, at):
        return _Place(at, _nested_end(text, nests.end()))
    end = _match_end(_BARE, text, _match_end(_SCHEME, text, at))
    is_count = name.endswith("s") and text[at:end].isdigit()
    return None if is_count else _Place(at, end)


def _nested_end(text: str, at: int) -> int:
    """Where a bracket is closed that was opened just before; the text's end where it is not."""
    depth = 1
    for each in _NESTED.finditer(text, at):
        depth += (each[0] in "[({") - (each[0] in "])}")
        if not depth:
            return each.end()
    return len(text)


def _before(text: str, found: re.Match[str]) -> str:
    return text[found.start() - 1] if found.start() else ""


def _match_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _find(text: str, what: str, at: int) -> int:
    """Where it is; the end of the line where it is nowhere."""
    place = text.find(what, at)
    if place < 0:
        place = text.find("\n", at)
    return place if place >= 0 else len(text)
