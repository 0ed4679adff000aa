"""Addresses: only this machine is ever let through in plain text, whatever an address looks like to
whoever connects, and no message quotes what may be a secret."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import environ
import pytest
import urllib3
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.connection import parse_url

from dbcore.addresses import (
    ENCRYPTING_MODES,
    is_loopback,
    parse_cache,
    parse_endpoint,
    parse_hook,
    parse_mail,
    parse_memcached,
    parse_postgres,
    parse_redis,
    parse_sentry,
)
from dbcore.errors import ConfigurationError

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1",
        "http://10.0.0.1:8000",
        "http://example.com",
        "http://dynamodb.eu-central-1.amazonaws.com",
        "http://localhost.evil.com:8000",
        "http://127.0.0.1.nip.io",
        "http://localhost.:8000",
        "http://0.0.0.0:8000",
        "http://128.0.0.1",
        "http://2130706433",
        "http://127.1",
        "http://0x7f.0.0.1",
        "http://[::]:8000",
        "http://[::2]:8000",
        "http://[fe80::1]:8000",
        "http://[::ffff:10.0.0.1]",
        "http://host.docker.internal:8000",
        "HTTP://EXAMPLE.COM",
    ],
)
def test_plain_http_is_refused_for_every_other_machine(url: str) -> None:
    with pytest.raises(ConfigurationError, match="plain HTTP is allowed for this machine only"):
        parse_endpoint(url)


@pytest.mark.parametrize("url", ["http://localhost@evil.com", "http://127.0.0.1:80@10.0.0.1:8000"])
def test_a_user_named_like_this_machine_deceives_nobody(url: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_endpoint(url)


@given(st.ip_addresses())
def test_plain_http_is_for_loopback_addresses_alone(address: IPv4Address | IPv6Address) -> None:
    text = str(address)
    host = f"[{text}]" if ":" in text else text
    assert parse_endpoint(f"https://{host}").host == text
    if address.is_loopback:
        assert parse_endpoint(f"http://{host}").loopback
    else:
        with pytest.raises(ConfigurationError):
            parse_endpoint(f"http://{host}")


@pytest.mark.parametrize(
    ("url", "host", "port", "header"),
    [
        ("http://localhost:8000", "localhost", 8000, "localhost:8000"),
        ("http://LocalHost:8000/", "localhost", 8000, "localhost:8000"),
        ("http://localhost", "localhost", 80, "localhost"),
        ("http://localhost:443", "localhost", 443, "localhost:443"),
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, "127.0.0.1:8000"),
        ("http://127.1.2.3:1", "127.1.2.3", 1, "127.1.2.3:1"),
        ("http://[::1]:8000", "::1", 8000, "[::1]:8000"),
    ],
)
def test_plain_http_is_allowed_on_this_machine(url: str, host: str, port: int, header: str) -> None:
    endpoint = parse_endpoint(url)
    assert (endpoint.host, endpoint.port, endpoint.host_header) == (host, port, header)
    assert endpoint.loopback
    assert endpoint.url == f"http://{header}"
    assert parse_endpoint(endpoint.url) == endpoint


@pytest.mark.parametrize(
    ("url", "header", "loopback"),
    [
        ("https://10.0.0.1", "10.0.0.1", False),
        ("https://example.com:8443", "example.com:8443", False),
        ("https://example.com:443/", "example.com", False),
        ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443", False),
        ("https://localhost:8443", "localhost:8443", True),
    ],
)
def test_https_is_allowed_everywhere(url: str, header: str, loopback: bool) -> None:
    endpoint = parse_endpoint(url)
    assert (endpoint.scheme, endpoint.host_header, endpoint.loopback) == ("https", header, loopback)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("localhost:8000", "is not a URL such as http://localhost:8000"),
        ("//localhost:8000", "is not a URL"),
        ("ftp://localhost", "is not a URL"),
        ("http://", "is not a URL"),
        ("http://:8000", "is not a URL"),
        ("locall", "is not a URL"),
        (" ", "is not a URL"),
        ("http://localhost:eight", "its port must be"),
        ("http://localhost:70000", "its port must be"),
        ("http://localhost:0", "its port must be"),
        ("http://[::1", "is not a URL"),
        ("http://localhost:8000/shell", "may not have a path"),
        ("http://localhost:8000/?x=1", "may not have a path"),
        ("http://localhost:8000/#x", "may not have a path"),
        ("https://me:secret@dynamodb.example.com", "may not have a user"),
    ],
)
def test_a_bad_url_is_named_with_what_is_wrong_with_it(url: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match="DynamoDB endpoint") as caught:
        parse_endpoint(url)
    assert complaint in str(caught.value)


def test_a_password_in_a_url_is_not_repeated_in_the_complaint() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_endpoint("https://me:secret@dynamodb.example.com")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("parse", "url"),
    [
        (parse_hook, "https://hooks.slack.com/services/T0/B0/X"),
        (parse_hook, "https://hooks.example.com/v2?token=X"),
        (parse_hook, "http://127.0.0.1:8080/hook"),
        (parse_hook, "http://[::1]:8080"),
        (parse_sentry, "https://key@o1.ingest.sentry.io/42"),
        (parse_sentry, "https://key:old@sentry.example.com:9000/under/42"),
        (parse_sentry, "http://key@localhost:9000/42"),
        (parse_cache, "rediss://:pw@cache.example.com:6379/0"),
        (parse_cache, "rediss://user:pw@10.0.0.5/0?key_prefix=one&ssl_ca_certs=/ca.pem"),
        (parse_cache, "rediss://:a@one:6379,:b@two:6379/0"),
        (parse_cache, "rediss://cache?ssl_cert_reqs=required&ssl_check_hostname=True"),
        (parse_cache, "redis://127.0.0.1:6379/0"),
        (parse_cache, "rediscache://localhost"),
        (parse_cache, "memcache://127.0.0.1:11211,localhost:11212"),
        (
            parse_postgres,
            "postgres://u:pw@db.example.com:5432/d?sslmode=verify-full&sslrootcert=/a",
        ),
        (parse_postgres, "postgres://u@db.example.com/d?sslmode=require&conn_max_age=60"),
        (parse_postgres, "postgres://u@db.example.com/d"),  # dbcore.postgresql adds what is missing
        (parse_postgres, "postgres://u@[2001:db8::1]:5432/d?sslmode=verify-ca"),
        (parse_postgres, "postgresql://u@localhost/d?sslmode=disable"),
        (parse_mail, "smtp+tls://u%40example.com:p%2Fw@mail.example.com:587"),
        (parse_mail, "smtp+ssl://mail.example.com:465"),
        (parse_mail, "smtp://localhost:25"),
    ],
)
def test_what_is_encrypted_or_stays_here_is_let_through(
    parse: Callable[..., Any], url: str
) -> None:
    found = parse(url, "VARIABLE")
    assert found
    for each in found if isinstance(found, tuple) else [found]:
        assert each.port and each.host and (each.secure or each.loopback or parse is parse_postgres)


@pytest.mark.parametrize(
    ("parse", "url"),
    [
        (parse_cache, "locmemcache://"),
        (parse_cache, "LocMemCache://"),
        (parse_cache, "dbcache://my_table"),
        (parse_cache, "filecache:///var/cache"),
        (parse_cache, "dummycache://"),
        (parse_cache, "redis:///run/redis.sock"),
        (parse_cache, "memcache:///run/memcached.sock"),
        (parse_postgres, "postgres:///d"),
        (parse_postgres, "postgres://u@//run/postgresql/d"),
        (parse_postgres, "postgres://u:pw@:5433/d?sslmode=disable"),
        (parse_mail, "consolemail://"),
        (parse_mail, "memorymail://"),
    ],
)
def test_what_never_leaves_the_machine_has_no_address(parse: Callable[..., Any], url: str) -> None:
    assert not parse(url, "VARIABLE")


PLAIN = "plain text, which is for this machine only"


@pytest.mark.parametrize(
    ("parse", "url", "complaint"),
    [
        (parse_hook, "http://hooks.example.com/T/B", PLAIN),
        (parse_hook, "http://localhost.example.com/T/B", PLAIN),
        (parse_hook, "https://u:p@hooks.example.com/T", "may not have a user"),
        (parse_hook, "https://@hooks.example.com/T", "may not have a user"),
        (parse_hook, "hooks.example.com/T/B", "is not a URL"),
        (parse_hook, "https://hooks.example.com/T B", "is not a URL"),
        (parse_hook, "https://hooks.example.com/é", "is not a URL"),
        (parse_hook, "https://hooks.example.com\\@127.0.0.1/", "is not a URL"),
        (parse_hook, "http://[::1]hooks.example.com/T", "is not a URL"),
        (parse_hook, "http://hooks.example.com[::1]/T", "is not a URL"),
        (parse_hook, "http://%6cocalhost/T", "is not a URL"),
        (parse_hook, "http://localhost%2eexample.com/T", "is not a URL"),
        (parse_hook, "http://localhost,example.com/T", "is not a URL"),
        (parse_hook, "http://localhost;example.com/T", "is not a URL"),
        (parse_hook, "https:hooks.example.com/T", "is not a URL"),
        (parse_hook, "https:/hooks.example.com/T", "is not a URL"),
        (parse_sentry, "http://key@sentry.example.com/42", PLAIN),
        (parse_sentry, "https://sentry.example.com/42", "is not a project's key"),
        (parse_sentry, "https://key@sentry.example.com/", "is not a project's key"),
        (parse_sentry, "https://key@sentry.example.com/name", "is not a project's key"),
        (parse_sentry, "key@sentry.example.com/42", "is not a URL"),
        (parse_cache, "redis://10.0.0.5:6379/0", PLAIN),
        (parse_cache, "rediscache://10.0.0.5", PLAIN),
        (parse_cache, "REDIS://10.0.0.5", PLAIN),
        (parse_cache, "redis://127.0.0.1:6379,10.0.0.5:6379/0", PLAIN),
        (parse_cache, "redis://localhost@10.0.0.5/0", PLAIN),
        (parse_cache, "redis://[::ffff:10.0.0.5]/0", PLAIN),
        (parse_cache, "rediss://cache?ssl_cert_reqs=none", "ssl_cert_reqs must be required"),
        (parse_cache, "rediss://cache?ssl_cert_reqs=optional", "ssl_cert_reqs must be required"),
        (parse_cache, "rediss://cache?SSL_CERT_REQS=none", "ssl_cert_reqs must be required"),
        (parse_cache, "rediss://cache?ssl_cert_reqs=", "ssl_cert_reqs must be required"),
        (parse_cache, "rediss://cache?ssl_check_hostname=False", "ssl_check_hostname must be true"),
        (parse_cache, "rediss://cache?ssl_check_hostname=0", "ssl_check_hostname must be true"),
        (parse_cache, "rediss://c?ssl_cert_reqs=none&ssl_cert_reqs=required", "an option twice"),
        (parse_cache, "redis:///0?host=10.0.0.5", "host stands in the URL"),
        (parse_cache, "redis://localhost/0?Host=10.0.0.5", "host stands in the URL"),
        (parse_cache, "redis://:6379/0", "is not a URL"),
        (parse_cache, "redis:///", "is not a URL"),
        (parse_cache, "valkeys://cache.example.com/0", "is not a URL such as rediss://"),
        (parse_cache, "rediss://:pass/word@cache/0", "write @ as %40, / as %2F"),
        (parse_cache, "rediss://:pass?word@cache/0", "write @ as %40, / as %2F"),
        (parse_cache, "rediss://:pass#word@cache/0", "write @ as %40, / as %2F"),
        (parse_cache, "memcache://10.0.0.5:11211", PLAIN),
        (parse_cache, "pymemcache://127.0.0.1:11211,10.0.0.5:11211/?key_prefix=ci", PLAIN),
        (parse_cache, "PyLibMC://10.0.0.5:11211", PLAIN),
        (parse_postgres, "postgres://u@db.example.com/d?sslmode=disable", "may speak in the clear"),
        (parse_postgres, "postgres://u@db.example.com/d?sslmode=allow", "may speak in the clear"),
        (parse_postgres, "postgres://u@db.example.com/d?sslmode=prefer", "may speak in the clear"),
        (parse_postgres, "postgres://u@db.example.com/d?sslmode=Require", "must be one of"),
        (parse_postgres, "postgres://u@db/d?sslmode=disable&sslmode=require", "an option twice"),
        (parse_postgres, "postgres://u@localhost/d?host=10.0.0.5", "host stands before the ?"),
        (parse_postgres, "postgres://u@localhost/d?hostaddr=10.0.0.5", "hostaddr stands before"),
        (parse_postgres, "postgres://u@localhost/d?service=other", "service stands before the ?"),
        (parse_postgres, "postgres://u@localhost/d?servicefile=/f", "servicefile stands before"),
        (parse_postgres, "postgres://u@localhost/d?dbname=host%3D10.0.0.5", "dbname stands before"),
        (parse_postgres, "postgres://u@localhost/d?pool=true", "set DATABASE_POOL_SIZE"),
        (parse_postgres, "postgres://u@localhost,10.0.0.5/d", "is not a URL"),
        (parse_postgres, "postgres://u@localhost%2C10.0.0.5/d", "is not a URL"),
        (parse_postgres, "postgres://u@//,10.0.0.5/d", "is not a URL"),
        (parse_postgres, "postgres://u@//%2C10.0.0.5/d", "is not a URL"),
        (parse_postgres, "postgres://u@%2F10.0.0.5/d", "is not a URL"),
        (parse_postgres, "postgres://u:pass/word@db/d", "write @ as %40, / as %2F"),
        (parse_postgres, "mysql://u@localhost/d", "is not a URL such as postgres://"),
        (parse_postgres, "postgres://u@db.example.com", "names no database"),
        (parse_mail, "smtp://mail.example.com:25", PLAIN),
        (parse_mail, "smtp+tls://mail.example.com?email_use_tls=0", "may not have options"),
        (parse_mail, "smtp+tls://u:pass/word@mail.example.com", "write @ as %40, / as %2F"),
        (parse_mail, "smtp+tls://", "is not a URL"),
        (parse_mail, "mail.example.com:587", "is not a URL"),
    ],
)
def test_what_would_go_out_in_the_clear_or_elsewhere_is_refused(
    parse: Callable[..., Any], url: str, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"^VARIABLE") as caught:
        parse(url, "VARIABLE")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("location", "options", "complaint"),
    [
        ("redis://10.0.0.5:6379/0", {}, PLAIN),
        ("valkey://10.0.0.5:6379/0", {}, PLAIN),
        ("rediss://cache/0?ssl_cert_reqs=none", {}, "ssl_cert_reqs"),
        ("rediss://cache/0", {"ssl_cert_reqs": None}, "ssl_cert_reqs"),
        ("rediss://cache/0", {"ssl_cert_reqs": ssl.CERT_NONE}, "ssl_cert_reqs"),
        ("rediss://cache/0", {"ssl_check_hostname": False}, "ssl_check_hostname"),
        ("redis:///0?host=10.0.0.5", {}, "host stands in the URL"),
        ("redis:///0", {"host": "10.0.0.5"}, "host stands in the URL"),
        ("rediscache://localhost", {}, ""),
        ("localhost:6379", {}, "is not a URL"),
    ],
)
def test_a_server_as_redis_py_reads_it_is_held_to_the_same(
    location: str, options: dict[str, Any], complaint: str
) -> None:
    if not complaint:
        assert parse_redis(location, "CACHES", options)
        return
    with pytest.raises(ConfigurationError, match=r"^CACHES") as caught:
        parse_redis(location, "CACHES", options)
    assert complaint in str(caught.value)


def test_a_server_as_redis_py_reads_it_may_be_here_or_verified() -> None:
    secure = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    assert parse_redis("rediss://:pw@cache/0", "CACHES", secure)
    assert parse_redis("redis://localhost/0", "CACHES", {})
    for socket in ("unix:///run/redis.sock", "redis:///0", "unix://"):
        assert parse_redis(socket, "CACHES", {}) is None


def test_memcached_is_for_this_machine_alone() -> None:
    assert parse_memcached("/run/memcached.sock", "CACHES") is None
    assert parse_memcached("unix:/run/memcached.sock", "CACHES") is None
    assert parse_memcached("127.0.0.1:11211", "CACHES")
    for elsewhere in ("10.0.0.5:11211", "inet6:[::1]:11211", ""):
        with pytest.raises(ConfigurationError, match=r"^CACHES"):
            parse_memcached(elsewhere, "CACHES")


@pytest.mark.parametrize(
    ("parse", "url"),
    [
        (parse_hook, f"http://10.0.0.5/{SECRET}"),
        (parse_hook, f"http://10.0.0.5/?token={SECRET}"),
        (parse_hook, f"https://10.0.0.5 /{SECRET}"),
        (parse_hook, f"https://u:{SECRET}@10.0.0.5/"),
        (parse_sentry, f"http://{SECRET}@10.0.0.5/42"),
        (parse_sentry, f"https://{SECRET}@10.0.0.5/"),
        (parse_cache, f"redis://:{SECRET}@10.0.0.5/0"),
        (parse_cache, f"redis://user:{SECRET}/x@10.0.0.5/0"),
        (parse_cache, f"redis://{SECRET}/x@10.0.0.5/0"),
        (parse_cache, f"rediss://:{SECRET}:10.0.0.5:6379"),
        (parse_cache, f"redis://10.0.0.5/0?password={SECRET}"),
        (parse_cache, f"redis://10.0.0.5/0?password={SECRET}&password={SECRET}"),
        (parse_cache, f"rediss://h?ssl_cert_reqs={SECRET}"),
        (parse_postgres, f"postgres://u:{SECRET}@10.0.0.5/d?sslmode=disable"),
        (parse_postgres, f"postgres://u:{SECRET}/x@10.0.0.5/d"),
        (parse_postgres, f"postgres://u:{SECRET}:10.0.0.5/d"),
        (parse_postgres, f"postgres://u@10.0.0.5/d?sslmode={SECRET}"),
        (parse_mail, f"smtp://u:{SECRET}@10.0.0.5"),
        (parse_mail, f"smtp+tls://u:{SECRET}@10.0.0.5:port"),
    ],
)
def test_no_message_quotes_what_may_be_a_secret(parse: Callable[..., Any], url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(url, "VARIABLE")
    assert SECRET not in str(caught.value)


def test_an_address_that_is_printed_shows_no_secret() -> None:
    found = parse_hook(f"https://hooks.example.com/{SECRET}", "VARIABLE")
    assert SECRET not in repr(found) and SECRET not in found.url


# Pieces of URLs that parsers take apart in different ways.
SCHEMES = [
    "http", "https", "HTTP", "redis", "rediss", "rediscache", "Redis", "memcache", "pymemcache",
    "postgres", "pgsql", "smtp", "smtp+tls", "smtps", "unix", "locmemcache",
]  # fmt: skip
PIECES = [
    "localhost", "127.0.0.1", "10.0.0.5", "db.example.com", "[::1]", "[::ffff:10.0.0.5]", "[", "]",
    "@", ":", "/", "//", "?", "#", "&", "=", ",", ";", ".", "%", "%40", "%2F", "%2C", "%00", "\\",
    " ", "\t", "u", "pw", ":80", ":6379", "0", "d", "host=", "hostaddr=", "sslmode=disable",
    "sslmode=require", "ssl_cert_reqs=none", "ssl_check_hostname=False", "email_use_tls=0", "é",
]  # fmt: skip
nasty = st.builds(
    lambda scheme, pieces: f"{scheme}://{''.join(pieces)}",
    st.sampled_from(SCHEMES),
    st.lists(st.sampled_from(PIECES), max_size=9),
)


def accepted(parse: Callable[..., Any], url: str) -> Any:
    """What the parser makes of it; False where it is refused, as it is to be: by one sentence."""
    try:
        return parse(url, "VARIABLE")
    except ConfigurationError as error:
        assert str(error).startswith("VARIABLE") and "\n" not in str(error)
        return False


@settings(max_examples=400)
@given(nasty)
def test_an_endpoint_that_is_let_through_is_here_for_urllib3_too(url: str) -> None:
    for parse in (parse_endpoint, parse_hook):
        found = accepted(parse, url)
        if found:
            theirs = urllib3.util.parse_url(url)
            assert theirs.host is not None and theirs.host.strip("[]") == found.host
            assert theirs.scheme == "https" or is_loopback(theirs.host.strip("[]"))


@settings(max_examples=600)
@given(nasty)
def test_a_cache_that_is_let_through_is_here_for_redis_py_too(url: str) -> None:
    if accepted(parse_cache, url) is False:
        return
    theirs = environ.Env.cache_url_config(url)
    if not theirs["BACKEND"].endswith("RedisCache"):
        return
    options = theirs.get("OPTIONS", {})
    locations = theirs["LOCATION"]
    for location in [locations] if isinstance(locations, str) else locations:
        connects = {**options, **parse_url(location)}
        if location.startswith("rediss://"):
            assert connects.get("ssl_cert_reqs", "required") == "required"
            assert connects.get("ssl_check_hostname", True)
        else:
            assert "path" in connects or is_loopback(connects["host"])


@settings(max_examples=600)
@given(nasty)
def test_a_location_that_is_let_through_is_here_for_redis_py_too(url: str) -> None:
    if accepted(lambda *given: parse_redis(*given, {}), url) is False:
        return
    if url.partition("://")[0] not in ("redis", "rediss", "unix"):
        return  # redis-py takes these, in lower case, and no other
    connects = parse_url(url)
    if url.startswith("rediss://"):
        assert connects.get("ssl_cert_reqs", "required") == "required"
        assert connects.get("ssl_check_hostname", True)
    elif not url.startswith("unix://"):
        assert is_loopback(connects.get("host", "localhost"))


@settings(max_examples=600)
@given(nasty)
def test_a_database_that_is_let_through_is_here_for_django_environ_too(url: str) -> None:
    found = accepted(parse_postgres, url)
    if found is False:
        return
    theirs = environ.Env.db_url_config(url)
    options = theirs.get("OPTIONS", {})
    assert not {"host", "hostaddr", "service"} & options.keys()
    hosts = str(theirs["HOST"]).split(",")
    here = all(not host or host.startswith("/") or is_loopback(host) for host in hosts)
    assert here or options.get("sslmode", "require") in ENCRYPTING_MODES
    if found is None:
        assert here  # and no sslmode is added


@settings(max_examples=400)
@given(nasty)
def test_a_mail_server_that_is_let_through_is_here_for_django_environ_too(url: str) -> None:
    if not accepted(parse_mail, url):
        return
    try:
        theirs = environ.Env.email_url_config(url)
    except ImproperlyConfigured:
        return
    encrypted = theirs.get("EMAIL_USE_TLS") or theirs.get("EMAIL_USE_SSL")
    assert encrypted or is_loopback(theirs["EMAIL_HOST"])
