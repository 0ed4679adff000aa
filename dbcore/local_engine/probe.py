"""Asks the machine whether a port, an engine or a process is there.

It must never change anything, and never take another program for the engine: only a right
answer to ListTables counts.
"""

from __future__ import annotations

import errno
import http.client
import json
import socket
import sys
import time
from urllib.parse import urlsplit

# An engine checks that a request looks signed, not by whom; a real secret has no place here.
HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "DynamoDB_20120810.ListTables",
    "X-Amz-Date": "20200101T000000Z",
    "Authorization": (
        "AWS4-HMAC-SHA256 Credential=local/20200101/us-east-1/dynamodb/aws4_request, "
        "SignedHeaders=host, Signature=0"
    ),
}


def answers(endpoint: str, timeout: float = 2.0) -> bool:
    """Whether a DynamoDB engine answers there now."""
    url = urlsplit(endpoint)
    # http.client and not urllib: a proxy in the environment must not come between.
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=timeout)
    try:
        connection.request("POST", "/", b'{"Limit": 1}', HEADERS)
        response = connection.getresponse()
        body = json.loads(response.read(1_000_000))
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return response.status == http.client.OK and isinstance(body, dict) and "TableNames" in body


def answers_within(endpoint: str, seconds: float) -> bool:
    """Whether an engine answers there, now or before the time is over."""
    deadline = time.monotonic() + seconds
    while not answers(endpoint):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def free_port(host: str) -> int:
    """A port that is free now; it can be lost before the engine has it."""
    with socket.socket(_family(host)) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def port_is_taken(host: str, port: int) -> bool:
    """Whether another program listens there."""
    with socket.socket(_family(host)) as probe:
        if sys.platform != "win32":
            # Else a port that was in use a minute ago would count as taken; on Windows the
            # same option means the opposite: it lets two programs have one port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:  # what else is wrong is for who starts there to say
            return error.errno == errno.EADDRINUSE
    return False


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
