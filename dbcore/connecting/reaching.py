"""To another machine, step by step: its name, a connection (through a proxy, where the client uses
one), the TLS handshake. What each step finds is noted.

A server whose certificate is refused is asked once more, by a handshake that believes anybody, and
solely to read that certificate: nothing may ever be sent over it.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import http.client
import socket
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies

from botocore.utils import should_bypass_proxies
from urllib3.util.ssltransport import SSLTransport

from dbcore.addresses import Endpoint
from dbcore.connecting.authorities import Authorities, nobody
from dbcore.connecting.certificates import (
    WARNING_DAYS,
    Tls,
    tls_of,
    what_to_do,
    why_refused,
)
from dbcore.connecting.found import Found, Step, Trouble

Opening = Callable[[], socket.socket]  # a new connection, ready for the handshake
NONE = "none"


def proxy_for(url: str) -> str:
    """The proxy by which botocore would ask this URL; "" for none. It may have a password."""
    if should_bypass_proxies(url):
        return ""
    found = getproxies().get(urlsplit(url).scheme, "")
    return found if "://" in found or not found else f"http://{found}"


def go_directly(found: Found, url: str, who: str) -> None:
    """Note that the client of a target uses no proxy, also where botocore would use one."""
    found.facts["proxy"] = NONE
    if proxy_for(url):
        found.direct = f"{who} does not use HTTPS_PROXY, which is set"
        found.facts["proxy"] = f"{NONE}: {who} does not use HTTPS_PROXY"


def reach(found: Found, endpoint: Endpoint, authorities: Authorities, proxy: str = "") -> None:
    """The whole way to an endpoint over HTTP. Raises Trouble, or the OSError of a step."""
    found.endpoint = endpoint.url
    opening = functools.partial(open_socket, found, endpoint.host, endpoint.port)
    if proxy:
        found.facts["proxy"] = _shown(_proxy_parts(proxy))
        opening = functools.partial(_tunnel, found, proxy, endpoint)
    if endpoint.secure:
        secure(found, opening, endpoint.host, authorities)
    else:
        opening().close()


def open_socket(found: Found, host: str, port: int) -> socket.socket:
    """A connection to one of the host's addresses, all of which are noted."""
    peer = f"{host}:{port}"
    found.at(Step.LOOKUP, host)
    places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found.addresses = tuple(dict.fromkeys(str(place[4][0]) for place in places))
    found.at(Step.CONNECT, peer)
    failures: list[OSError] = []
    for left, (family, kind, protocol, _, address) in zip(
        range(len(places), 0, -1), places, strict=True
    ):
        try:
            return _connected(socket.socket(family, kind, protocol), address, found.left / left)
        except OSError as error:
            failures.append(error)
    raise next((each for each in failures if isinstance(each, TimeoutError)), failures[-1])


def _connected(connection: socket.socket, address: Any, seconds: float) -> socket.socket:
    try:
        connection.settimeout(seconds)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def secure(found: Found, opening: Opening, host: str, authorities: Authorities) -> None:
    """The handshake that a client with these CAs would make."""
    found.authorities = authorities.said
    try:
        context = authorities.make()
    except OSError as error:
        raise Trouble(
            f"the CAs cannot be read ({authorities.said}: {error.strerror or error})",
            f"have {authorities.setting} name a file of certificates in PEM",
        ) from error
    try:
        found.tls = _handshake(found, opening, host, context, authorities.judged)
    except ssl.SSLCertVerificationError as error:
        found.tls = _read_only(found, opening, host)
        now = dt.datetime.now(dt.UTC)
        raise Trouble(
            why_refused(error, found.tls, host, authorities.said),
            what_to_do(error, found.setting, authorities.setting, now),
        ) from error
    _look_at_its_end(found)


def _handshake(
    found: Found, opening: Opening, host: str, context: ssl.SSLContext, judged: str
) -> Tls:
    with opening() as raw:
        found.at(Step.HANDSHAKE)
        raw.settimeout(found.left)
        if isinstance(raw, ssl.SSLSocket):  # to a proxy that is spoken to by TLS itself
            return tls_of(SSLTransport(raw, context, server_hostname=host), judged)
        with context.wrap_socket(raw, server_hostname=host) as connection:
            return tls_of(connection, judged)


def _read_only(found: Found, opening: Opening, host: str) -> Tls | None:
    """The certificate of a server that is not believed; None where it cannot be had."""
    try:
        return _handshake(found, opening, host, nobody("", "").make(), "refused")
    except (OSError, Trouble):
        return None


def _look_at_its_end(found: Found) -> None:
    leaf = found.tls.leaf if found.tls else None
    if leaf is None or found.tls is None or found.tls.judged == "nothing":
        return
    days = leaf.days_left(dt.datetime.now(dt.UTC))
    if days < WARNING_DAYS:
        found.warn(
            f"its certificate ends in {days} days, on {leaf.not_after:%Y-%m-%d}",
            "have it renewed where it is served: from then on nothing here connects",
        )


# --- Proxies ------------------------------------------------------------------------------------
def _proxy_parts(proxy: str) -> SplitResult:
    """Raises Trouble for what is no proxy that speaks HTTP. Its URL is not quoted: it may have a
    password."""
    try:
        parts = urlsplit(proxy)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise Trouble(
        "HTTPS_PROXY is no address of a proxy that speaks HTTP",
        "set it to http://HOST:PORT, or name this host in NO_PROXY",
    )


def _shown(proxy: SplitResult) -> str:
    return f"{proxy.scheme}://{proxy.hostname}:{_port(proxy)}"


def _port(proxy: SplitResult) -> int:
    return proxy.port or (443 if proxy.scheme == "https" else 80)


def _tunnel(found: Found, proxy: str, endpoint: Endpoint) -> socket.socket:
    """A connection to the endpoint through a proxy, which looks up its name and connects to it."""
    parts = _proxy_parts(proxy)
    raw = open_socket(found, str(parts.hostname), _port(parts))
    found.addresses = ()  # those were the proxy's
    try:
        raw.settimeout(found.left)
        if parts.scheme == "https":
            raw = _tls_to_proxy(found, raw, parts)
        found.at(Step.PROXY)
        if endpoint.secure:
            _ask_to_connect(found, raw, parts, endpoint)
        return raw
    except BaseException:
        raw.close()
        raise


def _tls_to_proxy(found: Found, raw: socket.socket, proxy: SplitResult) -> ssl.SSLSocket:
    found.at(Step.HANDSHAKE)
    try:
        return ssl.create_default_context().wrap_socket(raw, server_hostname=proxy.hostname)
    except ssl.SSLCertVerificationError as error:
        raise Trouble(
            f"the certificate of the proxy {_shown(proxy)} is refused ({error.verify_message})",
            "see HTTPS_PROXY; a proxy that is spoken to in plain text is http://HOST:PORT",
        ) from error


def _ask_to_connect(
    found: Found, raw: socket.socket, proxy: SplitResult, endpoint: Endpoint
) -> None:
    where = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    where = f"{where}:{endpoint.port}"
    lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
    if proxy.username is not None:
        account = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(account.encode()).decode()}")
    raw.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = http.client.HTTPResponse(raw, method="CONNECT")
    try:
        answer.begin()
    except (http.client.HTTPException, ValueError) as error:
        raise Trouble(
            f"what HTTPS_PROXY names ({_shown(proxy)}) answers, and not as a proxy does",
            "is it the right host and port?",
        ) from error
    finally:
        answer.close()  # which leaves the connection open
    if answer.status != 200:
        raise _refusal(answer.status, answer.reason, _shown(proxy), where)
    found.peer = where


_PROXY_ADVICE = {
    403: "have the proxy's owner allow it, or name the host in NO_PROXY where it can be reached "
    "without the proxy",
    407: "give HTTPS_PROXY a user and password that it takes: http://USER:PASSWORD@HOST:PORT",
}


def _refusal(status: int, reason: str, proxy: str, where: str) -> Trouble:
    said = "asks for a user and password" if status == 407 else "refuses to connect"
    return Trouble(
        f"the proxy {proxy} {said} for {where} ({status} {reason})",
        _PROXY_ADVICE.get(status, "can the proxy itself reach that host? See its log"),
    )
