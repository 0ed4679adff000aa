"""``make matrix``: a short suite on each Python from 3.11 to 3.14 that is there, and each Django.

A Python that is not there is named as absent, never as passed; a suite that ran no test has failed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.support.locks import replaced

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "var" / "matrix"  # the venvs, and what each suite said
LOCK = ROOT / "requirements.lock"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# Django -> the lock of what is other than in requirements.lock, and the oldest Python for it.
DJANGOS = {"5.2": (None, "3.11"), "6.0": (Path(__file__).parent / "django-6.0.lock", "3.12")}
LIMIT = 1200  # seconds, after which a suite hangs
SUITE = (Path(__file__).parent / "suite.txt").read_text().splitlines()[1:]


@dataclass(frozen=True, slots=True)
class Cell:
    """What one Python and one Django came to. `passed` is None where nothing was run."""

    said: str
    passed: bool | None = None


def main() -> int:
    """Run all, print the table. 0: none has failed, and at least one has passed."""
    cells = {(python, django): run(python, django) for python in PYTHONS for django in DJANGOS}
    print("\n" + table(cells))
    ran = [cell.passed for cell in cells.values() if cell.passed is not None]
    return 0 if ran and all(ran) else 1


def table(cells: dict[tuple[str, str], Cell]) -> str:
    """Python by Django."""
    rows = [["", *(f"Django {django}" for django in DJANGOS)]]
    rows += [
        [f"Python {python}", *(cells[python, django].said for django in DJANGOS)]
        for python in PYTHONS
    ]
    return "\n".join("".join(text.ljust(29) for text in row).rstrip() for row in rows)


def run(python: str, django: str) -> Cell:
    """Install and try one of them."""
    others, oldest = DJANGOS[django]
    if number(python) < number(oldest):
        return Cell(f"needs Python {oldest}")
    found = next(interpreters(python), None)
    if found is None:
        return Cell("absent")
    name = f"python{python}-django{django}"
    print(f"Python {python}, Django {django} ({found}) …", flush=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    log = FOLDER / f"{name}.log"
    with log.open("w") as out:
        cell = _installed_and_tried(found, FOLDER / name, others, out)
    said = "" if cell.passed else f": {log.relative_to(ROOT)}"
    last = log.read_text().rstrip().rpartition("\n")[2].strip(" =")
    print(f"  {cell.said}{said or ': ' + last}", flush=True)
    return cell


def number(version: str) -> tuple[int, ...]:
    """A version, to be compared."""
    return tuple(map(int, version.split(".")))


def interpreters(python: str) -> Iterator[str]:
    """Those that run and are of this version: a name on PATH may be a shim with nothing behind."""
    versions = sorted((Path.home() / ".pyenv" / "versions").glob(f"{python}.*/bin/python3"))
    for each in (shutil.which(f"python{python}"), *map(str, reversed(versions))):
        if each is not None and _version(each) == python:
            yield each


def _version(interpreter: str) -> str:
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([interpreter, "-c", ask], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _installed_and_tried(found: str, venv: Path, others: Path | None, out: IO[str]) -> Cell:
    python = str(venv / "bin" / "python")

    def does(*command: str, limit: int | None = None) -> bool:
        out.flush()
        return not subprocess.run(
            command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, check=False, timeout=limit
        ).returncode

    lock = LOCK
    if others is not None:
        lock = venv.with_name(venv.name + ".lock")
        lock.write_text(replaced(LOCK, others))
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    hashed = ("--require-hashes", "--only-binary", ":all:", "-r", str(lock))
    is_made = os.access(python, os.X_OK) and does(python, "-m", "pip", "--version")
    if not (is_made or does(found, "-m", "venv", "--clear", str(venv))) or not does(*pip, *hashed):
        return Cell("not installed", passed=False)
    pytest = (python, "-m", "pytest", "-n", "auto", "--dist", "loadgroup", "-p", "no:cacheprovider")
    try:
        passed = does(*pytest, *SUITE, limit=LIMIT)
    except subprocess.TimeoutExpired:
        return Cell(f"hangs after {LIMIT} s", passed=False)
    return Cell("passed" if passed else "failed", passed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)
