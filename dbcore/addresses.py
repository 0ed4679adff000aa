"""Every address outside of this process, read by one parser: plain text is for this machine alone.

An address may carry a password or be a secret as a whole: no message here quotes more than scheme
and host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from dbcore.errors import ConfigurationError

HTTP = {"https": 443, "http": 80}
REDIS = {
    "rediss": 6379, "valkeys": 6379, "redis": 6379, "rediscache": 6379, "valkey": 6379,
}  # fmt: skip
MEMCACHED = {"memcache": 11211, "pymemcache": 11211, "pylibmc": 11211}
MAIL = {"smtp+tls": 587, "smtp+ssl": 465, "smtps": 587, "smtp": 25}
POSTGRES = {"postgres": 5432, "postgresql": 5432, "psql": 5432, "pgsql": 5432}
ENCRYPTED = {"https", "rediss", "valkeys", "smtp+tls", "smtp+ssl", "smtps"}
# libpq's sslmode: of these the first two authenticate the server, the third encrypts alone, and the
# others may speak in the clear. Source: PostgreSQL documentation, "SSL Support", 32.19.3.
VERIFYING_MODES = ("verify-full", "verify-ca")
ENCRYPTING_MODES = (*VERIFYING_MODES, "require")
PLAIN_MODES = ("disable", "allow", "prefer")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and port, and how they are spoken to."""

    scheme: str
    host: str
    port: int
    loopback: bool

    @property
    def secure(self) -> bool:
        """Whether what is said is encrypted from the first byte on, or before anything of worth."""
        return self.scheme in ENCRYPTED

    @property
    def host_header(self) -> str:
        """The Host header, which is signed: no port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == HTTP.get(self.scheme) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The endpoint as people write it."""
        return f"{self.scheme}://{self.host_header}"


@dataclass(frozen=True, slots=True)
class Address(Endpoint):
    """An endpoint and what is asked of it. `path`, `user` and `options` may be secrets."""

    path: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


def is_loopback(host: str) -> bool:
    """Whether nothing sent to `host` leaves this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_endpoint(url: str, what: str = "DynamoDB endpoint") -> Endpoint:
    """An endpoint over HTTP, without path or account. Raises ConfigurationError."""
    parts = _split(url, what, HTTP, "http://localhost:8000")
    if parts.username is not None:
        raise ConfigurationError(
            f"{what} for {parts.hostname!r} may not have a user or password in its URL"
        )
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError(f"{what} for {parts.hostname!r} may not have a path")
    found = _endpoint(parts, what, HTTP)
    if not (found.secure or found.loopback):
        raise ConfigurationError(
            f"{what} for {found.host!r}: plain HTTP is allowed for this machine only; use https"
        )
    return found


def parse_hook(url: str, what: str) -> Address:
    """A web hook: https, or http on this machine, with a path and perhaps a query."""
    found = _address(url, what, HTTP, "https://hooks.example.com/T0/B0")
    if found.user:
        raise ConfigurationError(f"{what} may not have a user or password in its URL")
    _refuse_plain(found, what, "https")
    return found


def parse_sentry(dsn: str, what: str = "SENTRY_DSN") -> Address:
    """A project's key at Sentry: https://KEY@HOST/PROJECT."""
    found = _address(dsn, what, HTTP, "https://KEY@HOST/PROJECT")
    if not found.user or not found.path.rstrip("/").rpartition("/")[2].isdigit():
        raise ConfigurationError(f"{what} is not a project's key: https://KEY@HOST/PROJECT")
    _refuse_plain(found, what, "https")
    return found


def parse_cache(url: str, what: str = "CACHE_URL") -> tuple[Address, ...]:
    """The servers of a cache; none where it is on this machine or in Django's database."""
    scheme = url.partition("://")[0].lower()
    if scheme in ("locmemcache", "dummycache", "dbcache", "filecache"):
        return ()
    if scheme in MEMCACHED:
        return _memcached(url, what)
    if url.partition("://")[2].startswith("/"):
        return ()  # a socket of this machine
    found = _address(url, what, REDIS, "rediss://:PASSWORD@HOST:6379/0")
    _refuse_plain(found, what, "rediss")
    if found.secure and found.options.get("ssl_cert_reqs", "required") != "required":
        raise ConfigurationError(
            f"{what} for {found.host!r}: ssl_cert_reqs must be required, or anybody may answer"
        )
    return (found,)


def parse_postgres(url: str, what: str = "DATABASE_URL") -> Address | None:
    """A PostgreSQL server, encrypted; None for a socket of this machine."""
    parts = _split(url, what, POSTGRES, "postgres://USER:PASSWORD@HOST:5432/NAME", host=False)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if options.get("host") or options.get("hostaddr"):
        raise ConfigurationError(f"{what}: the host stands before the path, not in ?host=")
    mode = options.get("sslmode", "")
    if mode and mode not in (*ENCRYPTING_MODES, *PLAIN_MODES):
        raise ConfigurationError(
            f"{what}: sslmode is {mode!r}; it must be one of {', '.join(ENCRYPTING_MODES)}"
        )
    host = unquote(parts.hostname or "")
    if not host or host.startswith("/"):
        return None
    if "," in host:
        raise ConfigurationError(f"{what}: one server an address; put a pooler before several")
    found = _endpoint(parts, what, POSTGRES)
    if mode in PLAIN_MODES and not found.loopback:
        raise ConfigurationError(
            f"{what} for {found.host!r}: sslmode={mode} may speak in the clear, which is for this "
            "machine only; use sslmode=verify-full with sslrootcert, or sslmode=require"
        )
    return _with_rest(found, parts)


def parse_mail(url: str, what: str = "EMAIL_URL") -> Address | None:
    """A mail server; None where mails are printed, kept or thrown away."""
    if url.partition("://")[0] in ("consolemail", "filemail", "memorymail", "dummymail"):
        return None
    found = _address(url, what, MAIL, "smtp+tls://USER:PASSWORD@HOST:587")
    _refuse_plain(found, what, "smtp+tls (STARTTLS) or smtp+ssl")
    return found


def _memcached(url: str, what: str) -> tuple[Address, ...]:
    scheme, _, rest = url.partition("://")
    hosts, slash, path = rest.partition("/")
    if not hosts and slash:
        return ()  # a socket of this machine
    found = tuple(
        _address(f"{scheme}://{host}{slash}{path}", what, MEMCACHED, "memcache://127.0.0.1:11211")
        for host in hosts.split(",")
    )
    for each in found:
        _refuse_plain(each, what, "rediss: memcached is not encrypted")
    return found


def _address(url: str, what: str, schemes: Mapping[str, int], example: str) -> Address:
    parts = _split(url, what, schemes, example)
    return _with_rest(_endpoint(parts, what, schemes), parts)


def _split(
    url: str, what: str, schemes: Mapping[str, int], example: str, *, host: bool = True
) -> SplitResult:
    try:
        parts = urlsplit(url)
        hostname = parts.hostname
    except ValueError:
        raise ConfigurationError(f"{what} is not a URL such as {example}") from None
    if parts.scheme not in schemes or (host and not hostname) or _BLANK.search(url):
        raise ConfigurationError(f"{what} is not a URL such as {example}")
    return parts


def _endpoint(parts: SplitResult, what: str, schemes: Mapping[str, int]) -> Endpoint:
    host = unquote(parts.hostname or "")
    try:
        port = schemes[parts.scheme] if parts.port is None else parts.port
    except ValueError:
        port = 0  # not quoted: where an @ was forgotten it is a password
    if port == 0:
        raise ConfigurationError(f"{what} for {host!r}: its port must be from 1 to 65535")
    return Endpoint(parts.scheme, host, port, is_loopback(host))


def _with_rest(endpoint: Endpoint, parts: SplitResult) -> Address:
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Address(
        endpoint.scheme, endpoint.host, endpoint.port, endpoint.loopback,
        path, parts.username or "", options,
    )  # fmt: skip


def _refuse_plain(address: Address, what: str, instead: str) -> None:
    if not (address.secure or address.loopback):
        raise ConfigurationError(
            f"{what} for {address.host!r}: {address.scheme} is plain text, which is for this "
            f"machine only; use {instead}"
        )
