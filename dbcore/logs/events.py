"""What the layer logs: a closed list of events, each with a fixed text and fields of fixed names.

A field is a count, a name from a closed set or an id of work. A record's key or value and a user's
id never are, nor may a caller make up an event.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

# Fields as lines call them, after OpenTelemetry where it has a name; others are called as in code.
NAMES = {
    "system": "db.system.name",
    "table": "db.collection.name",
    "operation": "db.operation.name",
    "query": "db.query.text",
    "index": "aws.dynamodb.index_name",
    "tables": "aws.dynamodb.table_names",
    "error": "error.type",
    "method": "http.request.method",
    "route": "http.route",
    "code": "http.response.status_code",
}

EVENTS: list[Event] = []


@dataclass(frozen=True, slots=True)
class Event:
    """Something that is logged.

    `levels`: what it may be logged at, the first where nothing else is said. `fields` in the order
    of a line. `told`: its command says so, too, to whoever is at the terminal.
    """

    logger: str
    levels: tuple[int, ...]
    message: str
    fields: tuple[str, ...]
    when: str
    told: bool = False

    def __post_init__(self) -> None:
        EVENTS.append(self)

    def log(
        self,
        *,
        level: int | None = None,
        error: BaseException | str | None = None,
        traceback: BaseException | None = None,
        **fields: Any,
    ) -> None:
        """Log it. `error`: what went wrong, or its name; `traceback`: the same, to be logged with
        where it happened. Of an error that is no name `error.message` has the words, where these
        name no record. Fields that are None or "" are left out."""
        logger = logging.getLogger(self.logger)
        level = self.levels[0] if level is None else level
        if not logger.isEnabledFor(level):
            return
        found = {NAMES.get(name, name): value for name, value in fields.items()}
        is_error = isinstance(error, BaseException)
        found["error.type"] = error_type(error) if is_error else error
        kept = {name: value for name, value in found.items() if value is not None and value != ""}
        extra = {"fields": kept, "told": self.told, "error": error if is_error else None}
        logger.log(level, self.message, extra=extra, exc_info=traceback, stacklevel=2)


def error_type(error: Any) -> str:
    """DynamoDB's code of an error, or its class."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return code if isinstance(code, str) and code else type(error).__name__
