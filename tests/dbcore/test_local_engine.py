"""The local engine: real processes, real locks, real kills; nothing is mocked.

No test may leave an engine running, and none may depend on how long anything takes.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from dbcore.local_engine import (
    EngineCrashedError,
    EngineError,
    EngineInUseError,
    EngineMissingError,
    EngineNotReadyError,
    EngineState,
    LocalEngine,
    PortTakenError,
    SharedEngine,
    find_engine,
)
from dbcore.local_engine import engine as engine_module
from dbcore.local_engine import shared as shared_module
from dbcore.local_engine.locks import FileLock
from dbcore.local_engine.probe import answers, free_port, port_is_taken
from dbcore.local_engine.process import runs
from tests.support.engine import dynamodb_engine  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60  # Seconds until a process that hangs fails its test.

SETTINGS = """
import sys
from django.conf import settings
settings.configure(
    LOCAL_DYNAMODB_PATH=sys.argv[1], DYNAMODB_ENGINE=sys.argv[2], LOCAL_DYNAMODB_PORT=0,
    DYNOXIDE_BINARY="",
)
from dbcore.local_engine import local_endpoint, release
"""
# A process that uses the shared engine until its input ends.
USER = (
    SETTINGS
    + """
print(local_endpoint(), flush=True)
sys.stdin.read()
"""
)
# A process whose child, forked after the engine is in use, ends as programs do: with atexit.
FORKING_USER = (
    SETTINGS
    + """
import os
print(local_endpoint(), flush=True)
child = os.fork()
if child == 0:
    sys.exit(0)
os.waitpid(child, 0)
print("child has ended", flush=True)
sys.stdin.read()
"""
)
# A process whose child lives on after it, and uses no engine.
LEAVING_A_CHILD = (
    SETTINGS
    + """
import os
print(local_endpoint(), flush=True)
child = os.fork()
if child:
    print(child, flush=True)
sys.stdin.read()
"""
)
# A process that gives the engine back before it ends.
RELEASING_USER = (
    SETTINGS
    + """
print(local_endpoint(), flush=True)
sys.stdin.readline()
release()
print("released", flush=True)
sys.stdin.read()
"""
)


class User:
    """A process of its own that uses the shared engine of ``data``."""

    def __init__(self, data: Path, script: str = USER, kind: str = "dynoxide") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "default::ResourceWarning", "-c", script, str(data), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> tuple[str, str]:
        """Lets it end by itself; what it still wrote to stdout and stderr."""
        out, err = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, err
        return out, err

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


needs_dynoxide = pytest.mark.usefixtures("dynamodb_engine")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """The data file of a shared engine that is gone after the test."""
    path = tmp_path / "dynamodb" / "data.db"
    yield path
    SharedEngine(path).stop(force=True)


def client(endpoint: str) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )


def create_table(endpoint: str, name: str = "visits") -> None:
    client(endpoint).create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def tables(endpoint: str) -> list[str]:
    names: list[str] = client(endpoint).list_tables()["TableNames"]
    return names


def state_of(data: Path) -> EngineState:
    state = EngineState.read(SharedEngine(data).files.state)
    assert state is not None
    return state


def alive(state: EngineState) -> bool:
    return runs(state.pid, state.arguments)


def fake_binary(tmp_path: Path, script: str) -> str:
    path = tmp_path / "dynoxide"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@needs_dynoxide
class TestOneEngine:
    def test_answers_a_real_client_and_is_gone_after_stop(self) -> None:
        engine = LocalEngine("dynoxide")
        endpoint = engine.start()
        pid = engine.pid
        assert pid
        create_table(endpoint)
        assert tables(endpoint) == ["visits"]
        assert engine.start() == endpoint, "a second start must not start a second engine"
        engine.stop()
        engine.stop()
        assert engine.pid is None
        assert not answers(endpoint)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        with pytest.raises(EngineError, match="not been started"):
            _ = engine.endpoint

    def test_data_in_a_file_survives_a_restart(self, tmp_path: Path) -> None:
        with LocalEngine("dynoxide", db_path=tmp_path / "data.db") as engine:
            create_table(engine.endpoint)
        with LocalEngine("dynoxide", db_path=tmp_path / "data.db") as engine:
            assert tables(engine.endpoint) == ["visits"]

    def test_data_in_memory_does_not(self) -> None:
        engine = LocalEngine("dynoxide")
        with engine:
            create_table(engine.endpoint)
        with engine:
            assert tables(engine.endpoint) == []

    def test_two_engines_know_nothing_of_each_other(self) -> None:
        with LocalEngine("dynoxide") as one, LocalEngine("dynoxide") as other:
            create_table(one.endpoint)
            assert tables(other.endpoint) == []

    def test_listens_on_the_port_that_was_asked_for(self) -> None:
        port = free_port("127.0.0.1")
        with LocalEngine("dynoxide", port=port) as engine:
            assert engine.endpoint == f"http://127.0.0.1:{port}"

    @pytest.mark.parametrize("kind", ["dynoxide", "moto"])
    def test_a_taken_port_is_named_with_the_way_to_choose_another(self, kind: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as holder:
            port = holder.getsockname()[1]
            with pytest.raises(PortTakenError, match=f"Port {port} .*LOCAL_DYNAMODB_PORT"):
                LocalEngine(kind, port=port).start()

    def test_a_port_lost_between_the_look_and_the_start_is_named_too(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Before the start nobody seems to be there; the engine itself finds out.
        seen: list[int] = []
        real = port_is_taken

        def too_early(host: str, port: int) -> bool:
            seen.append(port)
            return len(seen) > 1 and real(host, port)

        monkeypatch.setattr(engine_module, "port_is_taken", too_early)
        with LocalEngine("dynoxide") as first:
            port = int(first.endpoint.rpartition(":")[2])
            seen.clear()
            # The other one answers on that port, and must not be taken for ours.
            with pytest.raises(PortTakenError, match=str(port)):
                LocalEngine("dynoxide", port=port).start()
            assert tables(first.endpoint) == []

    def test_a_free_port_that_is_lost_is_replaced_by_another(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as holder:
            lost = holder.getsockname()[1]
            ports = [free_port("127.0.0.1"), lost]
            monkeypatch.setattr(engine_module, "free_port", lambda _host: ports.pop())
            with LocalEngine("dynoxide") as engine:
                assert not engine.endpoint.endswith(f":{lost}")
                assert tables(engine.endpoint) == []

    def test_a_crash_at_the_start_shows_what_the_engine_said(self, tmp_path: Path) -> None:
        with pytest.raises(EngineCrashedError, match="unable to open database") as caught:
            LocalEngine("dynoxide", db_path=tmp_path).start()
        assert "exit code 1" in str(caught.value)

    def test_a_broken_program_shows_its_last_words(self, tmp_path: Path) -> None:
        binary = fake_binary(tmp_path, "echo out of cheese >&2; exit 3")
        with pytest.raises(EngineCrashedError, match="out of cheese") as caught:
            LocalEngine("dynoxide", binary=binary).start()
        assert caught.value.code == 3

    def test_a_program_that_never_answers_is_ended(self, tmp_path: Path) -> None:
        pids: list[int | None] = []
        engine = LocalEngine(
            "dynoxide",
            binary=fake_binary(tmp_path, "echo still thinking; exec sleep 600"),
            ready_timeout=0.5,
            on_spawn=lambda started: pids.append(started.pid),
        )
        with pytest.raises(EngineNotReadyError, match="still thinking"):
            engine.start()
        assert pids[0]
        with pytest.raises(ProcessLookupError):
            os.kill(pids[0], 0)

    def test_has_a_session_of_its_own_and_none_of_our_files(self, tmp_path: Path) -> None:
        if not Path("/proc/self/fd").exists():
            pytest.skip("needs /proc to see another process's files")
        with (tmp_path / "ours").open("w") as ours:
            os.set_inheritable(ours.fileno(), True)
            with LocalEngine("dynoxide") as engine:
                assert engine.pid
                assert os.getsid(engine.pid) == engine.pid
                files = [str(fd.readlink()) for fd in Path(f"/proc/{engine.pid}/fd").iterdir()]
                assert ours.name not in files
                assert Path(f"/proc/{engine.pid}/fd/1").readlink().suffix == ".log"

    def test_writes_to_the_log_it_was_given_anew_at_each_start(self, tmp_path: Path) -> None:
        log = tmp_path / "logs" / "engine.log"
        log.parent.mkdir()
        log.write_text("of the last run\n")
        with LocalEngine("dynoxide", log_path=log) as engine:
            assert engine.endpoint in log.read_text()
        assert "of the last run" not in log.read_text()

    def test_moto_serves_the_same_api_and_warns_that_it_forgets(
        self, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        with LocalEngine("moto", db_path=tmp_path / "data.db") as engine:
            create_table(engine.endpoint)
            assert tables(engine.endpoint) == ["visits"]
            assert engine.db_path is None
        assert "memory only" in caplog.text
        assert not (tmp_path / "data.db").exists()


class TestFindingTheProgram:
    def test_a_missing_binary_says_how_to_get_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(EngineMissingError, match=r"npm install.*DYNAMODB_ENGINE=moto"):
            find_engine("dynoxide", root=tmp_path)

    def test_without_dynoxide_moto_is_found(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        found = find_engine(root=tmp_path)
        assert (found.kind, found.keeps_data) == ("moto", False)

    @pytest.mark.parametrize("kind", [None, "auto", "dynoxide"])
    def test_a_named_binary_goes_before_all_others(self, tmp_path: Path, kind: str | None) -> None:
        binary = fake_binary(tmp_path, "exit 0")
        assert find_engine(kind, override=binary).command == (binary,)

    def test_a_named_binary_that_is_missing_is_not_replaced_silently(self, tmp_path: Path) -> None:
        with pytest.raises(EngineMissingError, match="DYNOXIDE_BINARY"):
            find_engine("auto", override=str(tmp_path / "nowhere"))

    def test_a_binary_on_the_path_will_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        binary = fake_binary(tmp_path, "exit 0")
        monkeypatch.setenv("PATH", str(tmp_path))
        assert find_engine(root=tmp_path / "empty").command == (binary,)

    def test_an_unknown_kind_is_refused(self) -> None:
        with pytest.raises(EngineMissingError, match="auto, dynoxide or moto"):
            find_engine("mongodb")


@needs_dynoxide
class TestTheSharedEngine:
    def test_two_processes_share_one_engine_that_stops_after_the_last(self, data: Path) -> None:
        first, second = User(data), User(data)
        endpoint = first.line()
        assert second.line() == endpoint
        state = state_of(data)
        create_table(endpoint)
        first.end()
        assert tables(endpoint) == ["visits"]
        second.end()
        assert not alive(state)
        assert not answers(endpoint)
        assert not SharedEngine(data).files.state.exists()

    def test_it_stops_after_the_last_also_when_the_starter_goes_first(self, data: Path) -> None:
        starter = User(data)
        endpoint = starter.line()
        other = User(data)
        other.line()
        state = state_of(data)
        assert starter.end() == ("", "")
        assert alive(state)
        assert tables(endpoint) == []
        other.end()
        assert not alive(state)

    def test_data_is_there_for_the_next_command(self, data: Path) -> None:
        first = User(data)
        create_table(first.line())
        first.end()
        second = User(data)
        assert tables(second.line()) == ["visits"]
        second.end()

    def test_many_that_start_at_once_get_one_engine(self, data: Path) -> None:
        users = [User(data) for _ in range(4)]
        assert len({user.line() for user in users}) == 1
        state = state_of(data)
        for user in users:
            user.end()
        assert not alive(state)

    def test_many_threads_get_one_engine(self, data: Path) -> None:
        shared = SharedEngine(data, "dynoxide")
        endpoints: list[str] = []
        threads = [
            threading.Thread(target=lambda: endpoints.append(shared.acquire())) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert len(endpoints) == 8
        assert len(set(endpoints)) == 1
        state = state_of(data)
        shared.release()
        assert not alive(state)

    def test_an_orphan_of_a_killed_owner_is_used_and_stopped_by_the_next(self, data: Path) -> None:
        owner = User(data)
        endpoint = owner.line()
        state = state_of(data)
        owner.kill()
        assert alive(state), "the kill must leave an orphan, else this tests nothing"
        heir = User(data)
        assert heir.line() == endpoint
        heir.end()
        assert not alive(state)

    def test_a_killed_user_does_not_count_any_more(self, data: Path) -> None:
        owner, other = User(data), User(data)
        owner.line()
        other.line()
        state = state_of(data)
        other.kill()
        owner.end()
        assert not alive(state)

    def test_the_end_of_a_forked_child_does_not_stop_it(self, data: Path) -> None:
        user = User(data, FORKING_USER)
        endpoint = user.line()
        state = state_of(data)
        assert user.line() == "child has ended"
        assert alive(state)
        assert tables(endpoint) == []
        user.end()
        assert not alive(state)

    def test_a_forked_child_keeps_no_lock_of_its_parent(self, data: Path) -> None:
        parent = User(data, LEAVING_A_CHILD)
        parent.line()
        child = int(parent.line())
        state = state_of(data)
        parent.process.kill()
        parent.process.wait(PATIENCE)
        try:
            os.kill(child, 0)
            heir = User(data)
            heir.line()
            heir.end()
            assert not alive(state)
        finally:
            os.kill(child, signal.SIGKILL)
            parent.kill()

    def test_release_gives_it_back_before_the_end(self, data: Path) -> None:
        user = User(data, RELEASING_USER)
        user.line()
        state = state_of(data)
        user.say()
        assert user.line() == "released"
        assert not alive(state)
        user.end()

    def test_nothing_but_the_program_s_own_words_is_written(self, data: Path) -> None:
        user = User(data)
        user.line()
        assert user.end() == ("", "")

    def test_moto_warns_and_lives_as_long_as_its_users(self, data: Path) -> None:
        user = User(data, kind="moto")
        endpoint = user.line()
        create_table(endpoint)
        state = state_of(data)
        assert state.db_path is None
        out, err = user.end()
        assert out == ""
        assert "memory only" in err
        assert not alive(state)

    def test_an_engine_that_died_is_replaced_for_its_users(self, data: Path) -> None:
        shared = SharedEngine(data, "dynoxide")
        create_table(shared.acquire())
        os.kill(state_of(data).pid, signal.SIGKILL)
        assert tables(shared.acquire()) == ["visits"]
        state = state_of(data)
        shared.release()
        assert not alive(state)

    def test_an_engine_that_hangs_is_ended_before_another_starts(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shared_module, "STOP_TIMEOUT", 0.5)
        owner = User(data)
        owner.line()
        hung = state_of(data)
        owner.kill()
        os.kill(hung.pid, signal.SIGSTOP)
        shared = SharedEngine(data, "dynoxide")
        with monkeypatch.context() as patience:
            patience.setattr(shared_module, "READY_TIMEOUT", 0.5)
            assert tables(shared.acquire()) == []
        assert not alive(hung)
        shared.release()

    @pytest.mark.parametrize("note", ["", "{}", "[1]", '{"pid": "x"}'])
    def test_a_note_that_makes_no_sense_is_replaced(self, data: Path, note: str) -> None:
        shared = SharedEngine(data, "dynoxide")
        shared.files.state.parent.mkdir()
        shared.files.state.write_text(note)
        assert tables(shared.acquire()) == []
        shared.release()

    def test_a_note_with_another_program_s_number_harms_nobody(self, data: Path) -> None:
        first = User(data)
        first.line()
        note = json.loads(SharedEngine(data).files.state.read_text())
        first.end()
        bystander = subprocess.Popen(["sleep", "600"])
        try:
            shared = SharedEngine(data, "dynoxide")
            shared.files.state.write_text(json.dumps({**note, "pid": bystander.pid}))
            assert tables(shared.acquire()) == []
            assert state_of(data).pid != bystander.pid
            shared.release()
            assert bystander.poll() is None
        finally:
            bystander.kill()
            bystander.wait(PATIENCE)

    def test_a_failed_start_leaves_neither_note_nor_lock(self, data: Path, tmp_path: Path) -> None:
        binary = fake_binary(tmp_path, "exit 3")
        broken = SharedEngine(data, "dynoxide", binary=binary)
        with pytest.raises(EngineCrashedError):
            broken.acquire()
        assert not broken.files.state.exists()
        assert FileLock(broken.files.users_lock).try_lock()

    def test_stop_spares_an_engine_in_use_unless_forced(self, data: Path) -> None:
        user = User(data)
        user.line()
        state = state_of(data)
        shared = SharedEngine(data, "dynoxide")
        with pytest.raises(EngineInUseError, match="--force"):
            shared.stop()
        assert alive(state)
        assert shared.stop(force=True)
        assert not alive(state)
        assert not shared.stop()
        assert user.end() == ("", "")

    def test_reset_refuses_while_it_runs_and_deletes_all_of_the_data(self, data: Path) -> None:
        user = User(data)
        create_table(user.line())
        shared = SharedEngine(data, "dynoxide")
        with pytest.raises(EngineInUseError, match="cannot be deleted"):
            shared.reset()
        user.end()
        assert data in shared.reset()
        assert shared.files.of_data() == []
        assert tables(shared.acquire()) == []
        shared.release()

    def test_another_engine_than_the_running_one_is_refused(self, data: Path) -> None:
        user = User(data)
        endpoint = user.line()
        shared = SharedEngine(data, "dynoxide")
        for wish in ({"kind": "moto"}, {"port": 1}, {"in_memory": True}):
            with pytest.raises(EngineInUseError, match="--stop"):
                shared.acquire(**wish)
        assert shared.acquire(kind="dynoxide", port=0) == endpoint
        shared.release()
        user.end()

    def test_an_owner_whose_note_was_deleted_still_stops_its_engine(self, data: Path) -> None:
        user = User(data)
        user.line()
        state = state_of(data)
        SharedEngine(data).files.state.unlink()
        user.end()
        assert not alive(state)


@needs_dynoxide
class TestTheCommand:
    def start(self, data: Path, *options: str) -> "subprocess.Popen[str]":
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "settings.test",
            "DAYLIGHT_ENV": "test",
            "LOCAL_DYNAMODB_PATH": str(data),
            "LOCAL_DYNAMODB_PORT": "0",
            "DYNAMODB_ENGINE": "dynoxide",
        }
        return subprocess.Popen(
            [sys.executable, "manage.py", "local_dynamodb", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )

    def run(self, data: Path, *options: str, answer: str = "") -> tuple[int, str, str]:
        process = self.start(data, *options)
        out, err = process.communicate(answer, timeout=PATIENCE)
        return process.returncode, out, err

    def until_ready(self, process: "subprocess.Popen[str]") -> str:
        assert process.stdout is not None
        text = ""
        for line in process.stdout:
            text += line
            if "Ctrl-C" in line:
                return text
        raise AssertionError(process.communicate(timeout=PATIENCE))

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_runs_until_it_is_told_to_stop(self, data: Path, number: int) -> None:
        process = self.start(data)
        said = self.until_ready(process)
        state = state_of(data)
        assert state.endpoint in said
        assert str(data) in said
        assert "aws dynamodb list-tables" in said
        assert "web page" not in said
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err) == (0, "", "")
        assert not alive(state)

    def test_other_commands_find_its_engine_and_keep_it_up(self, data: Path) -> None:
        process = self.start(data, "--in-memory", "--port", str(free_port("127.0.0.1")))
        said = self.until_ready(process)
        assert "in memory" in said
        assert "A web page that you open can reach it" in said, "its port can be known"
        user = User(data)
        endpoint = user.line()
        assert endpoint == state_of(data).endpoint
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        assert tables(endpoint) == []
        user.end()
        assert not answers(endpoint)

    def test_ends_with_an_error_when_its_engine_does(self, data: Path) -> None:
        process = self.start(data)
        self.until_ready(process)
        assert self.run(data, "--stop")[0] == 1
        assert self.run(data, "--stop", "--force")[:2] == (0, "Stopped.\n")
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1
        assert "has ended" in err

    def test_status_says_what_runs_and_where(self, data: Path) -> None:
        code, out, _ = self.run(data, "--status")
        assert (code, out) == (1, "No local engine is running.\n")
        user = User(data)
        endpoint = user.line()
        code, out, _ = self.run(data, "--status")
        assert code == 0
        assert endpoint in out
        assert "In use:   yes" in out
        user.end()

    def test_stop_ends_an_orphan(self, data: Path) -> None:
        owner = User(data)
        owner.line()
        state = state_of(data)
        owner.kill()
        assert self.run(data, "--stop")[:2] == (0, "Stopped.\n")
        assert not alive(state)
        assert self.run(data, "--stop")[:2] == (0, "No local engine is running.\n")

    def test_reset_takes_a_yes_and_nothing_else(self, data: Path) -> None:
        user = User(data)
        create_table(user.line())
        user.end()
        code, _, err = self.run(data, "--reset", answer="y\n")  # which nobody has typed
        assert code == 1 and "Nobody is asked: say --accept-reset" in err
        assert data.exists()
        code, out, _ = self.run(data, "--reset", "--accept-reset")
        assert (code, out) == (0, f"Deleted {data}\n")
        assert not data.exists()

    def test_a_port_that_is_taken_is_one_line_and_no_traceback(self, data: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as holder:
            port = holder.getsockname()[1]
            code, _, err = self.run(data, "--port", str(port))
        assert code == 1
        assert f"Port {port}" in err
        assert "Traceback" not in err


class TestTheFixtures:
    SUITE = "def test_it({fixture}):\n    assert {fixture}.endpoint.startswith('http://127')\n"

    def run(self, tmp_path: Path, fixture: str, **environment: str) -> tuple[int, str]:
        suite = tmp_path / "test_inner.py"
        suite.write_text(self.SUITE.format(fixture=fixture))
        without_ci = {
            name: value for name, value in os.environ.items() if name not in ("CI", "TESTS_QUICK")
        }
        options = ["-rs", "-p", "no:django", "-p", "no:cacheprovider", "-c", os.devnull]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, "-p", "tests.support.engine", str(suite)],
            cwd=ROOT,
            env={**without_ci, **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.returncode, done.stdout

    @needs_dynoxide
    @pytest.mark.parametrize("fixture", ["dynamodb_engine", "moto_engine"])
    def test_give_a_running_engine(self, tmp_path: Path, fixture: str) -> None:
        code, out = self.run(tmp_path, fixture)
        assert code == 0, out
        assert "1 passed" in out

    def test_skip_aloud_when_there_is_no_engine(self, tmp_path: Path) -> None:
        code, out = self.run(tmp_path, "dynamodb_engine", DYNOXIDE_BINARY="/nowhere")
        assert code == 0, out
        assert "1 skipped" in out
        assert "DYNOXIDE_BINARY names /nowhere" in out

    def test_fail_without_an_engine_under_ci(self, tmp_path: Path) -> None:
        code, out = self.run(tmp_path, "dynamodb_engine", DYNOXIDE_BINARY="/nowhere", CI="true")
        assert code == 1, out
        assert "DYNOXIDE_BINARY names /nowhere" in out
