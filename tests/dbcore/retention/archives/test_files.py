"""The directory of archives: whole files or none, for their owner alone, never a second name."""

from __future__ import annotations

import os
import resource
import stat
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from dbcore.errors import ConfigurationError
from dbcore.retention.archives import Shelf, get_shelf
from dbcore.retention.archives.files import FileArchives, write_new
from dbcore.retention.archives.keyring import KeyRing
from dbcore.retention.errors import RetentionError
from tests.support.archives import FILES, PLANS, draft_of, plans, storage_of_settings, use_storage

NOBODY = 65534


def in_a_child(work: Callable[[], str]) -> str:
    """What `work` says, done in a process of its own that it may restrict."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = work()
        except BaseException:
            said = traceback.format_exc()
        os.write(writer, said.encode()[:60_000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def files_in(place: Path) -> list[str]:
    return sorted(path.name for path in place.rglob("*") if path.is_file())


def test_only_the_owner_may_read_or_look(shelf: Shelf, archive_dir: Path) -> None:
    before = os.umask(0)
    try:
        manifest = shelf.write(draft_of(), PLANS, plans())
    finally:
        os.umask(before)
    found = archive_dir / manifest.object_name
    for file in (found, archive_dir / manifest.manifest_name):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (archive_dir, found.parent.parent, found.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_name_that_is_taken_is_an_error_and_no_other_name_is_chosen(
    shelf: Shelf, archive_dir: Path
) -> None:
    storage = storage_of_settings()
    assert isinstance(storage, FileArchives)
    assert storage.save("a/b", ContentFile(b"first")) == "a/b"
    with pytest.raises(FileExistsError):
        storage.save("a/b", ContentFile(b"second"))
    (archive_dir / "a" / "link").symlink_to(archive_dir / "elsewhere")
    with pytest.raises(FileExistsError):
        storage.save("a/link", ContentFile(b"third"))
    assert files_in(archive_dir) == ["b"]
    assert storage.read("a/b") == b"first"


def test_a_file_is_durable_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data, then name, then directory: in any other order a power cut leaves a torn file."""
    done: list[str] = []
    fsync, link = os.fsync, os.link

    def watched_fsync(handle: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else "data"
        done.append(f"{kind} of {os.fstat(handle).st_size if kind == 'data' else 'it'}")
        fsync(handle)

    def watched_link(source: Path, target: Path) -> None:
        done.append("name")
        link(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "link", watched_link)
    write_new(tmp_path / "file", b"12345")
    assert done == ["data of 5", "name", "directory of it"]
    assert files_in(tmp_path) == ["file"]


def test_a_disk_that_is_full_leaves_nothing_and_is_named(shelf: Shelf, archive_dir: Path) -> None:
    """A limit on the size of files stands for it: root may always write to a full tmpfs' owner."""
    kept = shelf.write(draft_of(), PLANS, plans())
    draft = draft_of()

    def work() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
        try:
            shelf.write(draft, PLANS, plans(50))
        except RetentionError as error:
            return str(error)
        return "written"

    said = in_a_child(work)
    assert said.startswith(f"{shelf.object_name(draft)}: the storage failed: [Errno 27]"), said
    assert len(files_in(archive_dir)) == 2
    assert shelf.prove(kept, PLANS) == plans()
    shelf.discard(shelf.object_name(draft))
    assert shelf.write(draft, PLANS, plans(50)).count == 50  # there is room again


def test_a_disk_that_is_full_between_object_and_manifest_leaves_what_a_sweep_discards(
    shelf: Shelf, archive_dir: Path
) -> None:
    draft = draft_of()
    item = plans(1)

    def work() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))
        try:
            shelf.write(draft, PLANS, item)
        except RetentionError as error:
            return str(error)
        return "written"

    assert "manifest-0001.json: the storage failed" in in_a_child(work)
    assert files_in(archive_dir) == [f"{draft.id}.json.gz.aes"]
    assert list(shelf.manifests()) == []
    shelf.discard(shelf.object_name(draft))
    assert files_in(archive_dir) == []


def test_a_write_that_is_killed_leaves_no_name(shelf: Shelf, archive_dir: Path) -> None:
    draft = draft_of()

    def work() -> str:
        os.link = lambda *_: os.kill(os.getpid(), 9)  # type: ignore[assignment]
        shelf.write(draft, PLANS, plans())
        return "written"

    assert in_a_child(work) == ""
    (left,) = files_in(archive_dir)
    assert left.startswith(f".{draft.id}") and left.endswith(".part")
    assert list(shelf.manifests()) == [] and list(shelf.listed()) == []
    shelf.discard(shelf.object_name(draft))
    assert files_in(archive_dir) == []


def test_checking_changes_nothing(shelf: Shelf, archive_dir: Path) -> None:
    shelf.check()
    assert not archive_dir.exists()


def test_a_directory_that_is_a_file_is_named(archive_dir: Path) -> None:
    archive_dir.write_bytes(b"")
    with pytest.raises(ConfigurationError, match=rf"ARCHIVE_DIR .*{archive_dir} is not a dir"):
        get_shelf().check()


def test_a_directory_that_may_not_be_written_to_is_named(archive_dir: Path, shelf: Shelf) -> None:
    """Root may write anywhere: where the tests are root's, the child is somebody else."""
    archive_dir.mkdir()
    archive_dir.chmod(0o555)
    above = archive_dir

    def work() -> str:
        if os.getuid() == 0:
            for folder in above.parents:  # pytest's are root's alone
                if folder.stat().st_mode & 0o077 == 0:
                    folder.chmod(0o711)
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        said = []
        for act in (shelf.check, lambda: shelf.write(draft_of(), PLANS, plans())):
            try:
                act()
            except (ConfigurationError, RetentionError) as error:
                said.append(f"{type(error).__name__}: {error}")
        return "\n".join(said)

    check, write = in_a_child(work).splitlines()
    assert check == (
        f"ConfigurationError: ARCHIVE_DIR {archive_dir}: this process may not write to "
        f"{archive_dir}"
    )
    assert write.startswith("StorageFailed: plans/") and "Permission denied" in write


def test_a_directory_that_cannot_be_read_does_not_pass_for_an_empty_one(
    shelf: Shelf, archive_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.write(draft_of(), PLANS, plans())
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("plans"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(RetentionError, match=r"the shelf: the storage failed.*Permission denied"):
        list(shelf.listed())


def test_a_folder_of_the_disk_s_own_is_named_and_keeps_nothing_from_being_listed(
    shelf: Shelf, archive_dir: Path
) -> None:
    """`lost+found` is root's alone on every ext4: the child is somebody else."""
    manifest = shelf.write(draft_of(), PLANS, plans())
    (archive_dir / "lost+found").mkdir(mode=0o700)
    for path in archive_dir.rglob("*"):
        if path.name != "lost+found":
            path.chmod(0o755)
    above = archive_dir

    def work() -> str:
        if os.getuid() == 0:
            for folder in (above, *above.parents):  # pytest's are root's alone
                folder.chmod(folder.stat().st_mode | 0o755)
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        else:
            (above / "lost+found").chmod(0)
        return "\n".join(f"{each.object_name} {each.foreign}" for each in shelf.listed())

    assert in_a_child(work).splitlines() == [f"{manifest.object_name} False", "lost+found/ True"]


def test_a_table_s_folder_may_be_a_link_to_another_disk(
    shelf: Shelf, archive_dir: Path, tmp_path: Path
) -> None:
    """What can be written and read is listed, too: it is not taken for missing."""
    first = shelf.write(draft_of(), PLANS, plans())
    (archive_dir / "plans").rename(tmp_path / "other disk")
    (archive_dir / "plans").symlink_to(tmp_path / "other disk")
    second = shelf.write(draft_of(), PLANS, plans())
    assert {each.id for each in shelf.manifests()} == {first.id, second.id}
    for manifest in (first, second):
        assert shelf.manifest_of(shelf.standing(manifest.object_name)) == manifest
    shelf.discard(second.object_name)
    assert [each.id for each in shelf.manifests()] == [first.id]


def test_a_link_that_leads_back_to_where_it_is_does_not_lead_in_circles(
    shelf: Shelf, archive_dir: Path
) -> None:
    manifest = shelf.write(draft_of(), PLANS, plans())
    (archive_dir / "plans" / "again").symlink_to("..")
    (archive_dir / "plans" / "self").symlink_to(".")
    assert [each.object_name for each in shelf.listed()] == [manifest.object_name]


@pytest.mark.parametrize(
    ("keys", "named"),
    [({}, "ARCHIVE_ENCRYPTION_KEYS is empty"), ({"short": b"x"}, "key 'short' is not 32 bytes")],
)
def test_a_shelf_without_a_good_key_refuses_and_says_how_to_make_one(
    archive_dir: Path, keys: dict[str, bytes], named: str
) -> None:
    shelf = Shelf(storage_of_settings(), KeyRing(keys))
    for act in (shelf.check, lambda: shelf.write(draft_of(), PLANS, plans())):
        with pytest.raises(ConfigurationError, match=rf"{named}.*token_bytes"):
            act()
    assert not archive_dir.exists()


def test_the_settings_name_the_directory_and_the_keys(
    settings: pytest.FixtureRequest, tmp_path: Path
) -> None:
    use_storage(settings, FILES, location=str(tmp_path / "other"))
    settings.ARCHIVE_ENCRYPTION_KEYS = {"one": b"1" * 32, "two": b"2" * 32}
    shelf = get_shelf()
    manifest = shelf.write(draft_of(), PLANS, plans())
    assert manifest.encryption.key_id == "one"
    assert (tmp_path / "other" / manifest.object_name).is_file()
