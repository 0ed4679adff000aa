"""Lines of the benchmark: their figures, whether a goal is met, the table and latest.json.

A line must never count as met when a figure that its goal needs is missing.
"""

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.machine import describe
from bench.run import ContestantFailed

LATEST = Path(__file__).parent / "latest.json"


@dataclass
class Line:
    """One line: ``runs`` holds each contestant's figures, one a round, in the same order."""

    name: str
    unit: str
    goal: dict[str, float]  # of the ratio ours/peer
    sense: str = ">="  # or "<="
    ours: str = "daylight"
    runs: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def attempt(self, contestant: str, run: Callable[[], float]) -> None:
        """One run for one figure. Who has failed once has failed: no figure of it remains."""
        if contestant in self.failed:
            return
        try:
            self.runs.setdefault(contestant, []).append(run())
        except ContestantFailed as failure:
            self.fail(contestant, str(failure))

    def fail(self, contestant: str, reason: str) -> None:
        self.failed[contestant] = reason
        self.runs.pop(contestant, None)

    @property
    def medians(self) -> dict[str, float]:
        return {name: statistics.median(runs) for name, runs in self.runs.items()}

    @property
    def ratio(self) -> dict[str, float]:
        """Per peer the median of the rounds' ratios: a round's noise hits both sides of it."""
        mine = self.runs.get(self.ours, [])
        return {
            peer: statistics.median(a / b for a, b in zip(mine, runs, strict=True))
            for peer, runs in self.runs.items()
            if mine and peer != self.ours
        }

    @property
    def met(self) -> bool:
        return not self.failed and all(
            peer in self.ratio and self._is_good(self.ratio[peer], bound)
            for peer, bound in self.goal.items()
        )

    def _is_good(self, ratio: float, bound: float) -> bool:
        return ratio >= bound if self.sense == ">=" else ratio <= bound

    def as_json(self) -> dict[str, Any]:
        medians = self.medians
        return {
            "name": self.name,
            "ours": medians.pop(self.ours, None),
            "peers": medians,
            "unit": self.unit,
            "ratio": {peer: round(ratio, 3) for peer, ratio in self.ratio.items()},
            "goal": self.goal,
            "sense": self.sense,
            "met": self.met,
            "runs": self.runs,
            "spread": {name: [min(runs), max(runs)] for name, runs in self.runs.items()},
            "failed": self.failed,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": describe(),
            **self.details,
        }


def write_json(lines: list[Line], path: Path) -> None:
    """Replaces the lines that were run, and keeps those that were not."""
    found = json.loads(path.read_text()) if path.exists() else []
    fresh = {line.name: line.as_json() for line in lines}
    kept = {line["name"]: line for line in found}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list((kept | fresh).values()), indent=2) + "\n")


def print_table(line: Line) -> None:
    print(f"\n{line.name} ({line.unit})")
    print(f"  {'':18}{'median':>12}{'lowest':>12}{'highest':>12}{'ratio':>8}  goal")
    for name, runs in line.runs.items():
        figures = "".join(f"{value:12,.0f}" for value in (line.medians[name], min(runs), max(runs)))
        ratio = f"{line.ratio[name]:8.2f}" if name in line.ratio else f"{'':8}"
        goal = f"  {line.sense} {line.goal[name]}" if name in line.goal else ""
        print(f"  {name:18}{figures}{ratio}{goal}")
    for reason in line.failed.values():
        print(f"  ! {reason}")
    print(f"  goal {'met' if line.met else 'NOT met'}")
