"""A record as a line: read, scrubbed, stamped, rendered. Of what no line can be made the logger
alone is told: an unscrubbed text never comes out.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import logging
import platform
import sys
from typing import TYPE_CHECKING, Any

import orjson

from dbcore.logs import ids

if TYPE_CHECKING:
    from structlog.stdlib import ProcessorFormatter
    from structlog.typing import EventDict

TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
FIRST = ("timestamp", "level", "logger", "message", "request_id", "run", "run_id")


class LineFormatter(logging.Formatter):
    """A formatter for LOGGING: `form` is "json" or "text"."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self._form = form
        if form == "json":
            self._renderer()  # before threads need it; a command in development may never

    def format(self, record: logging.LogRecord) -> str:
        try:
            return self._renderer().format(record)
        except Exception as error:
            return _failed(record, error)

    def _renderer(self) -> ProcessorFormatter:
        return _renderer(self._form)


def _failed(record: logging.LogRecord, error: Exception) -> str:
    line = {
        "timestamp": dt.datetime.fromtimestamp(record.created, dt.UTC).strftime(TIME),
        "level": "error",
        "logger": record.name,
        "message": "a line could not be written",
        **ids(),
        "error.type": type(error).__name__,
    }
    return json.dumps(line)


@functools.cache
def _renderer(form: str) -> ProcessorFormatter:
    # Here: structlog takes a tenth of a second to import.
    import structlog
    from structlog.stdlib import ProcessorFormatter, add_log_level, add_logger_name

    from dbcore.monitoring.lines.content import exception, known_text, scrubbed

    last: list[Any]
    if form == "json":
        last = [_process, _in_order, structlog.processors.JSONRenderer(serializer=_json)]
    else:
        to_people = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), event_key="message", sort_keys=False, pad_event_to=28,
            exception_formatter=structlog.dev.plain_traceback,
        )  # fmt: skip
        last = [_readable, to_people]
    return ProcessorFormatter(
        foreign_pre_chain=[
            structlog.processors.EventRenamer("message"),
            add_log_level,
            add_logger_name,
            structlog.processors.TimeStamper(fmt=TIME, utc=True),
            known_text,
            exception,
            scrubbed,
            _ids,
        ],
        processors=[*last[:1], ProcessorFormatter.remove_processors_meta, *last[1:]],
        pass_foreign_args=True,
    )


def _ids(logger: Any, method: str, line: EventDict) -> EventDict:
    line.update(ids())
    return line


def _process(logger: Any, method: str, line: EventDict) -> EventDict:
    line["process.pid"], line["host.name"] = line["_record"].process, _host()
    return line


def _readable(logger: Any, method: str, line: EventDict) -> EventDict:
    if "exception.stacktrace" in line:
        line["exception"] = line.pop("exception.stacktrace")  # which comes below
    return line


def _in_order(logger: Any, method: str, line: EventDict) -> EventDict:
    return {name: line.pop(name) for name in FIRST if name in line} | dict(line)


@functools.cache
def _host() -> str:
    return platform.node()


def _json(line: EventDict, **_: Any) -> str:
    return orjson.dumps(line, default=str).decode()
