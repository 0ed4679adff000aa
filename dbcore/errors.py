"""The errors of the layer that a caller may catch, under one base class."""

from __future__ import annotations

import socket
from typing import ClassVar

from botocore.exceptions import BotoCoreError

SEE_CONNECT = "`manage.py connect` says why"


class DbcoreError(Exception):
    """Something the database layer cannot do; the message says what, where and what to do."""

    # Whether a message may name a record or a user, or quote a value: the log then has none of it.
    names_records: ClassVar[bool] = True


class ConfigurationError(DbcoreError):
    """A setting or declaration does not make sense."""

    names_records = False


class InvalidValue(DbcoreError, ValueError):
    """A value that the store cannot keep unchanged."""


def is_out_of_reach(error: BaseException) -> bool:
    """Whether an error says that something did not answer, and not what it answered: botocore's of
    the transport and of credentials, the system's, and behind Django's the driver's for a server
    that has given no code."""
    if isinstance(error, (BotoCoreError, ConnectionError, TimeoutError, socket.gaierror)):
        return True
    cause = error.__cause__
    names = {kind.__name__ for kind in type(cause).__mro__}
    return "OperationalError" in names and getattr(cause, "sqlstate", "") is None
