"""Everything that a day's work leaves on the disk is its owner's alone, though the umask would let
everybody read and write: databases, locks, the local engine's data, archives, exports, counters."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dbcore.local_engine import EngineMissingError, find_engine

ROOT = Path(__file__).resolve().parents[2]
WORK = """
import json, os, sys
os.umask(0)
import settings
settings.settings_module()
import django
django.setup()
from pathlib import Path
from django.core.management import call_command
from django.utils import timezone
from daylight.models import User
from dbcore.monitoring.export import exposition

root = Path(sys.argv[1])
quiet = {"stdout": sys.stderr, "stderr": sys.stderr}
call_command("migrate", verbosity=0)
call_command("make_sample_data", rows=400, **quiet)
try:
    call_command("migrate_to_dynamo", "--quiet", **quiet)
except SystemExit as ended:
    assert ended.code == 0, ended.code
try:
    now = f"{timezone.now():%Y-%m-%dT%H:%M:%SZ}"
    call_command("enforce_retention", "--quiet", "--no-input", "--accept-large-sweep",
                 "--as-of", now, **quiet)
except SystemExit as ended:
    assert ended.code == 0, ended.code
user = User.objects.first().pk
call_command("export_user", user, "--output", str(root / "user.json"), **quiet)
try:
    call_command("restore_archive", "--table", "plans", "--quiet",
                 "--export-to", str(root / "plans" / "of" / "old"), **quiet)
except SystemExit as ended:
    assert ended.code == 0, ended.code
exposition("")  # for Prometheus: now the counters are written
found = {}
for folder, folders, files in os.walk(root):
    for name in (*folders, *files):
        path = os.path.join(folder, name)
        found[os.path.relpath(path, root)] = oct(os.lstat(path).st_mode & 0o777)
print(json.dumps(found))
"""


def test_what_a_days_work_leaves_behind_is_private(tmp_path: Path) -> None:
    try:
        find_engine("dynoxide")
    except EngineMissingError as error:
        pytest.skip(str(error))
    shared = tmp_path / "shared"  # as an administrator made it, with an earlier database in it
    shared.mkdir()
    shared.chmod(0o755)
    books = shared / "books.sqlite3"
    books.write_bytes(b"")
    books.chmod(0o666)
    variables = {
        "DAYLIGHT_ENV": "development",
        "DAYLIGHT_ENV_FILE": os.devnull,
        "DATABASE_URL": f"sqlite:///{books}",
        "LOCAL_DYNAMODB_PATH": str(tmp_path / "engine" / "data" / "engine.db"),
        "DYNAMODB_ENDPOINT": "local",
        "ARCHIVE_DIR": str(tmp_path / "kept" / "archives"),
        "ARCHIVE_ENCRYPTION_KEYS": f"k1:{base64.b64encode(bytes(32)).decode()}",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "counters" / "here"),
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WORK, str(tmp_path)],
        cwd=ROOT, env={"PATH": os.environ["PATH"], **variables}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    modes = json.loads(done.stdout)
    assert modes.pop("shared") == "0o755", "not ours to change"
    folders = {"engine", "engine/data", "kept", "kept/archives", "counters", "plans/of/old"}
    names = {
        "shared/books.sqlite3", "shared/books.sqlite3-wal", "shared/books.sqlite3-shm",
        "engine/data/engine.db", "engine/data/engine.db.engine.json",
        "engine/data/engine.db.engine.log", "engine/data/engine.db.users.lock",
        "engine/data/engine.db.start.lock", "user.json",
    }  # fmt: skip
    assert names | folders <= modes.keys()
    for kind in ("counters/here/counter_", "counters/here/histogram_", "kept/archives/plans/",
                 "plans/of/old/"):  # fmt: skip
        assert any(name.startswith(kind) for name in modes), kind
    wider = {name: mode for name, mode in modes.items() if mode not in ("0o600", "0o700")}
    assert wider == {}
    assert {modes[name] for name in names} == {"0o600"}
