"""What a SQL statement is about, and its shape: the same text with all values folded away.

No value may be left in a shape. What stands in quotes is a value unless it is the name of a table,
column, index or alias that Django makes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from dbcore.monitoring.labels import OTHER, SQL_OPERATIONS, sql_names, sql_tables

MAX_TEXT = 500
_KEPT_STATEMENTS = 2000

# In one pass, so that a quote in a comment, or a comment in a quote, is not taken for one.
_TOKEN = re.compile(
    r"(?P<comment>/\*.*?(?:\*/|\Z)|--[^\n]*)"
    r"|(?P<value>(?P<dollar>\$\w*\$).*?(?:(?P=dollar)|\Z)"  # PostgreSQL's dollar quotes
    r"|(?<!\w)[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)"  # and its strings with escapes
    r"|'(?:[^']|'')*(?:'|\Z))"
    r"|\"(?P<double>(?:[^\"]|\"\")*)(?:\"|\Z)"
    r"|`(?P<back>[^`]*)(?:`|\Z)",
    re.DOTALL,
)
_ALIAS = re.compile(r"[A-Z]{1,2}\d{1,3}|__?[a-z]+\d{0,3}|col\d{1,3}")  # as Django makes them
_NUMBER = re.compile(r"(?<![\w\"])[+-]?(?:0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)\b")
_MARK = re.compile(r"%\(\w+\)[sbt]|%[sbt]|(?<!:)[:@$]\w+|\?\d*")
_LIST = re.compile(r"\(\s*\?(?:\s*,\s*\?)+\s*\)")
_ROWS = re.compile(r"(\((?:\?|\? …)\))(?:\s*,\s*\((?:\?|\? …)\))+")
_SPACE = re.compile(r"\s+")
_FIRST = re.compile(r"[A-Za-z]+")
_IN_WITH = re.compile(r"\b(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_NAME = r'(?:["`]?(\w+|\?)["`]?\s*\.\s*)?["`]?(\w+|\?)["`]?'
_TABLES = {
    "SELECT": re.compile(rf"\bFROM\s+\(*{_NAME}", re.IGNORECASE),
    "DELETE": re.compile(rf"\bFROM\s+(?:ONLY\s+)?{_NAME}", re.IGNORECASE),
    "INSERT": re.compile(rf"\bINTO\s+{_NAME}", re.IGNORECASE),
    "UPDATE": re.compile(rf"\bUPDATE\s+(?:OR\s+\w+\s+)?(?:ONLY\s+)?{_NAME}", re.IGNORECASE),
}


class Statement:
    """A SQL statement's table and operation, both from closed sets, and its shape."""

    __slots__ = ("operation", "table", "text")

    def __init__(self, table: str, operation: str, text: str) -> None:
        self.table = table
        self.operation = operation
        self.text = text


def text_of(sql: Any, context: Mapping[str, Any]) -> str:
    """The text of what an execute_wrapper is given: psycopg's composed statements are made anew for
    each call."""
    return sql if isinstance(sql, str) else str(sql.as_string(context["cursor"].cursor))


@functools.lru_cache(maxsize=_KEPT_STATEMENTS)
def statement(sql: str) -> Statement:
    """What is said of a statement. Its first table is that of the outermost FROM, INTO or UPDATE
    that names one."""
    text = _folded(sql)
    operation = _operation(text)
    return Statement(_table(text, operation), operation, text[:MAX_TEXT])


def _folded(sql: str) -> str:
    text = _TOKEN.sub(_kept, sql)
    text = _NUMBER.sub("?", _MARK.sub("?", text))
    text = _ROWS.sub(r"\1 …", _LIST.sub("(? …)", text))
    return _SPACE.sub(" ", text).strip(" ;")


def _kept(match: re.Match[str]) -> str:
    if match["comment"] is not None:
        return " "
    name = match["double"] or match["back"] or ""
    return f'"{name}"' if name in sql_names() or _ALIAS.fullmatch(name) else "?"


def _operation(text: str) -> str:
    first = _FIRST.search(text[:40].lstrip("( "))
    word = first.group().upper() if first else ""
    if word == "WITH":
        written = _IN_WITH.search(text)
        return written.group(1).upper() if written else "SELECT"
    word = "INSERT" if word == "REPLACE" else word
    return word if word in SQL_OPERATIONS else OTHER


def _table(text: str, operation: str) -> str:
    pattern = _TABLES.get(operation)
    if pattern is None:
        return OTHER
    for found in pattern.finditer(text):
        before, name = found.groups()
        if name in sql_tables():
            return name
        # A subquery's own FROM comes later; so does the one after EXTRACT(day FROM table.column).
        if name.upper() != "SELECT" and not (before and name in sql_names()):
            return OTHER
    return OTHER
