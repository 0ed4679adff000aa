"""Do records expire, and could a table be brought back to yesterday? Asks, and changes nothing."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError
from django.conf import settings

from dbcore.monitoring.health.dynamodb import Within, about_dynamodb, ask_each
from dbcore.monitoring.health.verdicts import Context, Verdict, healthy, listed, together, warning
from dbcore.rights import PAGE, right_of
from dbcore.schema import WantedTable, wanted_tables
from dbcore.table_sync.observe import UNKNOWN_OPERATION
from dbcore.wire import Wire
from dbcore.wire.answers import error_code

_ON = ("ENABLED", "ENABLING")
_NO_TABLE = ("ResourceNotFoundException", "TableNotFoundException")
_ASKED = {"ttl": "DescribeTimeToLive", "backups": "DescribeContinuousBackups"}


@about_dynamodb
def expiry_and_backups(context: Context, wire: Wire) -> Verdict:
    """Whether each table's expiry and, where settings ask for it, its recovery are on."""
    wanted = {each.name: each for each in wanted_tables()}
    questions = [f"ttl {name}" for name, each in wanted.items() if each.ttl_attribute]
    if settings.DYNAMODB_POINT_IN_TIME_RECOVERY:
        questions += [f"backups {name}" for name in wanted]
    within = Within(wire, context)
    unknown: set[str] = set()
    rights: set[str] = set()

    def trouble(question: str) -> str:
        what, _, name = question.partition(" ")
        try:
            answer = within.call(_ASKED[what], {"TableName": name})
        except ClientError as error:
            if error_code(error) in _NO_TABLE:  # the check `tables` says so
                return ""
            if right := right_of(error):
                rights.add(right)
            elif error_code(error) == UNKNOWN_OPERATION:
                unknown.add(_ASKED[what])
            else:
                raise
            return ""
        return _expiry(wanted[name], answer) if what == "ttl" else _recovery(name, answer)

    troubles = [text for text in ask_each(questions, trouble, context).values() if text]
    said = _verdict(troubles, sorted(unknown), is_local=wire.endpoint.loopback)
    if not rights:
        return said
    lacking = warning(f"lacks the right {', '.join(sorted(rights))}; see {PAGE}")
    return together([said, lacking])


def _expiry(wanted: WantedTable, answer: dict[str, Any]) -> str:
    told = answer["TimeToLiveDescription"]
    if told.get("TimeToLiveStatus") not in _ON:
        return f"{wanted.name} does not expire its records"
    if told.get("AttributeName") != wanted.ttl_attribute:
        return f"{wanted.name} expires its records by another attribute"
    return ""


def _recovery(name: str, answer: dict[str, Any]) -> str:
    told = answer["ContinuousBackupsDescription"]
    recovery = told.get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") == "ENABLED":
        return ""
    return f"{name} has no point-in-time recovery"


def _verdict(troubles: list[str], unknown: list[str], *, is_local: bool) -> Verdict:
    if troubles:
        return warning(f"{listed(troubles)}: `manage.py sync_tables` switches it on")
    if unknown:
        said = f"{', '.join(unknown)} is not known to this engine"
        if is_local:
            return healthy(f"as it should be, so far as can be told: {said}")
        return warning(f"{said}: expiry and recovery cannot be told")
    return healthy("expiry and point-in-time recovery are as the settings ask")
