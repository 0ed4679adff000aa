"""A refused call is told by the right that it lacked, and without accounts and roles."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from dbcore.rights import in_words, lacked, right_of

WHO = "User: arn:aws:sts::123456789012:assumed-role/app/i is not authorized to perform:"
PLANS = "arn:aws:dynamodb:eu-central-1:123456789012:table/daylight-plans"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0f0f"


def refused(code: str, message: str, operation: str = "Query") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("error", "right"),
    [
        (refused("AccessDeniedException", f"{WHO} dynamodb:Query on resource: {PLANS}"),
         "dynamodb:Query on table/daylight-plans"),
        (refused("AccessDeniedException", f"{WHO} dynamodb:Query on resource: {PLANS}/index/I "
                 "because no identity-based policy allows the dynamodb:Query action"),
         "dynamodb:Query on table/daylight-plans/index/I"),
        (refused("AccessDeniedException", f"{WHO} dynamodb:PutItem on resource: {PLANS} with an "
                 "explicit deny in a service control policy", "TransactWriteItems"),
         "dynamodb:PutItem on table/daylight-plans (a policy denies it expressly)"),
        (refused("AccessDeniedException", f"{WHO} kms:Decrypt on resource: {KEY}", "GetItem"),
         "kms:Decrypt"),
        (refused("AccessDeniedException", "", "GetItem"), "dynamodb:GetItem"),
        (refused("403", "Forbidden", "HeadBucket"), "s3:ListBucket"),
        (refused("403", "Forbidden", "HeadObject"), "s3:GetObject"),
        (refused("AccessDenied", "Access Denied", "CopyObject"), "s3:PutObject"),
        (refused("AuthorizationError", f"{WHO} SNS:Publish on resource: arn", "Publish"),
         "sns:Publish"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_right(error: ClientError, right: str) -> None:
    assert lacked(error) == f"lacks the right {right}; see docs/aws-permissions.md"
    assert in_words(error) == f"this process {lacked(error)}"
    assert "123456789012" not in in_words(error)


@pytest.mark.parametrize(
    "error",
    [
        refused("ResourceNotFoundException", "no such table"),
        refused("404", "Not Found", "HeadBucket"),
        refused("ExpiredTokenException", f"{WHO} dynamodb:Query"),
        ValueError("not authorized to perform: dynamodb:Query"),
    ],
)
def test_other_errors_say_what_they_say(error: Exception) -> None:
    assert (right_of(error), lacked(error), in_words(error)) == ("", "", str(error))
