"""What is put into an archive comes out, and it can be told what is in it without opening it."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from django.db import models as django_models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daylight import models
from dbcore.attributes import Item
from dbcore.items import layout_of
from dbcore.retention.archives import Manifest, Shelf
from dbcore.retention.archives.content import to_lines
from dbcore.retention.archives.keyring import KeyRing
from dbcore.retention.archives.manifest import manifest_text
from dbcore.retention.archives.sealing import sha256
from dbcore.retention.errors import RetentionError
from dbcore.retention.records import key_text, owner_of
from dbcore.tables import Retention, Tier
from tests import strategies
from tests.support.archives import NOW, PLANS, draft_of, plans, storage_of_settings

ARCHIVED = [
    model
    for model in (getattr(models, name) for name in models.__all__)
    if isinstance(model.storage.retention, Retention)
    and model.storage.retention.tier is not Tier.HOT
]
FEW = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# What other programs may have written into an item: types that no field of ours has.
UNKNOWN: list[dict[str, Any]] = [
    {"B": "AAEC/w=="},
    {"BS": ["AA==", "/w=="]},
    {"SS": ["b", "a"]},
    {"NS": ["1E+2", "-0.50"]},
    {"NULL": True},
    {"N": "100.000"},
    {"M": {"": {"L": [{"S": "\u2028\x7f"}]}}},
]


def unlike(layout: Any, items: list[Item]) -> list[Item]:
    """The items, without those that have another's key."""
    return list({key_text(layout, item): item for item in items}.values())


@pytest.mark.parametrize("model", ARCHIVED, ids=lambda model: model.__name__)
def test_any_records_come_out_as_they_went_in(
    shelf: Shelf, model: type[django_models.Model]
) -> None:
    layout = layout_of(model)
    items_of = st.lists(strategies.records(model).map(layout.to_item), min_size=1, max_size=4)

    @FEW
    @given(items_of, st.sampled_from(UNKNOWN))
    def holds(found: list[Item], unknown: dict[str, Any]) -> None:
        items = unlike(layout, found)
        items[0] = {**items[0], "x-unknown": unknown}
        manifest = shelf.write(draft_of(layout), layout, items)
        assert shelf.prove(manifest, layout, items) == items
        assert shelf.open(Manifest.from_json(json.loads(json.dumps(manifest.as_json()))), layout)
        assert all(manifest.may_hold(key_text(layout, item)) for item in items)
        owners = [owner for item in items if (owner := owner_of(layout, item)) is not None]
        assert all(manifest.may_hold_owner(owner) for owner in owners)
        assert not manifest.may_hold("nobody's") and not manifest.may_hold_owner("nobody")

    assert len(ARCHIVED) == 8
    holds()


def test_the_manifest_beside_is_the_one_that_was_returned_and_comes_back_from_json(
    shelf: Shelf, archive_dir: Path
) -> None:
    draft = draft_of(oldest=None)
    manifest = shelf.write(draft, PLANS, plans())
    assert (
        manifest.object_name
        == shelf.object_name(draft)
        == (f"plans/2026-11-22/{draft.id}.json.gz.aes")
    )
    beside = (archive_dir / f"{manifest.object_name}.manifest-0001.json").read_bytes()
    assert beside == manifest_text(manifest)
    assert Manifest.from_json(json.loads(beside)) == manifest
    assert list(shelf.manifests()) == [manifest]
    assert (manifest.count, manifest.oldest, manifest.newest) == (3, None, draft.newest)
    assert manifest.policy == {"days": 365, "since": ["end_time", "updated_at"], "tier": "warm"}
    body = (archive_dir / manifest.object_name).read_bytes()
    assert (manifest.object_bytes, manifest.object_sha256) == (len(body), sha256(body))


def test_the_same_records_are_the_same_lines_in_whatever_order_their_attributes_are(
    shelf: Shelf,
) -> None:
    items = plans()
    turned = [dict(reversed(item.items())) for item in items]
    assert [list(item) for item in items] != [list(item) for item in turned]
    one = shelf.write(draft_of(), PLANS, items)
    other = shelf.write(draft_of(), PLANS, turned)
    assert (one.sha256, one.bytes) == (other.sha256, other.bytes)
    assert one.object_sha256 != other.object_sha256  # each has a data key of its own
    assert shelf.prove(one, PLANS, turned) == items


def test_nothing_of_the_records_can_be_read_on_the_shelf(shelf: Shelf, archive_dir: Path) -> None:
    manifest = shelf.write(draft_of(), PLANS, plans())
    for path in archive_dir.rglob("*.*"):
        found = path.read_bytes() if path.is_file() else b""
        assert (
            b"user-1" not in found
            and b"plan-1" not in found
            and gzip.compress(b"")[:3] not in found
        )
    assert b"user-1" in to_lines(shelf.open(manifest, PLANS))


def test_the_digests_of_a_key_in_two_archives_differ(shelf: Shelf) -> None:
    one, other = (shelf.write(draft_of(), PLANS, plans(1)) for _ in range(2))
    assert (one.keys, one.owners) != (other.keys, other.owners)


def test_a_table_of_nobodys_records_may_hold_none_of_a_user(shelf: Shelf) -> None:
    layout = layout_of(models.ErrorLog)
    assert layout.table.owner == "user_id"
    item = {"id": {"S": "e1"}}  # of a visitor who was not signed in
    manifest = shelf.write(draft_of(layout), layout, [item])
    assert manifest.owners == "" and not manifest.may_hold_owner("x")
    assert shelf.open(manifest, layout) == [item]


def test_nothing_is_written_over(shelf: Shelf, archive_dir: Path) -> None:
    draft = draft_of()
    manifest = shelf.write(draft, PLANS, plans())
    before = (archive_dir / manifest.object_name).read_bytes()
    with pytest.raises(RetentionError, match=rf"{draft.id}.*exists already"):
        shelf.write(draft, PLANS, plans(5))
    assert (archive_dir / manifest.object_name).read_bytes() == before
    assert len([path for path in archive_dir.rglob("*") if path.is_file()]) == 2


@pytest.mark.parametrize(
    ("items", "changes", "named"),
    [
        ([], {}, "one record or more"),
        ([*plans(1), *plans(1)], {}, "each key once"),
        (plans(), {"table": "users"}, "is of users, not plans"),
        (plans(), {"id": "../up"}, "cannot name an archive"),
    ],
    ids=["nothing", "a key twice", "another table", "a path"],
)
def test_what_is_no_archive_is_refused_before_anything_is_written(
    shelf: Shelf, archive_dir: Path, items: list[Item], changes: dict[str, str], named: str
) -> None:
    with pytest.raises(RetentionError, match=named):
        shelf.write(draft_of(**changes), PLANS, items)
    assert not archive_dir.exists()


def test_an_archive_of_another_table_is_not_opened_as_this_one(shelf: Shelf) -> None:
    manifest = shelf.write(draft_of(), PLANS, plans())
    with pytest.raises(RetentionError, match="is of plans, not locations"):
        shelf.open(manifest, layout_of(models.Location))


def test_discarding_leaves_nothing_and_may_be_repeated(shelf: Shelf, archive_dir: Path) -> None:
    gone, stays = (shelf.write(draft_of(), PLANS, plans()) for _ in range(2))
    part = (archive_dir / gone.object_name).with_name(f".{gone.id}.json.gz.aes.0badcafe.part")
    part.write_bytes(b"half")  # as a write that was killed leaves it
    for _ in range(2):
        shelf.discard(gone.object_name)
        assert list(shelf.manifests()) == [stays]
        assert not part.exists()
        assert not (archive_dir / gone.object_name).exists()
    assert shelf.open(stays, PLANS) == plans()


def test_an_export_is_the_lines_for_the_owner_alone_and_not_over_a_file(
    shelf: Shelf, tmp_path: Path
) -> None:
    manifest = shelf.write(draft_of(), PLANS, plans())
    path = tmp_path / "plans.json.gz"
    shelf.export(manifest, PLANS, path)
    lines = gzip.decompress(path.read_bytes()).splitlines()
    assert [json.loads(line) for line in lines] == [{"Item": item} for item in plans()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(RetentionError, match=r"plans.json.gz exists already"):
        shelf.export(manifest, PLANS, path)
    with pytest.raises(RetentionError, match="No such file or directory"):
        shelf.export(manifest, PLANS, tmp_path / "nowhere" / "plans.json.gz")
    assert path.read_bytes() == before


def test_records_that_are_given_must_be_those_that_are_there(shelf: Shelf) -> None:
    items = plans()
    manifest = shelf.write(draft_of(), PLANS, items)
    for given_items in (items[:2], [*items[1:], items[0]], [{**items[0], "title": {"S": "b"}}]):
        with pytest.raises(RetentionError, match="not those that were given"):
            shelf.prove(manifest, PLANS, given_items)


def test_settling_files_only_compares_them(shelf: Shelf, archive_dir: Path) -> None:
    manifest = shelf.write(draft_of(), PLANS, plans())
    shelf.settle(manifest)
    assert shelf.facts(manifest).sha256 == manifest.object_sha256
    (archive_dir / manifest.object_name).write_bytes(b"torn")
    with pytest.raises(RetentionError, match="it has 4 bytes"):
        shelf.settle(manifest)


def test_the_day_in_the_name_is_the_utc_one(shelf: Shelf) -> None:
    late = NOW.replace(hour=23).astimezone(dt.timezone(dt.timedelta(hours=9)))
    assert late.day != NOW.day
    assert "/2026-11-22/" in shelf.object_name(draft_of(created_at=late))


def test_an_earlier_key_still_opens_and_a_new_first_one_encrypts(shelf: Shelf) -> None:
    old = shelf.write(draft_of(), PLANS, plans())
    storage = storage_of_settings()
    keys = {"new": b"n" * 32, "test": b"for tests only, never a secret!!"}
    both = Shelf(storage, KeyRing(keys))
    assert both.open(old, PLANS) == plans()
    new = both.write(draft_of(), PLANS, plans())
    assert (old.encryption.key_id, new.encryption.key_id) == ("test", "new")
