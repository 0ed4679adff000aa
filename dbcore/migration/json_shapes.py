"""JSON text -> DynamoDB's JSON text, without building the value in between, for texts of a shape
that has been seen before.

A column's JSON texts are nearly always alike but for their numbers and strings. A shape is a
regular expression for all texts that differ from one another in just those, and a template for
their attribute. It matches only what it converts digit for digit and letter for letter; for
everything else `convert` returns None and the caller takes the long way.
"""

from __future__ import annotations

import re

MAX_SHAPES = 8  # a column, tried most recently used first
MAX_TOKENS = 200
_GIVE_UP = 500  # misses in excess of hits after which a column has no shape

_TOKEN = re.compile(
    r'"(?:[^"\\\x00-\x1f]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}\[\],:]|\s+'
)
# At most 35 digits, so within DynamoDB's 38, and below 2**53 before the point, so that Python and
# JavaScript read the same number from it.
_NUMBER = r"(-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,20})?)"
# A string without escapes stands in both texts alike.
_STRING = r'"([^"\\\x00-\x1f]*)"'
_LITERALS = {
    "true": '{"BOOL":true}',
    "false": '{"BOOL":false}',
    "null": '{"NULL":true}',
}


class NoShape(Exception):
    """The text has something that a shape does not express."""


class JsonShapes:
    """The shapes of one column. Not thread-safe."""

    def __init__(self) -> None:
        self._shapes: list[tuple[re.Pattern[str], str]] = []
        self._score = 0

    def convert(self, text: str) -> str | None:
        """The attribute value's JSON for `text`, or None when no known shape fits."""
        for position, (pattern, template) in enumerate(self._shapes):
            found = pattern.fullmatch(text)
            if found is not None:
                if position:
                    self._shapes.insert(0, self._shapes.pop(position))
                self._score += 1
                return template % found.groups()
        self._score -= 1
        if self._score < -_GIVE_UP:
            self._shapes.clear()
        return None

    def learn(self, text: str) -> None:
        """Remember the shape of `text`, a JSON object or list that is known to be valid."""
        if len(self._shapes) >= MAX_SHAPES or self._score < -_GIVE_UP:
            return
        try:
            self._shapes.append(_ShapeReader(text).shape())
        except NoShape:
            pass


class _ShapeReader:
    """Reads one JSON text, token by token, into a pattern and a template."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        if len(self.tokens) > MAX_TOKENS or "".join(self.tokens) != text:
            raise NoShape
        self.at = 0
        self.pattern: list[str] = []

    def shape(self) -> tuple[re.Pattern[str], str]:
        self._space()
        template = self._value()
        self._space()
        return re.compile("".join(self.pattern)), template

    def _next(self) -> str:
        token: str = self.tokens[self.at]
        self.at += 1
        return token

    def _space(self) -> None:
        while self.at < len(self.tokens) and self.tokens[self.at].isspace():
            self.pattern.append(re.escape(self._next()))

    def _punctuation(self) -> str:
        self._space()
        token = self._next()
        self.pattern.append(re.escape(token))
        self._space()
        return token

    def _value(self) -> str:
        token = self._next()
        if token in _LITERALS:
            self.pattern.append(token)
            return _LITERALS[token]
        if token.startswith('"'):
            return self._hole(token, _STRING, '{"S":"%s"}')
        if token == "{":
            return self._object()
        if token == "[":
            return self._list()
        return self._hole(token, _NUMBER, '{"N":"%s"}')

    def _hole(self, token: str, pattern: str, template: str) -> str:
        if re.fullmatch(pattern, token) is None:
            raise NoShape
        self.pattern.append(pattern)
        return template

    def _object(self) -> str:
        self.pattern.append(r"\{")
        self._space()
        members: dict[str, str] = {}
        if self.tokens[self.at] == "}":
            self._punctuation()
            return '{"M":{}}'
        while True:
            key = self._next()
            if "\\" in key or key in members:
                raise NoShape
            self.pattern.append(re.escape(key))
            self._punctuation()
            members[key] = self._value()
            if self._punctuation() == "}":
                inside = ",".join(f"{k.replace('%', '%%')}:{v}" for k, v in members.items())
                return f'{{"M":{{{inside}}}}}'

    def _list(self) -> str:
        self.pattern.append(r"\[")
        self._space()
        members: list[str] = []
        if self.tokens[self.at] == "]":
            self._punctuation()
            return '{"L":[]}'
        while True:
            members.append(self._value())
            if self._punctuation() == "]":
                return f'{{"L":[{",".join(members)}]}}'
