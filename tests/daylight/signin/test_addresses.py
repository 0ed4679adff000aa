"""Whose address a request has: nobody can choose it, and a proxy's is not everybody's."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory

from daylight.signin.addresses import client_address, counted_address

PROXIES = ["10.0.0.0/8", "2001:db8:1::/48", "unix"]


def request(peer: str, forwarded: str | None = None) -> Any:
    given = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return RequestFactory().get("/", REMOTE_ADDR=peer, **given)


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("198.51.100.7", None, "198.51.100.7"),
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "192.0.2.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "192.0.2.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9:51000", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::9]:51000", "2001:db8::9"),
        ("10.0.0.1", "2001:db8::9", "2001:db8::9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", ",,,", "10.0.0.1"),
        ("10.0.0.1", "999.1.1.1", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9'; DROP TABLE", "10.0.0.1"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("::ffff:198.51.100.7", "203.0.113.9", "198.51.100.7"),
        ("", "203.0.113.9", "203.0.113.9"),
        ("", None, None),
        ("socket", "203.0.113.9", None),
        ("10.0.0.1", "1.1.1.1," * 5000 + "203.0.113.9", "203.0.113.9"),
    ],
)
def test_the_last_hop_that_is_no_proxy_of_ours_is_the_client(
    settings: Any, peer: str, forwarded: str | None, found: str | None
) -> None:
    settings.TRUSTED_PROXIES = PROXIES
    assert client_address(request(peer, forwarded)) == found


def test_without_a_trusted_proxy_no_header_is_read(settings: Any) -> None:
    settings.TRUSTED_PROXIES = []
    assert client_address(request("10.0.0.1", "203.0.113.9")) == "10.0.0.1"
    assert client_address(request("", "203.0.113.9")) is None


def test_what_is_counted_together(settings: Any) -> None:
    settings.TRUSTED_PROXIES = []
    assert counted_address(request("198.51.100.7")) == "198.51.100.7"
    assert counted_address(request("::ffff:198.51.100.7")) == "198.51.100.7"
    assert counted_address(request("2001:db8:0:7::1")) == "2001:db8:0:7::"
    assert counted_address(request("2001:db8:0:7:ffff::2")) == "2001:db8:0:7::"
    assert counted_address(request("")) == counted_address(request("socket")) == "::"
