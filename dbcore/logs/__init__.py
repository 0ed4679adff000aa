"""What is logged, and whose line it is: events with fixed texts, request and run ids.

How a line looks and what is scrubbed from it is `dbcore.monitoring.lines`. Nothing here may need
Django, or raise into what is logged.
"""

from dbcore.logs.events import EVENTS, Event
from dbcore.logs.ids import (
    begin_request,
    carrying,
    command,
    end_request,
    ids,
    is_quiet,
    new_run_id,
    run,
    this_process_is,
)

__all__ = [
    "EVENTS",
    "Event",
    "begin_request",
    "carrying",
    "command",
    "end_request",
    "ids",
    "is_quiet",
    "new_run_id",
    "run",
    "this_process_is",
]
