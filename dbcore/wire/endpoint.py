"""Where DynamoDB is. Plain HTTP is refused for any host but loopback, whoever asks."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config

from dbcore.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host that speaks DynamoDB's protocol."""

    scheme: str
    host: str
    port: int
    loopback: bool

    @property
    def host_header(self) -> str:
        """The Host header, which is signed: no port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.scheme == "https" else 80
        return host if self.port == usual else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The endpoint as people write it."""
        return f"{self.scheme}://{self.host_header}"


def is_loopback(host: str) -> bool:
    """Whether nothing sent to `host` leaves this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_endpoint(url: str, what: str = "DynamoDB endpoint") -> Endpoint:
    """An endpoint from its URL; ConfigurationError says what is wrong with it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"{what} {url!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{what} {url!r} is not a URL such as http://localhost:8000")
    if parts.username is not None:
        raise ConfigurationError(
            f"{what} for {parts.hostname!r} may not have a user or password in its URL"
        )
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError(f"{what} {url!r} may not have a path")
    if port == 0:
        raise ConfigurationError(f"{what} {url!r}: port 0 cannot be connected to")
    loopback = is_loopback(parts.hostname)
    if parts.scheme == "http" and not loopback:
        raise ConfigurationError(
            f"{what} {url!r}: plain HTTP is allowed for this machine only; use https"
        )
    default_port = 443 if parts.scheme == "https" else 80
    return Endpoint(parts.scheme, parts.hostname, port or default_port, loopback)


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
