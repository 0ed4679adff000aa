"""Which environment this is, and what is said of it: in the process's environment and in `.env`,
which counts like it. Read before anything else, and once; nothing may start on a guess.
"""

from __future__ import annotations

import importlib.util
import io
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import environ

from dbcore.configuration import Configuration, WrongConfiguration, read
from dbcore.configuration.reading import ENVIRONMENT, cleaned
from dbcore.configuration.registry import ENVIRONMENTS
from settings.variables import ALL

BASE_DIR = Path(__file__).resolve().parent.parent
DEFAULT = "development"
CHOOSERS = ("DAYLIGHT_ENV", "NODE_ENV")  # the first of them that is set counts
MODULE = "DJANGO_SETTINGS_MODULE"
FILE = "DAYLIGHT_ENV_FILE"
_LINE = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
# What is read when it is imported: it must not have been, before the file is read.
_EARLY = {"PROMETHEUS_MULTIPROC_DIR": "prometheus_client"}
_seen: dict[str, str] = {}  # what stood there before the import


@dataclass(frozen=True, slots=True)
class Start:
    """What a process has been told. `said`: who has said which environment it is; "": nobody."""

    environment: str
    said: str
    origins: Mapping[str, str] = field(default_factory=dict)  # of what the file has said
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class _Known:
    """What has been read."""

    start: Start | None = None
    configuration: Configuration | None = None


_known = _Known()


def start() -> Start:
    """What this process has been told: the file is read once, and counts as its environment."""
    if _known.start is None:
        _known.start = _read_file()
    return _known.start


def _read_file() -> Start:
    problems: list[str] = []
    outside = dict(os.environ)
    path = _file(outside, problems)
    inside = {} if path is None else _contents(path, problems)
    origin = "" if path is None else _shown(path)
    for name, text in inside.items():
        os.environ.setdefault(name, text)
    environment, said = _environment(outside, inside, origin, problems)
    origins = {name: origin for name in inside if name not in outside}
    problems += _unseen(origins)
    return Start(environment, said, origins, tuple(problems))


def _unseen(origins: Mapping[str, str]) -> Iterator[str]:
    """What the file says to a package that has been imported, and will not hear it."""
    for name, package in _EARLY.items():
        value = os.environ.get(name, "")
        if package not in sys.modules:
            _seen[name] = value
        elif name in origins and _seen.get(name) != value:
            yield (
                f"{package} was imported before {origins[name]} was read, and has not seen its "
                f"{name}: start anew, import `settings` first, or set it in the environment"
            )


def configuration() -> Configuration:
    """What is in force. Raises WrongConfiguration, which has all that is wrong."""
    if _known.configuration is None:
        _known.configuration = _read_all(start())
    return _known.configuration


def _read_all(found: Start) -> Configuration:
    # A run of the tests knows nothing of the shell that started it: its variables may be another
    # project's, or lead to somebody's database. What is to count is said with DAYLIGHT_ENV=test.
    given = {} if found.said == MODULE and found.environment == "test" else os.environ
    return read(
        ALL, found.environment, given,
        origins=found.origins, problems=found.problems, said=found.said,
    )  # fmt: skip


def in_environment(name: str, found: Configuration) -> None:
    """Raise WrongConfiguration where settings are imported that are another environment's."""
    if found.environment != name:
        raise WrongConfiguration(
            found.environment,
            (
                f"settings.{name} is imported, and this is {found.environment}: set "
                f"DAYLIGHT_ENV={name}",
            ),
        )


def read_anew() -> None:
    """Read the file again, for a server that reloads. Where it is wrong now, that is said on
    standard error, and what was in force stays so: the server goes on."""
    global _known
    before, environment = _known, dict(os.environ)
    for name in start().origins:
        os.environ.pop(name, None)
    _known = _Known()
    try:
        settings_module(serves=True)
    except SystemExit as refused:
        sys.stderr.write(f"{refused}\nThe configuration from before stays in force.\n")
        _known = before
        os.environ.clear()
        os.environ.update(environment)


def settings_module(*, serves: bool = False) -> str:
    """The dotted name of Django's settings, also put where Django looks for it.

    SystemExit with all that is wrong, where anything is. `serves`: this process is to answer
    requests, and does not do so as development unless that has been said.
    """
    module = os.environ.get(MODULE, "")
    try:
        found = start()
        _refuse_foreign(module, found)
        if serves and not (found.said or module):
            raise WrongConfiguration(
                found.environment,
                (
                    "nothing says which environment this server is in: set DAYLIGHT_ENV=production "
                    "(or DAYLIGHT_ENV=development, if that is meant)",
                ),
            )
        configuration()
    except WrongConfiguration as error:
        hint = ""
        if start().said.startswith(CHOOSERS[1]):
            hint = f"\nIs {CHOOSERS[1]} another program's? {CHOOSERS[0]} goes before it."
        raise SystemExit(f"Refused: {error}{hint}") from None
    return os.environ.setdefault(MODULE, f"settings.{found.environment}")


def is_test(given: Mapping[str, str]) -> bool:
    """Whether tests are to run, which know of no developer's `.env`."""
    return given.get(MODULE) == "settings.test" or cleaned(given.get(CHOOSERS[0], "")) == "test"


def _file(outside: Mapping[str, str], problems: list[str]) -> Path | None:
    """The file to read; None where there is none to be read."""
    named = outside.get(FILE, "")
    if named:
        path = BASE_DIR / cleaned(named)
        if not path.exists() or path.is_dir():
            problems.append(f"{FILE} is {named!r}, and there is no such file")
            return None
        return path
    path = BASE_DIR / ".env"
    return path if path.exists() and not is_test(outside) else None


def _contents(path: Path, problems: list[str]) -> dict[str, str]:
    """Name -> text, as django-environ reads it; lines that it would pass over are refused."""
    shown = _shown(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        problems.append(f"{shown} is not UTF-8: save it as that, without a byte-order mark")
        return {}
    except OSError as error:
        problems.append(f"{shown} cannot be read: {error.strerror}")
        return {}
    lines = [line.strip() for line in text.splitlines()]
    problems += _wrong_lines(shown, lines)

    class Reader(environ.Env):  # type: ignore[misc]
        ENVIRON: ClassVar[dict[str, str]] = {}  # not the process's own

    kept = (line for line in lines if _LINE.fullmatch(line))
    Reader.read_env(io.StringIO("\n".join(_unquoted(line) for line in kept)))
    return Reader.ENVIRON


def _unquoted(line: str) -> str:
    """The line in single quotes, in which nothing has a meaning of its own."""
    found = _LINE.fullmatch(line)
    assert found is not None  # who calls has looked
    return f"{found[1]}='{cleaned(found[2])}'"


def _wrong_lines(shown: str, lines: list[str]) -> Iterator[str]:
    seen: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines, 1):
        where = f"{shown}, line {number}"
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None or "\x00" in line:
            yield f"{where} is not NAME=VALUE (without blanks around =), nor a comment (#)"
            continue
        name, value = found[1], cleaned(found[2])
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"" and value != found[2]:
            yield f"{where}: {name} is quoted twice"
        if name in seen and seen[name][1] != value:
            yield f"{where}: {name} stands in line {seen[name][0]}, too, and says something else"
        if name in (MODULE, FILE):
            yield f"{where}: {name} has no meaning in this file; DAYLIGHT_ENV chooses the settings"
        seen.setdefault(name, (number, value))


def _environment(
    outside: Mapping[str, str], inside: Mapping[str, str], origin: str, problems: list[str]
) -> tuple[str, str]:
    """Which environment this is, and who has said it."""
    module = outside.get(MODULE, "")
    if module == "settings.test":
        is_said = cleaned(outside.get(CHOOSERS[0], "")) == "test"
        return "test", CHOOSERS[0] if is_said else MODULE
    here, there = _said(outside, problems, "the environment"), _said(inside, problems, origin)
    if here and there and here != there:
        problems.append(
            f"the environment says that this is {here[1]} ({here[0]}), and {origin} that it is "
            f"{there[1]} ({there[0]}): make them the same"
        )
    said = here or there
    of_module = module.removeprefix("settings.") if module.startswith("settings.") else ""
    if of_module in ENVIRONMENTS:
        if said and said[0] == CHOOSERS[0] and said[1] != of_module:
            problems.append(f"{MODULE} is {module}, and {said[0]} is {said[1]}: leave {MODULE} out")
        return of_module, MODULE
    if not said:
        return DEFAULT, ""
    return said[1], f"{said[0]}, {ENVIRONMENT if here else origin}"


def _said(given: Mapping[str, str], problems: list[str], where: str) -> tuple[str, str] | None:
    """Which variable says it, and what."""
    for name in CHOOSERS:
        if value := cleaned(given.get(name, "")):
            if value in ENVIRONMENTS:
                return name, value
            problems.append(
                f"{name} is {value!r} ({where}); it must be one of {', '.join(ENVIRONMENTS)}"
                + (
                    ""
                    if name == CHOOSERS[0]
                    else ": another program's? DAYLIGHT_ENV goes before it"
                )
            )
            return None
    return None


def _refuse_foreign(module: str, found: Start) -> None:
    """Raise WrongConfiguration for settings that are not this project's: of another, whose name is
    left in a shell, or mistyped."""
    if not module or module in {f"settings.{each}" for each in ENVIRONMENTS}:
        return
    try:
        there = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        there = None
    place = None if there is None or there.origin is None else Path(there.origin).resolve()
    if place is None or BASE_DIR not in place.parents:
        raise WrongConfiguration(
            found.environment,
            (
                f"{MODULE} is {module!r}, which is not of this project: unset it, and "
                "DAYLIGHT_ENV chooses the settings",
            ),
        )


def _shown(path: Path) -> str:
    return str(path.relative_to(BASE_DIR)) if BASE_DIR in path.parents else str(path)
