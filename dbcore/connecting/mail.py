"""The mail server: EHLO, STARTTLS, the login, NOOP, QUIT. No mail is begun."""

from __future__ import annotations

import functools
import smtplib
import socket
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.utils import DNS_NAME

from dbcore.addresses import is_loopback
from dbcore.connecting.authorities import Authorities, of_python
from dbcore.connecting.found import Found, Step, Trouble
from dbcore.connecting.reaching import open_socket, secure
from dbcore.monitoring.alerts.plain import presentable

BACKEND = "django.core.mail.backends.smtp.EmailBackend"


def mail(found: Found) -> None:
    """The server that EMAIL_URL names."""
    host = str(settings.EMAIL_HOST)
    port = int(settings.EMAIL_PORT or (smtplib.SMTP_SSL_PORT if settings.EMAIL_USE_SSL else 25))
    found.setting, found.endpoint = "EMAIL_URL", f"{_scheme()}://{host}:{port}"
    found.hint = "many networks close port 25: ask for 587"
    opening: Callable[[], socket.socket] = functools.partial(open_socket, found, host, port)
    try:
        if settings.EMAIL_USE_SSL:
            secure(found, opening, host, _of_django())
        elif settings.EMAIL_USE_TLS:
            secure(found, functools.partial(_begin_tls, found, opening), host, _of_django())
        else:
            opening().close()
            if not is_loopback(host):
                found.warn(f"mails to {host} go in plain text", "use smtp+tls:// in EMAIL_URL")
        _log_in(found, f"{host}:{port}")
    except smtplib.SMTPException as error:
        raise _why_not(error, found) from error


def _scheme() -> str:
    if settings.EMAIL_USE_SSL:
        return "smtp+ssl"
    return "smtp+tls" if settings.EMAIL_USE_TLS else "smtp"


def _of_django() -> Authorities:
    backend: Any = get_connection(BACKEND)
    python = of_python()
    return Authorities(python.said, python.setting, lambda: backend.ssl_context)


class _Smtp(smtplib.SMTP):
    """smtplib's, over a connection that is there already."""

    def __init__(self, opened: socket.socket, seconds: float) -> None:
        self._opened = opened
        super().__init__(local_hostname=DNS_NAME.get_fqdn(), timeout=seconds)

    def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
        return self._opened

    def handed_over(self) -> socket.socket:
        """The connection, which is somebody else's from now on."""
        if self.file is not None:
            self.file.close()
        return self._opened


def _begin_tls(found: Found, opening: Callable[[], socket.socket]) -> socket.socket:
    """A connection on which the server has agreed to TLS."""
    smtp = _Smtp(opening(), found.left)
    try:
        found.at(Step.GREETING)
        code, words = smtp.connect("the connection")
        if code != 220:
            raise smtplib.SMTPConnectError(code, words)
        smtp.ehlo_or_helo_if_needed()
        if not smtp.has_extn("starttls"):
            raise Trouble(
                "the server offers no STARTTLS",
                "use smtp+ssl:// and its port (465) in EMAIL_URL, or switch TLS on at the server",
            )
        code, words = smtp.docmd("STARTTLS")
        if code != 220:
            raise smtplib.SMTPResponseException(code, words)
        return smtp.handed_over()
    except BaseException:
        smtp.close()
        raise


def _log_in(found: Found, peer: str) -> None:
    found.at(Step.GREETING, peer)
    backend: Any = get_connection(BACKEND, timeout=found.left)
    began = time.monotonic()
    try:
        backend.open()
        found.at(Step.CALL)
        code, words = backend.connection.noop()
        if code != 250:
            raise smtplib.SMTPResponseException(code, words)
        login = "login, " if settings.EMAIL_HOST_USER and settings.EMAIL_HOST_PASSWORD else ""
        found.answered(f"EHLO, {login}NOOP", began)
    finally:
        try:
            backend.close()
        except (OSError, smtplib.SMTPException):
            pass  # it has been told enough


def _why_not(error: smtplib.SMTPException, found: Found) -> Trouble:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return Trouble(
            f"the server refuses the user or the password ({_words(error)})",
            "see both in EMAIL_URL; a % or @ in them must be written %25, %40",
        )
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Trouble(
            "the server offers no login here", "many offer it after STARTTLS alone: use smtp+tls://"
        )
    if isinstance(error, smtplib.SMTPServerDisconnected):
        if isinstance(error.__context__, TimeoutError):  # smtplib makes one of the other
            raise TimeoutError from error
        return Trouble(
            f"{found.peer} closed the connection",
            "does it speak SMTP at this port, and let this machine in?",
        )
    if isinstance(error, smtplib.SMTPResponseException):
        return Trouble(f"the server answers {_words(error)}", "see its log, and EMAIL_URL")
    return Trouble(presentable(f"{type(error).__name__}: {error}"), "see EMAIL_URL")


def _words(error: smtplib.SMTPResponseException) -> str:
    said = error.smtp_error
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    return f"{error.smtp_code} {presentable(text, 120)}"
