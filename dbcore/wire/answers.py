"""From an HTTP answer to DynamoDB's, or to the botocore exception that stands for it."""

from __future__ import annotations

import enum
import ssl
import zlib
from typing import Any

import orjson
from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)

from dbcore.wire.connection import CLOSED, Answer, BrokenAnswer

# Source: Developer Guide, "Error handling with DynamoDB".
THROTTLING = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "ThrottledException",
        "RequestLimitExceeded",
        "RequestThrottled",
    }
)
TRANSIENT = frozenset(
    {
        "InternalServerError",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "TransactionInProgressException",
        "RequestTimeout",
        "RequestTimeoutException",
    }
)
# Among the reasons of a cancelled transaction.
THROTTLED_ACTION = frozenset({"ProvisionedThroughputExceeded", "ThrottlingError"})
CLOCK = frozenset(
    {"InvalidSignatureException", "RequestTimeTooSkewed", "RequestExpired", "SignatureDoesNotMatch"}
)
EXPIRED = frozenset({"ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException"})


class Verdict(enum.Enum):
    """What an answer means for the call."""

    THROTTLED = enum.auto()
    TRANSIENT = enum.auto()
    FAILED = enum.auto()


def check_body(answer: Answer) -> None:
    """Raise ChecksumError when the body is not the one that DynamoDB sent."""
    expected = answer.header("x-amz-crc32")
    if expected is None:
        return
    actual = str(zlib.crc32(answer.body))
    if actual != expected:
        raise ChecksumError(
            checksum_type="crc32", expected_checksum=expected, actual_checksum=actual
        )


def parse_body(answer: Answer) -> dict[str, Any]:
    """The JSON of a checked body, {} of an empty one; BrokenAnswer when it is not DynamoDB's."""
    try:
        body = orjson.loads(answer.body or b"{}")
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise BrokenAnswer("the answer is not DynamoDB's JSON")
    return body


def client_error(operation: str, answer: Answer, retries: int) -> ClientError:
    """The error of an answer that is not 200, as botocore raises it."""
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    kind = body.get("__type") or body.get("code") or ""
    code = str(kind).rsplit("#", 1)[-1] or _code_of_status(answer.status)
    message = body.get("message") or body.get("Message") or ""
    response: dict[str, Any] = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {
            "RequestId": answer.header("x-amzn-requestid") or "",
            "HTTPStatusCode": answer.status,
            "HTTPHeaders": answer.headers,
            # How often the request may have arrived before: a write may meet its own work.
            "RetryAttempts": retries + answer.resent,
        },
    }
    for key in ("CancellationReasons", "Item"):
        if key in body:
            response[key] = body[key]
    return ClientError(response, operation)


def _code_of_status(status: int) -> str:
    return {500: "InternalServerError", 503: "ServiceUnavailable"}.get(status, str(status))


def error_code(error: BaseException) -> str:
    """DynamoDB's code for an error, or the exception's name."""
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    return type(error).__name__


def cancellation_codes(error: ClientError) -> set[str]:
    """Why a transaction was cancelled: the codes of its actions that could not be done."""
    response: Any = error.response
    codes = {str(reason.get("Code")) for reason in response.get("CancellationReasons", [])}
    return codes - {"None"}


def verdict_on(error: ClientError) -> Verdict:
    """Whether a call that got this error may be tried again."""
    code, codes = error_code(error), cancellation_codes(error)
    if code in THROTTLING or (codes and codes <= THROTTLED_ACTION):
        return Verdict.THROTTLED
    if code in TRANSIENT or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
        return Verdict.TRANSIENT
    return Verdict.FAILED


def transport_error(
    error: OSError | BotoCoreError | ClientError, url: str
) -> BotoCoreError | ClientError:
    """What botocore would have raised for a failure below HTTP."""
    if isinstance(error, (BotoCoreError, ClientError)):
        return error
    if isinstance(error, TimeoutError):
        return ReadTimeoutError(endpoint_url=url, error=error)
    if isinstance(error, CLOSED):
        return ConnectionClosedError(endpoint_url=url, error=error)
    if isinstance(error, ssl.SSLError):
        return SSLError(endpoint_url=url, error=error)
    return EndpointConnectionError(endpoint_url=url, error=error)


def may_pass(error: OSError | BotoCoreError | ClientError) -> bool:
    """Whether a failure below HTTP may be gone at the next try.

    A wrong certificate stays wrong. botocore's own errors are those of looking for credentials,
    where botocore itself has tried again what can be.
    """
    if isinstance(error, (BotoCoreError, ClientError)):
        return isinstance(error, (ChecksumError, ConnectTimeoutError))
    return not isinstance(error, ssl.SSLCertVerificationError)
