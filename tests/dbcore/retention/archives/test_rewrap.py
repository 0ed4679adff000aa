"""Keys that change: killed between any two writes, the next call ends what was begun."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dbcore.retention.archives import Manifest, Shelf
from dbcore.retention.archives.files import FileArchives
from dbcore.retention.archives.keyring import KeyRing, MissingKey
from dbcore.retention.archives.listing import listed
from dbcore.retention.archives.manifest import manifest_name, manifest_text, same_archive
from dbcore.retention.errors import NotProven
from tests.support.archives import PLANS, draft_of, plans, storage_of_settings

OLD = {"old": b"o" * 32}
NEW = {"new": b"n" * 32}


@pytest.fixture
def before(archive_dir: Path) -> Shelf:
    return Shelf(storage_of_settings(), KeyRing(OLD))


@pytest.fixture
def both(archive_dir: Path) -> Shelf:
    return Shelf(storage_of_settings(), KeyRing({**NEW, **OLD}))


@pytest.fixture
def after(archive_dir: Path) -> Shelf:
    return Shelf(storage_of_settings(), KeyRing(NEW))


@pytest.fixture
def manifest(before: Shelf) -> Manifest:
    return before.write(draft_of(), PLANS, plans())


def names_in(place: Path) -> list[str]:
    return sorted(path.name.partition(".")[2] for path in place.rglob("*") if path.is_file())


FIRST, SECOND = "json.gz.aes.manifest-0001.json", "json.gz.aes.manifest-0002.json"


def test_the_object_stays_and_opens_without_the_old_key(
    both: Shelf, after: Shelf, manifest: Manifest, archive_dir: Path
) -> None:
    path = archive_dir / manifest.object_name
    body, stamp = path.read_bytes(), path.stat().st_mtime_ns
    new = both.rewrap(manifest)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (body, stamp)
    assert names_in(archive_dir) == ["json.gz.aes", SECOND]
    assert new.encryption.key_id == "new" and new.manifest_version == 2
    assert same_archive(new, manifest) and new != manifest
    assert after.prove(new, PLANS, plans()) == plans()
    assert list(after.manifests()) == [new]
    with pytest.raises(MissingKey, match=rf"{manifest.object_name}: its key 'old'"):
        after.open(manifest, PLANS)


def test_a_call_that_is_repeated_changes_nothing(
    both: Shelf, manifest: Manifest, archive_dir: Path
) -> None:
    new = both.rewrap(manifest)
    assert both.rewrap(manifest) == new == both.rewrap(new)
    assert names_in(archive_dir) == ["json.gz.aes", SECOND]


class Killed(BaseException):
    """Stands for a kill: nothing after it runs."""


def kill_at(monkeypatch: pytest.MonkeyPatch, effect: str, *, done: bool) -> None:
    """The next `effect` of the storage kills, before or after it is done."""
    real: Callable[..., Any] = getattr(FileArchives, effect)

    def act(self: FileArchives, *given: Any) -> Any:
        if done:
            real(self, *given)
        raise Killed

    monkeypatch.setattr(FileArchives, effect, act)


@pytest.mark.parametrize(
    ("effect", "done", "left"),
    [
        ("_save", False, [FIRST]),
        ("_save", True, [FIRST, SECOND]),
        ("read", True, [FIRST]),
        ("delete", False, [FIRST, SECOND]),
        ("delete", True, [SECOND]),
        ("sweep_parts", False, [SECOND]),
    ],
)
def test_killed_at_any_write_the_archive_opens_and_the_next_call_ends_it(
    both: Shelf, after: Shelf, manifest: Manifest, archive_dir: Path,
    effect: str, done: bool, left: list[str],
) -> None:  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, effect, done=done)
        with pytest.raises(Killed):
            both.rewrap(manifest)
    assert names_in(archive_dir) == ["json.gz.aes", *left]
    (found,) = both.manifests()
    assert both.prove(found, PLANS, plans()) and both.open(manifest, PLANS)
    new = both.rewrap(manifest)
    assert names_in(archive_dir) == ["json.gz.aes", SECOND]
    assert after.prove(new, PLANS, plans())


def test_a_new_manifest_that_reads_back_wrong_leaves_the_old_one(
    both: Shelf, manifest: Manifest, archive_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = FileArchives.read

    def torn(self: FileArchives, name: str) -> bytes:
        found = read(self, name)
        return found[:-9] if "manifest-0002" in name else found

    with monkeypatch.context() as patch:
        patch.setattr(FileArchives, "read", torn)
        with pytest.raises(NotProven, match=r"manifest-0002.json: it was not read back"):
            both.rewrap(manifest)
    assert names_in(archive_dir) == ["json.gz.aes", FIRST]
    assert both.rewrap(manifest).manifest_version == 2


def test_an_edited_manifest_is_not_sealed_anew(
    both: Shelf, manifest: Manifest, archive_dir: Path
) -> None:
    edited = replace(manifest, target="elsewhere")
    (archive_dir / manifest.manifest_name).write_bytes(manifest_text(edited))
    for given in (manifest, edited):
        with pytest.raises(NotProven, match="its manifest was edited"):
            both.rewrap(given)
    assert names_in(archive_dir) == ["json.gz.aes", FIRST]


def test_the_manifest_of_another_archive_is_not_taken_for_this_ones(
    both: Shelf, before: Shelf, manifest: Manifest
) -> None:
    other = before.write(draft_of(), PLANS, plans())
    with pytest.raises(NotProven, match="it is the manifest of another archive"):
        both.rewrap(replace(other, object_name=manifest.object_name))


def test_a_manifest_that_is_missing_is_named_with_the_way_out(
    both: Shelf, manifest: Manifest, archive_dir: Path
) -> None:
    (archive_dir / manifest.manifest_name).unlink()
    with pytest.raises(NotProven, match=rf"{manifest.object_name}: no manifest.*reconcile_arch"):
        both.rewrap(manifest)
    both.put_back(manifest)
    assert both.rewrap(manifest).manifest_version == 2


def test_a_missing_old_key_is_named(after: Shelf, manifest: Manifest) -> None:
    with pytest.raises(MissingKey, match=rf"{manifest.manifest_name}: its key 'old' is not in"):
        after.rewrap(manifest)


def test_versions_are_counted_on_past_four_digits() -> None:
    names = [manifest_name("t/a.json.gz.aes", version) for version in (9999, 10000)]
    (found,) = listed(sorted(names))
    assert found.versions == (9999, 10000) and not found.has_object
