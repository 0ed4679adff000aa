"""Where DynamoDB is."""

from __future__ import annotations

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config

from dbcore.addresses import Endpoint, parse_endpoint


def resolve_endpoint(setting: str, region: str) -> Endpoint:
    """The endpoint that a setting names: "" is AWS, "local" the project's engine, else a URL."""
    if setting == "local":
        from dbcore.local_engine import local_endpoint  # starts a process: only when asked for

        return parse_endpoint(local_endpoint())
    if setting:
        return parse_endpoint(setting)
    # botocore knows partitions, FIPS, dual stack and AWS_ENDPOINT_URL_DYNAMODB. Unsigned, it does
    # not look for credentials, which may ask a metadata service.
    client = botocore.session.get_session().create_client(
        "dynamodb", region_name=region, config=Config(signature_version=UNSIGNED)
    )
    return parse_endpoint(client.meta.endpoint_url)
