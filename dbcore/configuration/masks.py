"""Addresses as everybody may see them: without accounts, paths that are secrets, and passwords."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from dbcore.secrecy import MASK

_ACCOUNT = re.compile(r"//.*@", re.DOTALL)
_OPTION = re.compile(r"([?&][^=&]*(?:pass|secret|key|token)[^=&]*=)[^&]*", re.IGNORECASE)


def without_account(url: str) -> str:
    """A URL whose user and password are masked, and options that look like secrets."""
    return _OPTION.sub(rf"\1{MASK}", _ACCOUNT.sub(f"//{MASK}@", url))


def host_alone(url: str) -> str:
    """Of a URL that is a secret, where it leads."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}/{MASK}" if parts.hostname else MASK
    except ValueError:
        return MASK


def names_alone(text: str) -> str:
    """Of NAME:SECRET,NAME:SECRET the names."""
    entries = (each.strip().partition(":") for each in text.split(","))
    return ",".join(f"{name}:{MASK}" if colon else MASK for name, colon, _ in entries)
