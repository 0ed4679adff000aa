"""What of a record is told: its own text and fields, an error by its class and place, no values.

What Django's loggers say has paths and parameters in it; their lines have the route and the shape
of the statement instead.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings

from dbcore.logs.events import NAMES
from dbcore.monitoring.scrub import mask_secrets, scrub, scrub_text
from dbcore.printable import sentence
from dbcore.secrecy import MASK, Bare

if TYPE_CHECKING:
    from structlog.typing import EventDict

MAX_TEXT = 1000  # characters of a message or a field
MAX_TRACEBACK = 8000  # and of a traceback: one line must fit where lines are cut
_FRAMES = 30  # innermost, of each error of a chain
_CHAIN = 5  # errors behind an error
# Names of classes and codes are as long as tokens.
_CONSTANT = {"error.type": 64, "exception.type": 200}
_SUSPICIOUS = "django.security."
# What gunicorn says of a request that it cannot read or serve: a few words, then it quotes it.
_UNSERVED = re.compile(
    r"(?:Invalid request from ip=\S*: ([A-Za-z ]*)|(Error handling request)).*", re.S
)
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
_CODE = re.compile(r"[A-Za-z_][\w.]*")


# --- Texts and fields -----------------------------------------------------------------------------
def known_text(logger: Any, method: str, line: EventDict) -> EventDict:
    """The text and fields of a record, without what Django puts into them."""
    record, args = line["_record"], line.pop("positional_args", ())
    fields = getattr(record, "fields", None)
    line["fields"] = dict(fields) if isinstance(fields, dict) else {}
    error = getattr(record, "error", None)
    if isinstance(error, BaseException):
        line["fields"]["error.message"] = words_of(error)
    if record.name.startswith("django.db.backends"):
        _sql(record, line)
    elif record.name == "django.server":
        _served(record, args, line)
    elif hasattr(record, "request"):
        _request(record, args, line)
    elif record.name == "gunicorn.error":
        line["message"] = _UNSERVED.sub(r"\1\2", line["message"]).strip()
    return line


def _sql(record: logging.LogRecord, line: EventDict) -> None:
    from dbcore.monitoring.shapes import statement  # needs the models

    sql = getattr(record, "sql", None)
    if isinstance(sql, str):
        line["message"] = "SQL statement"
        line["fields"] |= {
            NAMES["query"]: statement(sql).text, "duration": getattr(record, "duration", None)
        }  # fmt: skip


def _served(record: logging.LogRecord, args: Any, line: EventDict) -> None:
    """A line of runserver's. Only who develops sees paths."""
    if settings.DEBUG or not isinstance(args, tuple) or len(args) < 2:
        return
    line["message"] = "request served"
    line["fields"] |= {NAMES["method"]: _method(str(args[0]).split(" ")[0]), NAMES["code"]: args[1]}


def _request(record: logging.LogRecord, args: Any, line: EventDict) -> None:
    """What Django says of a request: its path is told by its route, and what it suspects by the
    class of that, since its words quote a header or a lookup."""
    request: Any = record.__dict__["request"]
    route = str(getattr(getattr(request, "resolver_match", None), "route", "") or "")
    path = getattr(request, "path", "")
    kind = record.name.removeprefix(_SUSPICIOUS)
    if kind != record.name and not args:
        line["message"] = "suspicious request"
        line["fields"]["error.type"] = kind
    elif isinstance(args, tuple) and path:
        # Django writes what is not ASCII in another way before it logs it.
        paths = {path, path.encode("unicode_escape").decode()}
        told = tuple(route or MASK if arg in paths else _reason(record, arg) for arg in args)
        line["message"] = str(record.msg) % told if told else str(record.msg)
    line["fields"] |= {
        NAMES["method"]: _method(getattr(request, "method", None)),
        NAMES["route"]: route or None,
        NAMES["code"]: getattr(record, "status_code", None),
    }


def _method(given: Any) -> str | None:
    """A request's method, which may be any word; as OpenTelemetry has others."""
    return given if given is None or given in _METHODS else "_OTHER"


def _reason(record: logging.LogRecord, words: Any) -> Any:
    """Why a form was not taken, without the address that it came from."""
    if record.name == f"{_SUSPICIOUS}csrf" and isinstance(words, str):
        return words.partition(" - ")[0]
    return words


# --- Errors ---------------------------------------------------------------------------------------
def exception(logger: Any, method: str, line: EventDict) -> EventDict:
    """The class of a record's exception, its words where they name no record, and where it was."""
    line.pop("stack_info", None)
    info = line.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else None
    if error is None:
        return line
    line["fields"] |= {"exception.type": _name(error), "exception.message": words_of(error)}
    line["exception.stacktrace"] = "\n".join(_lines(error, _CHAIN))[-MAX_TRACEBACK:]
    return line


def words_of(error: BaseException) -> str:
    """What an error says; "" where it may name a record or quote a value. Who develops sees it."""
    if settings.configured and settings.DEBUG:
        return _plain(scrub_text(str(error)))
    if not apps.ready:
        return ""
    from dbcore.monitoring.sentry.words import WITHHELD, words  # needs the models

    said = words(error)
    return "" if said == WITHHELD else _plain(said)


def _lines(error: BaseException, left: int) -> Iterator[str]:
    """A traceback as Python prints it, but for what errors say; their notes are left out, too."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and left:
        yield from _lines(before, left - 1)
        yield "which led to:"
    for frame in traceback.format_tb(error.__traceback__, -_FRAMES):
        yield frame.rstrip("\n")
    said = words_of(error)
    yield f"{_name(error)}: {said}" if said else _name(error)
    if isinstance(error, BaseExceptionGroup) and left:
        for each in error.exceptions:
            yield "of which one is:"
            yield from _lines(each, left - 1)


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


# --- Scrubbing ------------------------------------------------------------------------------------
def scrubbed(logger: Any, method: str, line: EventDict) -> EventDict:
    """Everything that a record brought, without what is secret or personal, on one line each."""
    line["message"] = _plain(scrub_text(str(line["message"])))
    if "exception.stacktrace" in line:
        # Lines of code, and words that have been looked at: what is long in them is no token.
        trace = line["exception.stacktrace"]
        line["exception.stacktrace"] = mask_secrets(trace, Bare.NEVER)
    for name, value in line.pop("fields").items():
        if value is not None and value != "":
            line[name] = _field(name, value)
    return line


def _field(name: str, value: Any) -> Any:
    if name in _CONSTANT:
        text = str(value)
        return text if len(text) <= _CONSTANT[name] and _CODE.fullmatch(text) else "other"
    return _tidy(scrub(value, name))


def _tidy(value: Any) -> Any:
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, list):
        return [_tidy(each) for each in value]
    if isinstance(value, dict):
        return {_plain(name): _tidy(each) for name, each in value.items()}
    return round(value, 6) if isinstance(value, float) else value


def _plain(text: str) -> str:
    """On one line, and not too long: nobody writes a line of their own into the log."""
    return sentence(text, MAX_TEXT)
