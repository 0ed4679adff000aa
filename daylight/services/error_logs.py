"""Errors that somebody should look at. An error's own text is cut so that it can always be kept:
what goes wrong while something else goes wrong is lost for good."""

from __future__ import annotations

import traceback
from typing import Any

from daylight.models import ErrorLog
from daylight.services.base import Service, check_id
from daylight.services.bearers import without_bearers
from daylight.services.twins import twin
from dbcore.secrecy import Bare, mask_text
from dbcore.stores.errors import InvalidRecord
from dbcore.stores.interface import Query
from dbcore.stores.pages import Page, read_page_of_all

NAME_LENGTH = 255
MESSAGE_BYTES = 16 * 1024
LONGEST = 1_000_000  # characters of either that are looked at
STACK_BYTES = 64 * 1024  # with the message a fifth of the record; the rest is the context's
CUT = "…"


class ErrorLoggingService(Service):
    """Logged errors, newest first."""

    def log_error(
        self,
        exception: BaseException,
        context: Any = None,
        user_id: str | None = None,
        severity: str = "medium",
    ) -> ErrorLog:
        """Write an exception down: its name, its message and its traceback with its causes.

        A message over 16 KB loses its end, a traceback over 64 KB its beginning, farthest from
        where it was raised. `context` is a JSON object or list and never cut; `severity` is low,
        medium, high or critical. Of sessions' ids and API keys the entry has the hashes. Returns
        the entry. InvalidRecord (exception, context, user_id, severity; `item` for a context that
        is too big), Conflict, StoreUnavailable.
        """
        if not isinstance(exception, BaseException):
            raise InvalidRecord("exception", "is not an exception")
        message = _message_of(exception)[:LONGEST]
        stack = "".join(traceback.format_exception(exception))[-LONGEST:]
        entry = ErrorLog(  # type: ignore[misc]  # user_id may be null
            name=_plain(_name_of(exception))[:NAME_LENGTH],
            message=_head(_plain(message), MESSAGE_BYTES),
            stack=_tail(_plain(stack), STACK_BYTES),
            context={} if context is None else without_bearers(context),
            user_id=None if user_id is None else check_id("user_id", user_id),
            severity=severity,
        )
        return self.store.add(entry)

    def get_error_logs(
        self, limit: int = 100, severity: str | None = None, cursor: str | None = None
    ) -> Page[ErrorLog]:
        """Errors of this severity; of all four where it is None.

        Eventually consistent: on DynamoDB the index follows a write within about a second, and in
        either store a replica may answer.
        InvalidRecord (limit, severity, cursor), StoreUnavailable.
        """
        chosen = ErrorLog.Severity.values if severity is None else [severity]
        queries = [
            Query(ErrorLog, "severity", each, "timestamp", limit, consistent=False)
            for each in chosen
        ]
        return read_page_of_all(self.store, queries, cursor)

    def resolve_error(self, error_id: str) -> ErrorLog:
        """Mark an error as resolved, however often; the entry as it is then.

        RecordNotFound, Conflict, InvalidRecord (error_id), StoreUnavailable.
        """
        key = {"id": check_id("error_id", error_id)}
        return self.store.update(ErrorLog, key, {"resolved": True})

    alog_error = twin(log_error)
    aget_error_logs = twin(get_error_logs)
    aresolve_error = twin(resolve_error)


def _name_of(exception: BaseException) -> str:
    """Its class's name, or of the nearest that it derives from: a class may have an empty one."""
    return next(each.__name__ for each in type(exception).__mro__ if each.__name__)


def _message_of(exception: BaseException) -> str:
    try:
        return str(exception)
    except Exception:  # a broken __str__ must not hide the error that it belongs to
        return "<the exception's text could not be made>"


def _plain(text: str) -> str:
    """Text that any store can keep: no lone surrogate, and no NUL, which PostgreSQL refuses. And
    that anybody may read who looks after errors: they quote what they were given, secrets too."""
    seen = mask_text(str(without_bearers(text)), bare=Bare.EQUALS, limit=LONGEST)
    return seen.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _head(text: str, most: int) -> str:
    """The beginning of a text, of at most so many bytes."""
    data = text.encode()
    if len(data) <= most:
        return text
    return data[: most - len(CUT.encode())].decode(errors="ignore") + CUT


def _tail(text: str, most: int) -> str:
    """The end of a text, of at most so many bytes."""
    data = text.encode()
    if len(data) <= most:
        return text
    return CUT + data[len(data) - most + len(CUT.encode()) :].decode(errors="ignore")


error_logging_service = ErrorLoggingService()
