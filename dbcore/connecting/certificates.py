"""Certificates that servers present, and what is wrong with those that are refused. What they say
is another's data: all of it is made presentable here.
"""

from __future__ import annotations

import _ssl
import datetime as dt
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from dbcore.monitoring.alerts.plain import presentable

WARNING_DAYS = 21  # before a certificate ends
_NAMED = 5  # of a certificate's many names, so many are told
_LENGTH = 120  # characters of a name
# Verdicts of OpenSSL. Source: its x509_vfy.h.
_EXPIRED, _NOT_YET = 10, 9
_OTHER_NAME = (62, 64)
_ALWAYS = (dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 1, 1, tzinfo=dt.UTC))
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21)


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate. `names`: the hosts and addresses that it is for."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: dt.datetime
    not_after: dt.datetime

    def days_left(self, now: dt.datetime) -> int:
        """Whole days until it ends; negative where it has."""
        return (self.not_after - now) // dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Tls:
    """A handshake: version, cipher, and the certificates as the server sent them, its own first.
    `judged`: what of them was checked."""

    version: str
    cipher: str
    chain: tuple[Certificate, ...]
    judged: str

    @property
    def leaf(self) -> Certificate | None:
        """The server's own certificate."""
        return self.chain[0] if self.chain else None


def tls_of(connection: Any, judged: str) -> Tls:
    """The facts of a handshake that is over; `connection` is an SSLSocket, or urllib3's
    SSLTransport."""
    cipher = connection.cipher()
    chain = tuple(map(_certificate, _chain(connection)))
    return Tls(str(connection.version()), str(cipher[0]) if cipher else "", chain, judged)


def _chain(connection: Any) -> Sequence[bytes]:
    inner = getattr(connection, "_sslobj", None) or connection.sslobj
    inner = getattr(inner, "_sslobj", inner)
    if hasattr(inner, "get_unverified_chain"):  # not for all to call before Python 3.13
        sent = inner.get_unverified_chain() or ()
        return [each.public_bytes(_ssl.ENCODING_DER) for each in sent]
    own = connection.getpeercert(binary_form=True)
    return [own] if own else []


def _certificate(der: bytes) -> Certificate:
    try:
        parsed = x509.load_der_x509_certificate(der)
        return Certificate(
            _name(parsed.subject), _name(parsed.issuer), _names(parsed),
            parsed.not_valid_before_utc, parsed.not_valid_after_utc,
        )  # fmt: skip
    except (ValueError, x509.DuplicateExtension):  # OpenSSL reads some that this library refuses
        return Certificate("unreadable", "unreadable", (), _ALWAYS[0], _ALWAYS[1])


def _name(name: x509.Name) -> str:
    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME):
        if found := name.get_attributes_for_oid(kind):
            return presentable(str(found[0].value), _LENGTH)
    return presentable(name.rfc4514_string(), _LENGTH) or "without a name"


def _names(parsed: x509.Certificate) -> tuple[str, ...]:
    try:
        found = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = found.get_values_for_type(x509.DNSName)
    names += map(str, found.get_values_for_type(x509.IPAddress))
    return tuple(presentable(each, _LENGTH) for each in names)


def names_of(certificate: Certificate) -> str:
    """The hosts that a certificate is for, as people list them."""
    if not certificate.names:
        return f"no host (its subject is {certificate.subject})"
    more = len(certificate.names) - _NAMED
    return ", ".join(certificate.names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def why_refused(
    error: ssl.SSLCertVerificationError, tls: Tls | None, host: str, authorities: str
) -> str:
    """What is wrong with the certificate that was refused; `tls` None: it could not be read."""
    code = error.verify_code
    if tls is None or tls.leaf is None:
        return f"its certificate is refused ({error.verify_message})"
    if code == _EXPIRED:
        old = min(tls.chain, key=lambda each: each.not_after)
        return f"{_whose(old, tls)} expired on {old.not_after:%Y-%m-%d %H:%M} UTC"
    if code == _NOT_YET:
        new = max(tls.chain, key=lambda each: each.not_before)
        return f"{_whose(new, tls)} is not valid before {new.not_before:%Y-%m-%d %H:%M} UTC"
    if code in _OTHER_NAME:
        return f"its certificate is for {names_of(tls.leaf)}, and not for {host}"
    if code in _UNKNOWN_ISSUER:
        who = f"issued by {tls.chain[-1].issuer}"
        if tls.leaf.subject == tls.leaf.issuer:
            who = f"self-signed ({tls.leaf.subject})"
        return f"its certificate is {who}, which is not among the CAs in use ({authorities})"
    return f"its certificate is refused ({error.verify_message})"


def _whose(certificate: Certificate, tls: Tls) -> str:
    if certificate is tls.leaf:
        return "its certificate"
    return f"the certificate of its issuer {certificate.subject}"


def what_to_do(
    error: ssl.SSLCertVerificationError, setting: str, add_to: str, now: dt.datetime
) -> str:
    """What to do about a certificate that was refused. `add_to`: the setting that names CAs."""
    if error.verify_code in (_EXPIRED, _NOT_YET):
        return (
            "have it renewed where it is served, unless this machine's clock is wrong (it says "
            f"{now:%Y-%m-%d %H:%M} UTC)"
        )
    if error.verify_code in _OTHER_NAME:
        return (
            f"name the host in {setting} as the certificate does, or have the certificate made "
            "for it; is it the right server?"
        )
    if error.verify_code in _UNKNOWN_ISSUER:
        return (
            "if that is your own CA, or a proxy of yours that inspects TLS, put its certificate "
            f"into the file that {add_to} names; else somebody is in between: send nothing there"
        )
    return f"have the certificate mended where it is served; the CAs are named by {add_to}"
