"""Runs one contestant in its own process and reads the line of figures that it prints.

A contestant that fails must never leave a figure behind: it raises, and its line says so.
"""

import json
import subprocess
import sys
from dataclasses import dataclass

from bench.machine import ROOT

TIMEOUT = 900.0


class ContestantFailed(Exception):
    """A contestant ended with an error, or did other work than it was asked for."""


@dataclass(frozen=True)
class Outcome:
    """What a contestant says of its run."""

    rows: int
    seconds: float
    peak_kib: int
    pinned: bool

    @property
    def rate(self) -> float:
        return self.rows / self.seconds


def run_peer(name: str, endpoint: str, file: str, rows: int) -> Outcome:
    command = [sys.executable, "-m", f"bench.peers.{name}"]
    command += ["--endpoint", endpoint, "--file", file, "--rows", str(rows)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ContestantFailed(f"{name} ended with {done.returncode}: {last}")
    outcome = Outcome(**json.loads(done.stdout.strip().splitlines()[-1]))
    if outcome.rows != rows:
        raise ContestantFailed(f"{name} copied {outcome.rows} rows of {rows}")
    return outcome
