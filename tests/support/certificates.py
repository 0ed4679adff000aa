"""A certificate authority of the tests' own, and servers' certificates as a test wants them: right,
for another name, old, not yet good."""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, as files in PEM."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """What a server with it speaks TLS by."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """A CA; clients that are to believe it are given its `file`."""

    def __init__(self, folder: Path, name: str = "A test's CA") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        self._issued = 0
        now = dt.datetime.now(dt.UTC)
        made = _builder(self._name, self._name, self._key, now - _DAY, now + 900 * _DAY)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.file = folder / f"ca-{id(self)}.pem"
        self.file.write_bytes(_pem(made.sign(self._key, hashes.SHA256())))

    def issue(
        self, *names: str, subject: str = "a test's server", since: int = -1, until: int = 90
    ) -> Issued:
        """A certificate for these hosts, good from so many days on, until so many."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        start, end = now + since * _DAY, now + until * _DAY + dt.timedelta(hours=1)
        made = _builder(_named(subject), self._name, key, start, end)
        hosts = [
            x509.IPAddress(ip_address(each)) if each[0].isdigit() else x509.DNSName(each)
            for each in names
        ]
        made = made.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        self._issued += 1
        stem = self._folder / f"{self.file.stem}-{self._issued}"
        issued = Issued(stem.with_suffix(".crt"), stem.with_suffix(".key"))
        issued.certificate.write_bytes(_pem(made.sign(self._key, hashes.SHA256())))
        issued.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        issued.key.chmod(0o600)  # PostgreSQL refuses a key that others may read
        return issued


def make_certificate(folder: Path, *names: str) -> ssl.SSLContext:
    """A server's TLS context for these names, by a CA of its own, which is written to
    ``folder / "certificate.pem"``."""
    authority = Authority(folder)
    authority.file = authority.file.rename(folder / "certificate.pem")
    return authority.issue(*names).context()


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    start: dt.datetime,
    end: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
