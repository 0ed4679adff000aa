"""Finds the program that serves DynamoDB on this machine.

It must never run anything or reach the network: finding is a matter of looking at files.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from dbcore.local_engine.errors import EngineMissingError

PROJECT_ROOT = Path(__file__).resolve().parents[2]
MACHINES = {"x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}
SYSTEMS = {"windows": "win32"}


@dataclass(frozen=True)
class EngineBinary:
    """An engine that is installed here: what kind it is and the command that runs it."""

    kind: str
    command: tuple[str, ...]

    @property
    def keeps_data(self) -> bool:
        """Whether this engine can keep its data in a file."""
        return self.kind == "dynoxide"

    def arguments(self, host: str, port: int, db_path: Path | None) -> list[str]:
        if self.kind == "moto":
            return [*self.command, "-H", host, "-p", str(port)]
        data = ["--db-path", str(db_path)] if db_path else []
        return [*self.command, "serve", "--host", host, "--port", str(port), *data]


def find_engine(
    kind: str | None = None, override: str = "", root: Path = PROJECT_ROOT
) -> EngineBinary:
    """The engine of this kind; None or "auto" prefers dynoxide and falls back to moto.

    ``override`` is the path of a dynoxide binary (settings.DYNOXIDE_BINARY). One that does not
    exist is an error also for "auto": who names a binary does not want another engine.
    """
    wanted = kind or "auto"
    if wanted not in {"auto", "dynoxide", "moto"}:
        raise EngineMissingError.unknown(wanted)
    if wanted == "moto":
        return _find_moto()
    try:
        return _find_dynoxide(override, root)
    except EngineMissingError:
        if wanted == "auto" and not override and _moto_is_installed():
            return _find_moto()
        raise


def _find_dynoxide(override: str, root: Path) -> EngineBinary:
    if override:
        path = Path(override).expanduser()
        if not _can_run(path):
            raise EngineMissingError.override(override)
        return EngineBinary("dynoxide", (str(path.resolve()),))
    packaged = root / "node_modules" / _package() / _file_name()
    if _can_run(packaged):
        return EngineBinary("dynoxide", (str(packaged),))
    on_path = shutil.which("dynoxide")
    if on_path:
        return EngineBinary("dynoxide", (str(Path(on_path).resolve()),))
    raise EngineMissingError.dynoxide([str(packaged), "PATH"])


def _find_moto() -> EngineBinary:
    if not _moto_is_installed():
        raise EngineMissingError.moto()
    # -P keeps the current folder off the module path: no file there may pose as moto.
    return EngineBinary("moto", (sys.executable, "-P", "-m", "moto.server"))


def _moto_is_installed() -> bool:
    # Flask comes with moto[server] only; plain moto has the module and cannot run it.
    return all(importlib.util.find_spec(name) for name in ("moto", "flask", "flask_cors"))


def _package() -> str:
    """The npm package with the binary for this machine, e.g. "@dynoxide/linux-x64"."""
    system = platform.system().lower()
    machine = platform.machine().lower()
    return f"@dynoxide/{SYSTEMS.get(system, system)}-{MACHINES.get(machine, machine)}"


def _file_name() -> str:
    return "dynoxide.exe" if sys.platform == "win32" else "dynoxide"


def _can_run(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
