"""Who asks us: the addresses of clients, and the networks that they are of."""

from __future__ import annotations

import functools
import ipaddress

UNIX = "unix"  # a peer that comes through a socket of this machine, and has no address
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


def read_address(text: str) -> Ip | None:
    """An IP address; one of IPv4 that IPv6 wraps is that of IPv4. None for what is none."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_among(address: str, given: tuple[str, ...]) -> bool:
    """Whether a peer's address is one of these addresses and networks. "": `unix` is."""
    if not address:
        return UNIX in given
    found = read_address(address)
    return found is not None and any(found in network for network in _networks(given))


@functools.lru_cache(maxsize=8)
def _networks(given: tuple[str, ...]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(each) for each in given if each != UNIX]
