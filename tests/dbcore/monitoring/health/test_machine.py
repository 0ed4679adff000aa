"""This machine's clock and disks."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Any

import pytest

from dbcore.local_engine import LocalEngine
from dbcore.local_engine.probe import free_port
from dbcore.monitoring.health import Status
from dbcore.monitoring.health.machine import _places, _room
from dbcore.wire import get_wire
from tests.dbcore.monitoring.health.asked import (
    CRITICAL,
    HEALTHY,
    WARNING,
    ask,
    date_off_by,
    ill,
)
from tests.support.archives import use_storage
from tests.support.databases import default_database
from tests.support.proxy import ClockSkew, FaultProxy


@pytest.mark.parametrize(
    ("ahead", "status", "word"),
    [
        (0, HEALTHY, "as DynamoDB's"),
        (-30, HEALTHY, "ahead"),
        (130, WARNING, "behind"),
        (-130, WARNING, "ahead"),
        (4000, CRITICAL, "behind"),
        (-4000, CRITICAL, "ahead"),
    ],
)
def test_the_clock_is_compared_with_dynamodbs(
    site: LocalEngine, settings: Any, ahead: int, status: Status, word: str
) -> None:
    with FaultProxy(settings.DYNAMODB_ENDPOINT, [date_off_by(ahead)]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        found = ask("clock")
    assert (found.status, found.host) == (status, platform.node())
    assert word in found.sentence


def test_without_an_answer_the_clock_is_unknown_and_not_well(settings: Any) -> None:
    settings.DATABASE_PRIMARY = "dynamodb"
    settings.DYNAMODB_ENDPOINT = f"http://127.0.0.1:{free_port('127.0.0.1')}"  # nobody is there
    settings.DB_HEALTH_DEADLINE = 1.0
    found = ask("clock")
    assert found.status is HEALTHY and found.sentence.startswith("not known: DynamoDB does not")
    assert not found.is_known and found.host == platform.node()


def test_a_server_that_refuses_what_is_signed_tells_its_time_all_the_same(
    site: LocalEngine, settings: Any
) -> None:
    with FaultProxy(settings.DYNAMODB_ENDPOINT, [ClockSkew(4000), date_off_by(4000)]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        found = ask("clock")
        assert found.status is CRITICAL and "mend the time service" in found.sentence
        get_wire().call("ListTables", {})  # from here on the wire signs with the server's time
        assert get_wire().signer.clock_offset != 0
        assert ill() == {"clock": CRITICAL}, "the machine's clock is wrong still"


@pytest.mark.parametrize(
    ("least", "bad", "status"), [(0.0, 0.0, HEALTHY), (1.1, 0.0, WARNING), (1.1, 1.1, CRITICAL)]
)
def test_a_disk_is_judged_by_the_share_that_is_free(
    transactional_db: None, archive_dir: Path, settings: Any,
    least: float, bad: float, status: Status,
) -> None:  # fmt: skip
    settings.DB_HEALTH_DISK_WARNING, settings.DB_HEALTH_DISK_CRITICAL = least, bad
    found = ask("disk")
    assert (found.status, found.host) == (status, platform.node())
    assert "GiB free" in found.sentence and "archives" in found.sentence


def test_a_folder_that_is_not_there_yet_is_on_the_disk_of_the_one_above(
    transactional_db: None, tmp_path: Path, settings: Any
) -> None:
    use_storage(
        settings, "dbcore.retention.archives.files.FileArchives",
        location=str(tmp_path / "not" / "yet"),
    )  # fmt: skip
    assert f"archives ({tmp_path})" in ask("disk").sentence
    assert not (tmp_path / "not").exists()


def test_a_sqlite_file_that_is_named_by_a_uri_is_on_the_disk_of_its_folder(
    transactional_db: None, tmp_path: Path
) -> None:
    name = f"file:{tmp_path}/a%20folder/d.sqlite3?mode=ro"
    with default_database({"ENGINE": "django.db.backends.sqlite3", "NAME": name}):
        assert ("the database default", tmp_path / "a folder") in list(_places())


def test_a_disk_that_has_no_room_for_more_files_is_full(tmp_path: Path, settings: Any) -> None:
    settings.DB_HEALTH_DISK_WARNING, settings.DB_HEALTH_DISK_CRITICAL = 0.5, 0.3
    files = os.statvfs(tmp_path)
    if not files.f_files:
        pytest.skip("this disk counts no files")
    bytes_free = shutil.disk_usage(tmp_path).free / shutil.disk_usage(tmp_path).total
    said = _room("the test", tmp_path).sentence
    assert ("files" in said) is (files.f_favail / files.f_files < bytes_free)
