"""Every address outside of this process, read by one parser: plain text is for this machine alone.

An address may carry a password or be a secret as a whole: no message here quotes more than scheme
and host. What is read in one way here and in another by who connects would be a way around: what
may be, is refused (a percent in a host, an option that names another host, an option given twice).
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote_plus, urlsplit

from dbcore.errors import ConfigurationError

HTTP = {"https": 443, "http": 80}
REDIS = {"rediss": 6379, "redis": 6379, "rediscache": 6379}
VALKEY = {"valkeys": 6379, "valkey": 6379}  # django-environ makes no working cache of these
MEMCACHED = {"memcache": 11211, "pymemcache": 11211, "pylibmc": 11211}
MAIL = {"smtp+tls": 587, "smtp+ssl": 465, "smtps": 587, "smtp": 25}
POSTGRES = {"postgres": 5432, "postgresql": 5432, "psql": 5432, "pgsql": 5432}
ENCRYPTED = {"https", "rediss", "valkeys", "smtp+tls", "smtp+ssl", "smtps"}
CACHES_HERE = {"locmemcache": 0, "dummycache": 0, "dbcache": 0, "filecache": 0}
MAIL_HERE = {"consolemail": 0, "filemail": 0, "memorymail": 0, "dummymail": 0}
# libpq's sslmode: of these the first two authenticate the server, the third encrypts alone, and the
# others may speak in the clear. Source: PostgreSQL documentation, "SSL Support", 32.19.3.
VERIFYING_MODES = ("verify-full", "verify-ca")
ENCRYPTING_MODES = (*VERIFYING_MODES, "require")
PLAIN_MODES = ("disable", "allow", "prefer")
# Options that lead elsewhere than the host of the URL says, or name it a second time.
_POSTGRES_ELSEWHERE = {"host", "hostaddr", "port", "service", "servicefile", "dbname"}
_REDIS_ELSEWHERE = {"host", "port", "path", "connection_class", "pool_class"}
_BAD = re.compile(r"[^\x21-\x7e]|\\")  # blanks, what is not ASCII, a backslash
_HOST_AND_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*))(?::(.*))?")
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")


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
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_endpoint(url: str, what: str = "DynamoDB endpoint") -> Endpoint:
    """An endpoint over HTTP, without path or account. Raises ConfigurationError."""
    parts = _split(url, what, HTTP, "http://localhost:8000")
    found = _endpoint(parts, what, HTTP, "http://localhost:8000")
    if parts.username is not None:
        raise ConfigurationError(
            f"{what} for {found.host!r} may not have a user or password in its URL"
        )
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError(f"{what} for {found.host!r} may not have a path")
    if not (found.secure or found.loopback):
        raise ConfigurationError(
            f"{what} for {found.host!r}: plain HTTP is allowed for this machine only; use https"
        )
    return found


def parse_hook(url: str, what: str) -> Address:
    """A web hook: https, or http on this machine, with a path and perhaps a query."""
    example = "https://hooks.example.com/T0/B0"
    parts = _split(url, what, HTTP, example)
    found = _endpoint(parts, what, HTTP, example)
    if parts.username is not None:
        raise ConfigurationError(f"{what} may not have a user or password in its URL")
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return _not_in_plain_text(_address(found, path), what, "https")


def parse_sentry(dsn: str, what: str = "SENTRY_DSN") -> Address:
    """A project's key at Sentry: https://KEY@HOST/PROJECT."""
    example = "https://KEY@HOST/PROJECT"
    parts = _split(dsn, what, HTTP, example)
    found = _endpoint(parts, what, HTTP, example)
    if not parts.username or not parts.path.rstrip("/").rpartition("/")[2].isdigit():
        raise ConfigurationError(f"{what} is not a project's key: {example}")
    return _not_in_plain_text(_address(found, parts.path, parts.username), what, "https")


def parse_cache(url: str, what: str = "CACHE_URL") -> tuple[Address, ...]:
    """The servers of a cache, as django-environ takes a URL apart; none where it is on this machine
    or in Django's database."""
    schemes = REDIS | MEMCACHED | CACHES_HERE
    example = "rediss://:PASSWORD@HOST:6379/0"
    parts = _split(url, what, schemes, example, at_once=True)
    if parts.scheme in CACHES_HERE:
        return ()
    options = _options(parts, what)
    if parts.scheme in REDIS:
        refuse_redis_options(options, what)
    if not parts.netloc and parts.path.strip("/"):
        return ()  # a socket of this machine
    servers = (
        _endpoint(parts._replace(netloc=each), what, schemes, example)
        for each in parts.netloc.split(",")
    )
    return tuple(
        _not_in_plain_text(_address(each, parts.path, options=options), what, "rediss")
        for each in servers
    )


def parse_redis(url: str, what: str, options: Mapping[str, Any]) -> Address | None:
    """One server as redis-py takes a URL apart, with the options beside it; None for a socket of
    this machine."""
    schemes = REDIS | VALKEY | {"unix": 0}
    example = "rediss://:PASSWORD@HOST:6379/0"
    parts = _split(url, what, schemes, example, at_once=True)
    within = _options(parts, what)
    refuse_redis_options({**options, **within}, what)
    if parts.scheme == "unix" or not parts.netloc:
        return None  # redis-py's own default is localhost
    found = _endpoint(parts, what, schemes, example)
    return _not_in_plain_text(_address(found, parts.path, options=within), what, "rediss")


def refuse_redis_options(options: Mapping[str, Any], what: str) -> None:
    """Raise ConfigurationError for options that lead elsewhere, or let anybody answer."""
    if elsewhere := sorted(_REDIS_ELSEWHERE & {name.lower() for name in options}):
        raise ConfigurationError(f"{what}: {elsewhere[0]} stands in the URL, not among its options")
    if options.get("ssl_cert_reqs", "required") not in ("required", ssl.CERT_REQUIRED):
        raise ConfigurationError(f"{what}: ssl_cert_reqs must be required, or anybody may answer")
    if str(options.get("ssl_check_hostname", True)).lower() not in ("true", "1", "yes"):
        raise ConfigurationError(f"{what}: ssl_check_hostname must be true, or anybody may answer")


def parse_memcached(location: str, what: str) -> Address | None:
    """One server as the clients of memcached have it, host:port; None for a socket of this
    machine."""
    if location.startswith(("/", "unix:")):
        return None
    url = f"memcache://{location}"
    parts = _split(url, what, MEMCACHED, "127.0.0.1:11211")
    found = _endpoint(parts, what, MEMCACHED, "127.0.0.1:11211")
    return _not_in_plain_text(_address(found, parts.path), what, "a cache with TLS (rediss)")


def parse_postgres(url: str, what: str = "DATABASE_URL") -> Address | None:
    """A PostgreSQL server, not in the clear; None for a socket of this machine. Where it gives no
    sslmode, `dbcore.postgresql` sees to it."""
    example = "postgres://USER:PASSWORD@HOST:5432/NAME"
    parts = _split(url, what, POSTGRES, example, at_once=True)
    options = _options(parts, what)
    if not parts.path.strip("/"):
        raise ConfigurationError(f"{what} names no database: {example}")
    if elsewhere := sorted(_POSTGRES_ELSEWHERE & options.keys()):
        raise ConfigurationError(f"{what}: {elsewhere[0]} stands before the ?, not behind it")
    if "pool" in options:
        raise ConfigurationError(f"{what}: pool is no option here; set DATABASE_POOL_SIZE")
    mode = options.get("sslmode", "")
    if mode and mode not in (*ENCRYPTING_MODES, *PLAIN_MODES):
        raise ConfigurationError(f"{what}: sslmode must be one of {', '.join(ENCRYPTING_MODES)}")
    found = _endpoint(parts, what, POSTGRES, example, needs_host=False)
    if not found.host:
        if "," in unquote_plus(parts.path):  # django-environ takes a folder from there
            raise ConfigurationError(f"{what} is not a URL such as {example}")
        return None
    if mode in PLAIN_MODES and not found.loopback:
        raise ConfigurationError(
            f"{what} for {found.host!r}: sslmode={mode} may speak in the clear, which is for this "
            "machine only; use sslmode=verify-full with sslrootcert, or sslmode=require"
        )
    return _address(found, parts.path, parts.username or "", options)


def parse_mail(url: str, what: str = "EMAIL_URL") -> Address | None:
    """A mail server; None where mails are printed, kept or thrown away."""
    schemes = MAIL | MAIL_HERE
    example = "smtp+tls://USER:PASSWORD@HOST:587"
    parts = _split(url, what, schemes, example, at_once=True)
    if parts.scheme in MAIL_HERE:
        return None
    if parts.query:  # ?email_use_tls=0 would undo the scheme
        raise ConfigurationError(
            f"{what} may not have options: the scheme says how it is encrypted"
        )
    found = _address(_endpoint(parts, what, schemes, example), "", parts.username or "")
    return _not_in_plain_text(found, what, "smtp+tls (STARTTLS) or smtp+ssl")


def _split(
    url: str, what: str, schemes: Mapping[str, int], example: str, *, at_once: bool = False
) -> SplitResult:
    """The URL's parts. `at_once`: the first @ ends user and password; another, or one after a
    slash, would be of a password that is not percent-encoded."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigurationError(f"{what} is not a URL such as {example}") from None
    if parts.scheme not in schemes or _BAD.search(url) or "://" not in url:
        raise ConfigurationError(f"{what} is not a URL such as {example}")
    if at_once and url.count("@") > parts.netloc.count("@"):
        raise ConfigurationError(
            f"{what}: in a password write @ as %40, / as %2F, ? as %3F and # as %23"
        )
    return parts


def _endpoint(
    parts: SplitResult,
    what: str,
    schemes: Mapping[str, int],
    example: str,
    *,
    needs_host: bool = True,
) -> Endpoint:
    # Not parts.hostname: of "[::1]example.com" it sees [::1] alone.
    found = _HOST_AND_PORT.fullmatch(parts.netloc.rpartition("@")[2].lower())
    host = (found[1] or found[2] or "") if found else ""
    is_host = _is_ipv6(host) if found and found[1] is not None else _NAME.fullmatch(host)
    if found is None or not (is_host or (found[2] == "" and not needs_host)):
        raise ConfigurationError(f"{what} is not a URL such as {example}")
    port = found[3] or str(schemes[parts.scheme])
    # Not quoted: where an @ was forgotten it is a password.
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ConfigurationError(f"{what} for {host!r}: its port must be from 1 to 65535")
    return Endpoint(parts.scheme, host, int(port), is_loopback(host))


def _is_ipv6(host: str) -> bool:
    try:
        return "%" not in host and ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _options(parts: SplitResult, what: str) -> dict[str, str]:
    """The query's options; who connects may take the first of two, or the last, in any case."""
    given = parse_qsl(parts.query, keep_blank_values=True)
    options = {name.lower(): value for name, value in given}
    if len(options) < len(given):
        raise ConfigurationError(f"{what} gives an option twice")
    return options


def _address(
    endpoint: Endpoint, path: str, user: str = "", options: Mapping[str, str] | None = None
) -> Address:
    return Address(
        endpoint.scheme, endpoint.host, endpoint.port, endpoint.loopback,
        path, user, options or {},
    )  # fmt: skip


def _not_in_plain_text(address: Address, what: str, instead: str) -> Address:
    if not (address.secure or address.loopback):
        raise ConfigurationError(
            f"{what} for {address.host!r}: {address.scheme} is plain text, which is for this "
            f"machine only; use {instead}"
        )
    return address
