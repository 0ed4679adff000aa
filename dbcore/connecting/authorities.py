"""The CAs by which each client of the layer judges a server's certificate: who they are and who
names them. Each client has its own, so that one may trust a server that another refuses.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.httpsession import get_cert_path


@dataclass(frozen=True, slots=True)
class Authorities:
    """`said`: who they are; `setting`: what names them; `make`: the context that a client with them
    uses (an OSError where their file cannot be read); `judged`: what it checks of a certificate."""

    said: str
    setting: str
    make: Callable[[], ssl.SSLContext]
    judged: str = "chain and name"


def of_python() -> Authorities:
    """Those of Python's own clients: the wire to DynamoDB, web hooks, mail."""
    return Authorities(_defaults(), "SSL_CERT_FILE", ssl.create_default_context)


def of_botocore(session: Any) -> Authorities:
    """Those of boto3: S3, SNS, CloudWatch, STS."""
    bundle = session.get_config_variable("ca_bundle")
    if bundle:
        named = "AWS_CA_BUNDLE" if os.environ.get("AWS_CA_BUNDLE") else "ca_bundle of the profile"
        return in_file(bundle, named, "AWS_CA_BUNDLE")
    if bundle := os.environ.get("REQUESTS_CA_BUNDLE"):
        return in_file(bundle, "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")
    return in_file(get_cert_path(True), "botocore's default", "AWS_CA_BUNDLE")


def of_sentry() -> Authorities:
    """Those of Sentry's SDK."""
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        if bundle := os.environ.get(name):
            return in_file(bundle, name, "SSL_CERT_FILE")
    return in_file(get_cert_path(True), "the SDK's default", "SSL_CERT_FILE")


def in_file(path: str, named: str, setting: str, *, judged: str = "chain and name") -> Authorities:
    """Those in a file, or in a directory as OpenSSL keeps them, and no others."""

    def make() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = judged == "chain and name"
        if Path(path).is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
        return context

    return Authorities(f"{named}: {path}", setting, make, judged)


def nobody(why: str, setting: str) -> Authorities:
    """None: whoever answers is believed. For the clients that are told so, and for reading the
    certificate that one of the others has refused."""

    def make() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    return Authorities(f"not asked: {why}", setting, make, "nothing")


def _defaults() -> str:
    if given := os.environ.get("SSL_CERT_FILE"):
        missing = "" if Path(given).exists() else ", which is not there"
        return f"SSL_CERT_FILE: {given}{missing}"
    paths = ssl.get_default_verify_paths()
    return f"Python's default: {paths.cafile or paths.capath or 'none'}"
