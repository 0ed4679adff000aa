"""Clients of AWS services, made in one place: whatever of botocore's sources names their endpoint,
nothing is signed for, or sent to, another machine in plain text.

botocore takes an endpoint from the call, AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL or the shared
config file, and the services that it asks for credentials (STS) take theirs from there too.
Certificates are always verified: AWS_CA_BUNDLE and its like name authorities, and switch nothing
off.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, Protocol

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config

from dbcore.addresses import Endpoint, parse_endpoint, parse_hook


class Events(Protocol):
    """botocore's emitter of events, as sessions and clients have it."""

    def register(self, event_name: str, handler: Any) -> None: ...


def guard(events: Events) -> None:
    """Have every request of these clients refused that would go in the clear: before it is signed
    and, since not every request is, before it is sent."""
    events.register("before-sign", _refuse_plain_text)
    events.register("before-send", _refuse_plain_text)


def _refuse_plain_text(*, request: Any, **_: Any) -> None:
    parse_hook(request.url, "AWS endpoint (of a setting, AWS_ENDPOINT_URL… or the config file)")


def session() -> botocore.session.Session:
    """A session of botocore's whose every client, those for credentials too, is guarded."""
    made = botocore.session.get_session()
    guard(made.get_component("event_emitter"))
    return made


def endpoint_of(service: str, region: str, endpoint: str, what: str) -> Endpoint:
    """Where a service is asked: at `endpoint`, or where botocore finds it to be (partitions, FIPS,
    dual stack, what the environment names). Raises ConfigurationError, which names `what`."""
    if endpoint:
        return parse_endpoint(endpoint, what)
    return found_endpoint(session().create_client, service, region, what)


def found_endpoint(
    create_client: Callable[..., Any], service: str, region: str, what: str
) -> Endpoint:
    """Where a session's clients find a service to be. Raises ConfigurationError."""
    # Unsigned, botocore does not look for credentials, which may ask a metadata service.
    made = create_client(service, region_name=region, config=Config(signature_version=UNSIGNED))
    return parse_endpoint(made.meta.endpoint_url, f"{what} (by AWS_ENDPOINT_URL… or config file)")


@functools.lru_cache(maxsize=16)
def client(
    service: str,
    region: str,
    endpoint: str,
    what: str,
    *,
    connect_timeout: float,
    read_timeout: float,
    attempts: int,
) -> Any:
    """The client of a service, kept; timeouts in seconds. `endpoint`: "" is where AWS has it, or
    where the environment does; `what` names the setting. Raises ConfigurationError."""
    own = session()
    if endpoint:
        found = parse_endpoint(endpoint, what)
    else:
        found = found_endpoint(own.create_client, service, region, what)
    config = Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        retries={"total_max_attempts": attempts},
        # A proxy is another machine, and would be told in the clear what is for this one alone.
        proxies={} if found.loopback else None,
    )
    return own.create_client(
        service, region_name=region, endpoint_url=found.url if endpoint else None, config=config
    )


# A forked child may not use its parent's connections.
os.register_at_fork(after_in_child=client.cache_clear)
