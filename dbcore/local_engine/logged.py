"""What the log has of the local engine."""

from __future__ import annotations

from logging import DEBUG, INFO, WARNING

from dbcore.logs import Event

LOGGER = "dbcore.local_engine"
IN_MEMORY = Event(
    LOGGER, (WARNING,), "the local engine keeps data in memory only: `npm install` for dynoxide",
    (), "the engine is moto's server, whose data are lost when it stops",
)  # fmt: skip
STARTED = Event(
    LOGGER, (INFO,), "local engine started", ("kind", "endpoint"), "this process has started it"
)
STOPPED = Event(
    LOGGER, (INFO,), "local engine stopped", ("kind", "endpoint"), "its last user has ended"
)
PORT_TAKEN = Event(
    LOGGER, (INFO,), "port taken by another program", ("port",), "the engine tries another port"
)
FOUND = Event(
    LOGGER, (INFO,), "local engine found", ("kind", "endpoint"), "another command has started it"
)
GONE = Event(
    LOGGER, (DEBUG,), "local engine has gone", (), "the one that was noted does not run any more"
)
REPLACED = Event(
    LOGGER, (WARNING,), "local engine replaced", ("endpoint", "pid"), "it gave no answer"
)
NOT_STOPPED = Event(
    LOGGER, (WARNING,), "local engine not stopped", ("error",), "it did not end when it was told to"
)
