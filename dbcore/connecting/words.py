"""What went wrong, in words on which a person can act. No error's own words are passed on where
they may quote a secret, and none without being made presentable.
"""

from __future__ import annotations

import errno
import socket
import ssl

from botocore import exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError

from dbcore.connecting.found import Found, Step, Trouble
from dbcore.connecting.refusals import refused
from dbcore.errors import ConfigurationError, DbcoreError
from dbcore.monitoring.health.verdicts import in_words

# Of each step that took too long: what that means, and what to do.
_LATE = {
    Step.BEGIN: ("it could not even begin in time", "is this machine overloaded? See --timeout"),
    Step.LOOKUP: (
        "no name server answers for {peer}",
        "see this machine's /etc/resolv.conf, and whether it may reach the name server (port 53)",
    ),
    Step.CONNECT: (
        "{peer} does not answer: connecting timed out",
        "a firewall, a security group or a missing route drops it: let this machine through{hint}",
    ),
    Step.PROXY: (
        "the proxy {peer} accepts the connection and does not answer",
        "is HTTPS_PROXY the right host and port? See the proxy's log",
    ),
    Step.GREETING: (
        "{peer} accepts the connection and says nothing",
        "is it the right port? One that expects TLS from the first byte waits, too",
    ),
    Step.HANDSHAKE: (
        "{peer} accepts the connection and does not answer the TLS handshake",
        "does it speak TLS at this port? A firewall that inspects TLS may swallow it as well",
    ),
    Step.CREDENTIALS: (
        "the source of the credentials does not answer",
        "the metadata service of the instance or task, STS, or the command that the profile names: "
        "from a container on EC2 the metadata's hop limit must be 2",
    ),
    Step.CALL: (
        "{peer} can be reached and does not answer the call",
        "does the server hang, or is it overloaded? --timeout gives it longer",
    ),
}  # fmt: skip
_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)
_NO_SERVICE = (errno.ECONNREFUSED,)
# OpenSSL's reasons, of which each one says the same.
_NOT_TLS = (
    "WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE",
)  # fmt: skip
_NO_VERSION = (
    "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "TLSV1_ALERT_PROTOCOL_VERSION",
    "SSLV3_ALERT_HANDSHAKE_FAILURE", "NO_SHARED_CIPHER",
)  # fmt: skip
_CREDENTIALS = (
    aws.NoCredentialsError, aws.PartialCredentialsError, aws.CredentialRetrievalError,
    aws.ProfileNotFound, aws.ConfigNotFound, aws.ConfigParseError, aws.InvalidConfigError,
    aws.InfiniteLoopConfigError, aws.SSOError, aws.TokenRetrievalError,
    aws.MetadataRetrievalError, aws.RefreshWithMFAUnsupportedError, aws.UnknownCredentialError,
    aws.MissingDependencyException,
)  # fmt: skip


def explain(error: BaseException, found: Found) -> Trouble:
    """What an error means that ended the asking of a target."""
    if isinstance(error, Trouble):
        return error
    if isinstance(error, ConfigurationError):
        return Trouble(str(error), f"mend {found.setting}")
    if isinstance(error, ClientError):
        return refused(error, found)
    if isinstance(error, BotoCoreError):
        return _of_botocore(error, found)
    if isinstance(error, TimeoutError):
        return late(found)
    if isinstance(error, OSError):
        return _of_the_way(error, found)
    advice = f"see {found.setting}" if found.setting else "see the log"
    return Trouble(in_words(error) if isinstance(error, DbcoreError) else _named(error), advice)


def late(found: Found) -> Trouble:
    """What it means that a step was not done in time."""
    what, advice = _LATE[found.doing]
    hints = "".join(f"; {each}" for each in (found.hint, found.direct) if each)
    said = {"peer": found.peer or found.name, "hint": hints}
    return Trouble(what.format(**said), advice.format(**said))


def _of_the_way(error: OSError, found: Found) -> Trouble:
    trouble = _on_the_way(error, found, found.peer or found.name)
    if found.direct:
        return Trouble(trouble.what, f"{trouble.advice}; {found.direct}")
    return trouble


def _on_the_way(error: OSError, found: Found, peer: str) -> Trouble:
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        return late(found)  # "temporary failure": no name server has answered
    if isinstance(error, socket.gaierror):
        return Trouble(
            f"the name {peer} is not known ({error.strerror})",
            f"is it spelt right in {found.setting}? A private name is known inside its network "
            "alone: see this machine's /etc/resolv.conf",
        )
    if isinstance(error, ssl.SSLError):
        return _of_tls(error, peer, found)
    if error.errno in _NO_SERVICE:
        return Trouble(
            f"nothing listens at {peer} (connection refused)",
            f"does the server run, and is {found.setting} right about host and port?",
        )
    if error.errno in _NO_ROUTE:
        return Trouble(
            f"there is no route to {peer} ({error.strerror})",
            f"see this machine's network, and its routes{found.hint and f'; {found.hint}'}",
        )
    if isinstance(error, ConnectionError):
        when = " in the middle of the TLS handshake" if found.doing is Step.HANDSHAKE else ""
        return Trouble(
            f"{peer} closed the connection{when}",
            "a firewall, a proxy or the server's own list of who may connect: does it let this "
            f"machine in, and is {found.setting} right about the port?",
        )
    return Trouble(f"{peer}: {_named(error)}", f"see {found.setting}")


def _of_tls(error: ssl.SSLError, peer: str, found: Found) -> Trouble:
    reason = error.reason or ""
    if reason in _NOT_TLS:
        return Trouble(
            f"{peer} does not speak TLS at this port",
            f"see host and port in {found.setting}: is it the port for TLS?",
        )
    if reason in _NO_VERSION:
        return Trouble(
            f"{peer} and this machine have no version of TLS, or no cipher, in common ({reason})",
            "have the server take TLS 1.2 or 1.3",
        )
    if "CERTIFICATE_REQUIRED" in reason or "ALERT_BAD_CERTIFICATE" in reason:
        return Trouble(
            f"{peer} asks for a certificate of this machine's ({reason})",
            f"is there one to be named in {found.setting}? A web hook or AWS asks for none",
        )
    if isinstance(error, ssl.SSLEOFError):
        return Trouble(
            f"{peer} closed the connection in the middle of the TLS handshake",
            "does it speak TLS at this port, and let this machine in?",
        )
    return Trouble(
        f"the TLS handshake with {peer} failed ({_named(error)})", f"see {found.setting}"
    )


def _of_botocore(error: BotoCoreError, found: Found) -> Trouble:
    if isinstance(error, aws.NoCredentialsError):
        return Trouble(
            "there are no AWS credentials",
            "give the instance, task or function a role; elsewhere AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    if isinstance(error, _CREDENTIALS):
        return Trouble(
            f"the AWS credentials are not to be had ({in_words(error)})",
            "see AWS_PROFILE, ~/.aws/config and the role; `aws sso login` renews a sign-in",
        )
    if isinstance(error, (aws.ConnectTimeoutError, aws.ReadTimeoutError)):
        return late(found)
    inner = error.kwargs.get("error")
    if isinstance(inner, OSError) and not isinstance(inner, BotoCoreError):
        return _of_the_way(inner, found)
    return Trouble(f"the call failed ({in_words(error)})", f"see {found.setting}{_hinted(found)}")


def _hinted(found: Found) -> str:
    return found.hint and f"; {found.hint}"


def _named(error: BaseException) -> str:
    return in_words(error)
