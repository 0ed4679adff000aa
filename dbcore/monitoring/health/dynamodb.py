"""How checks ask DynamoDB: whether it is in use at all, and many tables at once. Reads only."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from dbcore.errors import SEE_CONNECT
from dbcore.monitoring.deadlines import in_time
from dbcore.monitoring.health.results import Status
from dbcore.monitoring.health.verdicts import Check, Context, Verdict, healthy
from dbcore.monitoring.switch import unmeasured
from dbcore.rights import lacked
from dbcore.stores.choice import DYNAMODB
from dbcore.table_sync.observe import Observer
from dbcore.table_sync.plan import Description
from dbcore.wire import Wire, get_wire
from dbcore.wire.answers import error_code

WIDTH = 6  # questions at once: a slow engine is still asked about all tables in time
FAILURES = (BotoCoreError, ClientError, TimeoutError)

Answer = TypeVar("Answer")


def is_primary() -> bool:
    """Whether services read and write DynamoDB."""
    return bool(settings.DATABASE_PRIMARY == DYNAMODB)


def is_used() -> bool:
    """Whether anything here needs DynamoDB. The local engine alone, which is to start when it is
    wanted, says nothing: a check must not start one for nobody."""
    if is_primary() or settings.MIGRATE_FROM_SQLITE:
        return True
    return settings.DYNAMODB_ENDPOINT not in ("", "local")


def at_worst() -> Status:
    """As bad as trouble with DynamoDB can be: where services do not need it, nothing fails."""
    return Status.CRITICAL if is_primary() else Status.WARNING


def about_dynamodb(check: Callable[[Context, Wire], Verdict]) -> Check:
    """The check, for where DynamoDB is in use, and does not answer or does."""

    @functools.wraps(check)
    def asked(context: Context) -> Verdict:
        if not is_used():
            return healthy("not in use: DynamoDB is not the primary store")
        try:
            return check(context, get_wire())
        except FAILURES as error:
            said = lacked(error) or error_code(error)
            return Verdict(
                at_worst(), f"DynamoDB cannot be asked ({said}): {SEE_CONNECT}, see primary_store"
            )

    return asked


class Within:
    """A wire whose calls end by the context's deadline."""

    def __init__(self, wire: Wire, context: Context) -> None:
        self._wire = wire
        self._context = context

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """As the wire's."""
        return self._wire.call(operation, payload, deadline=self._context.left)


def descriptions(
    wire: Wire, context: Context, names: Sequence[str]
) -> dict[str, Description | None]:
    """DescribeTable of each; None where there is no such table. Raises FAILURES."""
    observer = Observer(Within(wire, context))
    return ask_each(names, observer.describe, context)


def ask_each(
    names: Sequence[str], ask: Callable[[str], Answer], context: Context
) -> dict[str, Answer]:
    """The answer about each name, several at once. Raises the first error, or TimeoutError."""

    def work(share: Sequence[str]) -> dict[str, Answer]:
        with unmeasured():  # threads of their own do not know that they are part of a check
            return {name: ask(name) for name in share}

    shares = [names[start::WIDTH] for start in range(min(WIDTH, len(names)))]
    calls = {str(at): functools.partial(work, share) for at, share in enumerate(shares)}
    found: dict[str, Answer] = {}
    for answers in in_time(calls, context.left + 0.1, all_end=True).values():
        if isinstance(answers, BaseException):
            raise answers
        found |= answers
    return {name: found[name] for name in names}
