"""Processes of their own that call services at the same time: the crowd of test_concurrency.

`Crowd` is the tests' side. Run as a program, this file is a member: it reads one task a line, does
it in so many threads that begin together, and writes what each of them got.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.daylight.services.crowd_calls import CALLS, Calls

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 120  # seconds, after which a member is taken for stuck and killed


class Crowd:
    """So many processes on one store, which are started once and do one task after another."""

    def __init__(self, members: int, environment: Mapping[str, str]) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DYNAMO", "DATABASE"))}
        command = [sys.executable, "-m", "tests.daylight.services.crowd"]
        self._members = [
            subprocess.Popen(
                command, cwd=ROOT, env={**kept, **environment}, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )
            for _ in range(members)
        ]  # fmt: skip

    def all_do(self, call: str, *, threads: int = 1, **given: Any) -> list[Any]:
        """What every thread of every member got; they begin together."""
        return self._do(self._members, call, threads, given)

    def one_does(self, call: str, *, threads: int = 1, **given: Any) -> list[Any]:
        """What every thread of one member got."""
        return self._do(self._members[:1], call, threads, given)

    def another_does(self, call: str, **given: Any) -> Any:
        """What another member than `one_does` speaks to got."""
        (got,) = self._do(self._members[1:2], call, 1, given)
        return got

    def _do(
        self, members: list[subprocess.Popen[str]], call: str, threads: int, given: dict[str, Any]
    ) -> list[Any]:
        stuck = threading.Timer(PATIENCE, self._kill)
        stuck.start()
        try:
            for at, member in enumerate(members):
                task = {"call": call, "threads": threads, "member": at, "given": given}
                assert member.stdin is not None
                print(json.dumps(task), file=member.stdin, flush=True)
            return [got for member in members for got in self._answer(member)]
        finally:
            stuck.cancel()

    @staticmethod
    def _answer(member: subprocess.Popen[str]) -> list[Any]:
        assert member.stdout is not None
        line = member.stdout.readline()
        assert line, f"a member ended, or was stuck and killed: {member.wait()}"
        got: list[Any] = json.loads(line)
        return got

    def _kill(self) -> None:
        for member in self._members:
            member.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self._members:
            member.communicate()  # the end of its tasks


# --- a member ---------------------------------------------------------------------------------


def in_threads(call: Calls, threads: int, member: int, given: Mapping[str, Any]) -> list[Any]:
    """What so many threads got from a call that they began together."""
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connections

    barrier = threading.Barrier(threads)

    def one(thread: int) -> Any:
        barrier.wait()
        try:
            return call(member, thread, **given)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))


def main() -> None:
    import django

    django.setup()
    for line in sys.stdin:
        task = json.loads(line)
        got = in_threads(CALLS[task["call"]], task["threads"], task["member"], task["given"])
        print(json.dumps(got), flush=True)


if __name__ == "__main__":
    main()
