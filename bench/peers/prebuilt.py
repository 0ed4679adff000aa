"""A feeder that sends prebuilt requests over eight connections: what the engine itself can take.

Nothing but sending and receiving may be timed; every answer is checked, but afterwards.
"""

import json
import select
import socket
from collections.abc import Callable
from itertools import islice
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.peers.child import Job, run
from bench.peers.rows import TABLE, read_batches, typed

CONNECTIONS = 8
PER_REQUEST = 25
TARGET = "DynamoDB_20120810.BatchWriteItem"
SIGNER = SigV4Auth(Credentials("AKIDEXAMPLE", "secret"), "dynamodb", "eu-central-1")


def build_request(endpoint: str, items: list[dict[str, object]]) -> bytes:
    puts = [
        {"PutRequest": {"Item": {name: typed(value) for name, value in item.items()}}}
        for item in items
    ]
    body = json.dumps({"RequestItems": {TABLE: puts}}, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": TARGET}
    request = AWSRequest("POST", endpoint + "/", headers=headers, data=body)
    SIGNER.add_auth(request)
    sent = {"Host": urlsplit(endpoint).netloc, **request.headers, "Content-Length": len(body)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + body


class Connection:
    """One connection with at most one request under way."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self.socket = socket.create_connection((parts.hostname, parts.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def receive(self) -> bytes | None:
        """The whole answer once the last of it is there, None until then."""
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("the engine closed the connection")
        self._received += part
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self._received[:end].lower()
        at = head.index(b"content-length:") + 15
        if len(self._received) < end + 4 + int(head[at:].split(b"\r\n", 1)[0]):
            return None
        answer, self._received = self._received, b""
        return answer


def feed(requests: list[bytes], connections: list[Connection]) -> list[bytes]:
    poll = select.poll()
    by_number = {connection.socket.fileno(): connection for connection in connections}
    for number in by_number:
        poll.register(number, select.POLLIN)
    answers: list[bytes] = []
    unsent = iter(requests)
    # islice first: zip would take one request more than there are connections, and lose it.
    for connection, request in zip(connections, islice(unsent, len(connections)), strict=False):
        connection.socket.sendall(request)
    while len(answers) < len(requests):
        for number, _ in poll.poll():
            answer = by_number[number].receive()
            if answer is None:
                continue
            answers.append(answer)
            by_number[number].socket.sendall(next(unsent, b""))
    return answers


def check(answers: list[bytes]) -> None:
    for answer in answers:
        head, _, body = answer.partition(b"\r\n\r\n")
        if head[9:12] != b"200" or json.loads(body).get("UnprocessedItems"):
            raise SystemExit(f"not written: {answer.decode()}")


def prepare(job: Job) -> tuple[Callable[[], int], Callable[[], None]]:
    batches = list(read_batches(job.file, job.rows, PER_REQUEST))
    requests = [build_request(job.endpoint, batch) for batch in batches]
    connections = [Connection(job.endpoint) for _ in range(CONNECTIONS)]
    answers: list[bytes] = []

    def copy() -> int:
        answers.extend(feed(requests, connections))
        return sum(map(len, batches))

    return copy, lambda: check(answers)


if __name__ == "__main__":
    run(prepare)
