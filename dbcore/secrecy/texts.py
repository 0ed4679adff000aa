"""A text without its secrets: by what they look like, and by the name that stands before them, in
JSON, Python, headers, URLs, options, XML, also quoted or encoded.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable

from dbcore.secrecy import places
from dbcore.secrecy.looks import MASK, mask_looks
from dbcore.secrecy.names import is_secret_name, plain_name
from dbcore.secrecy.places import QUOTE, Place

MAX_TEXT = 65_536  # characters of a text that are looked at: what is behind them is not shown
_NOTE = 40  # at most, of the note that there was more
# A name, the quote or bracket that closes it, and what stands between it and its value.
_NAMED = re.compile(
    rf"(?:(?<![\w.\\-])|(?<=%[2-7][0-9A-Fa-f])|(?<=\\[nrt])|(?<=\\)(?![nrt]))"
    rf"(?P<name>[A-Za-z_-][\w.-]{{0,255}}+)(?P<close>{QUOTE})?"
    rf"(?:\]|%5[Dd])?(?:\[\d{{0,5}}\]|%5[Bb]\d{{0,5}}%5[Dd])?"
    rf"[ \t]{{0,8}}+(?P<sep>=>|:=|=(?!=)|(?<!:):(?!//|:)|,|>|%3[ADad]|(?<=[ \t]))"
)
# Whose value is all of the line.
_HEADERS = frozenset({"authorization", "proxyauthorization", "cookie", "setcookie"})
_MEMBER = re.compile(rf"{QUOTE}\s{{0,200}}+:\s{{0,200}}+")
_VALUES = frozenset({"value", "val", "values", "secretvalue", "stringvalue", "content", "data"})
_WORDS = ("password", "passwd", "passphrase", "secret")  # behind which a quote is a value
# In SQL what is in double quotes is a column, and so is what follows it after a comma; after an
# equals sign it is a value where it is quoted or a number. A sentence that begins with one of these
# words is no SQL.
_SQL = re.compile(
    r'\s*+(?:INSERT (?:OR \w+ )?INTO "|SELECT (?:DISTINCT )?["(*]|UPDATE "|DELETE FROM ")'
)
_VALUE = frozenset("\"'`0123456789")
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


def _beside(text: str, place: Place) -> Place | None:
    """What stands beside a name in a pair: the text there, or, where that is a name itself, as in
    {"name": "password", "value": "x"}, its value; None where that is no value's name."""
    named = _MEMBER.match(text, place.end)
    if named is None:
        return place
    if plain_name(text[place.start : place.end]) not in _VALUES:
        return None
    opens = places.opening(text, named.end())
    return places.quoted(text, opens) if opens else places.bare(text, named.end(), encoded=False)


def _is_column(sep: str, behind: str) -> bool:
    """Whether a name of SQL is followed by another name, and by no value of it."""
    return behind == '"' if sep == "," else sep == "=" and behind not in _VALUE


def _value(text: str, found: re.Match[str], bare: Bare) -> Place | None:
    """Where the value of a name is; None where none follows, or it may stay."""
    name, sep, is_quoted = plain_name(found["name"]), found["sep"], found["close"] is not None
    before = text[found.start() - 1] if found.start() else ""
    at = places.skipped(text, found.end())
    opens = places.opening(text, at)
    if sep == ">":  # an element of XML
        return places.element(text, at) if before in ("<", ":") and not is_quoted else None
    if sep == "," and not is_quoted:  # the name of a pair is in quotes
        return None
    if found["close"] == '"' and _SQL.match(text) and _is_column(sep, text[at : at + 1]):
        return None
    if not sep and not (found["name"].startswith("-") or (opens and name.endswith(_WORDS))):
        return None
    if opens:
        place = places.quoted(text, opens)
        return place if sep != "," else _beside(text, place)
    if bare is Bare.NEVER:
        return None
    is_header = name in _HEADERS or (sep == ":" and found["name"].lower().startswith("x-"))
    if is_header and not is_quoted:
        return places.header(text, at, before)
    if bare is Bare.EQUALS and sep == ":" and at > found.end() and not is_quoted:
        return None  # prose
    if (nested := places.nested(text, at)) or sep == ",":
        return nested
    place = places.bare(text, at, encoded=sep.startswith("%"))
    is_count = name.endswith("s") and text[place.start : place.end].isdigit()
    return None if is_count else place
