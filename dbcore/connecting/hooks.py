"""Web hooks and Sentry: the way to them and the TLS handshake. Nothing is posted, for whatever is
posted reaches people; and of a hook's URL nothing but its host is told.
"""

from __future__ import annotations

from django.conf import settings

from dbcore.addresses import parse_hook, parse_sentry
from dbcore.connecting.authorities import of_python, of_sentry
from dbcore.connecting.found import Found
from dbcore.connecting.reaching import NONE, go_directly, proxy_for, reach

_HINT = "a network without internet needs a way out to {host}"


def hook(found: Found, setting: str, channel: str) -> None:
    """The hook that a setting has."""
    found.setting = setting
    address = parse_hook(getattr(settings, setting), setting)
    go_directly(found, address.url, "the sender of alerts")
    found.hint = _HINT.format(host=address.host)
    reach(found, address, of_python())
    found.answer = f"not asked; `manage.py send_test_alert --channel {channel}` sends a test"


def sentry(found: Found) -> None:
    """The host of SENTRY_DSN, by the proxy that Sentry's SDK would use."""
    found.setting = "SENTRY_DSN"
    address = parse_sentry(settings.SENTRY_DSN)
    # The SDK takes the proxy for plain HTTP where there is none for its own.
    proxy = proxy_for(address.url) or proxy_for(f"http://{address.host_header}")
    found.facts["proxy"] = NONE
    found.hint = _HINT.format(host=address.host)
    reach(found, address, of_sentry(), proxy)
    found.answer = "not asked; `manage.py send_test_alert --sentry` sends a test"
