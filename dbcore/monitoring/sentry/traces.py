"""Spans of a traced request: one for each call to DynamoDB and for each SQL statement, in the same
words. A request that is not traced has none, and pays next to nothing.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import sentry_sdk
from django.db.backends.base.base import BaseDatabaseWrapper
from sentry_sdk.tracing import Span

from dbcore.monitoring.labels import DYNAMODB, REFUSALS, collection
from dbcore.monitoring.metrics import current
from dbcore.monitoring.sentry.events import DATA, Fields, common, guarded, picked
from dbcore.monitoring.sentry.facts import note
from dbcore.monitoring.shapes import statement, text_of
from dbcore.monitoring.switch import is_off
from dbcore.wire import Call

ORIGIN = "auto.db.dbcore"
_SPAN = (
    "trace_id", "span_id", "parent_span_id", "same_process_as_parent", "op", "origin", "status",
    "start_timestamp", "timestamp",
)  # fmt: skip
# Whose description is a name in the code: of a view, a template, a middleware, a receiver.
_NAMED_IN_CODE = ("view.render", "view.response.render", "template.render", "middleware.django",
                  "event.django")  # fmt: skip
_HOST = re.compile(r"[\w.-]+")


def tell_failure(call: Call) -> None:
    """The wire's hook where nothing is traced: an error knows which call it is of."""
    if call.failure is not None:
        with _never_in_the_way():
            note(call)


def tell_call(call: Call) -> None:
    """The wire's hook where requests may be traced."""
    tell_failure(call)
    parent = _traced()
    if parent is None:
        return
    with _never_in_the_way():
        ended = dt.datetime.now(dt.UTC)
        began = ended - dt.timedelta(seconds=call.seconds)
        table = collection(call.table) if call.table else ""
        span = _begin(parent, DYNAMODB, table, call.operation, start_timestamp=began)
        _end(span, call.error, end_timestamp=ended)


def tell_statement(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """The execute_wrapper of connections where requests may be traced."""
    parent = _traced()
    if parent is None:
        return execute(sql, params, many, context)
    span, error = None, None
    with _never_in_the_way():
        told = statement(text_of(sql, context))
        span = _begin(parent, context["connection"].vendor, told.table, told.operation)
        span.set_data("db.query.text", told.text)
    try:
        return execute(sql, params, many, context)
    except Exception as raised:
        error = type(raised).__name__
        raise
    finally:
        with _never_in_the_way():
            if span is not None:
                _end(span, error)


def watch(connection: BaseDatabaseWrapper, **_: object) -> None:
    """Have a connection's statements told; a receiver of connection_created."""
    if tell_statement not in connection.execute_wrappers:
        # Not last: execute_wrapper() takes the last one off when its block ends.
        connection.execute_wrappers.insert(0, tell_statement)


def traced_request(event: Fields, hint: Fields) -> Fields:
    """A transaction as it is sent; a `before_send_transaction`."""
    return guarded(_traced_request, event, hint)


@contextmanager
def _never_in_the_way() -> Iterator[None]:
    """What fails in here is counted, and no call hears of it."""
    try:
        yield
    except Exception:
        current().failure("sentry")


def _traced() -> Span | None:
    """What a call that is made now is a part of, where that is traced."""
    parent = sentry_sdk.get_current_span()
    return None if parent is None or not parent.sampled or is_off() else parent


def _begin(parent: Span, system: str, table: str, operation: str, **given: Any) -> Span:
    span = parent.start_child(op="db", name=f"{operation} {table}".strip(), origin=ORIGIN, **given)
    span.update_data({
        "db.system.name": system, "db.collection.name": table, "db.operation.name": operation,
    })  # fmt: skip
    return span


def _end(span: Span, error: str | None, **given: Any) -> None:
    if error is None:
        span.set_status("ok")
    else:
        span.set_data("error.type", error)
        span.set_status("failed_precondition" if error in REFUSALS else "internal_error")
    span.finish(**given)


def _traced_request(event: Fields, hint: Fields) -> Fields:
    return common(event) | {"spans": [_span(each) for each in event.get("spans") or []]}


def _span(span: Mapping[str, Any]) -> Fields:
    sent = picked(span, _SPAN)
    sent["data"] = picked(span.get("data") or {}, DATA)
    op, text = str(span.get("op") or ""), str(span.get("description") or "")
    if (op == "db" and span.get("origin") == ORIGIN) or op in _NAMED_IN_CODE:
        sent["description"] = text
    else:
        sent["description"] = _http(text) if op == "http.client" else op
    return sent


def _http(text: str) -> str:
    """A request that was made, by its method and host: a path may have a key or a secret in it."""
    method, _, url = text.partition(" ")
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    return f"{method} {host}" if _HOST.fullmatch(host) and method.isalpha() else "http.client"
