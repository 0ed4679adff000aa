"""What AWS means by refusing a call. Its own words quote roles, keys and accounts: of them the code
alone is passed on, and whose policy it was.
"""

from __future__ import annotations

import re

from botocore.exceptions import ClientError

from dbcore.connecting.found import Found, Trouble
from dbcore.monitoring.health.machine import SKEW_WARNING

NO_RIGHT = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
)
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired")
_NO_KEY = ("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId")
_SIGNATURE = (
    "InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired",
    "AuthFailure",
)  # fmt: skip
_BUSY = (
    "Throttling", "ThrottlingException", "RequestLimitExceeded", "SlowDown", "TooManyRequests",
    "ServiceUnavailable", "InternalError", "InternalFailure", "InternalServerError",
)  # fmt: skip
# Source: IAM User Guide, "Troubleshoot access denied error messages".
_WHOSE = re.compile(
    r"because no [\w -]{3,40} (?:policy|boundary) allows|with an explicit deny in an? [\w -]{3,40}"
)
# Of the calls that are made here: the right that each needs.
RIGHTS = {
    "GetItem": "dynamodb:GetItem",
    "HeadBucket": "s3:ListBucket",
    "GetTopicAttributes": "sns:GetTopicAttributes",
    "ListMetrics": "cloudwatch:ListMetrics",
}


def code_of(error: ClientError) -> str:
    """AWS's code, or the HTTP status where there is none."""
    return str(error.response.get("Error", {}).get("Code", "?"))


def lacks_right(error: ClientError) -> bool:
    """Whether the caller is known, and may not do what it asked for."""
    # The answer to HEAD has no body, and so no code.
    return code_of(error) in NO_RIGHT or (
        error.operation_name == "HeadBucket" and code_of(error) == "403"
    )


def without_right(error: ClientError, on: str) -> str:
    """Which right is missing, on what, and by whose policy as far as AWS says so."""
    right = RIGHTS.get(error.operation_name, error.operation_name)
    why = _WHOSE.search(str(error.response.get("Error", {}).get("Message", "")))
    return f"these credentials lack the right {right} on {on}" + (f" ({why[0]})" if why else "")


def refused(error: ClientError, found: Found) -> Trouble:
    """What a refusal means that nobody closer to the call knows more of."""
    code = code_of(error)
    if lacks_right(error):
        return Trouble(
            without_right(error, found.facts.get("about", "it")),
            "add it to the role's policy, and see the VPC endpoint's policy where there is one; "
            "`sts` says whose credentials these are",
        )
    if error.operation_name.startswith("AssumeRole"):
        return Trouble(
            f"the role that the credentials name cannot be taken on ({code})",
            "see role_arn (AWS_ROLE_ARN) and the role's trust policy",
        )
    if code in _EXPIRED:
        return Trouble(
            f"the credentials have expired ({code})",
            "renew them (`aws sso login`, a new session token): those of a role of the instance, "
            "task or function renew themselves",
        )
    if code in _NO_KEY:
        return Trouble(
            f"AWS does not know this access key ({code})",
            "was it deleted, or is it one of another partition? A region that the account has not "
            "switched on says so, too",
        )
    if code in _SIGNATURE:
        return _signature(code, found)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _BUSY or status >= 500:
        return Trouble(f"it answers {code}: trouble at AWS, or throttled", "ask again in a minute")
    if code.isdigit():
        return Trouble(
            f"something answers {code}, and not as AWS does",
            f"a proxy or firewall in between, or another server: see {found.setting}",
        )
    return Trouble(f"it refuses {error.operation_name} ({code})", f"see {found.setting}")


def _signature(code: str, found: Found) -> Trouble:
    if found.skew is not None and abs(found.skew) > SKEW_WARNING:
        way = "ahead of" if found.skew > 0 else "behind"
        return Trouble(
            f"AWS refuses what is signed by this machine's clock, {abs(found.skew):,.0f} seconds "
            f"{way} its own ({code})",
            "switch on NTP (on AWS its server is 169.254.169.123); see `clock`",
        )
    return Trouble(
        f"AWS refuses the signature ({code})",
        "the secret key does not belong to the access key, or something in between changes what "
        "is sent",
    )
