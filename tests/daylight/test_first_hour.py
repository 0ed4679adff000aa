"""A fresh clone: the command line finds its packages, a taken port is named, Ctrl-C is one line,
and the demo leaves a developer's records alone."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from daylight.demo import Demo
from daylight.models import User
from daylight.sample_data import SMALLEST, filled
from dbcore.local_engine import LocalEngine
from dbcore.local_engine.listeners import UNKNOWN, who_listens
from settings.variables import ALL

ROOT = Path(__file__).resolve().parents[2]
BARE = [sys._base_executable, "-I", "-S"]  # type: ignore[attr-defined]  # a Python with no packages


def clone_of_manage(folder: Path) -> Path:
    """manage.py alone, as in a clone in which nothing is installed."""
    return Path(shutil.copy(ROOT / "manage.py", folder))


def test_without_packages_one_line_says_what_to_run(tmp_path: Path) -> None:
    manage = clone_of_manage(tmp_path)
    done = subprocess.run([*BARE, manage, "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "Django is not installed here: run `make setup` first.\n"


def test_a_python_without_packages_hands_over_to_the_one_that_make_setup_made(
    tmp_path: Path,
) -> None:
    manage = clone_of_manage(tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "ours: $@"\n')
    python.chmod(0o755)
    done = subprocess.run(
        [*BARE, manage, "check", "a b"], capture_output=True, text=True, check=False
    )
    assert done.stdout == f"ours: {manage} check a b\n"


def test_the_command_line_can_be_started_by_its_name() -> None:
    assert os.access(ROOT / "manage.py", os.X_OK)
    # Debian has no `python`.
    assert (ROOT / "manage.py").read_text().startswith("#!/usr/bin/env python3\n")


def environment(**given: str) -> dict[str, str]:
    return {
        **os.environ, "DAYLIGHT_ENV": "development", "DAYLIGHT_ENV_FILE": os.devnull, **given
    }  # fmt: skip


def test_ctrl_c_ends_a_command_in_one_line(tmp_path: Path) -> None:
    begins_and_waits = f"""
        import signal, sys
        sys.path.insert(0, {str(ROOT)!r})
        import runpy, django.core.management as management
        def waits(argv):
            print("begun", flush=True)
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & ignores it
            signal.pause()
        management.execute_from_command_line = waits
        sys.argv = ["manage.py"]
        runpy.run_path({str(ROOT / "manage.py")!r}, run_name="__main__")
    """
    url = f"sqlite:///{tmp_path}/db.sqlite3"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(begins_and_waits)],
        env=environment(DATABASE_URL=url), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "\nInterrupted.\n")


def test_runserver_names_who_holds_the_port_and_another_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        who = who_listens(port)
        with pytest.raises(CommandError) as refused:
            call_command("runserver", f"127.0.0.1:{port}", use_reloader=False)
    assert f"Port {port} is taken by {who}" in str(refused.value)
    assert re.search(r"`PORT=\d+ make serve`", str(refused.value))
    with pytest.raises(CommandError, match="99999 is no port"):
        call_command("runserver", "127.0.0.1:99999", use_reloader=False)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="this system does not tell")
def test_who_listens_is_named_by_program_and_number_and_never_by_arguments() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        comm = Path("/proc/self/comm").read_text().strip()
        assert who_listens(port) == f"{comm} (process {os.getpid()})"
    assert who_listens(port) == UNKNOWN


def test_the_demo_refuses_databases_that_are_not_the_project_s(
    settings: pytest.FixtureRequest, tmp_path: Path
) -> None:
    settings.VAR_DIR = tmp_path
    settings.DYNAMODB_ENDPOINT = "local"
    settings.LOCAL_DYNAMODB_PATH = tmp_path / "dynamodb.db"
    with pytest.raises(CommandError, match=r"must be in .*: `make demo`"):
        call_command("demo")


@pytest.mark.django_db(transaction=True)
def test_the_demo_migrates_a_developer_s_records_and_leaves_them_as_they_are(
    settings: pytest.FixtureRequest, dynamodb: LocalEngine, tmp_path: Path
) -> None:
    settings.LOCAL_DYNAMODB_PATH = tmp_path / "dynamodb.db"
    mine = User.objects.create(id="mine", email="mine@example.org", username="mine")
    said = io.StringIO()
    assert Demo(SMALLEST, timezone.now(), said).run() == 0
    assert list(User.objects.all()) == [mine]  # and no sample beside it
    assert "already, in 1 of 19" in said.getvalue()
    # A row is deleted, and its item stays: said, with what to do, and nothing is deleted for it.
    mine.delete()
    User.objects.create(id="other", email="other@example.org", username="other")
    again = io.StringIO()
    assert Demo(SMALLEST, timezone.now(), again).run() == 2
    assert "3 extra" in again.getvalue()  # the user and two guards of unique values
    assert "./manage.py local_dynamodb --reset" in again.getvalue()


@pytest.mark.django_db(transaction=True)
def test_the_demo_on_nothing_makes_a_sample(
    settings: pytest.FixtureRequest, dynamodb: LocalEngine, tmp_path: Path
) -> None:
    settings.LOCAL_DYNAMODB_PATH = tmp_path / "dynamodb.db"
    said = io.StringIO()
    assert Demo(SMALLEST, timezone.now(), said).run() == 0
    assert "200 rows in DynamoDB, each compared with its row" in said.getvalue()
    assert len(filled("default")) == 19


@pytest.mark.parametrize("target", ["demo", "serve"])
def test_what_make_starts_has_nothing_of_another_projects_shell(
    target: str, tmp_path: Path
) -> None:
    """Each variable of the layer, and what leads elsewhere, is another project's."""
    others = dict.fromkeys(ALL.names, "of-the-shop")
    elsewhere = ("AWS_PROFILE", "AWS_ENDPOINT_URL", "PYTHONPATH", "PGHOST", "HTTP_PROXY")
    others |= dict.fromkeys(elsewhere, "of-the-shop")
    passed = {"DAYLIGHT_ENV_FILE", "DYNAMODB_ENGINE", "DYNOXIDE_BINARY"}  # the developer's own
    others = {name: value for name, value in others.items() if name not in passed}
    shown = subprocess.run(
        ["make", "-s", "-o", "setup", target, "PY=sh -c env"], cwd=ROOT, text=True,
        capture_output=True, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **others},
        check=True,
    ).stdout  # fmt: skip
    assert "of-the-shop" not in shown
    assert "DAYLIGHT_ENV=development" in shown and f"HOME={tmp_path}" in shown
