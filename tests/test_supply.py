"""What is installed is what the locks say, and the locks are of the requirements as they stand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.locks import Entry, entries, normal, replaced

ROOT = Path(__file__).resolve().parents[1]
WHOLE = ROOT / "requirements.lock"
PRODUCTION = ROOT / "requirements-production.lock"
DJANGO_6 = ROOT / "tests" / "matrix" / "django-6.0.lock"
LOCKS = (WHOLE, PRODUCTION, ROOT / "bench" / "requirements.lock", DJANGO_6)
LATE = "old: `make lock` writes it anew"


def pinned(path: Path) -> dict[str, str]:
    """What a file of requirements asks for, by name; each must be pinned."""
    found = {}
    for line in path.read_text().splitlines():
        asked = line.partition("#")[0].strip()
        if not asked or asked.startswith("-r "):
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", asked)
        assert match is not None, f"{path.name} does not pin {asked}"
        found[normal(match[1])] = match[2]
    return found


def versions(path: Path) -> dict[str, set[str]]:
    """What a lock has: a package may stand there once for each Python."""
    found: dict[str, set[str]] = {}
    for entry in entries(path):
        found.setdefault(entry.name, set()).add(entry.version)
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_package_that_is_installed_has_its_hashes(lock: Path) -> None:
    found = entries(lock)
    assert found
    assert [entry.name for entry in found if not entry.hashes] == []


@pytest.mark.parametrize("lock", [*LOCKS, ROOT / "package-lock.json"], ids=lambda path: path.name)
def test_no_lock_names_where_packages_come_from(lock: Path) -> None:
    assert re.findall(r"\w+://\S+|--(?:extra-)?index-url|--find-links", lock.read_text()) == []


def test_the_lock_has_each_requirement_at_its_version() -> None:
    asked = pinned(ROOT / "requirements.txt") | pinned(ROOT / "requirements-dev.txt")
    locked = versions(WHOLE)
    assert {name: locked.get(name) for name in asked} == {
        name: {version} for name, version in asked.items()
    }, LATE
    for folder, lock in (
        ("bench/requirements.txt", LOCKS[2]),
        ("tests/matrix/django-6.0.txt", DJANGO_6),
    ):
        locked = versions(lock)
        for name, version in pinned(ROOT / folder).items():
            assert locked.get(name) == {version}, LATE


def test_production_has_all_that_is_required_but_the_tests() -> None:
    asked = pinned(ROOT / "requirements.txt")
    locked = versions(PRODUCTION)
    tests = {name for name in asked if name.startswith("pytest")}
    assert tests == {"pytest-django"}
    assert {name: locked.get(name) for name in asked if name not in tests} == {
        name: {version} for name, version in asked.items() if name not in tests
    }, LATE
    assert [name for name in locked if "pytest" in name or name in ("pluggy", "moto")] == []
    assert "gunicorn" in locked and "psycopg-pool" in locked


def test_production_has_nothing_that_the_tests_do_not_run_on() -> None:
    def told(entry: Entry) -> tuple[str, str, tuple[str, ...]]:
        return entry.name, entry.version, entry.hashes

    assert set(map(told, entries(PRODUCTION))) <= set(map(told, entries(WHOLE)))


def test_another_django_takes_the_place_of_the_lock_s(tmp_path: Path) -> None:
    mixed = tmp_path / "mixed.lock"
    mixed.write_text(replaced(WHOLE, DJANGO_6))
    assert versions(mixed)["django"] == versions(DJANGO_6)["django"] != versions(WHOLE)["django"]
    assert versions(mixed).keys() == versions(WHOLE).keys()


def test_a_lock_with_a_line_that_is_none_is_not_taken(tmp_path: Path) -> None:
    torn = tmp_path / "torn.lock"
    for line in ("<<<<<<< HEAD", "rich>=15", "rich==15.0.0 \\\n    --hash=md5:00"):
        torn.write_text(f"{line}\n")
        with pytest.raises(ValueError, match=r"torn\.lock, line"):
            entries(torn)


def test_npm_s_lock_has_every_machine_s_engine_at_its_version() -> None:
    asked = json.loads((ROOT / "package.json").read_text())["optionalDependencies"]
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    locked = {
        name.removeprefix("node_modules/"): found["version"]
        for name, found in packages.items()
        if name
    }
    assert locked == asked
    assert all(found.get("optional") for name, found in packages.items() if name)
    assert packages["node_modules/@dynoxide/linux-x64"]["integrity"].startswith("sha512-")
