"""JSON to a web hook. The URL may be a secret: no error, log or breadcrumb may ever name more of it
than its host. (urllib3 and requests write the path to their debug logs, so it is the standard
library's client.)"""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass, field

import orjson
import sentry_sdk

from dbcore.addresses import parse_hook
from dbcore.monitoring.alerts.channels.interface import SEND_TIMEOUT, SendFailed
from dbcore.monitoring.alerts.plain import presentable

MAX_ANSWER = 2048  # bytes of an answer that are read


@dataclass(frozen=True, slots=True)
class Hook:
    """A URL to post to: https, or plain http on this machine."""

    host: str
    port: int
    secure: bool
    path: str = field(repr=False)

    def post(self, payload: object) -> tuple[int, str]:
        """Post JSON; the status and the beginning of the answer. Raises SendFailed.

        Redirects are not followed: they would carry the message to who knows where.
        """
        try:
            # Sentry notes the URL of every request that http.client makes: in a scope that ends.
            with sentry_sdk.isolation_scope():
                return self._post(orjson.dumps(payload))
        except (OSError, http.client.HTTPException) as error:
            raise SendFailed(f"{self.host}: {_why(error)}") from None

    def _post(self, body: bytes) -> tuple[int, str]:
        connection = self._connection()
        try:
            connection.request(
                "POST", self.path, body,
                {"Content-Type": "application/json", "User-Agent": "daylight-dbcore"},
            )  # fmt: skip
            response = connection.getresponse()
            text = presentable(response.read(MAX_ANSWER).decode(errors="replace"), 200)
            if not 200 <= response.status < 300:
                raise SendFailed(
                    f"{self.host} answered {response.status}: {text}",
                    _retry_after(response.getheader("Retry-After")),
                )
            return response.status, text
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self.secure:
            return http.client.HTTPSConnection(
                self.host, self.port, timeout=SEND_TIMEOUT, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(self.host, self.port, timeout=SEND_TIMEOUT)


def hook_at(url: str, setting: str) -> Hook:
    """The hook at a URL. Raises ConfigurationError, which names the setting and not the URL."""
    found = parse_hook(url, setting)
    return Hook(found.host, found.port, found.secure, found.path or "/")


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {SEND_TIMEOUT:g} seconds"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _retry_after(header: str | None) -> float | None:
    """Seconds, where they are given as such."""
    return float(header) if header and header.isdecimal() else None
