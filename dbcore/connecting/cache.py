"""The cache: PING of each Redis server, a read elsewhere."""

from __future__ import annotations

import functools
import ssl
import time
from typing import Any

import redis
from django.conf import settings
from django.core.cache import caches
from redis.backoff import NoBackoff
from redis.connection import SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from dbcore.addresses import is_loopback
from dbcore.connecting.authorities import Authorities, of_python
from dbcore.connecting.found import Found, Step, Trouble
from dbcore.connecting.reaching import open_socket, secure
from dbcore.monitoring.alerts.plain import presentable

REDIS = "django.core.cache.backends.redis.RedisCache"
IN_PROCESS = (
    "django.core.cache.backends.locmem.LocMemCache", "django.core.cache.backends.dummy.DummyCache",
)  # fmt: skip
_DJANGOS = ("serializer", "pool_class", "parser_class")  # of OPTIONS, what redis-py does not know


def servers() -> list[str]:
    """The URLs of the Redis servers that Django's default cache is on; none elsewhere."""
    cache = settings.CACHES["default"]
    if cache["BACKEND"] != REDIS:
        return []
    places = cache["LOCATION"]
    return list(places) if isinstance(places, (list, tuple)) else str(places).split(",")


def cache(found: Found, server: str) -> None:
    """One Redis server; "" where the cache is something else."""
    found.setting = "CACHE_URL"
    if not server:
        _other(found)
        return
    options = {
        name: value for name, value in settings.CACHES["default"].get("OPTIONS", {}).items()
        if name not in _DJANGOS
    }  # fmt: skip
    pool = redis.ConnectionPool.from_url(
        server,
        **{**options, "socket_timeout": found.left, "socket_connect_timeout": found.left,
           "retry": Retry(NoBackoff(), 0)},
    )  # fmt: skip
    try:
        _reach(found, pool.make_connection())
        began = time.monotonic()
        redis.Redis(connection_pool=pool).ping()
        found.answered("PING", began)
    except redis.RedisError as error:
        raise _why_not(error) from error
    finally:
        pool.disconnect()


def _other(found: Found) -> None:
    found.endpoint = settings.CACHES["default"]["BACKEND"].rpartition(".")[2]
    found.at(Step.CALL, found.endpoint)
    began = time.monotonic()
    caches["default"].get("dbcore.connect")
    found.answered("read", began)


def _reach(found: Found, connection: Any) -> None:
    if isinstance(connection, UnixDomainSocketConnection):
        found.endpoint = f"redis, a socket of this machine ({connection.path})"
        found.at(Step.CALL, connection.path)
        return
    host, port = str(connection.host), int(connection.port)
    encrypted = isinstance(connection, SSLConnection)
    found.endpoint = f"{'rediss' if encrypted else 'redis'}://{host}:{port}/{connection.db}"
    opening = functools.partial(open_socket, found, host, port)
    if encrypted:
        secure(found, opening, host, _of_redis(connection))
    else:
        opening().close()
        if not is_loopback(host):
            found.warn(f"what is said to {host} is plain text", "use rediss:// in CACHE_URL")
    found.at(Step.CALL, f"{host}:{port}")


def _of_redis(connection: Any) -> Authorities:
    """The CAs that redis-py asks: Python's, and those that options of the URL add."""
    python = of_python()
    more = connection.ca_certs or connection.ca_path

    def make() -> ssl.SSLContext:
        context = python.make()
        context.check_hostname = bool(connection.check_hostname)
        context.verify_mode = connection.cert_reqs
        if connection.certfile or connection.keyfile:
            context.load_cert_chain(connection.certfile, connection.keyfile)
        if more:
            context.load_verify_locations(cafile=connection.ca_certs, capath=connection.ca_path)
        return context

    judged = "chain and name" if connection.check_hostname else "chain, not the name"
    if connection.cert_reqs == ssl.CERT_NONE:
        judged = "nothing"
    said = f"{python.said}; ssl_ca_certs: {more}" if more else python.said
    return Authorities(said, "ssl_ca_certs in CACHE_URL or SSL_CERT_FILE", make, judged)


def _why_not(error: redis.RedisError) -> Trouble:
    if isinstance(error, redis.AuthenticationError):
        return Trouble(
            f"Redis refuses the user or the password ({presentable(str(error))})",
            "see both in CACHE_URL; a % or @ in a password must be written %25, %40",
        )
    if isinstance(error, redis.TimeoutError):
        raise TimeoutError from error
    if isinstance(error, redis.BusyLoadingError):
        return Trouble("Redis is reading its data", "ask again soon")
    if isinstance(error, redis.exceptions.NoPermissionError):
        return Trouble(f"the user may not PING ({presentable(str(error))})", "add +ping to its ACL")
    return Trouble(
        f"Redis cannot be used ({presentable(str(error))})",
        "see CACHE_URL: rediss:// where the server speaks TLS, redis:// where it does not; and "
        "the server's log",
    )
