"""How a PostgreSQL server is reached: what HOST, OPTIONS and libpq's own variables come to. One on
another machine is never spoken to in the clear; what cannot be judged is refused. As ENGINE it is
Django's backend with a pool (`pool`) that outlives a restart of the server.

Settings import this: nothing here may need Django's.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dbcore.addresses import ENCRYPTING_MODES, PLAIN_MODES, is_loopback
from dbcore.errors import ConfigurationError

LIBPQS_DEFAULT = "prefer"  # TLS where the server has it, plain text where it has none
_MODES = f"verify-full with sslrootcert, or {' or '.join(ENCRYPTING_MODES[1:])}"


@dataclass(frozen=True, slots=True)
class Server:
    """Where libpq connects to (`host`, as it is named) and by which sslmode, which `source` gives;
    `here`: to no other machine."""

    host: str
    mode: str
    source: str
    here: bool

    @property
    def in_the_clear(self) -> bool:
        """Whether what is said may go over a network in plain text."""
        return self.mode in PLAIN_MODES and not self.here

    def refusal(self, what: str) -> ConfigurationError:
        """The error for one that is in the clear."""
        return ConfigurationError(
            f"{what} for {self.host!r}: {self.source} is {self.mode}, which may speak in the "
            f"clear; that is for this machine only; use sslmode={_MODES}"
        )


def server_of(host: str, options: Mapping[str, Any], what: str) -> Server:
    """The server that Django's HOST and OPTIONS lead to, with what libpq takes from the environment
    (PGHOST, PGHOSTADDR, PGSSLMODE, PGSERVICE) where they say nothing. ConfigurationError where that
    cannot be seen."""
    defaults = _libpqs_defaults()
    mode, source = options.get("sslmode"), "sslmode"
    by_service = bool(options.get("service") or options.get("servicefile"))
    if by_service and mode is None:
        raise ConfigurationError(
            f"{what} names a service, whose host and sslmode cannot be seen here: give sslmode "
            f"beside it ({_MODES})"
        )
    if mode is None:
        mode = defaults.get("sslmode", LIBPQS_DEFAULT)
        source = "the default of sslmode" if mode == LIBPQS_DEFAULT else "PGSSLMODE or PGSERVICE's"
    if mode not in (*ENCRYPTING_MODES, *PLAIN_MODES):
        raise ConfigurationError(f"{what}: sslmode must be {_MODES}")
    named = str(host or options.get("host") or defaults.get("host", ""))
    by_address = str(options.get("hostaddr") or defaults.get("hostaddr", ""))
    reached = itertools.zip_longest(by_address.split(","), named.split(","), fillvalue="")
    here = not by_service and all(_is_here(address or name) for address, name in reached)
    return Server(named or by_address, mode, source, here)


def _is_here(host: str) -> bool:
    """Whether it is a socket of this machine (@: in the abstract namespace), or its loopback."""
    return not host or host.startswith(("/", "@")) or is_loopback(host)


def _libpqs_defaults() -> dict[str, str]:
    """What libpq takes for each keyword that it is not given: from the environment, from the
    service that PGSERVICE names, or as it was built."""
    from psycopg import pq  # only where there is a PostgreSQL

    found = pq.Conninfo.get_defaults()
    return {each.keyword.decode(): each.val.decode() for each in found if each.val is not None}


def with_tls(host: str, options: Mapping[str, Any], what: str) -> dict[str, Any]:
    """OPTIONS by which nothing goes in the clear to another machine: sslmode=require where none is
    given. ConfigurationError for what would."""
    server = server_of(host, options, what)
    if not server.in_the_clear:
        return dict(options)
    if options.get("sslmode") is not None or server.mode != LIBPQS_DEFAULT:
        raise server.refusal(what)
    return {**options, "sslmode": "require"}
