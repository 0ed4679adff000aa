"""Where a request comes from. A header that anybody can send is not believed."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest

from dbcore.peers import Ip, is_among, read_address

UNKNOWN = "::"  # counted like one: a socket has no address
_V6_PREFIX = 64


def client_address(request: HttpRequest) -> str | None:
    """The client's address: the connection's, or what trusted proxies say of it. None: unknown."""
    found = _client(request)
    return None if found is None else str(found)


def counted_address(request: HttpRequest) -> str:
    """What a client's attempts are counted by."""
    found = _client(request)
    return UNKNOWN if found is None else counted(found)


def counted(address: Ip) -> str:
    """An address as attempts are counted by it: of IPv6 its network, for whoever has one address
    has all of that (RFC 4291, 2.5.4)."""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((address, _V6_PREFIX), strict=False).network_address)


def _client(request: HttpRequest) -> Ip | None:
    trusted = tuple(settings.TRUSTED_PROXIES)
    peer = request.META.get("REMOTE_ADDR", "")
    found = read_address(peer)
    if not is_among(peer, trusted):
        return found
    # Each proxy has added whom it was asked by at the end: the last that is none of ours is it.
    for hop in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
        address = read_address(_without_port(hop.strip()))
        if address is None:
            break
        found = address
        if not is_among(str(address), trusted):
            break
    return found


def _without_port(hop: str) -> str:
    if hop.startswith("["):  # [2001:db8::1]:443
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
