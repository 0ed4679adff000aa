"""SQL databases: SELECT 1. Whether a PostgreSQL server is believed, libpq says; what is read beside
it is for people."""

from __future__ import annotations

import functools
import re
import socket
import sqlite3
import ssl
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from dbcore.addresses import ENCRYPTING_MODES, VERIFYING_MODES, is_loopback
from dbcore.connecting.authorities import Authorities, in_file, nobody
from dbcore.connecting.found import Found, Step, Trouble
from dbcore.connecting.reaching import open_socket, secure
from dbcore.monitoring.alerts.plain import presentable
from dbcore.monitoring.health.results import Status

# Source: PostgreSQL documentation, "Message Formats": SSLRequest.
_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
_SOCKET = "a socket of this machine"


def database(found: Found, alias: str, setting: str) -> None:
    """One of DATABASES."""
    found.setting = setting
    if alias != "default":
        found.at_worst = Status.WARNING  # the others are read meanwhile
    connection = connections[alias]
    if connection.vendor == "postgresql":
        _postgresql(found, connection)
    elif connection.vendor == "sqlite":
        _sqlite(found, connection)
    else:
        found.endpoint = connection.vendor
        found.at(Step.CALL, connection.vendor)
        began = time.monotonic()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        found.answered("SELECT 1", began)


def _sqlite(found: Found, connection: Any) -> None:
    name = str(connection.settings_dict["NAME"])
    found.endpoint = f"sqlite, {name}"
    if connection.is_in_memory_db():
        found.answer = "a database in memory, which ends with its process"
        return
    if not Path(name).exists():
        found.warn("there is no such file yet", "`manage.py migrate` makes it")
        return
    began = time.monotonic()
    try:
        # Of its own: Django's connection would make a file, and set its mode.
        opened = sqlite3.connect(f"file:{quote(name)}?mode=ro", uri=True, timeout=found.left)
        try:
            opened.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            opened.close()
    except sqlite3.Error as error:
        raise Trouble(
            f"the file cannot be read ({error})",
            "see its owner and permissions, and whether it is a SQLite database",
        ) from error
    found.answered("read", began)


# --- PostgreSQL -----------------------------------------------------------------------------------
def _postgresql(found: Found, connection: BaseDatabaseWrapper) -> None:
    import psycopg  # not every installation has it

    # Without Django's pool, whose own error would be that it has waited in vain.
    params: dict[str, Any] = connection.get_connection_params()
    in_force = _with_defaults(params)
    host, port = in_force["host"], int(in_force["port"] or 5432)
    found.endpoint = f"postgresql://{host}:{port}/{params.get('dbname', '')}"
    refusal = None
    if host.startswith(("/", "@")) or not host:
        found.endpoint = f"postgresql, {_SOCKET} ({host or 'the default'})"
        found.at(Step.CALL, _SOCKET)
    elif "," not in host:
        refusal = _look_at_tls(found, host, port, in_force)
        found.at(Step.CALL, f"{host}:{port}")
    params["connect_timeout"] = max(2, round(found.left))  # libpq takes no less, and no parts
    began = time.monotonic()
    try:
        with psycopg.connect(**params) as opened:
            opened.execute("SELECT 1").fetchone()
            found.answered(f"SELECT 1 by PostgreSQL {_version(opened.info.server_version)}", began)
            encrypted = bool(opened.pgconn.ssl_in_use)
    except psycopg.Error as error:
        raise _why_not(error, refusal, in_force, found.setting) from error
    if refusal is not None and found.tls is not None:  # libpq has judged otherwise
        found.tls = replace(found.tls, judged=_of_libpq(in_force, direct=False).judged)
    if not encrypted and not found.endpoint.startswith("postgresql,") and not is_loopback(host):
        found.warn(
            f"what is said to {host} is plain text (sslmode={in_force['sslmode']})",
            f"add sslmode=verify-full and sslrootcert to {found.setting}",
        )


def _version(number: int) -> str:
    return f"{number // 10000}.{number % 10000}"


def _with_defaults(params: Mapping[str, Any]) -> dict[str, str]:
    """What libpq goes by: the parameters, else its variables (PG…), else its defaults."""
    from psycopg import pq

    known = {
        each.keyword.decode(): (each.val or b"").decode() for each in pq.Conninfo.get_defaults()
    }
    return {name: str(params.get(name) or value) for name, value in known.items()}


def _look_at_tls(found: Found, host: str, port: int, in_force: Mapping[str, str]) -> Trouble | None:
    """The handshake as libpq is about to make it, for its facts; what it finds wrong is told where
    libpq finds it so, too."""
    mode = in_force["sslmode"]
    direct = in_force["sslnegotiation"] == "direct"
    opening = functools.partial(_ask_for_tls, found, host, port, direct)
    if mode == "disable":
        open_socket(found, host, port).close()
        return None
    try:
        secure(found, opening, host, _of_libpq(in_force, direct))
    except _NoTls:
        if mode in ENCRYPTING_MODES:
            return Trouble(
                f"{host}:{port} does not offer TLS, and sslmode={mode} asks for it",
                "switch it on at the server (ssl=on), or is it another server?",
            )
        found.facts["TLS"] = f"not offered, and not asked for by sslmode={mode}"
    except Trouble as trouble:
        return trouble
    return None


class _NoTls(OSError):
    """The server said that it has no TLS."""


def _ask_for_tls(found: Found, host: str, port: int, direct: bool) -> socket.socket:
    opened = open_socket(found, host, port)
    if direct:
        return opened
    try:
        found.at(Step.GREETING)
        opened.sendall(_SSL_REQUEST)
        said = opened.recv(1)
    except BaseException:
        opened.close()
        raise
    if said == b"S":
        return opened
    opened.close()
    if said == b"N":
        raise _NoTls
    raise Trouble(
        f"{host}:{port} does not answer as PostgreSQL does",
        f"see host and port in {found.setting}",
    )


def _of_libpq(in_force: Mapping[str, str], direct: bool) -> Authorities:
    """The CAs that libpq asks. Source: PostgreSQL documentation, "SSL Support"."""
    mode, root = in_force["sslmode"], in_force["sslrootcert"]
    usual = Path.home() / ".postgresql" / "root.crt"
    if mode in VERIFYING_MODES or (root and root != "system") or usual.exists():
        judged = "chain and name" if mode == "verify-full" else "chain, not the name"
        if root == "system":
            paths = ssl.get_default_verify_paths()
            found = in_file(paths.cafile or paths.capath or "", "sslrootcert=system", "sslrootcert",
                            judged=judged)  # fmt: skip
        else:
            found = in_file(root or str(usual), "sslrootcert", "sslrootcert", judged=judged)
    else:
        found = nobody(f"sslmode={mode} does not check who answers", "sslmode")
    if not direct:
        return found

    def make() -> ssl.SSLContext:
        context = found.make()
        context.set_alpn_protocols(["postgresql"])
        return context

    return Authorities(found.said, found.setting, make, found.judged)


# What libpq or the server says -> what that means, and what to do. In English: the server may speak
# another language, and then its own words are passed on.
_SAID = (
    ("password authentication failed|no password supplied", "it refuses the user or the password",
     "see both in {setting}; a % or @ in a password must be written %25, %40"),
    ("no pg_hba.conf entry", "it lets this machine, user and database not in",
     "add a line to its pg_hba.conf (at RDS: the security group, rds.force_ssl)"),
    (r'database "[^"]*" does not exist', "it has no such database", "make it, or mend {setting}"),
    (r'role "[^"]*" does not exist', "it has no such user", "make it, or mend {setting}"),
    ("too many (clients|connections)|remaining connection slots", "all its connections are in use",
     "see max_connections, and how many the processes keep open (CONN_MAX_AGE, the pool)"),
    ("starting up|shutting down|in recovery mode", "it is starting or ending", "ask again soon"),
    ("root certificate file .* does not exist", "sslrootcert names no file that is there",
     "put the server's CA there: sslmode={sslmode} needs it"),
    ("server does not support SSL", "it does not offer TLS", "switch it on at the server (ssl=on)"),
)  # fmt: skip


def _why_not(
    error: Exception, refusal: Trouble | None, in_force: Mapping[str, str], setting: str
) -> Trouble:
    if refusal is not None:
        return refusal
    text = str(error)
    for pattern, what, advice in _SAID:
        if re.search(pattern, text):
            return Trouble(what, advice.format(setting=setting, sslmode=in_force["sslmode"]))
    if re.search(r"timeout expired|Timeout", text):
        raise TimeoutError from error
    return Trouble(f"it cannot be used ({presentable(text)})", "see the server's log")
