"""The note beside the data file that says which shared engine runs, and the names of its files.

It must never be believed by itself: the process and its answer decide, since a note can survive
a crash or a restart of the machine.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from dbcore.private_files import opener


@dataclass(frozen=True)
class EngineState:
    """A shared engine as the process that started it wrote it down."""

    pid: int
    port: int
    endpoint: str
    kind: str
    started: str  # ISO 8601, UTC
    arguments: str  # of its command line: how its process is recognised
    db_path: str | None  # None: in memory

    @classmethod
    def read(cls, path: Path) -> EngineState | None:
        """What the file says; None when there is none or it cannot be understood."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            state = cls(**found)
        except (OSError, ValueError, TypeError):
            return None
        sound = isinstance(state.pid, int) and isinstance(state.arguments, str)
        return state if sound else None

    def write(self, path: Path) -> None:
        """Writes the file as a whole: a reader sees the old note or the new one."""
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        with open(fresh, "w", encoding="utf-8", opener=opener) as file:
            file.write(json.dumps(asdict(self), indent=2) + "\n")
        fresh.replace(path)


@dataclass(frozen=True)
class EngineFiles:
    """The files of a shared engine, all beside its data file and named after it."""

    data: Path

    @property
    def state(self) -> Path:
        return self._beside("engine.json")

    @property
    def log(self) -> Path:
        return self._beside("engine.log")

    @property
    def users_lock(self) -> Path:
        return self._beside("users.lock")

    @property
    def start_lock(self) -> Path:
        return self._beside("start.lock")

    def of_data(self) -> list[Path]:
        """The data file and what SQLite keeps beside it; only those that exist."""
        names = [self.data, *(self._suffixed(end) for end in ("-wal", "-shm", "-journal"))]
        return [path for path in names if path.exists()]

    def _beside(self, end: str) -> Path:
        return self._suffixed(f".{end}")

    def _suffixed(self, end: str) -> Path:
        return self.data.with_name(self.data.name + end)
