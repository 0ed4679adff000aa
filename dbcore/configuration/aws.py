"""What of AWS's own variables and of its configuration file counts here, and what does not: the
wire to DynamoDB is not botocore's, and whoever sets one of these must be told.

Source: AWS SDKs and Tools Reference Guide, "Settings reference".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# Who honours it. Credentials and endpoints are found by botocore, for the wire, too.
EVERYWHERE = "yes"
NOT_DYNAMODB = "but for DynamoDB"
NOWHERE = "no"
_RETRIES = "DYNAMODB_DEADLINE bounds a call with its retries"
_REGION = "DYNAMODB_REGION, AWS_REGION or AWS_DEFAULT_REGION says the region"
_PROXY = "DynamoDB is connected to directly"

_EVERYWHERE = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_EC2_METADATA_V1_DISABLED", "AWS_METADATA_SERVICE_TIMEOUT",
    "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SNS", "AWS_ENDPOINT_URL_CLOUDWATCH",
    "AWS_ENDPOINT_URL_STS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT", "AWS_STS_REGIONAL_ENDPOINTS", "AWS_REGION",
    "AWS_DEFAULT_REGION",
)  # fmt: skip
_VARIABLES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(_EVERYWHERE, (EVERYWHERE, "")),
    "AWS_CA_BUNDLE": (NOT_DYNAMODB, "SSL_CERT_FILE counts for it"),
    "REQUESTS_CA_BUNDLE": (NOT_DYNAMODB, "SSL_CERT_FILE counts for it"),
    "AWS_MAX_ATTEMPTS": (NOWHERE, _RETRIES),
    "AWS_RETRY_MODE": (NOWHERE, _RETRIES),
    "HTTPS_PROXY": (NOT_DYNAMODB, _PROXY),
    "https_proxy": (NOT_DYNAMODB, _PROXY),
    "NO_PROXY": (NOT_DYNAMODB, _PROXY),
    "no_proxy": (NOT_DYNAMODB, _PROXY),
    "HTTP_PROXY": (NOWHERE, "nothing is asked in plain HTTP but on this machine"),
    "ALL_PROXY": (NOWHERE, _PROXY),
}
# Keys of a profile in ~/.aws/config and ~/.aws/credentials.
_HONOURED_KEYS = (
    "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "role_arn", "source_profile",
    "credential_source", "credential_process", "external_id", "mfa_serial", "role_session_name",
    "duration_seconds", "web_identity_token_file", "sso_session", "sso_start_url", "sso_region",
    "sso_account_id", "sso_role_name", "login_session", "endpoint_url", "services",
    "ignore_configured_endpoint_urls", "use_fips_endpoint", "use_dualstack_endpoint",
    "sts_regional_endpoints", "metadata_service_timeout", "metadata_service_num_attempts",
    "ec2_metadata_service_endpoint", "ec2_metadata_service_endpoint_mode",
    "ec2_metadata_v1_disabled", "output", "cli_pager", "cli_timestamp_format",
)  # fmt: skip
_KEYS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(_HONOURED_KEYS, (EVERYWHERE, "")),
    "region": (NOWHERE, _REGION),
    "ca_bundle": (NOT_DYNAMODB, "SSL_CERT_FILE counts for it"),
    "max_attempts": (NOWHERE, _RETRIES),
    "retry_mode": (NOWHERE, _RETRIES),
    "tcp_keepalive": (NOT_DYNAMODB, "its connections always keep alive"),
    "s3": (NOT_DYNAMODB, "it is of S3"),
}
_UNKNOWN = (NOWHERE, "it is not known here")


@dataclass(frozen=True, slots=True)
class AwsName:
    """A variable, or a key of a profile, that is set. `honoured` is EVERYWHERE, NOT_DYNAMODB or
    NOWHERE; `why` says what counts instead."""

    name: str
    where: str
    honoured: str
    why: str


def variables_set(given: Mapping[str, str]) -> Iterator[AwsName]:
    """Those of AWS's variables that are set, and proxies."""
    for name in sorted(given):
        if given[name] and (name in _VARIABLES or name.startswith("AWS_")):
            if name.startswith("AWS_ENDPOINT_URL_") and name not in _VARIABLES:
                yield AwsName(name, "environment", NOWHERE, "that service is not used")
            else:
                yield AwsName(name, "environment", *_VARIABLES.get(name, _UNKNOWN))


def keys_set(profile: str, keys: Mapping[str, object]) -> Iterator[AwsName]:
    """The keys of the profile in use."""
    for name in sorted(keys):
        yield AwsName(name, f"profile {profile}", *_KEYS.get(name, _UNKNOWN))
