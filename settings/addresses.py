"""From the addresses that variables name to Django's settings of databases and mail."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import environ

from dbcore.addresses import parse_mail
from dbcore.configuration import Configuration, WrongConfiguration
from dbcore.errors import ConfigurationError
from dbcore.postgresql import with_tls
from dbcore.private_files import PrivateDatabase, private_folder
from settings.environment import BASE_DIR, configuration
from settings.variables import is_sqlite

POSTGRESQL = "django.db.backends.postgresql"
POOLED = "dbcore.postgresql"  # the same, with a pool that outlives a restart of the server
CONNECT_TIMEOUT = 3  # seconds, an address: libpq waits for good, and with it every request
REPLICA_CONNECT_TIMEOUT = 2  # another can be asked: no reason to wait long for this one


def database(url: str, found: Configuration, connect_timeout: int = CONNECT_TIMEOUT) -> Any:
    """An entry of DATABASES."""
    if is_sqlite(url):
        return _sqlite(environ.Env.db_url_config(url))
    config = environ.Env.db_url_config(url)
    config["ENGINE"], config["HOST"] = POSTGRESQL, unquote(config["HOST"])
    what = "DATABASE_URL" if connect_timeout == CONNECT_TIMEOUT else "DATABASE_REPLICA_URLS"
    try:
        options = with_tls(config["HOST"], config.get("OPTIONS", {}), what)
    except ConfigurationError as error:  # libpq's own variables say what the address does not
        raise WrongConfiguration(found.environment, (str(error),)) from None
    config["OPTIONS"] = options
    options.setdefault("connect_timeout", connect_timeout)
    size = found["DATABASE_POOL_SIZE"]
    config.setdefault("CONN_MAX_AGE", 0 if size else found["DATABASE_CONN_MAX_AGE"])
    config.setdefault("CONN_HEALTH_CHECKS", found["DATABASE_CONN_HEALTH_CHECKS"])
    if size:
        config["ENGINE"] = POOLED
        wait = found["DATABASE_POOL_TIMEOUT"]
        options["pool"] = {"min_size": 0, "max_size": size, "timeout": wait}
    return config


def _sqlite(config: dict[str, Any]) -> dict[str, Any]:
    if config["NAME"] != ":memory:":
        # A relative path is the project's, whichever folder a command is run in.
        config["NAME"] = str(BASE_DIR / config["NAME"])
        make_folder(Path(config["NAME"]).parent, "DATABASE_URL")
    config.setdefault("OPTIONS", {}).update(
        # WAL: a reader and the writer of checkpoints do not wait for one another.
        init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        transaction_mode="IMMEDIATE",
        timeout=20,
        factory=PrivateDatabase,
    )
    return config


def make_folder(path: Path, name: str) -> None:
    """Make the folder that a variable names. Raises WrongConfiguration where that cannot be."""
    try:
        private_folder(path)
        path.mkdir(exist_ok=True)  # a file in the way is an error
    except OSError as error:
        raise WrongConfiguration(
            configuration().environment,
            (f"{name}: the folder {path} is not there and cannot be made ({error.strerror})",),
        ) from None


def replicas(found: Configuration) -> dict[str, Any]:
    """The entries of DATABASES that replicas are, by alias."""
    return {
        f"replica{number}": database(url, found, REPLICA_CONNECT_TIMEOUT)
        | {"TEST": {"MIRROR": "default"}}
        for number, url in enumerate(found["DATABASE_REPLICA_URLS"], 1)
    }


def mail_server(url: str) -> dict[str, Any]:
    """EMAIL_BACKEND, EMAIL_HOST, …"""
    address = parse_mail(url) if url else None
    config: dict[str, Any] = environ.Env.email_url_config(url or "consolemail://")
    if address is not None:
        config["EMAIL_PORT"] = address.port
    return config
