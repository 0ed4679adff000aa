"""Errors for people: which right AWS says a call lacked, or who tells why nobody answers.
AWS's own words, which quote accounts, roles and keys, must not come out of here.
"""

from __future__ import annotations

import re
from typing import Any

from botocore.exceptions import ClientError

from dbcore.errors import SEE_CONNECT, is_out_of_reach

PAGE = "docs/aws-permissions.md"
# As DynamoDB, CloudWatch and KMS, S3, and SNS say it; the answer to a HEAD is its status alone.
_REFUSED = frozenset({"AccessDeniedException", "AccessDenied", "AuthorizationError", "403"})
_NAMED = re.compile(r"not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)")
_TABLE = re.compile(r"on resource: arn:[\w-]+:dynamodb:[\w-]*:\d*:(table/[\w./-]+)")
# The rights of calls that are refused without a word, where they are not called the same. Source:
# Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
_RIGHTS = {
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CopyObject": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "RestoreObject": "s3:RestoreObject",
    "PutMetricData": "cloudwatch:PutMetricData",
    "Publish": "sns:Publish",
}


def right_of(error: BaseException) -> str:
    """The right that a refused call lacked, as policies name it; "" of an error about no right."""
    if not isinstance(error, ClientError):
        return ""
    answered: Any = error.response["Error"]
    if str(answered.get("Code")) not in _REFUSED:
        return ""
    named = _NAMED.search(_said(error))
    operation = str(error.operation_name)
    return named[1] if named else _RIGHTS.get(operation, f"dynamodb:{operation}")


def lacked(error: BaseException) -> str:
    """ "lacks the right dynamodb:Query on table/…; see …", for what has no subject yet; "" for an
    error about no right."""
    right = right_of(error)
    if not right:
        return ""
    table = _TABLE.search(_said(error))
    where = f" on {table[1]}" if table else ""
    denied = " (a policy denies it expressly)" if "explicit deny" in _said(error) else ""
    return f"lacks the right {right}{where}{denied}; see {PAGE}"


def in_words(error: BaseException | None) -> str:
    """An error for people: a right that is lacking by its name, all else as it says itself; where
    something could not be reached, also who says why."""
    lacking = "" if error is None else lacked(error)
    if lacking:
        return f"this process {lacking}"
    return f"{error}; {SEE_CONNECT}" if error and is_out_of_reach(error) else str(error)


def _said(error: BaseException) -> str:
    response: Any = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Message") or "")
