"""How long what others come between is tried again: the one decision, for every store."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

FIRST = 0.05  # seconds; the pause after try number n is a random part of FIRST * 2**n


@dataclass(frozen=True, slots=True)
class Patience:
    """So many tries, and at most so many seconds from each to the next."""

    tries: int
    longest: float

    def __iter__(self) -> Iterator[int]:
        """The number of each try, from 0, when it is time for it."""
        for turn in range(self.tries):
            if turn:
                self.pause(turn - 1)
            yield turn

    def pause(self, turn: int) -> None:
        """Wait after try number `turn`: full jitter."""
        time.sleep(random.uniform(0, min(self.longest, FIRST * 2 ** min(turn, 16))))


ASKED = Patience(8, 0.4)  # somebody waits for the answer
WORKING = Patience(30, 3.2)  # a run, for which nobody waits
