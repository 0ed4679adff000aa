"""The variables of Daylight's own site, beside those of the layer (dbcore/configuration)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, urlsplit

from dbcore.addresses import REDIS, parse_cache, parse_mail, parse_postgres
from dbcore.configuration import DBCORE, Configuration, Registry, Variable
from dbcore.configuration.kinds import Boolean, Choice, Integer, ListOf, Number, Parsed, Text
from dbcore.configuration.masks import without_account
from dbcore.configuration.registry import ENVIRONMENTS, in_group
from dbcore.configuration.variables import PRODUCTION, PROXY
from dbcore.errors import ConfigurationError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
DEVELOPMENT_KEY = "development-only-not-a-secret"
TEST_KEY = "test-only-not-a-secret"
# What Django's own check (security.W009) asks of a secret key.
MIN_KEY, MIN_DISTINCT = 50, 5
_HOST = re.compile(r"\*|\[[0-9a-fA-F:.]+\]|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
_ORIGIN = re.compile(r"https?://((\*\.)?[A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?")
_DJANGO_OPTIONS = {
    "conn_max_age", "conn_health_checks", "atomic_requests", "autocommit",
    "disable_server_side_cursors", "isolation_level", "server_side_binding", "assume_role",
}  # fmt: skip
_EXAMPLES = re.compile(r"(^|\.)(example|example\.(com|org|net)|invalid)$|^(HOST|host|hostname)$")


def is_sqlite(url: str) -> bool:
    """Whether a database's URL is of SQLite."""
    return url.startswith("sqlite:")


def is_example(host: str) -> bool:
    """Whether a host is one that documents use and nobody has (RFC 2606)."""
    return bool(_EXAMPLES.search(host))


def _whole(what: str, options: Mapping[str, str], names: tuple[str, ...]) -> None:
    for name in names:
        if name in options and not re.fullmatch(r"[0-9]{1,9}", options[name]):
            raise ConfigurationError(f"{what}: {name} must be a whole number")


def _postgres_options(what: str, url: str) -> None:
    """Refuse options that libpq would refuse at the first connection, or Django misread."""
    from psycopg import pq  # not everybody has PostgreSQL, and it takes its time

    options = {each.lower(): value for each, value in parse_qsl(urlsplit(url).query)}
    _whole(
        what, options, ("conn_max_age", "connect_timeout", "keepalives_idle", "tcp_user_timeout")
    )
    known = {each.keyword.decode() for each in pq.Conninfo.get_defaults()} | _DJANGO_OPTIONS
    if unknown := sorted(options.keys() - known):
        raise ConfigurationError(f"{what}: there is no option {', '.join(unknown)}")


def _database(url: str, what: str = "DATABASE_URL") -> None:
    if not is_sqlite(url):
        address = parse_postgres(url, what)
        _postgres_options(what, url)
        if not urlsplit(url).path.strip("/"):
            raise ConfigurationError(f"{what} names no database: postgres://…@HOST:5432/NAME")
        if address is not None and is_example(address.host):
            raise ConfigurationError(f"{what} has an example's host, {address.host}")
        return
    parts = urlsplit(url) if url != "sqlite://:memory:" else None
    if parts is not None and (parts.netloc or parts.path.strip("/") == ""):
        raise ConfigurationError(
            f"{what} names no file: sqlite:///PATH, or sqlite:////ABSOLUTE/PATH"
        )


def _cache(url: str) -> None:
    servers = parse_cache(url)
    if url.partition("://")[0].lower() not in (*REDIS, "locmemcache", "dummycache"):
        raise ConfigurationError(
            "CACHE_URL names a cache from which Django unpickles, so that whoever can write there "
            "could run code here: rediss://:PASSWORD@HOST:6379/0, or locmemcache://"
        )
    for each in servers:
        if is_example(each.host):
            raise ConfigurationError(f"CACHE_URL has an example's host, {each.host}")
        if not re.fullmatch(r"/?|/[0-9]{1,4}/?", urlsplit(url).path):
            raise ConfigurationError("CACHE_URL: what follows the port is the number of a database")
    options = {name.lower(): value for name, value in parse_qsl(urlsplit(url).query)}
    _whole("CACHE_URL", options, ("timeout", "version", "db", "max_connections"))


def _mail(url: str) -> None:
    found = parse_mail(url)
    if found is not None and is_example(found.host):
        raise ConfigurationError(f"EMAIL_URL has an example's host, {found.host}")


_WHICH = in_group(
    "Which settings",
    Variable(
        name="DAYLIGHT_ENV", kind=Choice(ENVIRONMENTS), default={"": "development",
        "production": "production", "test": "test"},
        sentence="Which environment this is. It may stand here or in the process's environment; "
        "where both say it, they must say the same. wsgi and asgi serve as development only where "
        "it is said.",
    ),
    Variable(
        name="NODE_ENV", kind=Text(r"[^\x00-\x1f]*", "a name"),
        sentence="Its earlier name, which counts where DAYLIGHT_ENV is not set.",
    ),
    Variable(
        name="DAYLIGHT_ENV_FILE", kind=Text(r"[^\x00-\x1f]+", "the path of a file that is there"),
        sentence="Another file instead of .env, named in the process's environment. It must be "
        "there. Tests read none but this.",
    ),
)  # fmt: skip
_DJANGO = in_group(
    "Django",
    Variable(
        name="DJANGO_DEBUG", kind=Boolean(),
        default={"": "false", "development": "true"},
        sentence="Pages that explain their errors, with settings and source: never in production, "
        "which refuses it.",
    ),
    Variable(
        name="DJANGO_SECRET_KEY", secret=True, required=PRODUCTION,
        kind=Text(r"[^\x00-\x1f]+", f"{MIN_KEY} characters or more"),
        default={"development": DEVELOPMENT_KEY, "test": TEST_KEY},
        sentence="At least 50 characters: python -c 'import secrets; "
        "print(secrets.token_urlsafe(48))'",
    ),
    Variable(
        name="DJANGO_SECRET_KEY_FALLBACKS", secret=True,
        kind=ListOf(Text(r"[^\x00-\x1f]{50,}", f"{MIN_KEY} characters or more, without commas")),
        sentence="Former keys, with which sessions still count that began before the key was "
        "changed. Take each out after a day.",
    ),
    Variable(
        name="DJANGO_ALLOWED_HOSTS", required=PRODUCTION,
        kind=ListOf(Text(_HOST.pattern, "a host's name or address")),
        default={"": "", "development": "localhost,127.0.0.1,[::1]",
                 "test": "testserver,localhost,127.0.0.1"},
        example="daylight.internal",
        sentence="The hosts that are served. Production refuses *.",
    ),
    Variable(
        name="DJANGO_CSRF_TRUSTED_ORIGINS",
        kind=ListOf(Text(_ORIGIN.pattern, "an origin such as https://admin.daylight.internal")),
        sentence="Origins elsewhere whose forms are taken.",
    ),
    Variable(
        name="LOG_LEVEL", kind=Choice(LEVELS, folded=True), default="INFO",
        sentence="Of the layer and of Django; libraries say warnings and errors alone.",
    ),
)  # fmt: skip
_SIGN_IN = in_group(
    "Sign-in of staff",
    Variable(
        name="ADMIN_TOTP_REQUIRED", kind=Boolean(),
        default={"": "false", "production": "true"},
        sentence="Whether staff need an authenticator app besides their password; who has none "
        "sets it up after signing in. Without it, it is their choice. See docs/sign-in.md.",
    ),
    Variable(
        name="DJANGO_TRUSTED_PROXIES", kind=ListOf(PROXY),
        sentence="Proxies whose X-Forwarded-For tells a client's address, which sign-ins are "
        "counted by and the audit trail has; unix is one that comes through a socket. Each must "
        "add the address that it sees, at the end. Empty: the address of the connection.",
    ),
)  # fmt: skip
_DATABASE = in_group(
    "Django's own database",
    Variable(
        name="DATABASE_URL", masked=without_account, required=PRODUCTION,
        kind=Parsed(_database, "postgres://USER:PASSWORD@HOST:5432/NAME, or sqlite:///PATH"),
        default={"": "sqlite:///var/daylight.sqlite3", "production": ""},
        sentence="Admin logins and book-keeping (migration runs, dead letters), and in development "
        "the records. A relative SQLite path is the project's. PostgreSQL over a network is "
        "encrypted; ?sslmode=verify-full&sslrootcert=FILE also proves who the server is.",
    ),
    Variable(
        name="DATABASE_SQLITE_IN_PRODUCTION", kind=Boolean(), default="false",
        sentence="Whether production may have its books in an SQLite file: on one host alone, and "
        "on a disk that outlives the process.",
    ),
    Variable(
        name="DATABASE_CONN_MAX_AGE", kind=Integer(0, 86_400, "seconds"),
        default={"": "0", "production": "60"},
        sentence="How long a connection to PostgreSQL is kept for the next request of its thread. "
        "0: not at all, as it must be with a pool and under ASGI.",
    ),
    Variable(
        name="DATABASE_CONN_HEALTH_CHECKS", kind=Boolean(), default="true",
        sentence="Whether a connection that was kept is tried before it is used.",
    ),
    Variable(
        name="DATABASE_POOL_SIZE", kind=Integer(0, 1_000, "connections"), default="0",
        sentence="psycopg's pool of connections, a process; 0: no pool. With it, "
        "DATABASE_CONN_MAX_AGE is 0.",
    ),
    Variable(
        name="DATABASE_POOL_TIMEOUT", kind=Number(0.1, 300, "seconds"), default="5",
        sentence="How long a request waits for a connection of the pool.",
    ),
    Variable(
        name="DATABASE_REPLICA_URLS", masked=without_account,
        kind=ListOf(Parsed(lambda url: _database(url, "a replica"), "as DATABASE_URL")),
        sentence="Replicas of it, for reads that may lag. One that does not answer is left alone "
        "for a while, and the primary is read.",
    ),
)  # fmt: skip
_CACHE = in_group(
    "Cache of records",
    Variable(
        name="CACHE_URL", masked=without_account, required=PRODUCTION,
        kind=Parsed(_cache, "rediss://:PASSWORD@HOST:6379/0, or locmemcache:// for each process's "
                    "own memory"),
        sentence="One Redis for all processes: rediss://:PASSWORD@HOST:6379/0, with TLS; on this "
        "machine also redis://. Add ?key_prefix=NAME where several installations share it. "
        "locmemcache://, or in development nothing: each process's own memory; then another "
        "process's write is seen after at most APP_CACHE_TTL seconds.",
    ),
    Variable(
        name="APP_CACHE_SIZE", kind=Integer(2, 10_000_000, "entries"), default="10000",
        sentence="In the process's memory (a record takes two); Redis has its own limit.",
    ),
)  # fmt: skip
_MAIL = in_group(
    "Mail",
    Variable(
        name="EMAIL_URL", masked=without_account,
        kind=Parsed(_mail, "smtp+tls://USER:PASSWORD@HOST:587 or smtp+ssl://…:465"),
        sentence="The mail server: smtp+tls://USER:PASSWORD@HOST:587 (STARTTLS), smtp+ssl://…:465. "
        "Empty: mails are printed. Must be set in production where ALERT_EMAIL is.",
    ),
    Variable(
        name="ALERT_EMAIL_FROM", kind=Text(r"[^\r\n\x00]{3,320}", "an address"),
        default="daylight@localhost",
        sentence="Whom mails are from.",
    ),
)  # fmt: skip


def _secret_key(found: Configuration) -> Iterator[str]:
    key = found.get("DJANGO_SECRET_KEY")
    if found.environment != "production" or key is None:
        return
    how = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"
    if len(key) < MIN_KEY or len(set(key)) < MIN_DISTINCT:
        yield (
            f"DJANGO_SECRET_KEY is too short or too uniform (at least {MIN_KEY} characters, "
            f"{MIN_DISTINCT} of them different): make one by {how}"
        )
    elif re.search(r"insecure|not-a-secret|change|secret[-_ ]?key", key, re.IGNORECASE):
        yield f"DJANGO_SECRET_KEY is an example: make one by {how}"


def _hosts(found: Configuration) -> Iterator[str]:
    if found.environment != "production":
        return
    for host in found.get("DJANGO_ALLOWED_HOSTS") or ():
        if "*" in host:
            yield "DJANGO_ALLOWED_HOSTS has *, by which anybody names the host: name the hosts"
        elif is_example(host.strip(".")):
            yield f"DJANGO_ALLOWED_HOSTS has {host!r}, which is an example"


def _debug(found: Configuration) -> Iterator[str]:
    if found.environment == "production" and found.get("DJANGO_DEBUG"):
        yield "DJANGO_DEBUG is true, which shows settings to everybody: production refuses it"


def _books(found: Configuration) -> Iterator[str]:
    url, allowed = found.get("DATABASE_URL"), found.get("DATABASE_SQLITE_IN_PRODUCTION")
    if not url:
        return
    if found.environment == "production" and is_sqlite(url) and not allowed:
        yield (
            "DATABASE_URL is an SQLite file, which production refuses: name PostgreSQL, or set "
            "DATABASE_SQLITE_IN_PRODUCTION=true where one host with a lasting disk is meant"
        )
    primary = found.get("DATABASE_PRIMARY")
    kind = "sqlite" if is_sqlite(url) else "postgresql"
    if found.is_set("DATABASE_PRIMARY") and primary in ("sqlite", "postgresql") and primary != kind:
        yield f"DATABASE_PRIMARY is {primary}, and DATABASE_URL is {kind}: one of them is mistyped"


def _pool(found: Configuration) -> Iterator[str]:
    age = found.get("DATABASE_CONN_MAX_AGE") if found.is_set("DATABASE_CONN_MAX_AGE") else 0
    if age and found.get("DATABASE_POOL_SIZE"):
        yield (
            f"DATABASE_CONN_MAX_AGE is {age}, and DATABASE_POOL_SIZE is set: a pool keeps "
            "connections itself, so leave DATABASE_CONN_MAX_AGE out"
        )


def _mail_server(found: Configuration) -> Iterator[str]:
    to, url = found.get("ALERT_EMAIL"), found.get("EMAIL_URL")
    lost = url is not None and (not url or parse_mail(url) is None)
    if found.environment == "production" and to and lost:
        yield "ALERT_EMAIL is set, and EMAIL_URL must name the mail server"


DAYLIGHT = Registry(
    (*_WHICH, *_DJANGO, *_SIGN_IN, *_DATABASE, *_CACHE, *_MAIL),
    (_secret_key, _hosts, _debug, _books, _pool, _mail_server),
    {},
    ("ADMIN_", "DAYLIGHT_", "DJANGO_", "CACHE_", "EMAIL_"),
    (
        # Read by Django itself and by its commands.
        "DJANGO_SETTINGS_MODULE", "DJANGO_SUPERUSER_", "DJANGO_COLORS", "DJANGO_WATCHMAN_",
        "DJANGO_ALLOW_ASYNC_UNSAFE", "DJANGO_RUNSERVER_", "DJANGO_TEST_", "DJANGO_AUTO_",
    ),
)  # fmt: skip
# In the order of the templates: which environment, Django, then the layer.
ALL = DAYLIGHT + DBCORE
