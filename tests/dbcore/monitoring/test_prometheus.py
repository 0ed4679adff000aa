"""A real Prometheus server reads /metrics, and its promtool takes the example files."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dbcore.local_engine.probe import free_port
from dbcore.monitoring.labels import REFUSALS
from tests.dbcore.monitoring.served import ROOT, read, served, wait_for
from tests.support.programs import end, find_program

EXAMPLES = ROOT / "docs" / "prometheus"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example files in a folder of their own, with a token where they say."""
    for file in EXAMPLES.glob("*.yml"):
        shutil.copy(file, tmp_path)
    token = tmp_path / "daylight_token"
    token.write_text("right-and-long-enough")
    config = tmp_path / "scrape.yml"
    config.write_text(config.read_text().replace("/etc/prometheus/daylight_token", str(token)))
    return tmp_path


def promtool(*words: str | Path) -> str:
    program = find_program("promtool", "prometheus")
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_example_files_are_good(example: Path) -> None:
    assert "SUCCESS" in promtool("check", "config", example / "scrape.yml")
    assert "9 rules found" in promtool("check", "rules", example / "rules.yml")


def test_the_example_rules_say_what_they_should(example: Path) -> None:
    shutil.copy(Path(__file__).parent / "rules_test.yml", example)
    assert "SUCCESS" in promtool("test", "rules", example / "rules_test.yml")


def test_the_example_rules_take_the_same_for_no_failure_as_the_code() -> None:
    wanted = 'error_type!~"|{}"'.format("|".join(sorted(REFUSALS)))
    assert wanted in (EXAMPLES / "rules.yml").read_text()


@contextmanager
def prometheus(config: Path) -> Iterator[str]:
    """A server with this configuration; its URL."""
    program = find_program("prometheus", "prometheus")
    address = f"127.0.0.1:{free_port('127.0.0.1')}"
    log = config.parent / "prometheus.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [program, f"--config.file={config}", f"--storage.tsdb.path={config.parent / 'data'}",
             f"--web.listen-address={address}"],
            stdout=out, stderr=out,
        )  # fmt: skip
    try:
        yield f"http://{address}"
    finally:
        end(process, signal.SIGTERM)


def test_prometheus_reads_what_was_measured(example: Path, tmp_path: Path) -> None:
    with served(tmp_path, 1, METRICS_TOKEN="right-and-long-enough") as server:
        server.ask()
        config = example / "scrape.yml"
        text = config.read_text().replace("daylight.internal:8000", server.url[7:])
        config.write_text(text.replace("interval: 15s", "interval: 1s"))
        with prometheus(config) as url:

            def query(words: str) -> list[dict[str, Any]]:
                try:
                    answer = read(f"{url}/api/v1/query?" + urllib.parse.urlencode({"query": words}))
                except OSError:  # it has not started yet
                    return []
                found: list[dict[str, Any]] = json.loads(answer)["data"]["result"]
                return found

            counted = 'db_client_operation_duration_seconds_count{db_collection_name="%s"}'
            wait_for(lambda: query(counted % "django_session"))
            (found,) = query(counted % "django_session")
            assert found["value"][1] == "1"
            assert found["metric"]["db_operation_name"] == "SELECT"
            assert query("db_client_connection_max")[0]["value"][1] == "32"
            assert query('up{job="daylight"}')[0]["value"][1] == "1"
            metadata = json.loads(read(f"{url}/api/v1/metadata"))["data"]
            (told,) = metadata["db_client_operation_duration_seconds"]
            assert told["type"] == "histogram" and told["help"].startswith("Seconds of one call")
            wait_for(lambda: query("daylight:db_calls:rate5m"))
