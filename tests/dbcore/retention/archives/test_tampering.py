"""Whatever is torn, swapped or edited is NotProven, and the message says where and what."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile

from dbcore.retention.archives import Encryption, Manifest, Shelf
from dbcore.retention.archives import content as archive_content
from dbcore.retention.archives.keyring import KeyRing, MissingKey
from dbcore.retention.archives.manifest import bound_text, manifest_text, sealed_text
from dbcore.retention.archives.sealing import sha256
from dbcore.retention.errors import NotProven
from tests.support.archives import PLANS, draft_of, plans, storage_of_settings

KEY = b"for tests only, never a secret!!"


@pytest.fixture
def manifest(shelf: Shelf) -> Manifest:
    return shelf.write(draft_of(), PLANS, plans())


@pytest.fixture
def body(manifest: Manifest, archive_dir: Path) -> Path:
    return archive_dir / manifest.object_name


def resealed(manifest: Manifest, **changes: Any) -> Manifest:
    """An edited manifest with the right seal for it: as one who had the key would edit it."""
    edited = replace(manifest, **changes)
    return replace(edited, seal=KeyRing({"test": KEY}).seal("test", sealed_text(edited)))


def assert_not_proven(shelf: Shelf, manifest: Manifest, why: str) -> None:
    for read in (shelf.open, shelf.prove):
        with pytest.raises(NotProven, match=why) as found:
            read(manifest, PLANS)
        assert str(found.value).startswith("plans/2026-11-22/")


def test_a_flipped_bit_anywhere_in_the_object_is_seen(
    shelf: Shelf, manifest: Manifest, body: Path
) -> None:
    whole = body.read_bytes()
    tag = len(whole) - archive_content.TAG_BYTES
    for place in (0, 1, 9, len(whole) // 2, tag - 1, tag, len(whole) - 1):
        body.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert_not_proven(shelf, manifest, "its SHA-256 is not the one in its manifest")
    body.write_bytes(whole)
    assert shelf.prove(manifest, PLANS) == plans()


def test_a_flipped_bit_is_seen_even_by_a_manifest_that_was_made_for_it(
    shelf: Shelf, manifest: Manifest, body: Path
) -> None:
    whole = body.read_bytes()
    tag = len(whole) - archive_content.TAG_BYTES
    for place in (0, len(whole) // 2, tag, len(whole) - 1):
        torn = whole[:place] + bytes([whole[place] ^ 0x80]) + whole[place + 1 :]
        body.write_bytes(torn)
        fitting = resealed(manifest, object_sha256=sha256(torn))
        with pytest.raises(NotProven, match="its authentication tag does not fit"):
            shelf.open(fitting, PLANS)


@pytest.mark.parametrize("kept", [0, 1, 15, 16, -1])
def test_a_truncated_object_is_seen(
    shelf: Shelf, manifest: Manifest, body: Path, kept: int
) -> None:
    whole = body.read_bytes()
    body.write_bytes(whole[:kept])
    assert_not_proven(shelf, manifest, rf"it has \d+ bytes, and its manifest says {len(whole)}")
    fitting = resealed(manifest, object_sha256=sha256(whole[:kept]), object_bytes=len(whole[:kept]))
    with pytest.raises(NotProven, match="its authentication tag does not fit"):
        shelf.open(fitting, PLANS)


def test_more_behind_the_object_is_seen(shelf: Shelf, manifest: Manifest, body: Path) -> None:
    body.write_bytes(body.read_bytes() + b"\0")
    assert_not_proven(shelf, manifest, "bytes, and its manifest says")


def test_a_missing_object_is_named(shelf: Shelf, manifest: Manifest, body: Path) -> None:
    body.unlink()
    assert_not_proven(shelf, manifest, rf"{manifest.object_name}: it is missing")


def test_two_objects_that_were_swapped_are_seen(
    shelf: Shelf, manifest: Manifest, body: Path, archive_dir: Path
) -> None:
    other = shelf.write(draft_of(), PLANS, plans())
    there = archive_dir / other.object_name
    one, two = body.read_bytes(), there.read_bytes()
    body.write_bytes(two)
    there.write_bytes(one)
    assert len(one) == len(two)
    assert_not_proven(shelf, manifest, "its SHA-256 is not the one in its manifest")
    assert_not_proven(shelf, other, "its SHA-256 is not the one in its manifest")


def test_an_object_swapped_with_its_key_and_digests_is_seen(
    shelf: Shelf, manifest: Manifest, body: Path, archive_dir: Path
) -> None:
    """Even where all that is about the object was copied from the other manifest, and sealed."""
    other = shelf.write(draft_of(), PLANS, plans())
    body.write_bytes((archive_dir / other.object_name).read_bytes())
    borrowed = resealed(
        manifest, encryption=other.encryption, object_sha256=other.object_sha256,
        object_bytes=other.object_bytes, sha256=other.sha256, keys=other.keys,
    )  # fmt: skip
    with pytest.raises(NotProven, match="its authentication tag does not fit"):
        shelf.open(borrowed, PLANS)


def test_two_manifests_that_were_swapped_are_seen(
    shelf: Shelf, manifest: Manifest, archive_dir: Path
) -> None:
    other = shelf.write(draft_of(), PLANS, plans())
    one, two = archive_dir / manifest.manifest_name, archive_dir / other.manifest_name
    one.write_bytes(manifest_text(other))
    two.write_bytes(manifest_text(manifest))
    for each in (manifest, other):
        with pytest.raises(NotProven, match=rf"{each.manifest_name}: it is not the manifest that"):
            shelf.prove(each, PLANS)
    with pytest.raises(NotProven, match=r"it is the manifest plans/"):
        list(shelf.manifests())


EDITS: dict[str, Any] = {
    "id": "another", "store": "dynamodb", "target": "elsewhere", "sweep": "another",
    "policy": {"days": 1}, "created_at": "2026-11-22T08:30:00.123457Z", "newest": None,
    "oldest": None, "tier": "cold", "schema": "id:TextField", "count": 4, "bytes": 1,
    "object_bytes": 1, "sha256": "0" * 64, "object_sha256": "0" * 64, "object_name": "plans/x",
    "manifest_name": "plans/y", "manifest_version": 2, "compression": "zstd", "keys": "",
    "owners": "", "seal": "AAAA",
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_field_is_seen_by_the_seal(
    shelf: Shelf, manifest: Manifest, archive_dir: Path, name: str
) -> None:
    value = manifest.as_json()
    assert value[name] != EDITS[name]
    edited = Manifest.from_json({**value, name: EDITS[name]})
    with pytest.raises(NotProven, match="its manifest was edited"):
        shelf.open(edited, PLANS)
    (archive_dir / manifest.manifest_name).write_bytes(manifest_text(edited))
    with pytest.raises(NotProven, match="not the manifest that was written"):
        shelf.prove(manifest, PLANS)
    with pytest.raises(NotProven, match=r"was edited|it is the manifest"):
        list(shelf.manifests())


@pytest.mark.parametrize("name", ["key_id", "wrapped_key", "nonce", "algorithm", "wrapping"])
def test_an_edited_field_of_the_encryption_is_seen_by_the_seal(
    shelf: Shelf, manifest: Manifest, name: str
) -> None:
    both = Shelf(storage_of_settings(), KeyRing({"test": KEY, "other": b"o" * 32}))
    encryption: Encryption = replace(manifest.encryption, **{name: "other"})
    with pytest.raises(NotProven, match="its manifest was edited"):
        both.open(replace(manifest, encryption=encryption), PLANS)


def test_every_field_is_either_bound_to_the_object_or_changes_with_it(manifest: Manifest) -> None:
    bound = set(json.loads(bound_text(manifest)))
    assert set(manifest.as_json()) - bound == {
        "object_bytes", "object_sha256", "manifest_name", "manifest_version", "encryption", "seal",
    }  # fmt: skip
    assert set(EDITS) | {"table", "encryption", "format_version"} == set(manifest.as_json())


@pytest.mark.parametrize("name", ["id", "count", "sha256", "schema", "keys", "owners", "target"])
def test_an_edited_field_is_seen_by_the_object_even_under_a_right_seal(
    shelf: Shelf, manifest: Manifest, name: str
) -> None:
    with pytest.raises(NotProven, match="its authentication tag does not fit"):
        shelf.open(resealed(manifest, **{name: EDITS[name]}), PLANS)


@pytest.mark.parametrize(
    ("torn", "why"),
    [
        (lambda text: text[:-40], "it is not JSON"),
        (lambda text: b"", "it is not JSON"),
        (lambda text: b"[]\n", "is not a manifest of format 1: its fields"),
        (lambda text: text.replace(b'"format_version":1', b'"format_version":2'), "format_version"),
        (lambda text: text.replace(b'"count":3', b'"count":true'), "count is not of its type"),
        (lambda text: text.replace(b'"tier":"warm"', b'"tier":"icy"'), "icy"),
        (lambda text: text.replace(b'"store":', b'"shop":'), "its fields are not"),
        (lambda text: text.replace(b"08:30:00.123456Z", b"08:30:00.123456+00:00"), "not an ins"),
        (lambda text: text.replace(b",", b", ", 1), "not in the form"),
    ],
)
def test_what_is_no_manifest_is_told_from_one(
    shelf: Shelf, manifest: Manifest, archive_dir: Path, torn: Callable[[bytes], bytes], why: str
) -> None:
    path = archive_dir / manifest.manifest_name
    before = path.read_bytes()
    path.write_bytes(torn(before))
    assert path.read_bytes() != before
    with pytest.raises(NotProven, match=rf"{manifest.manifest_name}: .*{why}"):
        list(shelf.manifests())


def test_a_key_that_is_not_there_is_named_and_another_in_its_place_is_told(
    shelf: Shelf, manifest: Manifest
) -> None:
    storage = storage_of_settings()
    with pytest.raises(MissingKey, match=rf"{manifest.id}.*its key 'test' is not in ARCHIVE_"):
        Shelf(storage, KeyRing({"new": b"n" * 32})).open(manifest, PLANS)
    with pytest.raises(NotProven, match=r"edited, or key 'test' .* is not the one that sealed it"):
        Shelf(storage, KeyRing({"test": b"n" * 32})).open(manifest, PLANS)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (b'{"Item": {}', "its content is not gzip"),
        (archive_content.compress(b"[1]\n"), "its content is not DynamoDB JSON lines"),
        (archive_content.compress(archive_content.to_lines(plans(2))), "it has 2 records"),
        (archive_content.compress(archive_content.to_lines(plans(4)[1:])), "the keys of its"),
    ],
    ids=["no gzip", "no items", "too few", "other keys"],
)
def test_content_that_was_sealed_wrong_is_still_compared(
    shelf: Shelf, archive_dir: Path, lines: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer with a fault of its own: what it wrote is well encrypted, and not the records."""
    with monkeypatch.context() as patch:
        plain = lines if lines[:2] != b"\x1f\x8b" else archive_content.decompress(lines)
        patch.setattr(archive_content, "to_lines", lambda items: plain)
        patch.setattr(archive_content, "compress", lambda plain: lines)
        manifest = shelf.write(draft_of(), PLANS, plans())
    with pytest.raises(NotProven, match=rf"{manifest.object_name}: {why}"):
        shelf.open(manifest, PLANS)


def test_a_storage_that_keeps_something_else_is_found_out_by_the_proof(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = storage_of_settings()
    save = type(storage).save

    def tear(self: Any, name: str, file: Any) -> Any:
        return save(self, name, ContentFile(file.read()[:-3]))

    monkeypatch.setattr(type(storage), "save", tear)
    manifest = shelf.write(draft_of(), PLANS, plans())
    with pytest.raises(NotProven, match=r"manifest-0001.json: it is not the manifest"):
        shelf.prove(manifest, PLANS, plans())


def test_a_key_shows_in_no_message_nor_where_a_shelf_is_printed(
    shelf: Shelf, manifest: Manifest
) -> None:
    ring = KeyRing({"test": KEY})
    assert repr(ring) == "KeyRing(test)" and "secret" not in repr(vars(Shelf(shelf, ring)))  # type: ignore[arg-type]
    with pytest.raises(NotProven) as found:
        ring.unwrap("test", "AAAA")
    assert "secret" not in str(found.value) and found.value.__cause__ is None
