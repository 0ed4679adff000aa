"""What of an event is sent: each field that is named here, and of it what is said here. Everything
else stays: request, user, extra, variables, the words of errors and logs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from dbcore.logs import ids
from dbcore.monitoring.scrub import scrub_text
from dbcore.monitoring.sentry.facts import call_of, type_of
from dbcore.monitoring.sentry.words import OWN_LOGGERS, WITHHELD, template, words_by_type

Fields = dict[str, Any]

_PLAIN = (
    "event_id", "timestamp", "start_timestamp", "type", "level", "platform", "sdk", "environment",
    "release", "dist", "server_name", "modules", "logger",
)  # fmt: skip
_BARE = ("event_id", "timestamp", "level", "platform", "environment", "release")
_FRAME = (
    "filename", "abs_path", "function", "module", "lineno", "in_app", "pre_context",
    "context_line", "post_context",
)  # fmt: skip
_MECHANISM = ("type", "handled", "exception_id", "parent_id", "is_exception_group", "source")
_TRACE = ("trace_id", "span_id", "parent_span_id", "op", "origin", "status")
_RUNTIME = ("name", "version", "build")
# Names of transactions that are made of code. A "url" is a path as it was asked for.
_SOURCES = ("route", "view", "component", "task")
# Ids of work, by which an event is found in the log.
_WORK = ("request_id", "run_id")
TAGS = ("db.system.name", "db.collection.name", "db.operation.name", "error.type", "command",
        "exit_status")  # fmt: skip
DATA = (
    "db.system.name", "db.collection.name", "db.operation.name", "db.query.text", "error.type",
    "http.request.method", "http.response.status_code", "thread.id", "code.filepath",
    "code.lineno", "code.function", "code.namespace",
)  # fmt: skip
_SIMPLE_TAG = re.compile(r"[\w.:*-]{1,200}")
_WORK_ID = re.compile(r"[0-9a-fA-F-]{8,64}")
_SAMPLING = re.compile(r"[0-9a-fA-F.]{1,64}|true|false")
_METHOD = re.compile(r"[A-Z]{1,10}")


# Whether a command is at work that tells of its own failure.
in_command = ContextVar("dbcore_sentry_in_command", default=False)


def error_event(event: Fields, hint: Fields) -> Fields | None:
    """An error or a message as it is sent; a `before_send`. None: it is told in another way."""
    if in_command.get() and getattr(hint.get("log_record"), "told", False):
        return None
    return guarded(_error_event, event, hint)


def guarded(make: Callable[[Fields, Fields], Fields], event: Fields, hint: Fields) -> Fields:
    """What `make` makes of an event; where that fails, only that there was one."""
    hint.pop("attachments", None)
    try:
        return make(event, hint)
    except Exception as error:
        told = {name: event[name] for name in _BARE if name in event}
        told["logentry"] = {"message": f"an event could not be scrubbed: {type(error).__name__}"}
        return told


def breadcrumb(crumb: Fields, hint: Fields) -> Fields:
    """A breadcrumb as it is kept; a `before_breadcrumb`. Cheap: what goes out is looked at again
    by `error_event`."""
    record = hint.get("log_record")
    if record is not None:
        crumb["message"] = template(record)
    elif crumb.get("type") == "log":  # which no log has made
        crumb["message"] = WITHHELD
    return crumb


def common(event: Fields) -> Fields:
    """What errors and transactions have in common."""
    sent = {name: event[name] for name in _PLAIN if event.get(name)}
    sent["contexts"] = _contexts(event.get("contexts") or {}, event)
    method = str((event.get("request") or {}).get("method") or "")
    if _METHOD.fullmatch(method):
        sent["request"] = {"method": method}
    source = (event.get("transaction_info") or {}).get("source")
    if event.get("transaction"):
        known = source in _SOURCES
        sent["transaction"] = event["transaction"] if known else "(no route)"
        sent["transaction_info"] = {"source": source if known else "custom"}
    sent["tags"] = _tags((event.get("tags") or {}) | ids())
    return sent


def picked(fields: Mapping[str, Any], names: tuple[str, ...]) -> Fields:
    """The fields with these names."""
    return {name: fields[name] for name in names if fields.get(name) is not None}


def _error_event(event: Fields, hint: Fields) -> Fields:
    sent = common(event)
    record = hint.get("log_record")
    # What dbcore logs has fields of fixed names, and the error that it is about.
    error = (hint.get("exc_info") or (None, None))[1] or getattr(record, "error", None)
    sent["tags"] |= _tags(getattr(record, "fields", None) or {})
    if isinstance(error, BaseException):
        sent["tags"] |= _tags_of(error)
    values = (event.get("exception") or {}).get("values") or []
    if values:
        said = words_by_type(error) if isinstance(error, BaseException) else {}
        sent["exception"] = {"values": [_exception(each, said) for each in values]}
    threads = (event.get("threads") or {}).get("values") or []
    if threads:
        sent["threads"] = {"values": [_thread(each) for each in threads]}
    if event.get("logentry") or event.get("message"):
        sent["logentry"] = {"message": _message(event, hint)}
    crumbs = (event.get("breadcrumbs") or {}).get("values") or []
    if crumbs:
        sent["breadcrumbs"] = {"values": [_crumb(each) for each in crumbs]}
    return sent


def _tags_of(error: BaseException) -> dict[str, str]:
    tags = {"error.type": type_of(error)}
    if call := call_of(error):
        tags |= {
            "db.system.name": call.system,
            "db.collection.name": call.table,
            "db.operation.name": call.operation,
        }
    return _tags(tags)


def _tags(tags: Mapping[str, Any]) -> dict[str, str]:
    sent = {}
    for name, value in tags.items():
        pattern = _SIMPLE_TAG if name in TAGS else _WORK_ID if name in _WORK else None
        if pattern is not None and value and pattern.fullmatch(str(value)):
            sent[name] = str(value)
    return sent


def _exception(value: Mapping[str, Any], said: Mapping[tuple[str, str], str]) -> Fields:
    module, kind = value.get("module") or "builtins", value.get("type") or ""
    sent = picked(value, ("type", "module", "thread_id"))
    sent["value"] = said.get((module, kind), WITHHELD)
    sent["mechanism"] = picked(value.get("mechanism") or {}, _MECHANISM)
    if value.get("stacktrace"):
        sent["stacktrace"] = _stack(value["stacktrace"])
    return sent


def _thread(thread: Mapping[str, Any]) -> Fields:
    sent = picked(thread, ("id", "crashed", "current"))
    return sent | {"stacktrace": _stack(thread.get("stacktrace") or {})}


def _stack(stack: Mapping[str, Any]) -> Fields:
    return {"frames": [picked(frame, _FRAME) for frame in stack.get("frames") or []]}


def _message(event: Fields, hint: Fields) -> str:
    record = hint.get("log_record")
    if record is not None:
        return template(record)
    if str(event.get("logger") or "").startswith(OWN_LOGGERS):
        return scrub_text(str((event.get("logentry") or {}).get("message") or ""))
    return WITHHELD


def _crumb(crumb: Mapping[str, Any]) -> Fields:
    sent = picked(crumb, ("type", "category", "level", "timestamp"))
    message = crumb.get("message")
    data = crumb.get("data") or {}
    if crumb.get("type") == "log" and message:
        sent["message"] = scrub_text(message)
        if str(crumb.get("category")).startswith(OWN_LOGGERS):
            fields = data.get("fields")
            sent["data"] = picked(fields if isinstance(fields, dict) else {}, DATA)
    elif crumb.get("category") == "httplib":
        sent["data"] = picked(data, ("http.method", "http.response.status_code"))
    return sent


def _contexts(contexts: Mapping[str, Any], event: Fields) -> Fields:
    sent: Fields = {}
    if runtime := contexts.get("runtime"):
        sent["runtime"] = picked(runtime, _RUNTIME)
    if trace := contexts.get("trace"):
        sent["trace"] = picked(trace, _TRACE)
        sent["trace"]["data"] = picked(trace.get("data") or {}, DATA)
        sampling = trace.get("dynamic_sampling_context") or {}
        # A part of it may have come with the request, from whoever sent that.
        sent["trace"]["dynamic_sampling_context"] = {
            name: value
            for name in ("trace_id", "public_key", "sample_rate", "sample_rand", "sampled")
            if _SAMPLING.fullmatch(value := str(sampling.get(name) or ""))
        } | picked(event, ("environment", "release"))
    return sent
