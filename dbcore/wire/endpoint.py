"""Where DynamoDB is."""

from __future__ import annotations

from dbcore import aws
from dbcore.addresses import Endpoint, parse_endpoint


def resolve_endpoint(setting: str, region: str) -> Endpoint:
    """The endpoint that a setting names: "" is AWS, "local" the project's engine, else a URL."""
    if setting == "local":
        from dbcore.local_engine import local_endpoint  # starts a process: only when asked for

        return parse_endpoint(local_endpoint())
    return aws.endpoint_of("dynamodb", region, setting, "DynamoDB endpoint")
