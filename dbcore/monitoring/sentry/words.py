"""What an error may say of itself. An exception's message is left out unless it is known to hold
nothing but words of code: most of them quote a key, a value or a path.
"""

from __future__ import annotations

import logging
import os
import re

from botocore.exceptions import ClientError
from django.core.exceptions import ImproperlyConfigured
from django.db import Error

from dbcore.errors import DbcoreError
from dbcore.monitoring.labels import sql_names
from dbcore.monitoring.scrub import scrub_text
from dbcore.monitoring.sentry.facts import own_call, walk
from dbcore.rights import lacked
from dbcore.secrecy import MASK
from dbcore.stores.errors import UniqueViolation
from dbcore.wire.answers import cancellation_codes, error_code

WITHHELD = "(its message is not sent)"
OWN_LOGGERS = "dbcore."  # whose messages are constant, with parameters beside them
# Whose messages are made of names in the code, or of settings' names.
_KNOWN = (
    ImportError, NameError, AttributeError, ZeroDivisionError, RecursionError, MemoryError,
    ImproperlyConfigured,
)  # fmt: skip
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}")
_PATH = re.compile(r"(?<![\w.:/])/[^\s:;,'\"]+")
_STATE = re.compile(r"[0-9A-Z]{5}")


def words_by_type(error: BaseException) -> dict[tuple[str, str], str]:
    """What the errors of a chain may say, by their module and class; of several of one class, all
    of it."""
    said: dict[tuple[str, str], dict[str, None]] = {}
    for each in walk(error):
        kind = type(each)
        said.setdefault((kind.__module__, kind.__name__), {})[words(each)] = None
    return {kind: "; ".join(texts) for kind, texts in said.items()}


def words(error: BaseException) -> str:
    """What one error may say: codes, names in code, table and operation."""
    call = own_call(error)
    told = [_words(error), str(call) if call else ""]
    return ": ".join(filter(None, told)) or WITHHELD


def template(record: logging.LogRecord) -> str:
    """A log record's message without what was put into it. One that was made before it came to the
    log is left out: nobody can tell its words from the values in it."""
    constant = record.args or record.name.startswith(OWN_LOGGERS)
    return scrub_text(record.msg) if constant and isinstance(record.msg, str) else WITHHELD


def _words(error: BaseException) -> str:
    if isinstance(error, ClientError):
        codes = [error_code(error), *sorted(cancellation_codes(error))]
        told = [each for each in codes if _CODE.fullmatch(each)]
        return ", ".join(filter(None, [*told, lacked(error)]))
    if isinstance(error, Error):
        return _words_of_sql(error)
    if isinstance(error, UniqueViolation):
        return f"{error.field} is taken" if error.field in sql_names() else ""
    if isinstance(error, OSError):
        return os.strerror(error.errno) if isinstance(error.errno, int) else ""
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return str(error.code)
    if isinstance(error, _KNOWN) or _names_no_record(error):
        return _PATH.sub(MASK, scrub_text(str(error)))
    return ""


def _names_no_record(error: BaseException) -> bool:
    """One with a cause quotes it, and that may name anything."""
    return isinstance(error, DbcoreError) and not error.names_records and error.__cause__ is None


def _words_of_sql(error: Error) -> str:
    """The driver's code, and the constraint that did not hold where it is one of the models'."""
    driver = error.__cause__
    code = getattr(driver, "sqlite_errorname", None)
    state = getattr(driver, "sqlstate", None)
    if isinstance(state, str) and _STATE.fullmatch(state):
        code = f"SQLSTATE {state}"
    constraint = getattr(getattr(driver, "diag", None), "constraint_name", None)
    named = constraint if constraint in sql_names() else None
    return " ".join(each for each in (code, named) if isinstance(each, str))
