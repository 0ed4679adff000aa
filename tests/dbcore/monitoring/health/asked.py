"""Short ways to ask one check, and faults that a proxy shows it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from django.utils import timezone

from dbcore.monitoring.health import CheckResult, Status, run_checks
from tests.support.proxy import Answer, Call, Message

HEALTHY, WARNING, CRITICAL = Status.HEALTHY, Status.WARNING, Status.CRITICAL


def ask(name: str) -> CheckResult:
    """What one check says now."""
    (result,) = run_checks([name], now=timezone.now())
    return result


def all_statuses() -> dict[str, Status]:
    return {each.name: each.status for each in run_checks(now=timezone.now())}


def ill() -> dict[str, Status]:
    """What is not healthy."""
    return {name: status for name, status in all_statuses().items() if status is not HEALTHY}


def date_off_by(seconds: float) -> Callable[[Call], Answer]:
    """A server that answers as ever, and whose clock is so many seconds ahead."""

    def rewrite(call: Call) -> Answer:
        message = call.proceed().message
        assert message is not None
        told = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
        head, count = re.subn(rb"(?i)\r\ndate: [^\r]*", f"\r\ndate: {told}".encode(), message.head)
        assert count == 1
        return Answer(Message(head, message.body))

    return rewrite


def silent_until(release: threading.Event) -> Callable[[Call], Answer | None]:
    """A server that takes requests and answers none before then."""

    def wait(call: Call) -> Answer | None:
        release.wait(60)
        return None

    return wait


def rewritten(operation: str, change: Callable[[Any], None]) -> Callable[[Call], Answer | None]:
    """An engine whose answer to an operation is another: `change` is given its JSON."""

    def rewrite(call: Call) -> Answer | None:
        if call.request.operation != operation:
            return None
        message = call.proceed().message
        assert message is not None
        body = json.loads(message.body)
        change(body)
        return Answer(message.with_json(body))

    return rewrite
