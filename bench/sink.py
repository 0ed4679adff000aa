"""The null sink: a server that acknowledges every BatchWriteItem at once and keeps nothing.

It must never be slower than a contestant can be: it runs alone on the second core, and does not
look into a body unless it was started as a witness, which no timed run may use.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import urllib.request
import zlib
from typing import Any, Self

from bench.machine import ROOT, pin
from bench.peers.rows import Witness

REQUEST_ID = "BENCH" + "0" * 47
GONE = {"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": "-"}
ANSWERS: dict[bytes, tuple[int, Any]] = {
    b"batchwriteitem": (200, {"UnprocessedItems": {}}),
    b"batchgetitem": (200, {"Responses": {}, "UnprocessedKeys": {}}),
    b"query": (200, {"Count": 0, "ScannedCount": 0, "Items": []}),
    b"scan": (200, {"Count": 0, "ScannedCount": 0, "Items": []}),
    b"listtables": (200, {"TableNames": []}),
    b"describetable": (400, GONE),
}


def encode_answer(status: int, payload: Any) -> bytes:
    body = json.dumps(payload, separators=(",", ":")).encode()
    head = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Bad Request'}\r\n"
        "Content-Type: application/x-amz-json-1.0\r\n"
        f"x-amzn-RequestId: {REQUEST_ID}\r\n"
        f"x-amz-crc32: {zlib.crc32(body)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


ENCODED = {name: encode_answer(*answer) for name, answer in ANSWERS.items()}
EMPTY = encode_answer(200, {})  # what PutItem, UpdateItem and the like have to say


def read_head(head: bytes) -> tuple[bytes, int]:
    """The operation and the length of the body, both from a head in lower case."""
    operation, length = b"", 0
    for line in head.split(b"\r\n")[1:]:
        if line.startswith(b"x-amz-target:"):
            operation = line.rpartition(b".")[2].strip()
        elif line.startswith(b"content-length:"):
            length = int(line[15:])
    return operation, length


class Sink(asyncio.Protocol):
    """One connection. Bodies are counted off as they arrive, never gathered."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        self.head = b""
        self.left = 0
        self.answer = EMPTY

    def data_received(self, data: bytes) -> None:
        while data:
            if self.left > len(data):
                self.left -= len(data)
                return
            if self.left:
                data, self.left = data[self.left :], 0
                self.transport.write(self.answer)
                continue
            data = self._begin(data)

    def _begin(self, data: bytes) -> bytes:
        """Reads a head, or as much of it as there is; returns what came behind it."""
        data = self.head + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self.head = data
            return b""
        self.head = b""
        operation, self.left = read_head(data[:end].lower())
        self.answer = ENCODED.get(operation, EMPTY)
        if not self.left:
            self.transport.write(self.answer)
        return data[end + 4 :]


class WitnessSink(asyncio.Protocol):
    """One connection to a sink that reads what it is given, to tell whether it was all there."""

    witness = Witness()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            operation, length = read_head(self.buffer[:end].lower())
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            self.transport.write(self._answer(operation, body))

    def _answer(self, operation: bytes, body: bytes) -> bytes:
        if operation == b"testimony":
            testimony, WitnessSink.witness = self.witness.testimony(), Witness()
            return encode_answer(200, testimony)
        if operation == b"batchwriteitem":
            for requests in json.loads(body)["RequestItems"].values():
                for request in requests:
                    if "PutRequest" in request:
                        self.witness.see(request["PutRequest"]["Item"])
        return ENCODED.get(operation, EMPTY)


class SinkProcess:
    """``with SinkProcess() as sink: sink.endpoint``."""

    def __init__(self, *, witness: bool = False) -> None:
        self._command = [sys.executable, "-m", "bench.sink", *(["--witness"] if witness else [])]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.endpoint = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def testimony(self) -> dict[str, Any]:
        """What a witness has seen since it was last asked."""
        target = {"X-Amz-Target": "Bench.Testimony"}
        request = urllib.request.Request(self.endpoint, b"{}", target)
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


async def serve(port: int, protocol: type[asyncio.Protocol]) -> None:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--witness", action="store_true")
    given = parser.parse_args()
    pin(given.cpu)
    asyncio.run(serve(given.port, WitnessSink if given.witness else Sink))


if __name__ == "__main__":
    main()
