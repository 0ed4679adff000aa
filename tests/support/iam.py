"""IAM in front of an engine: what no statement of a policy allows is refused, in AWS's own words.

Conditions are not judged: a statement that has one allows nothing here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.proxy import Answer, Call, Message, make_answer, make_error

ACCOUNT, REGION = "123456789012", "eu-central-1"
ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/i"
TABLES = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/"
_ACTIONS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "Get": "GetItem",
            "ConditionCheck": "ConditionCheckItem"}  # fmt: skip


@dataclass(frozen=True)
class Ask:
    """One right that a request needs."""

    action: str
    resource: str


class Policy:
    """The statements in force, as a fault of the proxy. `asked` is every right that was needed."""

    name = "AccessDenied"

    def __init__(self, statements: Sequence[dict[str, Any]]) -> None:
        self.statements = statements
        self.asked: set[Ask] = set()
        self.refused: set[str] = set()

    def __call__(self, call: Call) -> Answer | None:
        for ask in asks_of(call.request):
            self.asked.add(ask)
            if not self.allows(ask):
                self.refused.add(ask.action)
                return refusal(call.request, ask)
        return None

    def allows(self, ask: Ask) -> bool:
        return any(_covers(each, ask) for each in self.statements)


def but(*actions: str) -> Policy:
    """All rights but these."""
    return _But(actions)


class _But(Policy):
    def __init__(self, actions: Sequence[str]) -> None:
        super().__init__(())
        self._denied = actions

    def allows(self, ask: Ask) -> bool:
        return ask.action not in self._denied


def _covers(statement: dict[str, Any], ask: Ask) -> bool:
    if statement["Effect"] != "Allow" or "Condition" in statement:
        return False
    actions, resources = (_all(statement[name]) for name in ("Action", "Resource"))
    return any(fnmatchcase(ask.action, each) for each in actions) and any(
        fnmatchcase(ask.resource, each) for each in resources
    )


def _all(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


# --- What a request needs -------------------------------------------------------------------------
def asks_of(request: Message) -> list[Ask]:
    """The rights that a request to DynamoDB, CloudWatch, SNS or S3 needs."""
    if request.header("x-amz-target").startswith("DynamoDB"):
        return list(_of_dynamodb(request.operation, json.loads(request.body)))
    if request.operation == "PutMetricData":
        return [Ask("cloudwatch:PutMetricData", "*")]
    if request.method == "POST" and b"Action=Publish" in request.body:
        return [Ask("sns:Publish", parse_qs(request.body.decode())["TopicArn"][0])]
    return list(_of_s3(request))


def _of_dynamodb(operation: str, body: dict[str, Any]) -> Iterator[Ask]:
    if operation in ("TransactWriteItems", "TransactGetItems"):
        for action in body["TransactItems"]:
            ((kind, given),) = action.items()
            yield Ask(f"dynamodb:{_ACTIONS[kind]}", TABLES + given["TableName"])
    elif operation in ("BatchGetItem", "BatchWriteItem"):
        for table in body["RequestItems"]:
            yield Ask(f"dynamodb:{operation}", TABLES + table)
    elif operation == "ListTables":
        yield Ask("dynamodb:ListTables", "*")
    elif "ResourceArn" in body:
        yield Ask(f"dynamodb:{operation}", TABLES + body["ResourceArn"].rpartition("/")[2])
    else:
        index = f"/index/{body['IndexName']}" if "IndexName" in body else ""
        yield Ask(f"dynamodb:{operation}", TABLES + body["TableName"] + index)
        if operation == "CreateTable" and "Tags" in body:
            yield Ask("dynamodb:TagResource", TABLES + body["TableName"])


def _of_s3(request: Message) -> Iterator[Ask]:
    url = _path(request)
    bucket, _, key = url.path.lstrip("/").partition("/")
    where = f"arn:aws:s3:::{bucket}"
    if not key:
        yield Ask("s3:ListBucket", where)
        return
    source = request.header("x-amz-copy-source")
    if source:
        yield Ask("s3:GetObject", f"arn:aws:s3:::{source.lstrip('/')}")
    action = {"HEAD": "GetObject", "GET": "GetObject", "PUT": "PutObject",
              "DELETE": "DeleteObject", "POST": "RestoreObject"}[request.method]  # fmt: skip
    yield Ask(f"s3:{action}", f"{where}/{key}")


def _path(request: Message) -> Any:
    return urlsplit(request.head.split(b" ", 2)[1].decode("latin-1"))


# --- How each service refuses ---------------------------------------------------------------------
def words(ask: Ask) -> str:
    """What AWS says."""
    return (
        f"User: {ROLE} is not authorized to perform: {ask.action} on resource: {ask.resource} "
        f"because no identity-based policy allows the {ask.action} action"
    )


def refusal(request: Message, ask: Ask) -> Answer:
    """The refusal as the service that was asked gives it."""
    said, service = words(ask), ask.action.partition(":")[0]
    if service in ("dynamodb", "cloudwatch"):
        return make_error(400, "com.amazon.coral.service#AccessDeniedException", said)
    if service == "sns":
        body = _xml("ErrorResponse", f"<Error><Type>Sender</Type><Code>AuthorizationError</Code>"
                    f"<Message>{said}</Message></Error>")  # fmt: skip
        return make_answer(403, body, {"Content-Type": "text/xml"})
    if request.method == "HEAD":
        # The length is that of the answer to a GET; there is no body.
        return make_answer(403, b"", {"Content-Type": "application/xml"})
    body = _xml("Error", f"<Code>AccessDenied</Code><Message>{said}</Message>")
    return make_answer(403, body, {"Content-Type": "application/xml"})


def _xml(name: str, inside: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><{name}>{inside}</{name}>'.encode()


# --- Policies on a page ---------------------------------------------------------------------------
def policies(page: str) -> dict[str, list[dict[str, Any]]]:
    """The statements of each policy on a page, by the heading that they stand below."""
    found: dict[str, list[dict[str, Any]]] = {}
    heading = ""
    for part in re.finditer(r"^#+ ([^\n]+)$|^```json\n(.*?)^```$", page, re.M | re.S):
        if part[1]:
            heading = part[1]
        else:
            found.setdefault(heading, []).append(json.loads(part[2]))
    return found
