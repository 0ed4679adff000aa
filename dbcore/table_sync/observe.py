"""Reads what DynamoDB says of a table. Writes nothing.

An operation that the engine does not know, or that we have no right to, leaves a gap in what is
observed, never an error. DescribeTable alone is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from botocore.exceptions import ClientError

from dbcore.dynamo.reading import is_missing, next_page, pages
from dbcore.rights import right_of
from dbcore.schema import Request
from dbcore.table_sync.plan import Description, Observed
from dbcore.wire import Wire
from dbcore.wire.answers import error_code

UNKNOWN_OPERATION = "UnknownOperationException"
# By which operation is seen what another has set.
SHOWN_BY = {
    "UpdateTimeToLive": "DescribeTimeToLive",
    "UpdateContinuousBackups": "DescribeContinuousBackups",
}


class Caller(Protocol):
    """What is needed of the wire."""

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]: ...


class Hasty:
    """A wire of which no call may take longer than so many seconds."""

    def __init__(self, wire: Wire, seconds: float) -> None:
        self._wire = wire
        self._seconds = seconds

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """As the wire's."""
        return self._wire.call(operation, payload, deadline=min(self._seconds, self._wire.deadline))


def ignore(operation: str, right: str) -> None:
    """Whoever asks for a table's description alone has nothing to be told."""


class Observer:
    """Answers about tables; `unknown` is told each operation that leaves a gap, and the right that
    is lacking ("": the engine does not know it)."""

    def __init__(self, wire: Caller, unknown: Callable[[str, str], None] = ignore) -> None:
        self._wire = wire
        self._unknown = unknown
        self.refused: set[str] = set()  # operations that we have no right to

    def table_names(self) -> list[str]:
        """Every table of the account in this region."""
        answers = pages(self._wire, "ListTables", {})
        return [name for answer in answers for name in answer["TableNames"]]

    def describe(self, name: str) -> Description | None:
        """DescribeTable's answer; None when there is no such table."""
        try:
            table: Description = self._wire.call("DescribeTable", {"TableName": name})["Table"]
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        return table

    def observe(self, table: Description | None) -> Observed:
        """All that a plan needs to know of a table, from its description on."""
        if table is None:
            return Observed(None)
        name = {"TableName": table["TableName"]}
        ttl = self._ask("DescribeTimeToLive", name)
        backups = self._ask("DescribeContinuousBackups", name)
        return Observed(
            table,
            None if ttl is None else ttl["TimeToLiveDescription"],
            None if backups is None else _recovery_status(backups),
            self._tags(table["TableArn"]),
        )

    def _tags(self, arn: str) -> dict[str, str] | None:
        tags: dict[str, str] = {}
        page: Request | None = {"ResourceArn": arn}
        while page is not None:
            answer = self._ask("ListTagsOfResource", page)
            if answer is None:
                return None
            tags.update({tag["Key"]: tag["Value"] for tag in answer.get("Tags", ())})
            page = next_page("ListTagsOfResource", page, answer)
        return tags

    def _ask(self, operation: str, request: Request) -> dict[str, Any] | None:
        try:
            return self._wire.call(operation, request)
        except ClientError as error:
            right = right_of(error)
            if right:
                self.refused.add(operation)
            elif error_code(error) != UNKNOWN_OPERATION:
                raise
            self._unknown(operation, right)
            return None


def _recovery_status(backups: Description) -> str:
    description = backups["ContinuousBackupsDescription"]
    status = description.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    return str(status or "DISABLED")
